"""Metrics as pure functions: of equity, of daily returns, of trades, beside a benchmark.

>>> from engine import metrics
>>> metrics.sharpe(returns, 252.0).value, metrics.sharpe(returns, 252.0).interval
>>> metrics.tail_ratio(returns).reason

Each gives a :class:`~engine.results.Metric`: value, unit, the reason where the value is None, and an interval where
one is known. ``annual`` is the number of returns in a year; what a run reports is in :data:`DEFINITIONS`.
"""

from engine.metrics.core import DEFINITIONS, core_metrics
from engine.metrics.distribution import (
    conditional_value_at_risk,
    excess_kurtosis,
    expected_shortfall,
    omega,
    skewness,
    tail_ratio,
    value_at_risk,
)
from engine.metrics.drawdown import drawdowns, max_drawdown, max_drawdown_duration, underwater
from engine.metrics.edge import average_excursions, expectancy, kelly, payoff_ratio, sqn, sqn_pnl
from engine.metrics.inference import probabilistic_sharpe, standard_error, track_record_length
from engine.metrics.periods import monthly_returns, rolling_sharpe, yearly_returns
from engine.metrics.ratios import (
    min_track_record_length,
    psr,
    sharpe,
    sharpe_lo,
    sharpe_standard_error,
    volatility,
)
from engine.metrics.relative import (
    alpha,
    beta,
    correlation,
    down_capture,
    information_ratio,
    tracking_error,
    up_capture,
)
from engine.metrics.returns import cagr, calmar, martin, simple_returns, sortino, total_return
from engine.metrics.trades import exposure, profit_factor, trade_count, turnover, win_rate

__all__ = [
    "DEFINITIONS",
    "alpha",
    "average_excursions",
    "beta",
    "cagr",
    "calmar",
    "conditional_value_at_risk",
    "core_metrics",
    "correlation",
    "down_capture",
    "drawdowns",
    "excess_kurtosis",
    "expectancy",
    "expected_shortfall",
    "exposure",
    "information_ratio",
    "kelly",
    "martin",
    "max_drawdown",
    "max_drawdown_duration",
    "min_track_record_length",
    "monthly_returns",
    "omega",
    "payoff_ratio",
    "probabilistic_sharpe",
    "profit_factor",
    "psr",
    "rolling_sharpe",
    "sharpe",
    "sharpe_lo",
    "sharpe_standard_error",
    "simple_returns",
    "skewness",
    "sortino",
    "sqn",
    "sqn_pnl",
    "standard_error",
    "tail_ratio",
    "total_return",
    "track_record_length",
    "tracking_error",
    "trade_count",
    "turnover",
    "underwater",
    "up_capture",
    "value_at_risk",
    "volatility",
    "win_rate",
    "yearly_returns",
]

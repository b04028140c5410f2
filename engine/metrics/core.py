"""The metrics of every run, in one fixed order."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from engine.metrics import definitions, edge, ratios, relative
from engine.metrics import distribution as shape
from engine.metrics.definitions import Definition
from engine.metrics.drawdown import max_drawdown, max_drawdown_duration, underwater
from engine.metrics.falls import falls_of
from engine.metrics.moments import moments, path_moments
from engine.metrics.returns import SECONDS_PER_YEAR, cagr, calmar, martin, simple_returns, sortino, total_return
from engine.metrics.trades import exact_sum, exposure, profit_factor, trade_count, turnover, win_rate
from engine.results import Curve, Ledger, Metric, Trades
from engine.types import NANOSECONDS_PER_SECOND, Floats, Times

_GROUPS = (
    definitions.GROWTH,
    definitions.RATIOS,
    definitions.FALLS,
    definitions.SHAPE,
    definitions.RELATIVE,
    definitions.ACTIVITY,
    definitions.TRADING,
    definitions.MONEY,
)
DEFINITIONS: Mapping[str, Definition] = MappingProxyType({d.name: d for group in _GROUPS for d in group})
"""Every core metric by name, in the order of :func:`core_metrics`."""

_NO_RETURN = "equity is at or below zero"
_BAR_RETURNS = "bar returns"
_NO_BENCHMARK = "no benchmark is named"
_OF_BARS = frozenset({"sharpe_bar"})
_OF_EQUITY = frozenset({"calmar", "martin"})
_OF_DAYS = frozenset({"observations"})


def core_metrics(
    curve: Curve,
    ledger: Ledger,
    trades: Trades,
    first_open: int,
    close_time: Times,
    bars_per_year: float,
    benchmark: Floats | None = None,
) -> dict[str, Metric]:
    """Every metric of :data:`DEFINITIONS`, in its order.

    ``first_open`` ns is the open time of bar 0, ``close_time`` (T,) ns the close time of each bar, ``bars_per_year``
    how many of them the calendar has. Growth and drawdown are taken from ``ledger.equity`` at every bar, ratios and
    the shape of returns from the days of ``curve``. ``benchmark`` (D + 1,) are its prices at the points of ``curve``;
    without one what compares is null. Raises ``ValueError`` where the arrays do not fit together or
    equity is not finite.
    """
    equity = ledger.path
    if len(close_time) != len(equity) - 1:
        raise ValueError("close_time must hold one entry for each bar")
    if not np.all(np.isfinite(equity)):
        raise ValueError("equity must be finite")
    end = int(close_time[-1]) if len(close_time) else first_open
    seconds = (end - first_open) / NANOSECONDS_PER_SECOND
    growth = cagr(equity, seconds)
    falls = {
        "max_drawdown": max_drawdown(equity),
        "max_drawdown_duration": max_drawdown_duration(equity, first_open, close_time),
        **underwater(equity, first_open, close_time),
    }
    known = None if growth.value is None or _lost(equity) else falls_of(equity, seconds / SECONDS_PER_YEAR)
    found = {
        "total_return": total_return(equity),
        "cagr": growth,
        "observations": Metric(float(len(curve.equity) - 1), "count"),
        **_daily(curve),
        "sharpe_bar": _sharpe_bar(ledger, bars_per_year),
        "calmar": calmar(growth, falls["max_drawdown"], known),
        "martin": martin(growth, falls["ulcer_index"], known),
        **falls,
        **_relative(curve, benchmark),
        **_activity(ledger, trades),
        **_trading(ledger, trades),
        **_money(ledger, equity),
    }
    return {name: found[name] for name in DEFINITIONS}


def _lost(equity: Floats) -> bool:
    """Whether everything was lost at some point."""
    return float(equity.min()) <= 0.0


def _daily(curve: Curve) -> dict[str, Metric]:
    """Ratios of daily returns beyond those of idle cash, and the shape of daily returns."""
    if _lost(curve.equity):
        # A return from zero or less has no meaning, and leaving those days out would flatter the rest.
        daily = [d for d in (*definitions.RATIOS, *definitions.SHAPE) if d.name not in _OF_BARS | _OF_EQUITY | _OF_DAYS]
        return {d.name: Metric(None, d.unit, _NO_RETURN) for d in daily}
    returns, annual = simple_returns(curve.equity), curve.annual
    of, excess = moments(returns), curve.excess(returns)
    tails, over = shape.tails(returns, of=of), of if excess is returns else moments(excess)
    return {
        "volatility": ratios.volatility(of, annual),
        "sharpe": ratios.sharpe(over, annual),
        "sharpe_standard_error": ratios.sharpe_standard_error(over, annual),
        "sharpe_lo": ratios.sharpe_lo(excess, annual, of=over),
        "psr": ratios.psr(over, annual),
        "min_track_record_length": ratios.min_track_record_length(over, annual),
        "sortino": sortino(excess, annual, over),
        "omega": shape.omega(over),
        "value_at_risk": shape.value_at_risk(tails),
        "conditional_value_at_risk": shape.conditional_value_at_risk(tails),
        "expected_shortfall": shape.expected_shortfall(tails),
        "tail_ratio": shape.tail_ratio(tails),
        "skewness": shape.skewness(of),
        "excess_kurtosis": shape.excess_kurtosis(of),
    }


def _relative(curve: Curve, benchmark: Floats | None) -> dict[str, Metric]:
    """The strategy beside its benchmark."""
    reason = _incomparable(curve, benchmark)
    if reason is not None or benchmark is None:
        return {d.name: Metric(None, d.unit, reason) for d in definitions.RELATIVE}
    returns, other, annual = simple_returns(curve.equity), simple_returns(benchmark), curve.annual
    excess, its_excess = curve.excess(returns), curve.excess(other)
    return {
        "alpha": relative.alpha(excess, its_excess, annual),
        "beta": relative.beta(excess, its_excess),
        "benchmark_correlation": relative.correlation(returns, other),
        "tracking_error": relative.tracking_error(returns, other, annual),
        "information_ratio": relative.information_ratio(returns, other, annual),
        "up_capture": relative.up_capture(returns, other),
        "down_capture": relative.down_capture(returns, other),
    }


def _incomparable(curve: Curve, benchmark: Floats | None) -> str | None:
    """Why there are no two series of returns, if there are not."""
    if benchmark is None:
        return _NO_BENCHMARK
    if len(benchmark) != len(curve.equity):
        raise ValueError("benchmark must hold one price for each point of the curve")
    if _lost(curve.equity):
        return _NO_RETURN
    fits = all(np.all(np.isfinite(simple_returns(path))) for path in (curve.equity, benchmark))
    return None if fits else "daily returns are too large for a float"


def _sharpe_bar(ledger: Ledger, bars_per_year: float) -> Metric:
    if _lost(ledger.path):
        return Metric(None, "ratio", _NO_RETURN)
    if not len(ledger.idle):
        return ratios.sharpe(path_moments(ledger.path, _BAR_RETURNS), bars_per_year)
    excess = simple_returns(ledger.path) - simple_returns(ledger.idle)
    return ratios.sharpe(moments(excess, _BAR_RETURNS), bars_per_year)


def _activity(ledger: Ledger, trades: Trades) -> dict[str, Metric]:
    return {"exposure": exposure(ledger), "turnover": turnover(ledger), "trade_count": trade_count(trades)}


def _trading(ledger: Ledger, trades: Trades) -> dict[str, Metric]:
    return {
        "win_rate": win_rate(trades),
        "payoff_ratio": edge.payoff_ratio(trades),
        "profit_factor": profit_factor(trades),
        "expectancy": edge.expectancy(trades),
        "sqn": edge.sqn(ledger, trades),
        "sqn_pnl": edge.sqn_pnl(trades),
        "kelly": edge.kelly(trades),
        **edge.average_excursions(trades),
    }


def _money(ledger: Ledger, equity: Floats) -> dict[str, Metric]:
    return {
        "final_equity": Metric(float(equity[-1]), "currency"),
        "total_commission": Metric(exact_sum(ledger.fills.commission), "currency"),
        "total_slippage": Metric(exact_sum(ledger.fills.slippage), "currency"),
        "total_borrow_cost": Metric(ledger.borrow, "currency"),
        "total_interest": Metric(ledger.interest, "currency"),
    }

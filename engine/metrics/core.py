"""The metrics of every run, in one fixed order, and what each of them means."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from engine.metrics.drawdown import max_drawdown, max_drawdown_duration
from engine.metrics.returns import cagr, calmar, sharpe, simple_returns, sortino, total_return, volatility
from engine.metrics.trades import exact_sum, exposure, profit_factor, trade_count, turnover, win_rate
from engine.results import Curve, Ledger, Metric, Trades
from engine.types import NANOSECONDS_PER_SECOND, Floats, Times


@dataclass(frozen=True)
class Definition:
    """What a metric means: unit, formula in words and symbols, and where it comes from."""

    name: str
    unit: str
    formula: str
    source: str


_DEFINITIONS = (
    Definition(
        "total_return",
        "fraction",
        "E_T / E_0 - 1; E_0 is the initial capital",
        "simple return, by definition",
    ),
    Definition(
        "cagr",
        "fraction per year",
        "(E_T / E_0)^(1 / years) - 1, years = elapsed seconds / (365.25 * 86400); null below 30 days",
        "compound annual growth rate, by the clock",
    ),
    Definition(
        "volatility",
        "fraction per year",
        "std(r, ddof=1) * sqrt(A); r daily simple returns, A days a year on the calendar",
        "by definition; Lo 2002 on the scaling",
    ),
    Definition("sharpe", "ratio", "mean(r) / std(r, ddof=1) * sqrt(A); daily, risk-free rate 0", "Sharpe 1994"),
    Definition(
        "sortino",
        "ratio",
        "mean(r) / sqrt(sum(min(r, 0)^2) / T) * sqrt(A); daily, over all T days, minimum acceptable return 0",
        "Sortino & Price 1994",
    ),
    Definition("calmar", "ratio", "cagr / |max_drawdown|", "Young 1991, over the whole period"),
    Definition(
        "max_drawdown",
        "fraction",
        "min over bars of E_t / max(E_0..E_t) - 1, equity marked at every bar's close",
        "Magdon-Ismail & Atiya 2004",
    ),
    Definition(
        "max_drawdown_duration",
        "days",
        "longest time from a peak to the first close at or above it; an open episode counts to the end",
        "by definition",
    ),
    Definition("exposure", "fraction", "bars with any position at the close / all bars", "by definition"),
    Definition(
        "turnover",
        "ratio",
        "sum over fills of |quantity * price| / equity at the close of the bar before; two-sided, whole run",
        "by definition",
    ),
    Definition(
        "win_rate",
        "fraction",
        "closed trades with net P&L > 0 / closed trades; break-even is not a win",
        "by definition",
    ),
    Definition(
        "profit_factor",
        "ratio",
        "sum of net profits / |sum of net losses| over closed trades",
        "by definition, currency",
    ),
    Definition("trade_count", "count", "round trips, closed and open", "by definition"),
    Definition("final_equity", "currency", "cash + sum(quantity * mark) at the last close", "accounting identity"),
    Definition("total_commission", "currency", "sum of commissions over fills", "accounting identity"),
    Definition("total_slippage", "currency", "sum of slippage costs over fills", "accounting identity"),
    Definition("total_borrow_cost", "currency", "sum of what short positions paid, actual/365", "accounting identity"),
    Definition("total_interest", "currency", "sum of what idle cash earned, actual/365", "accounting identity"),
)

DEFINITIONS: Mapping[str, Definition] = MappingProxyType({d.name: d for d in _DEFINITIONS})
"""Every core metric by name, in the order of :func:`core_metrics`."""


def core_metrics(curve: Curve, ledger: Ledger, trades: Trades, first_open: int, close_time: Times) -> dict[str, Metric]:
    """Every metric of :data:`DEFINITIONS`, in its order.

    ``first_open`` ns is the open time of bar 0, ``close_time`` (T,) ns the close time of each bar. Return, drawdown and
    growth are taken from ``ledger.equity`` at every bar; volatility, Sharpe and Sortino from the days of
    ``curve``. Raises ``ValueError`` where the arrays do not fit together or equity is not finite.
    """
    equity = ledger.path
    if len(close_time) != len(equity) - 1:
        raise ValueError("close_time must hold one entry for each bar")
    if not np.all(np.isfinite(equity)):
        raise ValueError("equity must be finite")
    end = int(close_time[-1]) if len(close_time) else first_open
    growth = cagr(equity, (end - first_open) / NANOSECONDS_PER_SECOND)
    drawdown = max_drawdown(equity)
    return {
        "total_return": total_return(equity),
        "cagr": growth,
        **_daily(curve),
        "calmar": calmar(growth, drawdown),
        "max_drawdown": drawdown,
        "max_drawdown_duration": max_drawdown_duration(equity, first_open, close_time),
        **_activity(ledger, trades),
        **_money(ledger, equity),
    }


def _daily(curve: Curve) -> dict[str, Metric]:
    if float(curve.equity.min()) <= 0.0:
        # A return from zero or less has no meaning, and leaving those days out would flatter the rest.
        names = ("volatility", "sharpe", "sortino")
        return {n: Metric(None, DEFINITIONS[n].unit, "equity is at or below zero") for n in names}
    returns = simple_returns(curve.equity)
    return {
        "volatility": volatility(returns, curve.annual),
        "sharpe": sharpe(returns, curve.annual),
        "sortino": sortino(returns, curve.annual),
    }


def _activity(ledger: Ledger, trades: Trades) -> dict[str, Metric]:
    return {
        "exposure": exposure(ledger),
        "turnover": turnover(ledger),
        "win_rate": win_rate(trades),
        "profit_factor": profit_factor(trades),
        "trade_count": trade_count(trades),
    }


def _money(ledger: Ledger, equity: Floats) -> dict[str, Metric]:
    return {
        "final_equity": Metric(float(equity[-1]), "currency"),
        "total_commission": Metric(exact_sum(ledger.fills.commission), "currency"),
        "total_slippage": Metric(exact_sum(ledger.fills.slippage), "currency"),
        "total_borrow_cost": Metric(ledger.borrow, "currency"),
        "total_interest": Metric(ledger.interest, "currency"),
    }

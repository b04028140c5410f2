"""What a closed trade is worth: payoff, expectancy, system quality, Kelly, excursions.

All of closed trades and net of costs. A trade wins with P&L above 0; break-even neither wins nor loses, but it
is counted. Sums are exact, so nothing depends on the order of trades.
"""

import math

import numpy as np

from engine.metrics import inference
from engine.metrics.intervals import defined, log_normal, normal
from engine.metrics.moments import moments
from engine.metrics.trades import NO_LOSER, NONE_CLOSED, exact_sum
from engine.results import Interval, Ledger, Leg, Metric, Trades
from engine.types import Floats

MOST_TRADES = 100
"""Trades that count for system quality (Tharp 2008): without a cap it is a t statistic and grows with time."""

_NO_WINNER = "there is no winning trade"


def payoff_ratio(trades: Trades) -> Metric:
    """Mean net profit of the winning closed trades over the mean net loss of the losing ones, in currency."""
    wins, losses, reason = _sides(trades)
    if reason is not None:
        return Metric(None, "ratio", reason)
    value = (exact_sum(wins) / len(wins)) / (exact_sum(losses) / len(losses))
    return defined(value, "ratio", _payoff_interval(value, wins, losses))


def _sides(trades: Trades) -> tuple[Floats, Floats, str | None]:
    """Net profits and net losses, both above 0, of closed trades; why there are none of either."""
    pnl = trades.pnl_net[trades.closed]
    wins, losses = pnl[pnl > 0.0], -pnl[pnl < 0.0]
    if len(pnl) == 0:
        return wins, losses, NONE_CLOSED
    if len(losses) == 0:
        return wins, losses, NO_LOSER
    return wins, losses, _NO_WINNER if len(wins) == 0 else None


def _payoff_interval(value: float, wins: Floats, losses: Floats) -> Interval | None:
    """By the delta method on the logarithm of a ratio of two independent means; needs two trades of each kind."""
    if min(len(wins), len(losses)) < 2:
        return None
    return log_normal(value, _relative_variance(wins) + _relative_variance(losses))


def _relative_variance(values: Floats) -> float:
    """Squared standard error of the mean of values (K,) above 0 over their squared mean."""
    scaled = values / float(values.max())
    mean = exact_sum(scaled) / len(scaled)
    return exact_sum((scaled - mean) ** 2) / (len(scaled) - 1) / len(scaled) / mean**2


def expectancy(trades: Trades) -> Metric:
    """Mean net P&L of a closed trade, in currency."""
    pnl = trades.pnl_net[trades.closed]
    if len(pnl) == 0:
        return Metric(None, "currency", NONE_CLOSED)
    return defined(exact_sum(pnl) / len(pnl), "currency")


def kelly(trades: Trades) -> Metric:
    """Kelly's fraction of capital to put at risk: ``W - L / R`` (Kelly 1956).

    W and L are the shares of closed trades that won and lost, R the payoff ratio. It takes every win and every
    loss to be of mean size, and is negative without an edge.
    """
    wins, losses, reason = _sides(trades)
    if reason is not None:
        return Metric(None, "fraction", reason)
    count = int(np.count_nonzero(trades.closed))
    payoff = (exact_sum(wins) / len(wins)) / (exact_sum(losses) / len(losses))
    if not payoff > 0.0:
        return Metric(None, "fraction", "the payoff ratio does not fit a float")
    return defined(len(wins) / count - len(losses) / count / payoff, "fraction")


def sqn_pnl(trades: Trades) -> Metric:
    """System quality number on net P&L: ``sqrt(min(K, 100)) * mean / std(ddof=1)`` over K closed trades."""
    pnl = trades.pnl_net[trades.closed]
    if len(pnl) == 0:
        return Metric(None, "ratio", NONE_CLOSED)
    largest = float(np.abs(pnl).max())
    return _quality(pnl / largest if largest > 0.0 else pnl, "trade results")


def sqn(ledger: Ledger, trades: Trades) -> Metric:
    """System quality number on R-multiples, net P&L over initial risk (Tharp 2008); null where a trade had no stop."""
    pnl, no_stop = trades.pnl_net[trades.closed], "a closed trade had no stop to measure its risk by"
    if len(pnl) == 0:
        return Metric(None, "ratio", NONE_CLOSED)
    if not np.isfinite(ledger.fills.stop).any():
        return Metric(None, "ratio", no_stop)
    risk = initial_risk(ledger, trades)[trades.closed]
    if not np.all(np.isfinite(risk) & (risk > 0.0)):
        return Metric(None, "ratio", no_stop)
    with np.errstate(over="ignore"):
        multiples = pnl / risk
    return _quality(multiples, "R-multiples")


def _quality(results: Floats, noun: str) -> Metric:
    of = moments(np.sort(results), noun)  # sorted: sums do not depend on the order of trades
    if of.unvarying is not None:
        return Metric(None, "ratio", of.unvarying)
    ratio, root = of.mean / of.deviation, math.sqrt(min(of.count, MOST_TRADES))
    error = inference.standard_error(ratio, of.count, of.skewness, of.kurtosis)
    return defined(ratio * root, "ratio", normal(ratio * root, error * root, "Mertens 2002") if error else None)


def initial_risk(ledger: Ledger, trades: Trades) -> Floats:
    """What each trade (K,) would have lost at its stop when entered, currency; infinite without one.

    The sum over its opening fills of quantity times the distance to the stop in force just after: a stop that trails
    later does not change it.
    """
    fills = ledger.fills
    risk = np.zeros(len(trades))
    by_asset, fills_by_asset = np.argsort(trades.asset, kind="stable"), np.argsort(fills.asset, kind="stable")
    position = fills.position[fills_by_asset]
    asset = fills.asset[fills_by_asset]
    first = np.diff(asset, prepend=-1) != 0
    before = np.where(first, 0.0, np.concatenate(([0.0], position[:-1])) if len(position) else position)
    trip = np.cumsum(before == 0.0) - 1  # a trade begins where nothing was held
    opening = fills.leg[fills_by_asset] == Leg.OPEN
    chosen = fills_by_asset[opening]
    distance = np.sign(fills.quantity[chosen]) * (fills.price[chosen] - fills.stop[chosen])
    np.add.at(risk, by_asset[trip[opening]], np.abs(fills.quantity[chosen]) * np.maximum(distance, 0.0))
    return risk


def average_excursions(trades: Trades) -> dict[str, Metric]:
    """``average_mae`` and ``average_mfe``: mean of the worst and of the best a closed trade stood (Sweeney 1997).

    Fractions of the entry notional ``quantity * entry_price``; at most 0 and at least 0.
    """
    closed = trades.closed
    names = {"average_mae": trades.mae[closed], "average_mfe": trades.mfe[closed]}
    notional = trades.quantity[closed] * trades.entry_price[closed]
    if len(notional) == 0:
        return {name: Metric(None, "fraction", NONE_CLOSED) for name in names}
    if not float(notional.min()) > 0.0:
        return {name: Metric(None, "fraction", "a closed trade has no entry notional") for name in names}
    return {name: defined(exact_sum(values / notional) / len(notional), "fraction") for name, values in names.items()}

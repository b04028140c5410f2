"""Trade and activity metrics, from round trips, fills and the ledger.

Sums are exact before the one rounding at the end (``math.fsum``), so they do not depend on the order in which
symbols are listed.
"""

import math

import numpy as np

from engine.kernels import kernel
from engine.metrics.intervals import defined, log_normal, wilson
from engine.results import Fills, Ledger, Metric, Trades
from engine.types import Floats, Ints

MOST_PARTS = 64
"""More than the range of a float64 divided by its digits: so many numbers that do not overlap there are at most."""

NONE_CLOSED = "there is no closed trade"
NO_LOSER = "there is no losing trade"


def exact_sum(values: Floats) -> float:
    """Correctly rounded sum of (K,) in any order; 0 for none. Raises as ``math.fsum`` does where it is not finite."""
    total = float(sum_exactly(np.ascontiguousarray(values), np.empty(MOST_PARTS)))
    return total if math.isfinite(total) else math.fsum(values.tolist())


@kernel
def sum_exactly(values: Floats, parts: Floats) -> float:
    """Add up (K,) values as numbers that do not overlap, so that nothing is lost (Shewchuk 1997); then round once."""
    count = 0
    for value in values:
        high, kept = value, 0
        for k in range(count):
            low = parts[k]
            if abs(high) < abs(low):
                high, low = low, high
            total = high + low
            rest = low - (total - high)
            if rest != 0.0:
                parts[kept] = rest
                kept += 1
            high = total
        count = kept
        if high != 0.0:
            parts[count] = high
            count += 1
    total, rest = 0.0, 0.0
    while count > 0 and rest == 0.0:
        count -= 1
        high = total
        total = high + parts[count]
        rest = parts[count] - (total - high)
    # Half way between two numbers what is below decides.
    if count > 0 and ((rest < 0.0 and parts[count - 1] < 0.0) or (rest > 0.0 and parts[count - 1] > 0.0)):
        more = total + 2.0 * rest
        if more - total == 2.0 * rest:
            total = more
    return float(total)


def sum_exactly_plain(values: Floats) -> float:
    """Twin of :func:`sum_exactly`."""
    return math.fsum(values.tolist())


def trade_count(trades: Trades) -> Metric:
    """Round trips, closed and open."""
    return Metric(float(len(trades)), "count")


def win_rate(trades: Trades) -> Metric:
    """Closed trades with ``pnl_net > 0`` over all closed trades; break-even is no win, but it is counted."""
    pnl = trades.pnl_net[trades.closed]
    if len(pnl) == 0:
        return Metric(None, "fraction", NONE_CLOSED)
    wins = int(np.count_nonzero(pnl > 0.0))
    return defined(wins / len(pnl), "fraction", wilson(wins, len(pnl)))


def profit_factor(trades: Trades) -> Metric:
    """Net profit of the winning closed trades over the net loss of the losing ones, both in currency."""
    pnl = trades.pnl_net[trades.closed]
    if len(pnl) == 0:
        return Metric(None, "ratio", NONE_CLOSED)
    wins, losses = pnl[pnl > 0.0], -pnl[pnl < 0.0]
    if len(losses) == 0:
        return Metric(None, "ratio", NO_LOSER)
    if len(wins) == 0:
        return Metric(0.0, "ratio")
    value = exact_sum(wins) / exact_sum(losses)
    return defined(value, "ratio", log_normal(value, _concentration(wins) + _concentration(losses)))


def _concentration(amounts: Floats) -> float:
    """``sum(x^2) / sum(x)^2`` of amounts (K,) above 0, of which the largest counts as 1 so that squares fit."""
    shares = amounts / float(amounts.max())
    total = exact_sum(shares)
    return exact_sum(shares * shares) / (total * total)


def exposure(ledger: Ledger) -> Metric:
    """Share of bars with any position at the close."""
    rows, assets = len(ledger.equity), len(ledger.open_borrow)
    if rows == 0:
        return Metric(None, "fraction", "there are no bars")
    fills = ledger.fills
    return Metric(int(bars_held(fills.bar, fills.asset, fills.position, rows, assets)) / rows, "fraction")


@kernel
def bars_held(bar: Ints, asset: Ints, position: Floats, rows: int, assets: int) -> int:
    """Number of closes with any position; fills (K,) in time order."""
    held = np.zeros(assets, dtype=np.bool_)
    total, since = 0, -1
    for k in range(bar.shape[0]):
        held[asset[k]] = position[k] != 0.0
        if k + 1 < bar.shape[0] and bar[k + 1] == bar[k]:
            continue
        if held.any():
            since = bar[k] if since < 0 else since
        elif since >= 0:
            total += bar[k] - since
            since = -1
    return total + rows - since if since >= 0 else total


def bars_held_plain(bar: Ints, asset: Ints, position: Floats, rows: int, assets: int) -> int:
    """Twin of :func:`bars_held`."""
    held = np.zeros((rows, assets), dtype=np.bool_)
    for t, i, after in zip(bar, asset, position, strict=True):
        held[t:, i] = after != 0.0
    return int(np.count_nonzero(held.any(axis=1)))


def turnover(ledger: Ledger) -> Metric:
    """Two-sided turnover of the run: ``sum |quantity * price| / equity`` over fills.

    Equity is that at the close of the bar before the fill, the initial capital for bar 0. A full change of
    position from one asset to another is 2. Null where such an equity is at or below zero.
    """
    base = _equity_before(ledger.fills, ledger)
    if len(base) and float(base.min()) <= 0.0:
        return Metric(None, "ratio", "a fill follows equity at or below zero")
    fills = ledger.fills
    return Metric(exact_sum(np.abs(fills.quantity * fills.price) / base), "ratio")


def _equity_before(fills: Fills, ledger: Ledger) -> Floats:
    before: Floats = np.where(fills.bar == 0, ledger.initial_capital, ledger.equity[fills.bar - 1])
    return before

"""Semantics section 8, correlation: log returns of consecutive bars, the last hundred rows, pairs complete in both."""

import math
import statistics

from tests.oracle.account import Grid, Market, priced

NONE = math.nan
"""No correlation: never redundant."""


def log_returns(market: Market) -> Grid:
    """``[bar][asset]`` from close to close, NaN unless this bar and the one before have all their prices."""
    rows = [[math.nan] * market.assets]
    for t in range(1, market.bars):
        row = []
        for i in range(market.assets):
            both = priced(market, i, t - 1) and priced(market, i, t)
            row.append(math.log(market.close[t][i] / market.close[t - 1][i]) if both else math.nan)
        rows.append(row)
    return rows


def correlations(returns: Grid, t: int, window: int, minimum: int) -> Grid:
    """``[asset][asset]`` over the last ``window`` rows up to bar ``t``; bar 0 has no return and is no row."""
    assets = range(len(returns[0]))
    rows = returns[1 : t + 1][-window:]
    if len(rows) < minimum:
        return [[NONE for _ in assets] for _ in assets]
    return [[pearson([row[i] for row in rows], [row[j] for row in rows], minimum) for j in assets] for i in assets]


def pearson(left: list[float], right: list[float], minimum: int) -> float:
    """Over the rows in which both have a return; none if these are too few or either does not move in them."""
    common = [(a, b) for a, b in zip(left, right, strict=True) if not (math.isnan(a) or math.isnan(b))]
    if len(common) < minimum:
        return NONE
    x, y = [a for a, _ in common], [b for _, b in common]
    if max(x) == min(x) or max(y) == min(y):
        return NONE
    return statistics.correlation(x, y)

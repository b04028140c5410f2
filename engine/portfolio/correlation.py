"""Rolling correlation of log returns (semantics section 8): pairwise complete, never of levels.

A return of bar r is the logarithm of its close over that of bar r - 1; it is there when both are valid. A window is the
last ``window`` returns up to a bar, all of them while there are fewer. Each is computed afresh, centred first: nothing
drifts, and a price spike leaves nothing behind.
"""

import math
from typing import NamedTuple

import numpy as np

from engine.kernels import kernel, part
from engine.types import Bools, Floats, Ints


class Estimates(NamedTuple):
    """What is known at the last decision of N symbols, written in place.

    ``ring`` (W, N): row r % W is the return of bar r, NaN where there is none. ``correlation`` (N, N) and
    ``volatility`` (N,), the standard deviation per bar (ddof 1), NaN where unknown. ``seen`` (2,): the last bar whose
    return is in the ring, and the number of returns behind the correlation, 0 while there are too few. ``scaled``
    (W, N) is room to work.
    """

    ring: Floats
    correlation: Floats
    volatility: Floats
    seen: Ints
    scaled: Floats


def estimates(window: int, assets: int) -> Estimates:
    """Nothing known yet."""
    return Estimates(
        ring=np.full((window, assets), np.nan),
        correlation=np.full((assets, assets), np.nan),
        volatility=np.full(assets, np.nan),
        seen=np.zeros(2, dtype=np.int64),
        scaled=np.empty((window, assets)),
    )


@kernel
def estimate(t: int, close: Floats, valid: Bools, minimum: int, known: Estimates) -> None:
    """Correlations and volatilities at bar t of ``close`` and ``valid`` (T, N), from at least ``minimum`` returns."""
    window, assets = known.ring.shape
    for r in range(max(known.seen[0] + 1, t - window + 1, 1), t + 1):
        row = known.ring[r % window]
        for i in range(assets):
            there = valid[r, i] and valid[r - 1, i]
            row[i] = math.log(close[r, i] / close[r - 1, i]) if there else np.nan
    known.seen[0] = t
    rows = min(t, window)
    known.correlation[:] = np.nan
    known.volatility[:] = np.nan
    known.seen[1] = 0
    if rows < minimum:
        return
    known.seen[1] = rows
    # Row t % window is the newest: with fewer returns than the window they stand in rows 1..t.
    first = 1 if t < window else 0
    returns, scaled = known.ring[first : first + rows], known.scaled[:rows]
    whole = np.zeros(assets, dtype=np.bool_)
    for i in range(assets):
        whole[i] = standardise(returns, i, minimum, scaled, known.volatility)
    products(scaled, known.correlation)
    for i in range(assets):
        for j in range(i + 1, assets):
            rho = known.correlation[i, j]
            if not (whole[i] and whole[j]):
                rho = pair_correlation(returns, i, j, minimum)
            known.correlation[i, j] = known.correlation[j, i] = min(max(rho, -1.0), 1.0)
        known.correlation[i, i] = 1.0 if known.volatility[i] > 0.0 else np.nan


@part
def standardise(returns: Floats, i: int, minimum: int, scaled: Floats, volatility: Floats) -> bool:
    """Write a column centred and of length 1, and its volatility; whether it has a return in every row."""
    rows = returns.shape[0]
    count, total = 0, 0.0
    low, high = np.inf, -np.inf
    for k in range(rows):
        value = returns[k, i]
        if not np.isnan(value):
            count += 1
            total += value
            low, high = min(low, value), max(high, value)
    squares = 0.0
    if count >= minimum and high > low:
        for k in range(rows):
            if not np.isnan(returns[k, i]):
                squares += (returns[k, i] - total / count) ** 2
        volatility[i] = math.sqrt(squares / (count - 1))
    length = math.sqrt(squares) if squares > 0.0 and count == rows else np.nan
    for k in range(rows):
        scaled[k, i] = (returns[k, i] - total / count) / length if count > 0 else np.nan
    return bool(count == rows)


@part
def products(scaled: Floats, correlation: Floats) -> None:
    """Upper triangle of the products of columns, each a sum over rows in their order.

    A symbol with all after it at once, four rows at a time: plain runs over arrays become vector code.
    """
    rows, assets = scaled.shape
    whole = rows - rows % 4
    for i in range(assets):
        sums = correlation[i, i:]
        sums[:] = 0.0
        for k in range(0, whole, 4):
            a, b, c, d = scaled[k, i], scaled[k + 1, i], scaled[k + 2, i], scaled[k + 3, i]
            w, x, y, z = scaled[k, i:], scaled[k + 1, i:], scaled[k + 2, i:], scaled[k + 3, i:]
            for j in range(len(sums)):
                sums[j] = sums[j] + a * w[j] + b * x[j] + c * y[j] + d * z[j]
        for k in range(whole, rows):
            a, w = scaled[k, i], scaled[k, i:]
            for j in range(len(sums)):
                sums[j] += a * w[j]


@part
def pair_correlation(returns: Floats, i: int, j: int, minimum: int) -> float:
    """Pearson's correlation over the rows in which both are there; NaN for too few or a constant one."""
    count, a, b = 0, 0.0, 0.0
    low_a, high_a, low_b, high_b = np.inf, -np.inf, np.inf, -np.inf
    for k in range(returns.shape[0]):
        x, y = returns[k, i], returns[k, j]
        if not (np.isnan(x) or np.isnan(y)):
            count += 1
            a += x
            b += y
            low_a, high_a = min(low_a, x), max(high_a, x)
            low_b, high_b = min(low_b, y), max(high_b, y)
    if count < minimum or not (high_a > low_a and high_b > low_b):
        return np.nan
    aa, bb, ab = 0.0, 0.0, 0.0
    for k in range(returns.shape[0]):
        x, y = returns[k, i], returns[k, j]
        if not (np.isnan(x) or np.isnan(y)):
            x, y = x - a / count, y - b / count
            aa += x * x
            bb += y * y
            ab += x * y
    return ab / math.sqrt(aa * bb) if aa > 0.0 and bb > 0.0 else np.nan


def estimate_plain(t: int, close: Floats, valid: Bools, window: int, minimum: int) -> tuple[Floats, Floats, int]:
    """Twin of :func:`estimate`: correlation (N, N), volatility (N,), and the number of returns."""
    assets = close.shape[1]
    correlation, volatility = np.full((assets, assets), np.nan), np.full(assets, np.nan)
    rows = range(max(1, t - window + 1), t + 1)
    if len(rows) < minimum:
        return correlation, volatility, 0
    there = np.array([valid[r] & valid[r - 1] for r in rows])
    returns = np.array([np.log(close[r] / close[r - 1]) for r in rows])
    for i in range(assets):
        mine = returns[there[:, i], i]
        if len(mine) >= minimum and mine.max() > mine.min():
            volatility[i] = mine.std(ddof=1)
        for j in range(assets):
            both = there[:, i] & there[:, j]
            x, y = returns[both, i], returns[both, j]
            if len(x) >= minimum and x.max() > x.min() and y.max() > y.min():
                correlation[i, j] = float(np.corrcoef(x, y)[0, 1]) if i != j else 1.0
    return correlation, volatility, len(rows)

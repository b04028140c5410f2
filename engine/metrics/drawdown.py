"""Drawdown: how far and how long equity stood below its highest point so far.

Equity (T + 1,) includes the starting point, so that a loss on the first bar is a drawdown. Values are
negative fractions of the running peak, and less than -1 when equity is below zero. An episode runs from the
last point at the peak to the first point at or above it; one that is open is counted to the end.

Single passes without temporaries: the numpy forms beside the kernels say the same and need three arrays.
"""

import numpy as np

from engine.kernels import kernel
from engine.results import Metric
from engine.types import NANOSECONDS_PER_DAY, Floats, Times

_NO_BARS = "there are no bars"


def drawdowns(equity: Floats) -> Floats:
    """``E_t / max(E_0..E_t) - 1``, (T + 1,), at most 0. Raises ``ValueError`` if equity starts at <= 0."""
    _check(equity)
    return drawdown_kernel(equity)


def max_drawdown(equity: Floats) -> Metric:
    """Smallest drawdown of equity (T + 1,), a fraction at most 0. Raises ``ValueError`` as above."""
    _check(equity)
    if len(equity) < 2:
        return Metric(None, "fraction", _NO_BARS)
    return Metric(float(deepest(equity)), "fraction")


def max_drawdown_duration(equity: Floats, start: int, times: Times) -> Metric:
    """Longest episode in days of 86400 s; 0 where equity never fell.

    ``start`` ns is the time of the first point of equity (T + 1,), ``times`` (T,) ns those of the others.
    """
    _check(equity)
    if len(equity) < 2:
        return Metric(None, "days", _NO_BARS)
    return Metric(int(longest(equity, start, times)) / NANOSECONDS_PER_DAY, "days")


def _check(equity: Floats) -> None:
    if len(equity) == 0 or not float(equity[0]) > 0.0:
        raise ValueError("equity must start above zero")


@kernel
def drawdown_kernel(equity: Floats) -> Floats:
    """Drawdown (T + 1,) at every point."""
    result = np.empty(len(equity), dtype=np.float64)
    peak = equity[0]
    for i in range(len(equity)):
        peak = max(peak, equity[i])
        result[i] = equity[i] / peak - 1.0
    return result


def drawdown_plain(equity: Floats) -> Floats:
    """Twin of :func:`drawdown_kernel`."""
    result: Floats = equity / np.maximum.accumulate(equity) - 1.0
    return result


@kernel
def deepest(equity: Floats) -> float:
    """Return the smallest drawdown."""
    peak = equity[0]
    worst = 0.0
    for i in range(len(equity)):
        peak = max(peak, equity[i])
        worst = min(worst, equity[i] / peak - 1.0)
    return worst


def deepest_plain(equity: Floats) -> float:
    """Twin of :func:`deepest`."""
    return float(drawdown_plain(equity).min())


@kernel
def longest(equity: Floats, start: int, times: Times) -> int:
    """Longest time from a peak to the recovery, or to the end."""
    peak, since = equity[0], start
    below = False
    span = 0
    for i in range(len(times)):
        recovered = equity[i + 1] >= peak
        if below or not recovered:
            span = max(span, times[i] - since)
        below = not recovered
        if recovered:
            peak, since = equity[i + 1], times[i]
    return span


def longest_plain(equity: Floats, start: int, times: Times) -> int:
    """Twin of :func:`longest`: between two points at a running maximum lies an episode, if anything does."""
    times = np.concatenate(([start], times))
    tops = np.flatnonzero(equity == np.maximum.accumulate(equity))
    ends = np.append(tops[1:], len(equity) - 1)
    episodes = (times[ends] - times[tops])[(ends - tops > 1) | (equity[ends] < equity[tops])]
    return int(episodes.max()) if len(episodes) else 0

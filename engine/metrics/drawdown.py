"""Drawdown: how far and how long equity stood below its highest point so far.

Equity (T + 1,) includes the starting point, so that a loss on the first bar is a drawdown. Values are
negative fractions of the running peak, and less than -1 when equity is below zero. An episode runs from the
last point at the peak to the first point at or above it; one that is open is counted to the end.

Average drawdown is the mean over episodes of their deepest points, the pain index the mean over bars: two numbers.

Single passes without temporaries: the numpy forms beside the kernels say the same and need three arrays.
"""

import math

import numpy as np
import numpy.typing as npt

from engine.kernels import kernel
from engine.metrics.intervals import defined
from engine.metrics.moments import vector
from engine.results import Metric
from engine.types import NANOSECONDS_PER_DAY, Floats, Times

NO_DRAWDOWN = "there is no drawdown"
_NO_BARS = "there are no bars"


def path_of(equity: npt.ArrayLike) -> Floats:
    """Equity (T + 1,) as float64.

    Raises ``ValueError`` for another rank, values that are not finite and no start above 0, as all of these do.
    """
    path = vector(equity, "equity")
    if len(path) == 0 or path[0] <= 0.0:
        raise ValueError("equity must start above zero")
    # Least and largest are finite where all are, and need no array.
    if not (math.isfinite(float(path.min())) and math.isfinite(float(path.max()))):
        raise ValueError("equity must be finite")
    return path


def drawdowns(equity: npt.ArrayLike) -> Floats:
    """``E_t / max(E_0..E_t) - 1``, (T + 1,), at most 0."""
    return drawdown_kernel(path_of(equity))


def max_drawdown(equity: npt.ArrayLike) -> Metric:
    """Smallest drawdown of equity (T + 1,), a fraction at most 0."""
    path = path_of(equity)
    if len(path) < 2:
        return Metric(None, "fraction", _NO_BARS)
    return defined(float(deepest(path)), "fraction")


def max_drawdown_duration(equity: npt.ArrayLike, start: int, times: npt.ArrayLike) -> Metric:
    """Longest episode in days of 86400 s; 0 where equity never fell.

    ``start`` ns is the time of the first point of equity (T + 1,), ``times`` (T,) ns those of the others; raises
    ``ValueError`` for another number of them and for what is no whole number.
    """
    path = path_of(equity)
    times = _stamps(path, times)
    if len(path) < 2:
        return Metric(None, "days", _NO_BARS)
    return Metric(int(longest(path, start, times)) / NANOSECONDS_PER_DAY, "days")


def underwater(equity: npt.ArrayLike, start: int, times: npt.ArrayLike) -> dict[str, Metric]:
    """``average_drawdown``, ``average_drawdown_duration``, ``ulcer_index``, ``pain_index`` of equity (T + 1,).

    Over the episodes: the mean of their deepest points, a fraction, and of their durations, days. Over the T bars:
    ``sqrt(sum(d^2) / T)`` (Martin & McCann 1989) and ``sum(|d|) / T`` (Bacon 2008), fractions at least
    0. ``start`` and ``times`` as for :func:`max_drawdown_duration`.
    """
    path = path_of(equity)
    times = _stamps(path, times)
    units = {"average_drawdown": "fraction", "average_drawdown_duration": "days"}
    over_bars = {"ulcer_index": "fraction", "pain_index": "fraction"}
    bars = len(path) - 1
    if bars == 0:
        return {name: Metric(None, unit, _NO_BARS) for name, unit in (units | over_bars).items()}
    depth, span, square, total, episodes = episode_sums(path, start, times)
    if episodes == 0:
        averages = {name: Metric(None, unit, NO_DRAWDOWN) for name, unit in units.items()}
    else:
        averages = {
            "average_drawdown": defined(depth / episodes, "fraction"),
            "average_drawdown_duration": defined(span / episodes / NANOSECONDS_PER_DAY, "days"),
        }
    return averages | {
        "ulcer_index": defined(math.sqrt(square / bars), "fraction"),
        "pain_index": defined(-total / bars + 0.0, "fraction"),
    }


def _stamps(path: Floats, times: npt.ArrayLike) -> Times:
    stamps = np.asarray(times)
    if len(stamps) != len(path) - 1:
        raise ValueError("times must hold one entry for each point after the first")
    if len(stamps) and stamps.dtype.kind not in "iu":  # dates may be of any unit
        raise ValueError("times must be whole numbers, of nanoseconds")
    return np.ascontiguousarray(stamps, dtype=np.int64)


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
    peak, bottom = equity[0], equity[0]
    worst = 0.0
    for i in range(len(equity)):
        if equity[i] > peak:  # of an episode only the lowest point counts: one division each
            worst = min(worst, bottom / peak - 1.0)
            peak, bottom = equity[i], equity[i]
        elif equity[i] < bottom:
            bottom = equity[i]
    worst = min(worst, bottom / peak - 1.0)
    return float(worst)


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
        if equity[i + 1] < peak:
            below = True
            continue
        if below:
            span = max(span, times[i] - since)
            below = False
        peak, since = equity[i + 1], times[i]
    return max(span, times[-1] - since) if below else span


def longest_plain(equity: Floats, start: int, times: Times) -> int:
    """Twin of :func:`longest`: between two points at a running maximum lies an episode, if anything does."""
    times = np.concatenate(([start], times))
    tops = np.flatnonzero(equity == np.maximum.accumulate(equity))
    ends = np.append(tops[1:], len(equity) - 1)
    episodes = (times[ends] - times[tops])[(ends - tops > 1) | (equity[ends] < equity[tops])]
    return int(episodes.max()) if len(episodes) else 0


@kernel
def episode_sums(equity: Floats, start: int, times: Times) -> tuple[float, int, float, float, int]:
    """Over episodes the sums of deepest points and of durations ns; over bars those of d^2 and of d; episodes."""
    peak, since = equity[0], start
    depth, worst, square, total = 0.0, 0.0, 0.0, 0.0
    span, episodes = 0, 0
    below = False
    for i in range(len(times)):
        if equity[i + 1] >= peak:
            if below:
                depth += worst
                span += times[i] - since
                below = False
            peak, since = equity[i + 1], times[i]
            continue
        fall = equity[i + 1] / peak - 1.0
        if not below:
            below, worst = True, 0.0
            episodes += 1
        worst = min(worst, fall)
        square += fall * fall
        total += fall
    if below:
        depth += worst
        span += times[-1] - since
    return depth, span, square, total, episodes


def episode_sums_plain(equity: Floats, start: int, times: Times) -> tuple[float, int, float, float, int]:
    """Twin of :func:`episode_sums`, up to rounding: the stretches between points at a running maximum."""
    moments = np.concatenate(([start], times))
    falls = drawdown_plain(equity)
    tops = np.flatnonzero(equity == np.maximum.accumulate(equity))
    ends = np.append(tops[1:], len(equity) - 1)
    pairs = [(a, b) for a, b in zip(tops.tolist(), ends.tolist(), strict=True) if (equity[a : b + 1] < equity[a]).any()]
    depth = math.fsum(float(falls[a : b + 1].min()) for a, b in pairs)
    span = sum(int(moments[b] - moments[a]) for a, b in pairs)
    return depth, span, math.fsum(falls**2), math.fsum(falls), len(pairs)

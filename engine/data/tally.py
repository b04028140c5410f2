"""What a run should know about the rows it uses, counted in one pass: gaps, still and silent bars, jumps, spikes.

``engine.data.oddities`` says row by row what is odd; a run needs the counts only, and full-size masks cost more than
the account it runs.
"""

from typing import NamedTuple

import numpy as np

from engine.data.bars import Conventions, Series
from engine.data.oddities import JUMP_FACTOR, flat, jumps, spikes
from engine.data.sessions import missing_bars
from engine.kernels import kernel
from engine.types import NANOSECONDS_PER_DAY, Floats, Ints, Times


class Tally(NamedTuple):
    """Bars of each kind: ``flat``, ``jumps`` and ``spikes`` as in ``engine.data.oddities``.

    ``silent`` have no volume, 0 for a symbol without any; ``unpriced`` have a price that is not finite or not above 0.
    """

    silent: int
    flat: int
    jumps: int
    spikes: int
    unpriced: int


def tally(series: Series) -> Tally:
    """Count the bars of a series (T,) that look odd."""
    s = series
    return Tally(*count_odd(*(np.ascontiguousarray(c) for c in (s.open, s.high, s.low, s.close, s.volume))))


@kernel
def count_odd(
    opens: Floats, highs: Floats, lows: Floats, closes: Floats, volume: Floats
) -> tuple[int, int, int, int, int]:
    """The fields of a tally of (T,) rows, in its order."""
    silent, still, jumped, spiked, priced, before = 0, 0, 0, 0, 0, np.nan
    for t in range(opens.shape[0]):
        first, high, low, last = opens[t], highs[t], lows[t], closes[t]
        silent += volume[t] == 0.0
        still += (first == last) & (high == low) & (first == high)
        # Like numpy, whose maximum and minimum are NaN where one side is: then nothing is far from it.
        top, bottom = (first, last) if first > last else (last, first)
        known = not np.isnan(first) and not np.isnan(last)
        spiked += known & ((high > JUMP_FACTOR * top) | (JUMP_FACTOR * low < bottom))
        # Most bars stay within a factor of 2, and need no division to know it.
        if not 0.5 * before < last < 2.0 * before:
            if before == 0.0:
                jumped += last != 0.0 and not np.isnan(last)
            else:
                factor = last / before
                jumped += factor > JUMP_FACTOR or factor < 1.0 / JUMP_FACTOR
        before = last
        priced += (
            (bottom > 0.0) & (low > 0.0) & (high > 0.0) & (top < np.inf) & (high < np.inf) & (low < np.inf) & known
        )
    rows = opens.shape[0]
    return (0 if silent == rows else silent), still, jumped, spiked, rows - priced


def tally_plain(series: Series) -> Tally:
    """Twin of :func:`tally`: the masks, counted."""
    masks = (flat(series), jumps(series.close), spikes(series))
    silent = int((series.volume == 0.0).sum()) if series.volume.any() else 0
    prices = np.stack((series.open, series.high, series.low, series.close))
    unpriced = ~(np.isfinite(prices) & (prices > 0.0)).all(axis=0)
    return Tally(silent, *(int(mask.sum()) for mask in (*masks, unpriced)))


def gaps(time: Times, conventions: Conventions) -> tuple[int, int]:
    """Number of gaps between (T,) rising opens, and the bars missing in the longest: see ``missing_bars``.

    Below a day a bar that follows in time has no gap before it in any calendar, so only the others are asked.
    """
    bar = conventions.bar_ns
    missing = missing_bars(time, conventions) if bar >= NANOSECONDS_PER_DAY else _missing(time, conventions)
    return int(np.count_nonzero(missing > 0)), int(missing.max(initial=0))


def _missing(time: Times, conventions: Conventions) -> Ints:
    """(K,) what ``missing_bars`` gives for the steps that are longer than a bar."""
    at = np.empty(max(0, len(time) - 1), dtype=np.int64)
    at = at[: longer_steps(np.ascontiguousarray(time), conventions.bar_ns, at)]
    if 2 * len(at) >= len(time):
        return missing_bars(time, conventions)
    # First and last keep the span, for which an exchange's sessions are built once.
    ends = np.concatenate((time[:1], np.stack((time[at], time[at + 1]), axis=1).ravel(), time[-1:]))
    return missing_bars(ends, conventions)[1::2]


@kernel
def longer_steps(time: Times, bar: int, at: Ints) -> int:
    """Write the index of each of (T,) opens whose next is more than ``bar`` ns later; returns how many."""
    count = 0
    for t in range(time.shape[0] - 1):
        if time[t + 1] - time[t] > bar:
            at[count] = t
            count += 1
    return count


def longer_steps_plain(time: Times, bar: int, at: Ints) -> int:
    """Twin of :func:`longer_steps`."""
    found = np.flatnonzero(np.diff(time) > bar)
    at[: len(found)] = found
    return len(found)

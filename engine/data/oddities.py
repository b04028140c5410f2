"""What looks wrong in rows that could be right: stuck and jumping prices, gaps, lost decimal points, a wrong clock."""

from collections.abc import Iterator, Mapping

import numpy as np
import polars as pl

from engine.data.bars import Conventions, Series
from engine.data.sessions import HOUR_NS, WEEKDAYS, missing_bars, wall_clock, zone_of
from engine.types import NANOSECONDS_PER_DAY, Bools, Floats, Ints, Times

STUCK_BARS = 50
JUMP_FACTOR = 3.0
LEVEL_BARS = 51
"""Bars around a row whose median close is its level."""
SCALE_TOLERANCE = 0.05
"""How far, in powers of ten, a price may lie from a whole power and still be one that lost its point: 12 %."""
CLOSED_NS = 6 * HOUR_NS
WEEK_OPENS = 17 * HOUR_NS
"""When the week of 24x5 begins, in New York."""
FEWEST_OPENS = 5
CLOCKS = ("America/New_York", "Europe/London", "Europe/Helsinki", "UTC")
"""Clocks that market data is written in; brokers' servers often keep Eastern European time."""

Oddity = tuple[str, Bools, Mapping[str, object]]


def oddities(s: Series, conventions: Conventions) -> Iterator[Oddity]:
    """Code, rows and the words of its message, for everything odd about rows without defects."""
    if not len(s):
        return
    if s.volume.any():
        yield "zero_volume", s.volume == 0.0, {}
    yield "stuck_prices", stuck(s), {"bars": STUCK_BARS}
    yield "price_jump", jumps(s.close), {"factor": f"{JUMP_FACTOR:g}"}
    yield "price_spike", spikes(s), {"factor": f"{JUMP_FACTOR:g}"}
    missing = missing_bars(s.time, conventions)
    yield "gaps", np.concatenate(([False], missing > 0)), {"most": missing.max(initial=0)}
    if conventions.bar_ns < NANOSECONDS_PER_DAY:
        off = s.time % NANOSECONDS_PER_DAY % conventions.bar_ns != 0
        yield "unaligned", off, {"timeframe": conventions.timeframe}
        early, zone = seasonal_opens(s.time, conventions)
        yield "dst_signature", early, {"zone": zone}


def flat(s: Series) -> Bools:
    """(T,) bars whose four prices are one."""
    one: Bools = (s.open == s.close) & (s.high == s.low) & (s.open == s.high)
    return one


def stuck(s: Series) -> Bools:
    """(T,) bars of runs of at least ``STUCK_BARS`` flat bars at one price."""
    still = flat(s)
    same = still[1:] & still[:-1] & (s.close[1:] == s.close[:-1])
    begins = np.concatenate(([True], ~same))
    run = np.cumsum(begins) - 1
    found: Bools = still & (np.bincount(run)[run] >= STUCK_BARS)
    return found


def jumps(close: Floats) -> Bools:
    """(T,) True where a close is more than ``JUMP_FACTOR`` times the one before, or under one such part of it."""
    with np.errstate(divide="ignore", invalid="ignore"):  # prices that are kept though they are none jump nowhere
        factor = np.divide(close[1:], close[:-1])
    far = (factor > JUMP_FACTOR) | (factor < 1.0 / JUMP_FACTOR)
    return np.concatenate((np.zeros(min(1, len(close)), dtype=np.bool_), far))


def spikes(s: Series) -> Bools:
    """(T,) bars whose high or low is more than ``JUMP_FACTOR`` times away from both open and close."""
    above = s.high > JUMP_FACTOR * np.maximum(s.open, s.close)
    below = JUMP_FACTOR * s.low < np.minimum(s.open, s.close)
    far: Bools = above | below
    return far


def scale_jumps(s: Series, usable: Bools) -> Bools:
    """(R,) rows whose open or close is a power of ten away from the median close of the rows around it.

    ``usable`` (R,) are the rows with finite, positive prices. A split is none: the level moves with it.
    """
    found = np.zeros(len(s), dtype=np.bool_)
    prices = np.array([s.open[usable], s.close[usable]])
    ratio = prices[:, 1:] / prices[1, :-1]
    if not ratio.size or (ratio.max() < JUMP_FACTOR and ratio.min() > 1.0 / JUMP_FACTOR):
        return found  # without a jump from one row to the next no point is lost
    level = pl.Series(prices[1]).rolling_median(LEVEL_BARS, center=True, min_samples=1).to_numpy()
    away = np.log10(prices / level)
    power = np.round(away)
    lost = ((power != 0.0) & (np.abs(away - power) < SCALE_TOLERANCE)).any(axis=0)
    found[usable] = lost
    return found


def seasonal_opens(time: Times, conventions: Conventions) -> tuple[Bools, str]:
    """(T,) first bars after a pause that come an hour off in one half of the year, and a hint at the right clock.

    A market opens at one time of its own clock, winter and summer. Where the opens of the stamps differ by an hour
    between the halves, the stamps were written by a clock with another daylight saving time than was declared.
    """
    found = np.zeros(len(time), dtype=np.bool_)
    zone = zone_of(conventions.calendar)
    if zone is None or conventions.bar_ns > HOUR_NS:
        return found, ""
    at = np.flatnonzero(np.diff(time, prepend=time[0] - NANOSECONDS_PER_DAY) >= CLOSED_NS)[1:]
    opens = time[at]
    usual = _usual_opens(opens, zone)
    if usual is None or abs(usual[0] - usual[1]) != HOUR_NS:
        return found, ""
    local, summer = _clock(opens, zone)
    off = summer & (local == usual[1])
    found[at[off]] = True
    written = wall_clock(opens, conventions.timezone)
    expected = WEEK_OPENS if conventions.calendar == WEEKDAYS else None
    better = [c for c in CLOCKS if c != conventions.timezone and _steady(written, c, zone, expected)]
    return found, f"; {better[0]} would fit" if better else ""


def _clock(opens: Times, zone: str) -> tuple[Ints, Bools]:
    """Time of day in the zone, ns, and whether it has daylight saving time then."""
    local = wall_clock(opens, zone)
    offset = local - opens
    return local % NANOSECONDS_PER_DAY, offset != offset.min(initial=0)


def _usual_opens(opens: Times, zone: str) -> tuple[int, int] | None:
    """The most common time of day in winter and in summer; None where one of them is too rare to tell."""
    local, summer = _clock(opens, zone)
    usual = []
    for half in (~summer, summer):
        if np.count_nonzero(half) < FEWEST_OPENS:
            return None
        times, counts = np.unique(local[half], return_counts=True)
        usual.append(int(times[np.argmax(counts)]))
    return usual[0], usual[1]


def _steady(written: Times, clock: str, zone: str, expected: int | None) -> bool:
    """Whether the opens keep one time of day, the expected one, if the stamps were written by this clock."""
    stamps = pl.Series(written).cast(pl.Datetime("ns"))
    utc = stamps.dt.replace_time_zone(clock, ambiguous="earliest", non_existent="null").drop_nulls().to_physical()
    usual = _usual_opens(utc.to_numpy(), zone)
    return usual is not None and usual[0] == usual[1] and expected in (None, usual[0])

"""Longer bars from shorter ones, by the calendar (semantics section 1).

A bucket is a span of the calendar, never a number of rows, so a missing minute does not move what follows:

- up to an hour, where it divides one: on multiples of the clock, UTC;
- longer, below a day: from the beginning of the calendar's day on, the last cut where the day ends. 24x7 begins
  at midnight UTC, 24x5 at 17:00 New York, an exchange at the open of its session; before the open buckets count
  from local midnight and after the close from the close, so they never mix with the session;
- days and weeks: of the calendar, weeks from Monday to Sunday, n days from 1970-01-01 on. An exchange's day is
  its session, as in its own daily bars: what trades before or after is left out, and counted.

A bar closes when its span ends by the calendar: what it holds is known then and not before.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from engine.canonical import canonical_bytes, sha256_hex
from engine.data.bars import COLUMNS, Conventions, Series, timeframe_name, timeframe_ns
from engine.data.exchanges import Sessions, exchange_sessions, exchange_zone, utc_of
from engine.data.sessions import ALWAYS, HOUR_NS, NEW_YORK, WEEK_NS, WEEKDAYS, days, wall_clock
from engine.errors import ConfigError, FieldError
from engine.types import NANOSECONDS_PER_DAY, Bools, Floats, Ints, Times

DAY_NS = NANOSECONDS_PER_DAY
_USUAL = ("1m", "5m", "15m", "30m", "1h", "2h", "4h", "12h", "1d", "1w")
_THURSDAY = 3  # 1970-01-01 was one; weeks begin on Monday
_EVENING = 7 * HOUR_NS  # from 17:00 to midnight


class Resampled(NamedTuple):
    """Bars, their conventions, and what was done to get them: None where they are the rows themselves."""

    series: Series
    conventions: Conventions
    info: Mapping[str, Any] | None

    def digest(self) -> str:
        """SHA-256 of the bars, and of what was done."""
        rows = self.series.digest(self.conventions)
        return rows if self.info is None else sha256_hex(canonical_bytes({"rows": rows, "resampled": dict(self.info)}))


@dataclass(frozen=True)
class _Spans:
    """Buckets: ``first`` (B,) index of the first row; ``begin`` and ``end`` (B,) ns by the calendar."""

    first: Ints
    begin: Times
    end: Times


def check_timeframe(timeframe: str, conventions: Conventions) -> str:
    """Its shortest name, where bars of it can be made. Raises ``ConfigError`` listing what is possible."""
    own, wanted = conventions.bar_ns, timeframe_ns(timeframe)
    if wanted == own:
        return conventions.timeframe
    if not _reachable(own, wanted):
        possible = (conventions.timeframe, *(t for t in _USUAL if timeframe_ns(t) > own))
        possible = tuple(t for t in possible if _reachable(own, timeframe_ns(t)) or t == conventions.timeframe)
        message = (
            f"the data has bars of {conventions.timeframe}; possible are whole multiples of it, from a day on whole"
            f" days, up to 1w: {', '.join(possible)}"
        )
        raise ConfigError([FieldError("/timeframe", "unavailable_timeframe", message, possible)])
    return timeframe_name(wanted)


def describe(timeframe: str, conventions: Conventions) -> str:
    """How bars of ``timeframe`` come about, in a sentence."""
    text = (
        f"bars of {timeframe} are made of bars of {conventions.timeframe} by the calendar {conventions.calendar};"
        " one is known when its span ends, and an incomplete one at either end is dropped"
    )
    daily = conventions.bar_ns < DAY_NS <= timeframe_ns(timeframe)
    left_out = daily and conventions.calendar not in (ALWAYS, WEEKDAYS)
    return text + ("; what trades outside the sessions is left out" if left_out else "")


def resample(series: Series, conventions: Conventions, timeframe: str) -> Resampled:
    """The bars of ``timeframe``.

    A bar is the first open, the highest high, the lowest low, the last close and the sum of the volume of the rows
    in its span; of an extra column it is the last value, of ``vwap`` the mean weighted by volume. The first and
    the last are dropped where the rows begin after, or end before, a row that the calendar expects in the span.
    Raises ``ConfigError`` for a timeframe that cannot be made of the rows, and where no complete bar is left.
    """
    timeframe = check_timeframe(timeframe, conventions)
    if timeframe == conventions.timeframe:
        return Resampled(series, conventions, None)
    wanted = timeframe_ns(timeframe)
    rows = series
    if wanted < DAY_NS:
        spans = _below_a_day(rows.time, conventions, wanted)
    else:
        rows = _of_sessions(series, conventions)
        spans = _of_days(rows.time, conventions, wanted // DAY_NS)
    dropped = _incomplete(series.time, spans, conventions) if len(spans.first) else (False, False)
    made = _bars(rows, spans, conventions.bar_ns, wanted)
    made = made.slice(int(dropped[0]), max(int(dropped[0]), len(made) - int(dropped[1])))
    if not len(made):
        message = f"no complete bar of {timeframe} is left of {len(series)} of {conventions.timeframe}"
        raise ConfigError([FieldError("/timeframe", "empty_period", message)])
    info = {
        "from": conventions.timeframe,
        "to": timeframe,
        "dropped_first": dropped[0],
        "dropped_last": dropped[1],
        "outside_sessions": len(series) - len(rows),
    }
    return Resampled(made, replace(conventions, timeframe=timeframe), info)


def _reachable(own: int, wanted: int) -> bool:
    whole = wanted % own == 0 and own < wanted <= WEEK_NS
    return whole and (wanted < DAY_NS or wanted % DAY_NS == 0)


def _below_a_day(time: Times, conventions: Conventions, wanted: int) -> _Spans:
    """Spans of (T,) ns opens in regions of the calendar's day, counted from where a region begins."""
    if HOUR_NS % wanted == 0:
        begin = time - time % wanted
        first = _changes(begin)
        return _Spans(first, begin[first], begin[first] + wanted)
    region, until = _regions(time, conventions)
    begin = region + np.maximum(time - region, 0) // wanted * wanted
    first = _changes(begin)
    return _Spans(first, begin[first], np.minimum(begin[first] + wanted, until[first]))


def _regions(time: Times, conventions: Conventions) -> tuple[Times, Times]:
    """Begin and end (T,) ns of the part of the calendar's day each bar lies in."""
    if conventions.calendar == ALWAYS:
        begin = time - time % DAY_NS
        return begin, begin + DAY_NS
    if conventions.calendar == WEEKDAYS:
        begin = time - (wall_clock(time, NEW_YORK) + _EVENING) % DAY_NS
        return begin, begin + DAY_NS
    known = _known(time, conventions)
    opens, closes = known.hours
    edges = np.append(np.stack((known.begin, opens, closes), axis=1).ravel(), known.end)
    at = np.searchsorted(edges, time, side="right") - 1
    inside = (at >= 0) & (at < len(edges) - 1)
    at = np.clip(at, 0, max(0, len(edges) - 2))
    # A bar that begins before the open and ends after it is the session's.
    at += (at % 3 == 0) & (edges[at + 1] < time + conventions.bar_ns) & inside
    if inside.all():
        return edges[at], edges[at + 1]
    begin = time - wall_clock(time, exchange_zone(conventions.calendar)) % DAY_NS
    return np.where(inside, edges[at], begin), np.where(inside, edges[at + 1], begin + DAY_NS)


def _of_sessions(series: Series, conventions: Conventions) -> Series:
    """The rows of an exchange's sessions, and all rows of another calendar."""
    if conventions.calendar in (ALWAYS, WEEKDAYS) or conventions.bar_ns >= DAY_NS:
        return series
    known = _known(series.time, conventions)
    index, inside = known.at(series.time)
    opens, closes = known.hours
    keep: Bools = ~inside
    if inside.any():
        keep |= (series.time + conventions.bar_ns > opens[index]) & (series.time < closes[index])
    if keep.all():
        return series
    return replace(
        series,
        time=series.time[keep],
        **{c: getattr(series, c)[keep] for c in COLUMNS},
        **_extras(series, lambda _, values: values[keep]),
        close_time=None if series.close_time is None else series.close_time[keep],
    )


def _of_days(time: Times, conventions: Conventions, number: int) -> _Spans:
    """Spans of ``number`` days of the calendar; 7 are a week."""
    shift = _THURSDAY if number * DAY_NS == WEEK_NS else 0
    group = (days(time, conventions) + shift) // number
    first = _changes(group)
    low = group[first] * number - shift
    high = low + number  # (B,) days, exclusive
    exchange = conventions.calendar not in (ALWAYS, WEEKDAYS)
    if conventions.calendar == WEEKDAYS:
        low, last = _weekday(low, "forward"), _weekday(high - 1, "backward")
        high = last + 1
    elif exchange:
        known = _known(time, conventions)
        at = np.searchsorted(known.label, low)
        to = np.searchsorted(known.label, high) - 1
        some = (at <= to) & (at < len(known.label))
        low[some], high[some] = known.label[at[some]], known.label[to[some]] + 1
    begin, end = low * DAY_NS, high * DAY_NS
    if conventions.bar_ns >= DAY_NS:
        return _Spans(first, begin, end)
    if conventions.calendar == WEEKDAYS:
        begin, end = utc_of(begin - _EVENING, NEW_YORK), utc_of(end - _EVENING, NEW_YORK)
    elif exchange and some.any():
        opens, closes = known.hours
        begin[some], end[some] = opens[at[some]], closes[to[some]]
    return _Spans(first, begin, end)


def _incomplete(time: Times, spans: _Spans, conventions: Conventions) -> tuple[bool, bool]:
    """Whether the calendar expects a row in the first span before the rows begin, or in the last after they end."""
    bar = conventions.bar_ns
    begins, ends = int(time[0]), int(time[-1]) + bar
    if bar >= DAY_NS:
        day = days(time[[0, -1]], conventions)
        begins, ends = int(day[0]) * DAY_NS, int(day[-1]) * DAY_NS + bar
    before, after = (int(spans.begin[0]), begins), (ends, int(spans.end[-1]))
    if conventions.calendar in (ALWAYS, WEEKDAYS) or bar >= DAY_NS:
        return before[1] - before[0] >= min(bar, DAY_NS), after[0] < after[1]
    known = _known(time, conventions)
    lacks = [known.missing(np.array([low - bar, high]), bar)[0] > 0 for low, high in (before, after)]
    return bool(lacks[0]), bool(lacks[1])


def _bars(rows: Series, spans: _Spans, own: int, wanted: int) -> Series:
    """One bar a span. Spans that cut a row are moved so that every row is known when its bar closes."""
    first = spans.first
    if not len(first):
        return rows
    last = np.append(first[1:], len(rows)) - 1
    opened, closed = rows.time[first], rows.closes(own)[last]
    close_time = np.maximum(spans.end, closed)
    close_time[:-1] = np.minimum(close_time[:-1], opened[1:])
    time = np.minimum(spans.begin, opened)
    time[1:] = np.maximum(time[1:], close_time[:-1])
    volume = np.add.reduceat(rows.volume, first)
    return Series(
        time,
        rows.open[first],
        np.maximum.reduceat(rows.high, first),
        np.minimum.reduceat(rows.low, first),
        rows.close[last],
        volume,
        has_volume=rows.has_volume,
        **_extras(rows, lambda name, values: _extra(name, values, rows.volume, first, last)),
        close_time=None if np.array_equal(close_time, time + wanted) else close_time,
    )


def _extras(rows: Series, made: Callable[[str, Floats], Floats]) -> dict[str, Any]:
    return {"extra": {name: made(name, values) for name, values in rows.extra.items()}}


def _extra(name: str, values: Floats, volume: Floats, first: Ints, last: Ints) -> Floats:
    """(B,) the last value of each span, or the mean by volume where it is a price of what was traded."""
    if name != "vwap":
        return values[last]
    traded = np.add.reduceat(volume, first)
    worth = np.add.reduceat(np.where(volume > 0.0, values * volume, 0.0), first)
    return np.divide(worth, traded, out=values[last].copy(), where=traded > 0.0)


def _known(time: Times, conventions: Conventions) -> Sessions:
    return exchange_sessions(conventions.calendar, int(time[0]), int(time[-1]))


def _weekday(day: Ints, roll: Any) -> Ints:
    rolled: Ints = np.busday_offset(day.astype("datetime64[D]"), 0, roll=roll).astype(np.int64)
    return rolled


def _changes(key: Ints) -> Ints:
    """(B,) where a value differs from the one before; the first row begins one."""
    return np.flatnonzero(np.append(len(key) > 0, np.diff(key) != 0)) if len(key) else np.empty(0, dtype=np.int64)

"""Clocks and calendars: which UTC moment a wall-clock stamp is, which day a bar belongs to, what is missing.

A calendar is ``24x7``, ``24x5`` (the week ends Friday and begins Sunday, both 17:00 New York) or an exchange
code, whose sessions ``exchanges`` knows.
"""

from dataclasses import dataclass
from typing import cast

import numpy as np
import polars as pl
from polars.exceptions import PolarsError

from engine.data.bars import Conventions
from engine.data.exchanges import (
    bars_per_session,
    exchange_names,
    exchange_sessions,
    exchange_zone,
    sessions_per_year,
)
from engine.errors import DataError, nearest
from engine.types import NANOSECONDS_PER_DAY, NANOSECONDS_PER_SECOND, Bools, Ints, Times

HOUR_NS = 3600 * NANOSECONDS_PER_SECOND
WEEK_NS = 7 * NANOSECONDS_PER_DAY
NEW_YORK = "America/New_York"
ALWAYS, WEEKDAYS = "24x7", "24x5"
DAYS_PER_YEAR = 365.25
_MONDAY_OFFSET = 3  # 1970-01-01 was a Thursday
_SATURDAY = 5
_YEARS = (1700, 2199)  # what int64 nanoseconds hold, with room
# Epochs of 1980-01-01 to 2030-03-17: no unit's range meets another's, and dates written without separators
# (20200102, 2020010203 and longer) lie outside all of them.
_EPOCH_SECONDS = (315_532_800, 1_900_000_000)
_OFFSET = r"\s*([Zz]|[+-](?:[01]\d|2[0-3]):?[0-5]\d)$"
_WALL = r"^(?:1[7-9]|2[01])\d\d[-.]\d\d[-.]\d\d(?:[Tt ]\d\d:\d\d(?::[0-5]\d(?:\.\d{1,9})?)?)?$"
_COMPACT = r"^(\d{4})(\d\d)(\d\d) (\d\d)(\d\d)(\d\d)$"  # as HistData writes it
_DAY_OR_MONTH_FIRST = r"^\d{1,2}[/.-]\d{1,2}[/.-]\d{2,4}"
_ACCEPTED = "ISO 8601 such as 2020-01-31, 2020-01-31 09:30 or 2020-01-31T09:30:00Z, or epoch integers"


def check_calendar(calendar: str) -> str:
    """The calendar itself if it is known. Raises ``DataError`` with the nearest known one otherwise."""
    if calendar in (ALWAYS, WEEKDAYS):
        return calendar
    exchanges = exchange_names()
    if calendar in exchanges:
        return calendar
    hint = nearest(calendar, [ALWAYS, WEEKDAYS, *exchanges]) or nearest(calendar.upper(), exchanges)
    raise DataError(f"calendar '{calendar}' is not {ALWAYS}, {WEEKDAYS} or an exchange code such as XNYS.{hint}")


def check_zone(zone: str) -> str:
    """The zone itself if it is known. Raises ``DataError`` for a name that is not in the IANA database."""
    try:
        pl.Series([0]).cast(pl.Datetime("ns")).dt.replace_time_zone(zone)
    except PolarsError:
        from zoneinfo import available_timezones  # noqa: PLC0415 - reads the whole database, only for the hint

        hint = nearest(zone, sorted(available_timezones()))
        raise DataError(f"timezone '{zone}' is not an IANA name such as Europe/London.{hint}") from None
    return zone


@dataclass(frozen=True)
class Stamps:
    """A time column: ``time`` (R,) ns, wall clock where ``naive``, else UTC; 0 where not ``parsed``."""

    time: Times
    parsed: Bools
    naive: Bools


def read_stamps(column: pl.Series) -> Stamps:
    """Timestamps, dates, epoch integers or text as nanoseconds.

    Epochs are seconds, milliseconds, microseconds or nanoseconds by magnitude, between 1980-01-01 and
    2030-03-17. Raises ``DataError`` for another type, a column without one readable time, and numbers of
    no unit.
    """
    kind = column.dtype
    if isinstance(kind, pl.Datetime) or kind == pl.Date:
        known = pl.select(pl.when(column.dt.year().is_between(*_YEARS)).then(column)).to_series()
        time = known.cast(pl.Datetime("ns", getattr(kind, "time_zone", None))).to_physical()
        return _stamps(time, pl.repeat(getattr(kind, "time_zone", None) is None, len(time), eager=True))
    if kind.is_integer():
        return _epochs(column.cast(pl.Int64, strict=False))
    if kind != pl.String:
        raise DataError(f"the time column holds {kind}; accepted are timestamps, dates, {_ACCEPTED}")
    text = column.str.strip_chars()
    if 2 * (text.str.contains(r"^-?\d+$").sum() or 0) > len(text) - text.null_count():
        return _epochs(text.cast(pl.Int64, strict=False))
    return _text(text)


def _stamps(time: pl.Series, naive: pl.Series) -> Stamps:
    parsed = time.is_not_null().to_numpy()
    return Stamps(time.fill_null(0).to_numpy(), parsed, naive.to_numpy() & parsed)


def _epochs(values: pl.Series) -> Stamps:
    middle = cast(float | None, values.median())
    first, last = _EPOCH_SECONDS
    for unit in (1, 10**3, 10**6, 10**9):
        if middle is not None and first * unit <= middle < last * unit:
            inside = values.is_between(first * unit, last * unit, closed="left")
            known = pl.select(pl.when(inside).then(values)).to_series()
            time = known * (NANOSECONDS_PER_SECOND // unit)
            return _stamps(time, pl.repeat(False, len(time), eager=True))
    raise DataError(
        f"times such as {values.drop_nulls().head(1).to_list()} are no epoch seconds, milliseconds,"
        f" microseconds or nanoseconds between 1980 and 2030-03-17; accepted is {_ACCEPTED}"
    )


def _text(text: pl.Series) -> Stamps:
    text = text.str.replace(_COMPACT, "${1}-${2}-${3} ${4}:${5}:${6}")
    zone = text.str.extract(_OFFSET)
    wall = text.str.replace(_OFFSET, "")
    wall = pl.select(pl.when(wall.str.contains(_WALL)).then(wall)).to_series()
    size = wall.str.len_bytes()
    tail = size.replace_strict([10, 16], ["00:00:00", ":00"], default="", return_dtype=pl.String)
    date = wall.str.slice(0, 10).str.replace_all(".", "-", literal=True)
    clean = pl.select(pl.concat_str(date, pl.lit(" "), wall.str.slice(11), tail)).to_series()
    time = clean.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="ns", strict=False).to_physical()
    if time.null_count() == len(time):
        reason = "may be day or month first: write the year first. Accepted is"
        first = text.filter(text.str.contains(_DAY_OR_MONTH_FIRST).fill_null(value=False)).head(1).to_list()
        first, reason = (first, reason) if first else (text.head(1).to_list(), "cannot be read. Accepted is")
        raise DataError(f"times such as {first} {reason} {_ACCEPTED}")
    names = zone.unique().drop_nulls().to_list()
    minutes = zone.replace_strict(names, [_minutes(n) for n in names], default=0, return_dtype=pl.Int64)
    return _stamps(time - minutes * (60 * NANOSECONDS_PER_SECOND), zone.is_null())


def _minutes(offset: str) -> int:
    size = 0 if offset in "Zz" else int(offset[1:3]) * 60 + int(offset[-2:])
    return -size if offset[0] == "-" else size


def wall_clock(time: Times, zone: str) -> Times:
    """(T,) ns UTC to (T,) ns on the zone's wall clock."""
    if zone == "UTC" or not len(time):
        return time
    # Offsets change on quarters of an hour only, so one conversion per quarter present is enough: for minute
    # bars that is a fifteenth of the work.
    quarter = time // (HOUR_NS // 4)
    change = np.flatnonzero(np.diff(quarter, prepend=quarter[0] - 1))
    stamps = pl.Series(time[change]).cast(pl.Datetime("ns", "UTC")).dt.convert_time_zone(zone)
    offset = stamps.dt.replace_time_zone(None).to_physical().to_numpy() - time[change]
    return time + np.repeat(offset, np.diff(change, append=len(time)))


def localise(wall: Times, zone: str, group: Ints) -> tuple[Times, Bools]:
    """UTC of wall-clock stamps, and which of them the zone's rules cannot resolve.

    ``wall`` (R,) ns in file order, ``group`` (R,) the symbol of each row. A stamp in a gap never existed. A
    stamp in a fold is resolved by order: where a symbol's stamps run through the fold twice, the rows from
    the one step back on are the second pass. A single pass may be either, so it is unresolved.
    """
    stamps = pl.Series(wall).cast(pl.Datetime("ns"))
    first = stamps.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null").to_physical()
    last = stamps.dt.replace_time_zone(zone, ambiguous="latest", non_existent="null").to_physical()
    unresolved = first.is_null().to_numpy().copy()
    utc = first.fill_null(0).to_numpy().copy()
    late = last.fill_null(0).to_numpy()
    order = np.argsort(group, kind="stable")
    at = np.flatnonzero((utc != late)[order])
    if len(at):
        rows = order[at]
        second, clear = _passes(wall[rows], np.diff(at, prepend=-9) > 1, group[rows])
        utc[rows] = np.where(second, late[rows], utc[rows])
        unresolved[rows] = ~clear
    return utc, unresolved


def _passes(wall: Times, apart: Bools, group: Ints) -> tuple[Bools, Bools]:
    """For stamps inside folds: is it in the second pass, and does its run step back exactly once."""
    step = np.diff(wall, prepend=wall[0])
    begins = apart | (np.diff(group, prepend=group[0] - 1) != 0) | (np.abs(step) > NANOSECONDS_PER_DAY // 2)
    run = np.cumsum(begins) - 1
    back = ~begins & (step <= 0)
    clear = np.bincount(run, weights=back)[run] == 1
    passed = np.cumsum(back)
    return (passed - passed[begins][run]) == 1, clear


def weekday(day: Ints) -> Ints:
    """Days since epoch to 0 for Monday .. 6 for Sunday."""
    return (day + _MONDAY_OFFSET) % 7


def days(open_time: Times, conventions: Conventions) -> Ints:
    """Day (days since epoch) each bar belongs to, from (T,) ns UTC opens.

    24x7: the UTC date. 24x5: a day ends 17:00 New York, and what opens on a weekend belongs to Monday. Exchange:
    the session that is trading, else the session of the local date, else the next one; a bar of a day or more that
    opens at midnight UTC has the date as written. Raises ``DataError`` for an unknown calendar.
    """
    if conventions.calendar == WEEKDAYS:
        day = (wall_clock(open_time, NEW_YORK) + 7 * HOUR_NS) // NANOSECONDS_PER_DAY
        return day + np.where(weekday(day) >= _SATURDAY, 7 - weekday(day), 0)
    if conventions.calendar == ALWAYS or not len(open_time):
        return open_time // NANOSECONDS_PER_DAY
    if conventions.bar_ns < NANOSECONDS_PER_DAY:
        return _session_days(open_time, conventions.calendar)
    written = open_time % NANOSECONDS_PER_DAY == 0
    if written.all():
        return open_time // NANOSECONDS_PER_DAY
    return np.where(written, open_time // NANOSECONDS_PER_DAY, _session_days(open_time, conventions.calendar))


def _session_days(time: Times, code: str) -> Ints:
    """Session of each moment; where none is known, the local date."""
    known = exchange_sessions(code, int(time.min()), int(time.max()))
    index, inside = known.at(time)
    if inside.all():
        return known.label[index]
    day = wall_clock(time, exchange_zone(code)) // NANOSECONDS_PER_DAY
    day[inside] = known.label[index[inside]]
    return day


def annual_days(calendar: str) -> float:
    """Days a year has: 365.25 for 24x7, 260 for 24x5, an exchange's mean number of sessions, such as 252."""
    known = {ALWAYS: DAYS_PER_YEAR, WEEKDAYS: 260.0}
    return known[calendar] if calendar in known else sessions_per_year(calendar)


def bars_per_year(conventions: Conventions) -> float:
    """Bars a year has: what the calendar's days hold, or the year itself for bars of a day or more."""
    bar, calendar = conventions.bar_ns, conventions.calendar
    unbroken = DAYS_PER_YEAR * NANOSECONDS_PER_DAY / bar
    if calendar == ALWAYS:
        return unbroken
    if bar >= NANOSECONDS_PER_DAY:
        return min(annual_days(calendar), unbroken)
    if calendar == WEEKDAYS:
        return annual_days(calendar) * NANOSECONDS_PER_DAY / bar
    return annual_days(calendar) * bars_per_session(calendar, bar)


def in_weekend(time: Times) -> Bools:
    """Whether each (T,) ns UTC moment lies in [Friday 17:00, Sunday 17:00) New York."""
    return _week_position(time)[1] >= 5 * NANOSECONDS_PER_DAY


def _week_position(time: Times) -> tuple[Ints, Times]:
    """Number of the 24x5 week, which begins Sunday 17:00 New York, and the time since its beginning."""
    since_sunday = wall_clock(time, NEW_YORK) + 7 * HOUR_NS + _MONDAY_OFFSET * NANOSECONDS_PER_DAY
    return since_sunday // WEEK_NS, since_sunday % WEEK_NS


def missing_bars(time: Times, conventions: Conventions) -> Ints:
    """(T-1,) number of bars missing between each of (T,) rising opens and the next that the calendar expects.

    24x7 and bars of a week or more: every missing bar. 24x5: 48 hours are free for each weekend passed; for
    bars of a day or more weekdays count. Exchange: bars in which it trades, so neither holidays, nor breaks,
    nor the afternoon of a half day, nor hours before and after the session; for bars of a day or more, sessions.
    """
    bar, step = conventions.bar_ns, np.diff(time)
    missing: Ints = step // bar - 1
    if bar >= WEEK_NS or conventions.calendar == ALWAYS or len(time) < 2:
        pass
    elif conventions.calendar != WEEKDAYS:
        known = exchange_sessions(conventions.calendar, int(time[0]), int(time[-1]))
        if bar < NANOSECONDS_PER_DAY:
            return known.missing(time, bar)
        day = days(time, conventions)
        between = np.searchsorted(known.label, day[1:]) - np.searchsorted(known.label, day[:-1], side="right")
        missing = between * NANOSECONDS_PER_DAY // bar
    elif bar < NANOSECONDS_PER_DAY:
        weekends = np.diff(_week_position(time)[0])
        missing = (step - weekends * 2 * NANOSECONDS_PER_DAY) // bar - 1
    else:
        date = days(time, conventions).astype("datetime64[D]")
        missing = np.busday_count(date[:-1] + 1, date[1:]) * NANOSECONDS_PER_DAY // bar
    return np.maximum(0, missing)

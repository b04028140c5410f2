"""Calendars: which day a bar belongs to, how many a year has, what is missing.

A calendar is ``24x7``, ``24x5`` (the week ends Friday and begins Sunday, both 17:00 New York) or an exchange
code, whose sessions ``exchanges`` knows.
"""

import numpy as np
import polars as pl

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
_STRIDE = 64
"""Every how many bars the day is asked first: a day of minute bars has 390 and more."""
_STRETCHES = 1024
"""How many stretches between two of these are asked in full at once."""


def check_calendar(calendar: str) -> str:
    """The calendar itself if it is known. Raises ``DataError`` with the nearest known one otherwise."""
    if calendar in (ALWAYS, WEEKDAYS):
        return calendar
    exchanges = exchange_names()
    if calendar in exchanges:
        return calendar
    hint = nearest(calendar, [ALWAYS, WEEKDAYS, *exchanges]) or nearest(calendar.upper(), exchanges)
    raise DataError(f"calendar '{calendar}' is not {ALWAYS}, {WEEKDAYS} or an exchange code such as XNYS.{hint}")


def zone_of(calendar: str) -> str | None:
    """The zone whose clock a calendar follows; None for a market that never closes."""
    if calendar == ALWAYS:
        return None
    return NEW_YORK if calendar == WEEKDAYS else exchange_zone(calendar)


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


def day_ends(open_time: Times, conventions: Conventions) -> Ints:
    """(D,) index of the last bar of each day that has one, from (T,) rising ns UTC opens.

    The same as where :func:`days` changes, but the day never falls: between two bars of one day lie bars of that day.
    So most bars are not asked. Raises ``DataError`` for an unknown calendar.
    """
    last = len(open_time) - 1
    if last < 0:
        return np.empty(0, dtype=np.int64)
    marks = np.append(np.arange(0, last, _STRIDE), last)
    changing = marks[np.flatnonzero(np.diff(days(open_time[marks], conventions)))]
    ends = [np.empty(0, dtype=np.int64)]
    for first in range(0, len(changing), _STRETCHES):  # of hourly bars all are asked: some at a time need less memory
        between = np.minimum(changing[first : first + _STRETCHES, None] + np.arange(_STRIDE + 1), last).ravel()
        asked = np.concatenate((marks[:1], between, marks[-1:]))  # with both ends, which span an exchange's sessions
        ends.append(between[np.flatnonzero(np.diff(days(open_time[asked], conventions)[1:-1]))])
    return np.append(np.concatenate(ends), last)


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


def periods_per_year(conventions: Conventions) -> float:
    """Daily returns in a year: the calendar's days, or the bars themselves where they are longer than a day."""
    return min(annual_days(conventions.calendar), bars_per_year(conventions))


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

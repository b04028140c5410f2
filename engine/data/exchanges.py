"""When an exchange trades: sessions with their opens, closes, half days and breaks, as arrays in UTC.

They come from ``exchange_calendars``, which is slow to import and to build. Both happen inside functions, once
per exchange and span of years.
"""

import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl

from engine.errors import DataError
from engine.types import NANOSECONDS_PER_DAY, NANOSECONDS_PER_SECOND, Bools, Ints, Times

_HOUR_NS = 3600 * NANOSECONDS_PER_SECOND
_MEASURED_YEARS = (2005, 2024)
_REGULAR_YEARS = 5  # the last of them: trading hours of long ago are not the regular ones
_LONGEST_HOLIDAY_DAYS = 31  # how far beyond its years a table reaches, so that every bar has a next session


@dataclass(frozen=True)
class Sessions:
    """The sessions of an exchange in time order.

    ``label`` (S,) days since epoch; ``begin`` (S,) ns, from when on a bar belongs to the session, and ``end`` ns,
    until when one belongs to the last. ``opens`` and ``closes`` (P,) ns bound the stretches of trading: two for a
    session with a break. ``stretch`` (S+1,) is where each session's stretches start.
    """

    label: Ints
    begin: Times
    end: int
    opens: Times
    closes: Times
    stretch: Ints

    def at(self, time: Times) -> tuple[Ints, Bools]:
        """Index of the session each (T,) ns moment belongs to, and where it does: False beyond what is known."""
        index = np.searchsorted(self.begin, time, side="right") - 1
        return np.maximum(index, 0), (index >= 0) & (time < self.end)

    @property
    def hours(self) -> tuple[Times, Times]:
        """(S,) open and close of each session, whatever breaks it has."""
        return self.opens[self.stretch[:-1]], self.closes[self.stretch[1:] - 1]

    def bars(self, bar: int) -> Ints:
        """(S,) how many bars of ``bar`` ns each session has; the last before a close or break may be shorter."""
        counts = np.append(0, np.cumsum(-((self.opens - self.closes) // bar)))
        return np.diff(counts[self.stretch])

    def missing(self, time: Times, bar: int) -> Ints:
        """(T-1,) bars the exchange traded in between one bar of (T,) ns opens and the next, without either."""
        missing = np.zeros(max(0, len(time) - 1), dtype=np.int64)
        at = np.flatnonzero(np.diff(time) > bar)
        low, high = time[at] + bar, time[at + 1]
        first = np.searchsorted(self.closes, low, side="right")  # of the stretches that are touched
        last = np.searchsorted(self.opens, high, side="left") - 1
        some = first <= last
        at, low, high, first, last = at[some], low[some], high[some], first[some], last[some]
        start, stop = np.maximum(low, self.opens[first]), np.minimum(high, self.closes[last])
        # Where an edge of trading cuts a bar it is one all the same; between two bars only whole ones fit.
        cut = (start > low) | (stop < high)
        alone = np.where(cut, -((start - stop) // bar), (stop - start) // bar)
        whole = np.append(0, np.cumsum(-((self.opens - self.closes) // bar)))
        tail, head = -((start - self.closes[first]) // bar), -((self.opens[last] - stop) // bar)
        several = tail + whole[last] - whole[first + 1] + head
        missing[at] = np.where(first == last, alone, several)
        return missing


def exchange_names() -> list[str]:
    """Every code and alias known; the package's own 24/7 and 24/5 are no exchanges."""
    from exchange_calendars import get_calendar_names  # type: ignore[import-untyped]  # noqa: PLC0415

    return [c for c in get_calendar_names() if not c.startswith("24/")]


def exchange_zone(code: str) -> str:
    """IANA name of the exchange's clock."""
    return str(_factory(code).tz)


def exchange_sessions(code: str, first: int, last: int) -> Sessions:
    """The sessions around the moments ``first`` to ``last``, ns UTC.

    Where the package knows no sessions, in years long ago or far ahead, there are none. Raises ``DataError`` for
    an exchange whose calendar the package cannot build.
    """
    years = np.array([first, last]).astype("datetime64[ns]").astype("datetime64[Y]").astype(np.int64) + 1970
    return _build(code, int(years[0]), int(years[1]))


@lru_cache(maxsize=128)
def sessions_per_year(code: str) -> float:
    """Sessions in a year: the mean of 2005 to 2024, rounded to a whole number. XNYS has 252."""
    known = _build(code, *_MEASURED_YEARS)
    years = known.label.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970
    inside = years[(years >= _MEASURED_YEARS[0]) & (years <= _MEASURED_YEARS[1])]
    return float(round(len(inside) / len(np.unique(inside))))


@lru_cache(maxsize=1024)
def bars_per_session(code: str, bar: int) -> int:
    """Bars of ``bar`` ns in a regular session: what most sessions of 2020 to 2024 have."""
    counts = _build(code, _MEASURED_YEARS[1] - _REGULAR_YEARS + 1, _MEASURED_YEARS[1]).bars(bar)
    return int(np.bincount(counts).argmax())


def _factory(code: str) -> Any:
    # The class knows zone and bounds; the public way to them builds the calendar first.
    from exchange_calendars.calendar_utils import (  # type: ignore[import-untyped]  # noqa: PLC0415
        global_calendar_dispatcher as known,
    )

    return known._calendar_factories[known.resolve_alias(code)]


@lru_cache(maxsize=32)
def _build(code: str, first_year: int, last_year: int) -> Sessions:
    from pandas.errors import Pandas4Warning  # noqa: PLC0415

    factory = _factory(code)
    margin = np.timedelta64(_LONGEST_HOLIDAY_DAYS, "D")
    start = np.datetime64(f"{first_year:04}-01-01") - margin
    end = np.datetime64(f"{last_year:04}-12-31") + margin
    low, high = factory.bound_min(), factory.bound_max()
    start = start if low is None else max(start, low.to_datetime64().astype("datetime64[D]"))
    end = end if high is None else min(end, high.to_datetime64().astype("datetime64[D]"))
    if start >= end:
        return _arrange(str(factory.tz), *(np.empty(0, dtype=np.int64) for _ in range(5)))
    try:
        with warnings.catch_warnings():
            # exchange_calendars 4.13 calls what pandas 4 will change; under pandas 3 its result is right.
            warnings.simplefilter("ignore", Pandas4Warning)
            built = factory(start=str(start), end=str(end))
            nanoseconds = [
                np.asarray(getattr(built, f"{name}_nanos"), dtype=np.int64)
                for name in ("sessions", "opens", "closes", "break_starts", "break_ends")
            ]
    except (ValueError, NotImplementedError) as error:
        reason = str(error)[:80]
        raise DataError(f"exchange_calendars cannot build the calendar of '{code}' ({reason})") from error
    return _arrange(str(factory.tz), *nanoseconds)


def _arrange(zone: str, midnight: Times, opens: Times, closes: Times, rests: Times, resumes: Times) -> Sessions:
    """Sessions of (S,) ns: UTC midnight of the label, open, close, and the break, which may be NaT."""
    none = np.iinfo(np.int64).min
    broken = rests != none
    edges = np.stack((opens, np.where(broken, rests, closes), np.where(broken, resumes, none), closes), axis=1)
    parts = edges.reshape(-1, 2)
    parts = parts[parts[:, 0] != none]
    over = utc_of(midnight + NANOSECONDS_PER_DAY, zone)
    begin = np.minimum(np.append(utc_of(midnight[:1], zone), over[:-1]), opens)
    return Sessions(
        label=midnight // NANOSECONDS_PER_DAY,
        begin=begin,
        end=int(over[-1]) if len(over) else none,
        opens=np.ascontiguousarray(parts[:, 0]),
        closes=np.ascontiguousarray(parts[:, 1]),
        stretch=np.append(0, np.cumsum(1 + broken)),
    )


def utc_of(wall: Times, zone: str) -> Times:
    """UTC of (S,) ns on the zone's clock: of two moments the first, and an hour later where clocks skip one."""

    def resolved(local: Times) -> pl.Series:
        stamps = pl.Series(local, dtype=pl.Int64).cast(pl.Datetime("ns"))
        return stamps.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null").to_physical()

    exact, later = resolved(wall), resolved(wall + _HOUR_NS)
    return pl.select(pl.coalesce(exact, later)).to_series().to_numpy()

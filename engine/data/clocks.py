"""Clocks: which UTC moment a stamp of a file is, written as text, as a number or on some zone's wall."""

from dataclasses import dataclass
from typing import cast

import numpy as np
import polars as pl
from polars.exceptions import PolarsError

from engine.errors import DataError, nearest
from engine.types import NANOSECONDS_PER_DAY, NANOSECONDS_PER_SECOND, Bools, Ints, Times

_YEARS = (1700, 2199)  # what int64 nanoseconds hold, with room
# Epochs of 1980-01-01 to 2030-03-17: no unit's range meets another's, and dates written without separators
# (20200102, 2020010203 and longer) lie outside all of them.
_EPOCH_SECONDS = (315_532_800, 1_900_000_000)
_OFFSET = r"\s*((?:GMT|UTC)?[+-](?:[01]\d|2[0-3]):?[0-5]\d|[Zz]|GMT|UTC)$"  # Dukascopy writes GMT+0300
_WALL = r"^(?:1[7-9]|2[01])\d\d[-.]\d\d[-.]\d\d(?:[Tt ]\d\d:\d\d(?::[0-5]\d(?:\.\d{1,9})?)?)?$"
_COMPACT = r"^(\d{4})(\d\d)(\d\d) (\d\d):?(\d\d)(?::?(\d\d))?$"  # as HistData and LEAN write it
_YEAR_LAST = r"^(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})(?:[ T]|$)"
_ACCEPTED = "ISO 8601 such as 2020-01-31, 2020-01-31 09:30 or 2020-01-31T09:30:00Z, or epoch integers"


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
    """A time column: ``time`` (R,) ns, wall clock where ``naive``, else UTC; 0 where not ``parsed``.

    ``day_first`` says what the rows themselves showed of dates whose year comes last.
    """

    time: Times
    parsed: Bools
    naive: Bools
    day_first: bool | None = None


def read_stamps(column: pl.Series, *, day_first: bool | None = None) -> Stamps:
    """Timestamps, dates, epoch integers or text as nanoseconds.

    Epochs are seconds, milliseconds, microseconds or nanoseconds by magnitude, between 1980-01-01 and
    2030-03-17. Where the year comes last, ``day_first`` says what comes first, unless a number above 12 does.
    Raises ``DataError`` for another type, a column without one readable time, numbers of no unit, and dates whose
    day and month cannot be told apart.
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
    return _text(text, day_first)


def _stamps(time: pl.Series, naive: pl.Series, day_first: bool | None = None) -> Stamps:
    parsed = time.is_not_null().to_numpy()
    return Stamps(time.fill_null(0).to_numpy(), parsed, naive.to_numpy() & parsed, day_first)


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


def _year_first(text: pl.Series, day_first: bool | None) -> tuple[pl.Series, bool | None]:
    """Dates such as 31.01.2020 as 2020-01-31, and whether the rows themselves show that the day comes first."""
    if not text.drop_nulls().head(1).str.contains(_YEAR_LAST).any():
        return text, None  # a later row of another form cannot be read, and is found
    parts = text.str.extract_groups(_YEAR_LAST).struct.unnest().cast(pl.Int64)
    last = parts.to_series(2).is_not_null()
    above = [bool((parts.to_series(i) > 12).any()) for i in (0, 1)]
    if above == [True, True]:
        raise DataError("some times have a day above 12 in first and some in second place: write the year first")
    shown = above[0] if any(above) else None
    if shown is None and day_first is None:
        raise DataError(
            f"times such as {text.filter(last).head(1).to_list()} may begin with the day or the month, and no row"
            " shows which: declare day_first=true or false",
            {"option": "day_first"},
        )
    day = shown if day_first is None else day_first
    order = (0, 1) if day else (1, 0)
    frame = parts.select(pl.all().cast(pl.String).str.zfill(2)).with_columns(text.alias("text"))
    year, first, second = (frame.columns[i] for i in (2, *order))
    date = pl.concat_str(pl.col(year), pl.col(second), pl.col(first), separator="-")
    clock = pl.col("text").str.replace(r"^[\d/.-]+", "").str.replace(r"^ (\d):", " 0${1}:")
    turned = pl.concat_str(date, clock)
    text = frame.select(pl.when(last).then(turned).otherwise(pl.col("text"))).to_series()
    return text, shown


def _text(text: pl.Series, day_first: bool | None) -> Stamps:
    text, shown = _year_first(text, day_first)
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
        raise DataError(f"times such as {text.head(1).to_list()} cannot be read. Accepted is {_ACCEPTED}")
    names = zone.unique().drop_nulls().to_list()
    minutes = zone.replace_strict(names, [_minutes(n) for n in names], default=0, return_dtype=pl.Int64)
    return _stamps(time - minutes * (60 * NANOSECONDS_PER_SECOND), zone.is_null(), shown)


def _minutes(offset: str) -> int:
    signed = offset.removeprefix("GMT").removeprefix("UTC")
    size = 0 if signed in "Zz" else int(signed[1:3]) * 60 + int(signed[-2:])
    return -size if signed[0:1] == "-" else size


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

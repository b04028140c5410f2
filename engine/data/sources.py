"""Files of market data: Parquet or CSV in, checked series and a report out.

Nothing is guessed silently: what the caller did not declare is assumed by a stated rule and listed in the
report under ``assumed``. Formats are told by content, never by the file's name.
"""

import codecs
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
from polars.exceptions import PanicException, PolarsError

from engine.data.bars import (
    COLUMNS,
    SYMBOL_PATTERN,
    Conventions,
    Dataset,
    Series,
    timeframe_name,
    timeframe_ns,
)
from engine.data.checks import OnBadRows, Rows, check_all, refuse
from engine.data.clocks import Stamps, check_zone, localise, read_stamps
from engine.data.dialects import joined_clock, layout, read_json, unpacked
from engine.data.extras import further_columns
from engine.data.sessions import ALWAYS, WEEKDAYS, check_calendar, weekday
from engine.errors import DataError
from engine.types import NANOSECONDS_PER_DAY, NANOSECONDS_PER_SECOND, Bools, Ints, Times

Label = Literal["open", "close"]
Adjustment = Literal["none", "split", "total"]

_ROLES = {
    "time": ("timestamp", "time", "date", "datetime", "open_time", "open time", "gmt time", "unix", "ts"),
    **{price: (price,) for price in COLUMNS[:4]},
    "volume": ("volume", "tick_volume", "tickvol", "vol"),
    "symbol": ("symbol", "ticker"),
}
_OPTIONAL = ("volume", "symbol")
MOST_DROPPED = 0.5
"""A file that would lose this share of a symbol's rows is not what it was said to be."""
_ACCEPTED = "accepted are Parquet, JSON rows, and CSV in UTF-8 with , ; or tab between fields, plain, gzipped or zipped"
_HEAD_BYTES = 1 << 16
_MAGIC = {
    b"ARROW1": "an Arrow file",
    b"\xff\xfe": "UTF-16",
}
_SATURDAY = 5
_SATURDAY_SHARE = 0.01


@dataclass(frozen=True)
class _Table:
    """A file's used columns, named by role, and the names of all its columns."""

    format: str
    dialect: str
    names: list[str]
    ignored: list[str]
    frame: pl.DataFrame
    extra: dict[str, pl.Series]


def load(
    path: Path | str,
    *,
    name: str | None = None,
    symbol: str | None = None,
    timeframe: str | None = None,
    label: Label | None = None,
    timezone: str | None = None,
    calendar: str | None = None,
    adjustment: Adjustment | None = None,
    on_bad_rows: OnBadRows = "refuse",
    max_rows: int | None = None,
) -> Dataset:
    """The dataset a Parquet or CSV file holds, sorted by symbol and time.

    ``symbol`` names the rows of a file without a symbol column and selects from one with it; the other
    options declare conventions, and what is left out is assumed: ``timeframe`` the most common spacing,
    ``calendar`` 24x7 if one bar in a hundred opens on a Saturday (UTC) and 24x5 otherwise, ``label`` open,
    ``timezone`` UTC, ``adjustment`` none. Raises ``DataError`` where the file or a row cannot be taken, with
    the report in its details once rows have been read.
    """
    _check_options(label=label, adjustment=adjustment, on_bad_rows=on_bad_rows)
    options = {
        "symbol": symbol,
        "timeframe": None if timeframe is None else timeframe_name(timeframe_ns(timeframe)),
        "label": label,
        "timezone": None if timezone is None else check_zone(timezone),
        "calendar": calendar,
        "adjustment": adjustment,
    }
    declared = {option: value for option, value in options.items() if value is not None}
    table = _read(Path(path), max_rows)
    return _assemble(table, Path(path).name, name or dataset_name(Path(path).stem), declared, on_bad_rows)


def dataset_name(text: str) -> str:
    """A name a configuration can use for a dataset, made of any text: ``GBPUSD H1`` gives ``gbpusd-h1``."""
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("._-")[:64] or "data"


def _assemble(table: _Table, source: str, name: str, declared: dict[str, str], on_bad_rows: OnBadRows) -> Dataset:
    """The checked dataset of a table. Raises ``DataError`` with the report where rows refuse it."""
    symbols, group, chosen = _symbols(table, declared.get("symbol"))
    stamps = read_stamps(table.frame["time"].filter(chosen))
    stamps, unresolved = _to_utc(stamps, declared.get("timezone", "UTC"), group)
    conventions, assumed = _conventions(declared, stamps, stamps.parsed & ~unresolved, group)
    opens = stamps.time - (conventions.bar_ns if conventions.label == "close" else 0)
    columns = [table.frame[c].filter(chosen).to_numpy() for c in COLUMNS]
    extra = {name: values.filter(chosen).to_numpy() for name, values in table.extra.items()}
    series = Series(opens, *columns, extra=extra)
    rows = Rows(np.flatnonzero(chosen) + 1, series, ~stamps.parsed, unresolved)
    checked, entries = check_all(rows, symbols, group, conventions, on_bad_rows)
    kept = sum(map(len, checked.values()))
    report = {
        "format": table.format,
        "dialect": table.dialect,
        "rows_read": len(table.frame),
        "rows_kept": kept,
        "rows_dropped": len(rows.number) - kept,
        "columns": table.names,
        "ignored_columns": table.ignored,
        "extra_columns": sorted(table.extra),
        "declared": declared,
        "assumed": assumed,
        "symbols": entries,
    }
    refuse(report, source)
    lost = [s for i, (s, v) in enumerate(checked.items()) if len(v) <= MOST_DROPPED * np.count_nonzero(group == i)]
    if lost:
        raise DataError(
            f"'{source}' would lose half of its rows or more of {', '.join(lost)}: look at the report; the rows may run"
            " newest first, one stamp may lie far ahead, or a declared convention may be wrong",
            {"report": report},
        )
    return Dataset(name, conventions, checked, report)


def _check_options(**options: str | None) -> None:
    allowed = {
        "label": ("open", "close"),
        "adjustment": ("none", "split", "total"),
        "on_bad_rows": ("refuse", "drop"),
    }
    for option, value in options.items():
        if value is not None and value not in allowed[option]:
            raise DataError(f"{option} '{value}' is not one of {', '.join(allowed[option])}")


def _read(path: Path, max_rows: int | None) -> _Table:
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
        with unpacked(path, head) as plain:
            if plain != path:
                with plain.open("rb") as file:
                    head = file.read(_HEAD_BYTES)
            return _read_plain(plain, path.name, head, max_rows)
    except OSError as error:
        raise DataError(f"'{path.name}' cannot be read: {error.strerror}") from error


def _read_plain(path: Path, source: str, head: bytes, max_rows: int | None) -> _Table:
    kind = "parquet" if head.startswith(b"PAR1") else "json" if head.lstrip()[:1] in (b"[", b"{") else "csv"
    try:
        lazy, names, dialect = _scan(kind, path, source, head)
        count = int(lazy.select(pl.len()).collect().item())
        if max_rows is not None and count > max_rows:
            raise DataError(f"'{source}' has {count} rows, more than the {max_rows} that are allowed")
        used = _used(source, names)
        frame = lazy.select(pl.nth(i).alias(f"column {i}") for i in range(len(names))).collect()
        frame = frame if kind == "parquet" else _without_blank_end(frame)
        extra, ignored = further_columns(frame, names, set(used.values()), (*_ROLES, *COLUMNS))
        frame = _typed(frame.select(pl.nth(i).alias(role) for role, i in used.items()))
    except (PolarsError, PanicException) as error:  # damaged Parquet pages make its decoder panic
        reason = str(error).split("\n")[0].replace(str(path), source)
        raise DataError(f"'{source}' cannot be read as {kind}: {reason}; {_ACCEPTED}") from error
    if not len(frame):
        raise DataError(f"'{source}' has no rows after its header")
    return _Table(kind, dialect, names, ignored, frame, extra)


def _scan(kind: str, path: Path, source: str, head: bytes) -> tuple[pl.LazyFrame, list[str], str]:
    """Rows not read yet, the names of the columns by position, and what dialect it is."""
    if kind == "parquet":
        lazy = pl.scan_parquet(path, glob=False)
        return lazy, lazy.collect_schema().names(), "parquet"
    if kind == "json":
        return read_json(path)
    return _scan_csv(path, source, head)


def _scan_csv(path: Path, source: str, head: bytes) -> tuple[pl.LazyFrame, list[str], str]:
    """Every column as text under its position, since headers may repeat or be blank."""
    found = layout(source, _header(source, head))
    lazy = pl.scan_csv(
        path,
        separator=found.delimiter,
        has_header=found.header,
        infer_schema=False,
        glob=False,
        with_column_names=lambda given: [f"column {i}" for i in range(len(given))],
    )
    names = found.names
    if found.header:
        _used(source, names, whole=False)  # before Polars, whose words about a file that is no table help nobody
    lazy, names = joined_clock(lazy, names)
    return lazy, names, found.dialect


def _header(source: str, head: bytes) -> str:
    found = next((what for magic, what in _MAGIC.items() if head.startswith(magic)), "")
    if not head.strip():
        found = "an empty file"
    elif not found and b"\0" in head:
        found = "binary data"
    if found:
        raise DataError(f"'{source}' is {found}; {_ACCEPTED}")
    try:
        # Incremental: the head may end inside a character.
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(head)
    except UnicodeDecodeError as error:
        raise DataError(f"'{source}' is text that is not UTF-8 (byte {error.start}); {_ACCEPTED}") from error
    return text.split("\n", 1)[0].rstrip("\r")


def _used(source: str, names: list[str], *, whole: bool = True) -> dict[str, int]:
    """Position of each role's column. Raises ``DataError`` for all that are missing or two of one role.

    A date beside a time is no second time until they are joined (``whole``); of several kinds of volume the first of
    our list is taken.
    """
    lower = [n.strip().lower().strip("<>") for n in names]
    used: dict[str, int] = {}
    for role, aliases in _ROLES.items():
        at = [i for i, n in enumerate(lower) if n in aliases]
        if role == "volume" and len(at) > 1:
            best = min((lower[i] for i in at), key=aliases.index)
            at = [i for i in at if lower[i] == best]
        if role == "time" and not whole and sorted(lower[i] for i in at) == ["date", "time"]:
            at = at[:1]
        if len(at) > 1:
            raise DataError(f"'{source}' has several {role} columns: {', '.join(names[i] for i in at)}; keep one")
        if at:
            used[role] = at[0]
    missing = [
        role if len(aliases) == 1 else f"{role} (one of {', '.join(aliases)})"
        for role, aliases in _ROLES.items()
        if role not in used and role not in _OPTIONAL
    ]
    if missing:
        digits = any(re.fullmatch(r"[\d.:+ -]*\d", n) for n in lower)
        hint = "; does it lack the header row, which is required?" if digits else ""
        if {"bid", "ask"} <= set(lower):
            hint = "; bid and ask without open, high, low and close are ticks: make bars of them first"
        raise DataError(
            f"'{source}' lacks the columns {', '.join(missing)}. It has: {', '.join(names)}{hint}; {_ACCEPTED}",
            {"missing": [r for r in _ROLES if r not in used and r not in _OPTIONAL], "columns": names},
        )
    return used


def _without_blank_end(frame: pl.DataFrame) -> pl.DataFrame:
    """Empty lines at the end of a file are no rows; one in the middle is, with a time that cannot be read."""
    full = frame.select(pl.any_horizontal(pl.all().is_not_null())).to_series()
    last = full.arg_true().tail(1).to_list()
    return frame.head(last[0] + 1 if last else 0)


def _typed(frame: pl.DataFrame) -> pl.DataFrame:
    """Prices and volume as float64, NaN where they are not numbers; a missing volume column as zeros."""
    if "volume" not in frame.columns:
        frame = frame.with_columns(volume=pl.lit(0.0))
    numbers = [
        (pl.col(c).str.strip_chars() if frame.schema[c] == pl.String else pl.col(c))
        .cast(pl.Float64, strict=False)
        .fill_null(float("nan"))
        for c in COLUMNS
    ]
    return frame.with_columns(numbers).rechunk()


def _symbols(table: _Table, symbol: str | None) -> tuple[list[str], Ints, Bools]:
    """Sorted symbols, the index into them of each chosen row, and which rows of the file are chosen."""
    rows = len(table.frame)
    everything = np.ones(rows, dtype=np.bool_)
    if "symbol" not in table.frame.columns:
        if symbol is None:
            raise DataError("the file has no symbol column: name its rows with the option symbol", {"option": "symbol"})
        return _valid([symbol]), np.zeros(rows, dtype=np.int64), everything
    column = table.frame["symbol"].cast(pl.String).str.strip_chars().fill_null("")
    held = sorted(column.unique().to_list())
    if symbol is None:
        code = column.cast(pl.Enum(_valid(held))).to_physical().to_numpy().astype(np.int64)
        return held, code, everything
    if symbol not in held:
        raise DataError(f"the file has no symbol '{symbol}'. It holds: {', '.join(held)}", {"known": held})
    chosen = (column == symbol).to_numpy()
    return _valid([symbol]), np.zeros(int(chosen.sum()), dtype=np.int64), chosen


def _valid(symbols: list[str]) -> list[str]:
    bad = [s for s in symbols if not re.fullmatch(SYMBOL_PATTERN, s)]
    if bad:
        raise DataError(
            f"{bad[:5]} cannot be symbols: 1 to 64 letters, digits, spaces or ._:/=^&+-, beginning with a"
            " letter, digit or ^"
        )
    return symbols


def _to_utc(stamps: Stamps, zone: str, group: Ints) -> tuple[Stamps, Bools]:
    """Stamps with wall clocks resolved in the zone, and the rows where it cannot."""
    unresolved = np.zeros(len(group), dtype=np.bool_)
    at = np.flatnonzero(stamps.naive)
    if zone == "UTC" or not len(at):
        return stamps, unresolved
    time = stamps.time.copy()
    time[at], unresolved[at] = localise(time[at], zone, group[at])
    return replace(stamps, time=time), unresolved


def _conventions(
    declared: Mapping[str, str], stamps: Stamps, valid: Bools, group: Ints
) -> tuple[Conventions, list[dict[str, str]]]:
    """What is declared, completed; and what was assumed for that, with the reason."""
    assumed: list[dict[str, str]] = []

    def settle(option: str, value: str, reason: str) -> str:
        if option not in declared:
            assumed.append({"field": option, "value": value, "reason": reason})
        return declared.get(option, value)

    time = stamps.time[valid]
    timeframe = declared.get("timeframe") or _spacing(time, group[valid])
    settle("timeframe", timeframe, "the most common spacing of the rows")
    bar = timeframe_ns(timeframe)
    label = settle("label", "open", "not declared; most sources stamp the open of a bar")
    zone = declared.get("timezone", "UTC")
    if stamps.naive.any():
        settle("timezone", "UTC", "not declared, and stamps carry no offset")
    opens = time - (bar if label == "close" else 0)
    saturdays = float(np.mean(weekday(opens // NANOSECONDS_PER_DAY) == _SATURDAY)) if len(opens) else 0.0
    inferred = ALWAYS if saturdays >= _SATURDAY_SHARE else WEEKDAYS
    reason = f"{100 * saturdays:.2f}% of the bars open on a Saturday UTC, against a bound of 1%"
    calendar = check_calendar(settle("calendar", inferred, reason))
    adjustment = settle("adjustment", "none", "not declared")
    return Conventions(timeframe, calendar, label, zone, adjustment), assumed  # type: ignore[arg-type]


def _spacing(time: Times, group: Ints) -> str:
    """Name of the most common step forward within a symbol; the shorter of two as common."""
    order = np.argsort(group, kind="stable")
    step = np.diff(time[order])[np.diff(group[order]) == 0]
    sizes, counts = np.unique(step[step > 0], return_counts=True)
    if not len(sizes):
        raise DataError("no symbol has two rows to tell the spacing from: declare the option timeframe")
    common = int(sizes[np.argmax(counts)])
    if common % NANOSECONDS_PER_SECOND:
        raise DataError(f"the most common spacing, {common} ns, is no timeframe: declare the option timeframe")
    return timeframe_name(common)

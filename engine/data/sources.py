"""Files of market data in, checked series and a report out.

Nothing is guessed silently: what the caller did not declare is assumed by a stated rule and listed in the
report under ``assumed``, or asked for where a wrong guess would give wrong prices.
"""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from engine.data.bars import (
    COLUMNS,
    SYMBOL_PATTERN,
    Conventions,
    Dataset,
    Series,
    timeframe_name,
    timeframe_ns,
)
from engine.data.checks import Rows, check_all, refuse
from engine.data.clocks import Stamps, check_zone, localise, read_stamps
from engine.data.files import Table, read_table
from engine.data.options import LoadOptions, parse_options
from engine.data.policy import parse_policy
from engine.data.sessions import ALWAYS, WEEKDAYS, check_calendar, weekday
from engine.errors import DataError
from engine.types import NANOSECONDS_PER_DAY, NANOSECONDS_PER_SECOND, Bools, Ints, Times

MOST_DROPPED = 0.5
"""A file that would lose this share of a symbol's rows is not what it was said to be."""
_BACKWARDS = 0.99
_SATURDAY = 5
_SATURDAY_SHARE = 0.01


def load(path: Path | str, *, name: str | None = None, max_rows: int | None = None, **options: Any) -> Dataset:
    """The dataset a Parquet, Arrow, JSON or CSV file holds, sorted by symbol and time.

    ``options`` are the fields of ``LoadOptions``: ``symbol`` names the rows of a file without a symbol column and
    selects from one with it; ``timeframe``, ``label``, ``timezone``, ``calendar`` and ``adjustment`` declare
    conventions; ``day_first``, ``date``, ``decimal``, ``side`` and ``scale`` say how to read what could be read in
    more than one way; ``on_bad_rows`` says what to do about findings. What is left out is assumed: ``timeframe`` the
    most common spacing, ``calendar`` 24x7 if one bar in a hundred opens on a Saturday (UTC) and 24x5 otherwise,
    ``label`` open, ``timezone`` UTC, ``adjustment`` none. Raises ``DataError`` where the file or a row cannot be
    taken, with the report in its details once rows have been read.
    """
    said = _checked(parse_options(options))
    table = read_table(Path(path), said, max_rows)
    return _assemble(table, Path(path).name, name or dataset_name(Path(path).stem), said)


def dataset_name(text: str) -> str:
    """A name a configuration can use for a dataset, made of any text: ``GBPUSD H1`` gives ``gbpusd-h1``."""
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("._-")[:64] or "data"


def _checked(said: LoadOptions) -> LoadOptions:
    """The options with a known zone and the shortest name of the timeframe."""
    if said.timezone is not None:
        check_zone(said.timezone)
    if said.timeframe is not None:
        return said.model_copy(update={"timeframe": timeframe_name(timeframe_ns(said.timeframe))})
    return said


def _assemble(table: Table, source: str, name: str, said: LoadOptions) -> Dataset:
    """The checked dataset of a table. Raises ``DataError`` with the report where rows refuse it."""
    symbols, group, chosen = _symbols(table, said.symbol)
    stamps = read_stamps(table.frame["time"].filter(chosen), day_first=said.day_first)
    number = np.flatnonzero(chosen)
    backwards = _newest_first(stamps.time[stamps.parsed], group[stamps.parsed])
    if backwards:
        stamps, group, number = _reversed(stamps), group[::-1], number[::-1]
    stamps, unresolved = _to_utc(stamps, said.timezone or "UTC", group)
    conventions, assumed = _conventions(said, stamps, stamps.parsed & ~unresolved, group)
    opens = stamps.time - (conventions.bar_ns if conventions.label == "close" else 0)
    columns = [table.frame[c].to_numpy()[number] for c in COLUMNS]
    extra = {name: values.to_numpy()[number] for name, values in table.extra.items()}
    rows = Rows(number + 1, Series(opens, *columns, extra=extra), ~stamps.parsed, unresolved)
    checked, entries = check_all(rows, symbols, group, conventions, parse_policy(said.on_bad_rows))
    kept = sum(map(len, checked.values()))
    order = [{"field": "order", "value": "newest first", "reason": "times run backwards"}] if backwards else []
    report = {
        "format": table.format,
        "dialect": table.dialect,
        "rows_read": len(table.frame),
        "rows_kept": kept,
        "rows_dropped": len(rows.number) - kept,
        "columns": table.names,
        "ignored_columns": table.ignored,
        "extra_columns": sorted(table.extra),
        "declared": said.declared(),
        "on_bad_rows": said.on_bad_rows,
        "assumed": [*table.assumed, *order, *assumed],
        "symbols": entries,
    }
    refuse(report, source)
    lost = [s for i, (s, v) in enumerate(checked.items()) if len(v) <= MOST_DROPPED * np.count_nonzero(group == i)]
    if lost:
        raise DataError(
            f"'{source}' would lose half of its rows or more of {', '.join(lost)}: look at the report; one stamp may"
            " lie far ahead, or a declared convention may be wrong",
            {"report": report},
        )
    return Dataset(name, conventions, checked, report)


def _newest_first(time: Times, group: Ints) -> bool:
    """Whether times run backwards within symbols, as exchanges and brokers often export them."""
    order = np.argsort(group, kind="stable")
    step = np.diff(time[order])[np.diff(group[order]) == 0]
    moved = np.count_nonzero(step)
    return bool(moved and np.count_nonzero(step < 0) >= _BACKWARDS * moved)


def _reversed(stamps: Stamps) -> Stamps:
    return replace(
        stamps, time=stamps.time[::-1].copy(), parsed=stamps.parsed[::-1].copy(), naive=stamps.naive[::-1].copy()
    )


def _symbols(table: Table, symbol: str | None) -> tuple[list[str], Ints, Bools]:
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
    said: LoadOptions, stamps: Stamps, valid: Bools, group: Ints
) -> tuple[Conventions, list[dict[str, str]]]:
    """What is declared, completed; and what was assumed for that, with the reason."""
    assumed: list[dict[str, str]] = []

    def settle(option: str, value: str, reason: str) -> Any:
        given = getattr(said, option)
        if given is None:
            assumed.append({"field": option, "value": value, "reason": reason})
        return value if given is None else given

    time = stamps.time[valid]
    spacing = said.timeframe or _spacing(time, group[valid])
    timeframe = settle("timeframe", spacing, "the most common spacing of the rows")
    label = settle("label", "open", "not declared; most sources stamp the open of a bar")
    if stamps.naive.any():
        settle("timezone", "UTC", "not declared, and stamps carry no offset")
    if stamps.day_first is not None:
        value = "true" if stamps.day_first else "false"
        settle("day_first", value, "a number above 12 stands there in some row")
    opens = time - (timeframe_ns(timeframe) if label == "close" else 0)
    saturdays = float(np.mean(weekday(opens // NANOSECONDS_PER_DAY) == _SATURDAY)) if len(opens) else 0.0
    inferred = ALWAYS if saturdays >= _SATURDAY_SHARE else WEEKDAYS
    reason = f"{100 * saturdays:.2f}% of the bars open on a Saturday UTC, against a bound of 1%"
    calendar = check_calendar(settle("calendar", inferred, reason))
    adjustment = settle("adjustment", "none", "not declared")
    return Conventions(timeframe, calendar, label, said.timezone or "UTC", adjustment), assumed


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

"""More rows or symbols for a dataset that is there already."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from engine.data.bars import COLUMNS, Conventions, Dataset, Series
from engine.data.checks import describe_overlap, span, stamp
from engine.errors import DataError
from engine.types import Floats

_FIELDS = ("timeframe", "label", "timezone", "calendar", "adjustment")


def merged(held: Dataset, more: Dataset) -> Dataset:
    """A dataset with the rows of both. Rows that both have must be equal.

    Raises ``DataError`` where conventions differ, where the two give different prices for one bar, and where bars
    of one would overlap bars of the other. Only new rows are added: ``report["rows_added"]`` says how many.
    """
    _same_conventions(held.conventions, more.conventions)
    series = dict(held.series)
    for symbol, rows in more.series.items():
        series[symbol] = _joined(symbol, series[symbol], rows, held.conventions) if symbol in series else rows
    series = {symbol: series[symbol] for symbol in sorted(series)}
    before, after = (sum(map(len, rows.values())) for rows in (held.series, series))
    report = dict(more.report) | {
        "added_to": held.digest(),
        "rows_added": after - before,
        "symbols": _entries(held.report["symbols"], more.report["symbols"], series, held.conventions),
    }
    return Dataset(held.name, held.conventions, series, report)


def _same_conventions(held: Conventions, more: Conventions) -> None:
    for field in _FIELDS:
        old, new = getattr(held, field), getattr(more, field)
        if old != new:
            raise DataError(f"the dataset's {field} is {old}, and the file's is {new}: PUT it as another dataset")


def _joined(symbol: str, held: Series, more: Series, conventions: Conventions) -> Series:
    both, at_held, at_more = np.intersect1d(held.time, more.time, assume_unique=True, return_indices=True)
    names = sorted({*held.extra, *more.extra})
    differs = np.zeros(len(both), dtype=np.bool_)
    for column in (*COLUMNS, *names):
        old, new = _values(held, column)[at_held], _values(more, column)[at_more]
        differs |= ~((old == new) | (np.isnan(old) & np.isnan(new)))
    if differs.any():
        raise DataError(
            f"{symbol}: {int(differs.sum())} bars of the file are in the dataset with other values, the first at"
            f" {stamp(int(both[differs][0]))}: PUT the whole history to replace it"
        )
    time = np.concatenate((held.time, np.delete(more.time, at_more)))
    order = np.argsort(time, kind="stable")
    columns = {
        name: np.concatenate((_values(held, name), np.delete(_values(more, name), at_more)))[order]
        for name in (*COLUMNS, *names)
    }
    overlap = describe_overlap(time[order], conventions.bar_ns)
    if overlap is not None:
        raise DataError(f"{symbol}: {overlap}")
    return Series(time[order], *(columns[c] for c in COLUMNS), extra={name: columns[name] for name in names})


def _values(series: Series, column: str) -> Floats:
    """A column, NaN where the series has none of that name."""
    own: dict[str, Floats] = {c: getattr(series, c) for c in COLUMNS}
    return {**own, **series.extra}.get(column, np.full(len(series), np.nan))


def _entries(
    held: Mapping[str, Any], more: Mapping[str, Any], series: Mapping[str, Series], conventions: Conventions
) -> dict[str, Any]:
    """The report of each symbol: its span as it is now, and what each import found in its own rows."""
    entries: dict[str, Any] = {}
    for symbol, rows in series.items():
        found = [part[symbol] for part in (held, more) if symbol in part]
        entries[symbol] = found[-1] | span(rows, conventions) | {"findings": found[-1]["findings"]}
        if len(found) == 2:
            entries[symbol]["earlier_findings"] = found[0].get("earlier_findings", []) + found[0]["findings"]
    return entries

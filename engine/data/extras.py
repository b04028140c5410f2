"""Further columns of a file: scores, weights, average prices, whatever numbers stand beside a bar."""

import re
from collections.abc import Collection

import polars as pl


def further_columns(
    frame: pl.DataFrame, names: list[str], used: set[int], reserved: Collection[str]
) -> tuple[dict[str, pl.Series], list[str]]:
    """Columns of numbers beyond those ``used``, by a clean name; and the names of the others.

    Missing and infinite values are NaN. A name that is ``reserved``, or that two columns share, names nothing.
    """
    clean = [re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:64] for name in names]
    extra: dict[str, pl.Series] = {}
    ignored = []
    for i, (name, own) in enumerate(zip(names, clean, strict=True)):
        if i in used:
            continue
        column = frame.to_series(i)
        taken = not own or clean.count(own) > 1 or own in reserved
        numbers = _numbers(column) if column.dtype == pl.String or column.dtype.is_numeric() else None
        if taken or numbers is None:
            ignored.append(name)
        else:
            extra[own] = numbers
    return extra, ignored


def _numbers(column: pl.Series) -> pl.Series | None:
    """The column as float64 if all it holds are numbers, at least one; missing and infinite ones are NaN."""
    text = column.str.strip_chars() if column.dtype == pl.String else column
    numbers = text.cast(pl.Float64, strict=False)
    if numbers.null_count() != column.null_count() or numbers.null_count() == len(column):
        return None
    return pl.select(pl.when(numbers.is_finite()).then(numbers).otherwise(float("nan"))).to_series().rechunk()

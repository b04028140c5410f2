"""What kind of file this is, told by its first line: delimiter, header or none, which column is what."""

import csv
import gzip
import json
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

import polars as pl

from engine.errors import DataError

PRICES = ("open", "high", "low", "close")
LARGEST_UNPACKED = 8 * 2**30
"""Bytes a compressed file may grow to: more is a mistake or a trap."""

_BLOCK = 1 << 20
_NUMBER = re.compile(r"[+-]?(\d+[.,]?\d*|\.\d+)([eE][+-]?\d+)?")
_TIME = re.compile(
    r"(\d{4}[-./]?\d\d[-./]?\d\d|\d\d?[-./]\d\d?[-./]\d{4})([T ]\d\d:?\d\d(:?\d\d)?(\.\d+)?)?"
    r"(Z|[+-]\d\d:?\d\d)?|\d\d:\d\d(:\d\d)?"
)
_CLOCK = re.compile(r"\d\d:\d\d(:\d\d)?(\.\d+)?")
_EPOCH = re.compile(r"\d{9,19}")
_SINCE_MIDNIGHT = re.compile(r"\d{1,8}")
_DAY = re.compile(r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])")
_BINANCE = (
    "open_time", *PRICES, "volume", "close_time", "quote_volume", "trades", "taker_volume", "taker_quote", "ignore",
)  # fmt: skip
_LEAN = "LEAN, milliseconds since midnight"
_LEAN_DAY = re.compile(r"(?:19|20)\d{6}(?=_)")
_LEAN_QUOTES = (
    "time", *(f"bid_{p}" for p in PRICES), "bid_size", *(f"ask_{p}" for p in PRICES), "ask_size",
)  # fmt: skip


@dataclass(frozen=True)
class Layout:
    """How to read a text file. ``names`` of all its columns; those of a file without a header are ours."""

    dialect: str
    delimiter: str
    header: bool
    names: list[str]


@dataclass(frozen=True)
class Found:
    """A table not read yet: ``names`` stand for the columns of ``frame`` by position.

    ``assumed`` are the decisions nobody declared: ``field, value, reason``.
    """

    frame: pl.LazyFrame
    names: list[str]
    dialect: str
    assumed: list[dict[str, str]] = field(default_factory=list)


def layout(source: str, line: str) -> Layout:
    """The layout a first line shows. Raises ``DataError`` where a header is missing and the columns cannot be told."""
    delimiter = max("\t;,", key=line.count)  # of equal counts the comma is the decimal sign
    try:
        fields = [n.strip() for n in next(csv.reader([line], delimiter=delimiter), [])]
    except csv.Error as error:
        raise DataError(f"'{source}' has a first line that is no CSV ({error})") from error
    if not fields or not all(_NUMBER.fullmatch(f) or _TIME.fullmatch(f) for f in fields):
        return Layout("csv", delimiter, header=True, names=fields)
    dialect, names = _headless(source, fields)
    return Layout(dialect, delimiter, header=False, names=names)


def _headless(source: str, fields: list[str]) -> tuple[str, list[str]]:
    count, clock = len(fields), len(fields) > 1 and _CLOCK.fullmatch(fields[1])
    if clock and count in (6, 7):
        return "MetaTrader, no header", ["date", "time", *PRICES, "volume"][:count]
    if count == len(_BINANCE) and _EPOCH.fullmatch(fields[0]) and _EPOCH.fullmatch(fields[6]):
        return "Binance klines", list(_BINANCE)
    if _SINCE_MIDNIGHT.fullmatch(fields[0]) and not _DAY.fullmatch(fields[0]):
        if count in (5, 6):
            return _LEAN, ["time", *PRICES, "volume"][:count]
        if count == len(_LEAN_QUOTES):
            return _LEAN, list(_LEAN_QUOTES)
        raise DataError(
            f"'{source}' has times such as {fields[0]}, milliseconds since midnight, and {count} columns: ticks, not"
            " bars; make bars of them first"
        )
    if count == 7 and _EPOCH.fullmatch(fields[0]):
        return "Kraken OHLCVT", ["time", *PRICES, "volume", "trades"]
    if count in (5, 6):
        return "time, open, high, low, close, volume without a header", ["time", *PRICES, "volume"][:count]
    raise DataError(
        f"'{source}' has no header row, and its {count} columns cannot be told apart: add a header that names time,"
        " open, high, low, close and volume"
    )


def joined_clock(found: Found) -> Found:
    """A date column and a time column as one."""
    lower = [n.lower().strip("<>") for n in found.names]
    if lower.count("date") != 1 or lower.count("time") != 1:
        return found
    at, clock = lower.index("date"), lower.index("time")
    columns = found.frame.collect_schema().names()
    both = pl.concat_str([pl.col(columns[at]), pl.col(columns[clock])], separator=" ").alias(columns[at])
    kept = [i for i in range(len(lower)) if i != clock]
    names = ["timestamp" if i == at else found.names[i] for i in kept]
    return replace(found, frame=found.frame.with_columns(both).select(columns[i] for i in kept), names=names)


def since_midnight(found: Found, source: str, member: str, day: str | None) -> Found:
    """Times counted from a midnight, as wall-clock times of their day.

    The day is the one declared, else the one the file's name, or that of the member of its archive, begins with.
    Raises ``DataError`` where there is none, and where a day is declared for times that have theirs.
    """
    if found.dialect != _LEAN:
        if day is not None:
            raise DataError(f"date {day} has no effect: the times of '{source}' have their own", {"option": "date"})
        return found
    named = _LEAN_DAY.match(member)
    if day is None and named is None:
        raise DataError(
            f"'{source}' has times in milliseconds since midnight: declare their day with the option date",
            {"option": "date"},
        )
    assumed = found.assumed
    if day is None and named is not None:
        day = f"{named[0][:4]}-{named[0][4:6]}-{named[0][6:]}"
        assumed = [*assumed, {"field": "date", "value": day, "reason": f"the file's name, {member}, begins with it"}]
    first = found.frame.collect_schema().names()[0]
    midnight = pl.lit(day).str.to_datetime("%Y-%m-%d", time_unit="ns", strict=False)
    time = midnight + pl.duration(milliseconds=pl.col(first).cast(pl.Int64, strict=False))
    return replace(found, frame=found.frame.with_columns(time.alias(first)), assumed=assumed)


def read_json(path: Path, source: str) -> Found:
    """Rows of a JSON array: lists as freqtrade and the exchanges write them, or objects. Raises ``DataError``."""
    try:
        rows: Any = json.loads(path.read_bytes())
    except ValueError as error:
        raise DataError(f"'{source}' is no JSON: {error}") from error
    if not isinstance(rows, list) or not rows:
        raise DataError(f"'{source}' is JSON but no array of rows")
    if all(isinstance(row, dict) for row in rows):
        frame = pl.DataFrame(rows, infer_schema_length=None, strict=False)
        return Found(frame.lazy(), frame.columns, "JSON objects")
    if not all(isinstance(row, list) and len(row) == len(rows[0]) for row in rows):
        raise DataError(f"'{source}' is JSON whose rows are not of one length")
    if len(rows[0]) not in (5, 6):
        raise DataError(
            f"'{source}' is JSON with {len(rows[0])} values a row; [time, open, high, low, close, volume] are taken"
        )
    names = ["time", *PRICES, "volume"][: len(rows[0])]
    frame = pl.DataFrame(rows, schema=names, orient="row", infer_schema_length=None)
    return Found(frame.lazy(), names, "JSON arrays")


@contextmanager
def unpacked(path: Path, head: bytes) -> Iterator[tuple[Path, str]]:
    """The file itself, or what a gzip file or a zip archive of one file holds, in a temporary place; and its name."""
    if not head.startswith((b"\x1f\x8b", b"PK\x03\x04")):
        yield path, path.name
        return
    with TemporaryDirectory() as folder:
        target = Path(folder) / "data"
        try:
            member = _unpack(path, target)
        except (OSError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(f"'{path.name}' cannot be unpacked: {error}") from error
        yield target, member


def _unpack(path: Path, target: Path) -> str:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            members = [m for m in archive.infolist() if not m.is_dir()]
            if len(members) != 1:
                held = ", ".join(m.filename for m in members[:5])
                raise DataError(f"'{path.name}' holds {len(members)} files ({held}); one is taken at a time")
            with archive.open(members[0]) as source:
                _copy(path.name, source, target)
        return members[0].filename.rsplit("/", 1)[-1]
    with gzip.open(path) as source:
        _copy(path.name, source, target)
    return path.name


def _copy(name: str, source: Any, target: Path) -> None:
    written = 0
    out: BinaryIO
    with target.open("wb") as out:
        while block := source.read(_BLOCK):
            written += len(block)
            if written > LARGEST_UNPACKED:
                raise DataError(f"'{name}' unpacks to more than {LARGEST_UNPACKED} bytes")
            out.write(block)

"""Files as tables: whatever the format, the columns that matter by role, as text or numbers, nothing judged yet.

Formats are told by content, never by the file's name.
"""

import codecs
import re
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from polars.exceptions import PanicException, PolarsError

from engine.data.bars import COLUMNS
from engine.data.dialects import Found, joined_clock, layout, read_json, since_midnight, unpacked
from engine.data.extras import further_columns
from engine.data.options import LoadOptions
from engine.data.quotes import is_quoted, one_side
from engine.errors import DataError

_ROLES = {
    "time": (
        "timestamp", "time", "date", "datetime", "open_time", "open time", "gmt time", "local time", "unix", "ts",
    ),
    **{price: (price,) for price in COLUMNS[:4]},
    "volume": ("volume", "tick_volume", "tickvol", "vol"),
    "symbol": ("symbol", "ticker"),
}  # fmt: skip
_OPTIONAL = ("volume", "symbol")
_ACCEPTED = (
    "accepted are Parquet, Arrow, JSON rows, and CSV in UTF-8 with , ; or tab between fields, plain, gzipped or zipped"
)
_HEAD_BYTES = 1 << 16
_ARROW_FILE, _ARROW_STREAM = b"ARROW1", b"\xff\xff\xff\xff"
_UTF_16 = b"\xff\xfe"


@dataclass(frozen=True)
class Table:
    """A file's used columns, named by role, and the names of all its columns.

    ``assumed`` lists what was decided on the way, as the report does.
    """

    format: str
    dialect: str
    names: list[str]
    ignored: list[str]
    frame: pl.DataFrame
    extra: dict[str, pl.Series]
    assumed: list[dict[str, str]]


def read_table(path: Path, options: LoadOptions, max_rows: int | None) -> Table:
    """The table a file holds. Raises ``DataError`` where it is none, or where an option is needed to read it."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
        with unpacked(path, head) as (plain, member):
            if plain != path:
                with plain.open("rb") as file:
                    head = file.read(_HEAD_BYTES)
            return _read(plain, path.name, member, head, options, max_rows)
    except OSError as error:
        raise DataError(f"'{path.name}' cannot be read: {error.strerror}") from error


def _kind(head: bytes) -> str:
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith((_ARROW_FILE, _ARROW_STREAM)):
        return "arrow"
    return "json" if head.lstrip()[:1] in (b"[", b"{") else "csv"


def _read(path: Path, source: str, member: str, head: bytes, options: LoadOptions, max_rows: int | None) -> Table:
    kind = _kind(head)
    try:
        found = _scan(kind, path, source, head)
        count = int(found.frame.select(pl.len()).collect().item())
        if max_rows is not None and count > max_rows:
            raise DataError(f"'{source}' has {count} rows, more than the {max_rows} that are allowed")
        found = since_midnight(found, source, member, options.date)
        found = _one_side(found, source, options.side)
        names = found.names
        used = _used(source, names)
        frame = found.frame.select(pl.nth(i).alias(f"column {i}") for i in range(len(names))).collect()
        frame = _without_blank_end(frame) if kind == "csv" else frame
        frame = _with_points(frame, [used[c] for c in COLUMNS if c in used], source, options.decimal)
        extra, ignored = further_columns(frame, names, set(used.values()), (*_ROLES, *COLUMNS))
        frame = _typed(frame.select(pl.nth(i).alias(role) for role, i in used.items()))
    except (PolarsError, PanicException) as error:  # damaged Parquet pages make its decoder panic
        reason = str(error).split("\n")[0].replace(str(path), source)
        raise DataError(f"'{source}' cannot be read as {kind}: {reason}; {_ACCEPTED}") from error
    if not len(frame):
        raise DataError(f"'{source}' has no rows after its header")
    frame = _scaled(frame, source, found.dialect, options.scale)
    return Table(kind, found.dialect, names, ignored, frame, extra, found.assumed)


def _scan(kind: str, path: Path, source: str, head: bytes) -> Found:
    """Rows not read yet, the names of the columns by position, and what dialect it is."""
    if kind == "parquet":
        lazy = pl.scan_parquet(path, glob=False)
        return Found(lazy, lazy.collect_schema().names(), "parquet")
    if kind == "arrow":
        read = pl.read_ipc if head.startswith(_ARROW_FILE) else pl.read_ipc_stream
        frame = read(path)
        return Found(frame.lazy(), frame.columns, "arrow")
    if kind == "json":
        return read_json(path, source)
    return _scan_csv(path, source, head)


def _scan_csv(path: Path, source: str, head: bytes) -> Found:
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
    if found.header and not is_quoted(found.names):
        _used(source, found.names, whole=False)  # before Polars, whose words about what is no table help nobody
    return joined_clock(Found(lazy, found.names, found.dialect))


def _header(source: str, head: bytes) -> str:
    found = "UTF-16" if head.startswith(_UTF_16) else ""
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


def _one_side(found: Found, source: str, side: str | None) -> Found:
    """The prices of one side where bars have a bid and an ask. Raises ``DataError`` if it is not said which."""
    if is_quoted(found.names):
        if side is None:
            raise DataError(
                f"'{source}' has bid and ask prices: say with the option side whether bid, ask or mid is meant",
                {"option": "side"},
            )
        return one_side(found, side)
    if side is not None:
        raise DataError(f"side '{side}' has no effect: '{source}' has no bid and ask prices", {"option": "side"})
    return found


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


def _with_points(frame: pl.DataFrame, numbers: list[int], source: str, decimal: str | None) -> pl.DataFrame:
    """Text numbers with a decimal point. A comma is one only where it was declared: it may part thousands as well."""
    text = [frame.columns[i] for i in numbers if frame.dtypes[i] == pl.String]
    if decimal == ",":
        columns = [c for c, kind in frame.schema.items() if kind == pl.String]
        number = pl.col(columns).str.contains(r"^\s*[+-]?\d*,?\d+(?:[eE][+-]?\d+)?\s*$")
        return frame.with_columns(
            pl.when(number).then(pl.col(columns).str.replace(",", ".", literal=True)).otherwise(pl.col(columns))
        )
    commas = [c for c in text if frame[c].str.contains(",", literal=True).any()]
    if commas:
        shown = frame[commas[0]].filter(frame[commas[0]].str.contains(",", literal=True)).head(1).item()
        raise DataError(
            f"'{source}' has numbers such as '{shown}': declare decimal=, if the comma is the decimal sign, or take"
            " out the commas between thousands",
            {"option": "decimal"},
        )
    return frame


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


def _scaled(frame: pl.DataFrame, source: str, dialect: str, scale: float | None) -> pl.DataFrame:
    prices = pl.col(COLUMNS[:4])
    if scale is not None:
        parts = round(1.0 / scale)
        # 139400 / 10000 is 13.94, and 139400 * 0.0001 is not; Polars would multiply by the inverse.
        whole = parts >= 1 and abs(1.0 / scale - parts) <= 1e-9 * parts
        values = {c: frame[c].to_numpy() for c in COLUMNS[:4]}
        return frame.with_columns(**{c: pl.Series(v / parts if whole else v * scale) for c, v in values.items()})
    if dialect.startswith("LEAN") and frame.select((prices == prices.round()).all()).row(0) == (True,) * 4:
        raise DataError(
            f"'{source}' has whole prices only, as LEAN writes equities, times 10000: declare scale=0.0001, or scale=1"
            " if they are as traded",
            {"option": "scale"},
        )
    return frame

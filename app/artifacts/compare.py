"""Whether two runs of one configuration left the same, and if not, the first place where they part."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import polars as pl

from app.artifacts.manifest import BENCHMARK, MANIFEST, manifest_hash
from app.executors.base import Emit
from engine.canonical import file_digest

TOLERANCE = 1e-9

Verdict = Literal["identical", "equivalent", "different"]


@dataclass(frozen=True)
class Difference:
    """The first place where two runs differ. ``row`` counts from 0; ``column`` is a JSON pointer in a JSON file."""

    file: str
    row: int | None
    column: str | None
    expected: Any
    actual: Any


@dataclass(frozen=True)
class Pair:
    """The artifacts that are kept, and those of the same run computed again."""

    kept: Path
    again: Path


def compare_runs(pair: Pair, _emit: Emit) -> tuple[Verdict, Difference | None]:
    """``compare`` as a job."""
    return compare(pair.kept, pair.again)


def compare(kept: Path, again: Path) -> tuple[Verdict, Difference | None]:
    """``identical`` bytes; on another runtime ``equivalent`` values; otherwise the first difference."""
    new = _load(again / MANIFEST)
    try:
        old = _load(kept / MANIFEST)
        kept_hash, listed = manifest_hash(old), {file["name"] for file in old["files"]}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return "different", Difference(MANIFEST, None, None, "unreadable", new["manifest_hash"])
    digests = {file["name"]: file["sha256"] for file in new["files"]}
    whole = all((kept / name).is_file() and file_digest(kept / name) == digests[name] for name in digests)
    if whole and kept_hash == new["manifest_hash"]:
        return "identical", None
    same_runtime = _runtime(kept) == _runtime(again)
    tolerance = 0.0 if same_runtime else TOLERANCE
    for name in sorted(listed | digests.keys()):
        for difference in _differences(name, kept / name, again / name, tolerance):
            return "different", difference
        if same_runtime and file_digest(kept / name) != digests[name]:
            return "different", Difference(name, None, None, file_digest(kept / name), digests[name])
    if same_runtime:
        return "different", Difference(MANIFEST, None, None, kept_hash, new["manifest_hash"])
    return "equivalent", None


def _runtime(directory: Path) -> Any:
    """What a run was made on; None where that is not known any more."""
    try:
        return _load(directory / BENCHMARK)["runtime"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _load(path: Path) -> Any:
    return json.loads(path.read_bytes())


def _differences(name: str, old: Path, new: Path, tolerance: float) -> Iterator[Difference]:
    if not old.is_file() or not new.is_file():
        yield Difference(name, None, None, _present(old), _present(new))
        return
    try:
        if old.suffix == ".parquet":
            yield from _table(name, old, new, tolerance)
        elif old.suffix == ".jsonl":
            yield from _values(name, "", _lines(old), _lines(new), tolerance)
        else:
            yield from _values(name, "", _load(old), _load(new), tolerance)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, ValueError):  # damaged: name both digests
        yield Difference(name, None, None, file_digest(old), file_digest(new))


def _lines(path: Path) -> Any:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def _present(path: Path) -> str:
    return "present" if path.is_file() else "missing"


def _table(name: str, old: Path, new: Path, tolerance: float) -> Iterator[Difference]:
    left, right = pl.read_parquet(old), pl.read_parquet(new)
    if left.schema != right.schema:
        yield Difference(name, None, None, str(left.schema), str(right.schema))
        return
    if left.height != right.height:
        yield Difference(name, min(left.height, right.height), None, left.height, right.height)
        return
    found = []
    for column in left.columns:
        a, b = left[column], right[column]
        same = a.eq_missing(b)
        if a.dtype.is_float() and tolerance > 0.0:
            same = same | _close(a, b, tolerance)
        rows = (~same).arg_true()
        if len(rows):
            found.append((int(rows[0]), column))
    if found:
        row, column = min(found, key=lambda place: place[0])
        yield Difference(name, row, column, _text(left[column][row]), _text(right[column][row]))


def _close(a: pl.Series, b: pl.Series, tolerance: float) -> pl.Series:
    scale = pl.DataFrame({"a": a.abs(), "b": b.abs()}).max_horizontal().clip(lower_bound=1.0)
    return ((a - b).abs() <= tolerance * scale).fill_null(value=False)


def _text(value: Any) -> Any:
    return value if isinstance(value, (int, float, str, bool)) or value is None else str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _values(file: str, pointer: str, old: Any, new: Any, tolerance: float) -> Iterator[Difference]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            yield from _values(file, f"{pointer}/{key}", old.get(key), new.get(key), tolerance)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (a, b) in enumerate(zip(old, new, strict=True)):
            yield from _values(file, f"{pointer}/{index}", a, b, tolerance)
    elif tolerance > 0.0 and _is_number(old) and _is_number(new):
        if not math.isclose(old, new, rel_tol=tolerance, abs_tol=tolerance):
            yield Difference(file, None, pointer, old, new)
    elif old != new:
        yield Difference(file, None, pointer, _text(old), _text(new))

"""Datasets on disk as plain columns, opened without being read.

::

    directory/
      dataset.json              name, conventions, symbols, report: canonical bytes
      <quoted symbol>/time.npy  open.npy  high.npy  low.npy  close.npy  volume.npy  extra.<name>.npy
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import numpy.typing as npt

from engine.canonical import canonical_bytes, plain
from engine.data.bars import COLUMNS, Conventions, Dataset, Series
from engine.errors import DataError, nearest

MANIFEST = "dataset.json"
_FILES = ("time", *COLUMNS)
_EXTRA = "extra."
_CONVENTIONS = ("timeframe", "calendar", "label", "timezone", "adjustment")


def write(dataset: Dataset, directory: Path) -> None:
    """Store a dataset under a directory, which is made if need be. The manifest comes last.

    Prices keep every bit; floats in the report are rounded like in every artifact. Raises ``OSError``.
    """
    for symbol, series in dataset.series.items():
        folder = directory / quote(symbol, safe="")
        folder.mkdir(parents=True, exist_ok=True)
        for name in _FILES:
            np.save(folder / f"{name}.npy", getattr(series, name), allow_pickle=False)
        for name, values in series.extra.items():
            np.save(folder / f"{_EXTRA}{name}.npy", values, allow_pickle=False)
    manifest = {
        "name": dataset.name,
        "conventions": {name: getattr(dataset.conventions, name) for name in _CONVENTIONS},
        "symbols": list(dataset.series),
        "report": dataset.report,
    }
    (directory / MANIFEST).write_bytes(canonical_bytes(plain(manifest)))


def open_mapped(directory: Path, symbols: Sequence[str] | None = None) -> Dataset:
    """The stored dataset with read-only, memory-mapped columns; of ``symbols`` only, if given.

    The files of other symbols are not touched. Raises ``DataError`` for an unknown symbol or where the
    directory does not hold a whole dataset.
    """
    manifest = _manifest(directory)
    known: list[str] = manifest["symbols"]
    chosen = list(known if symbols is None else symbols)
    missing = [s for s in chosen if s not in known]
    if missing:
        raise DataError(
            f"dataset '{manifest['name']}' has no symbol {', '.join(missing)}.{nearest(missing[0], known)}"
            f" It holds: {', '.join(known)}",
            {"symbols": missing, "known": known},
        )
    series = {s: _series(directory / quote(s, safe="")) for s in chosen}
    return Dataset(manifest["name"], Conventions(**manifest["conventions"]), series, manifest["report"])


def _manifest(directory: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((directory / MANIFEST).read_bytes())
    except (OSError, ValueError) as error:
        raise DataError(f"'{directory.name}' is not a stored dataset: its {MANIFEST} cannot be read") from error
    return manifest


def _series(folder: Path) -> Series:
    columns = [_column(folder, name) for name in _FILES]
    names = sorted(path.stem for path in folder.glob(f"{_EXTRA}*.npy"))
    extra = {name.removeprefix(_EXTRA): _column(folder, name) for name in names}
    if len({len(column) for column in (*columns, *extra.values())}) != 1:
        raise DataError(f"the columns of '{folder.name}' differ in length")
    return Series(*columns, extra=extra)


def _column(folder: Path, name: str) -> npt.NDArray[Any]:
    try:
        column: npt.NDArray[Any] = np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(f"column {name} of '{folder.name}' cannot be read") from error
    if column.dtype != (np.int64 if name == "time" else np.float64) or column.ndim != 1:
        raise DataError(f"column {name} of '{folder.name}' is {column.dtype} of rank {column.ndim}")
    return column

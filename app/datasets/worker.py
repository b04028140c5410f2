"""The job of an import: read, check and normalise a file, aside. Knows the engine and files, nothing of SQL or HTTP."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import engine
from app.executors.base import Emit
from engine.data.columnar import write
from engine.errors import DataError


@dataclass(frozen=True)
class Import:
    """A file to check and normalise, with what was declared about it."""

    file: Path
    name: str
    options: Mapping[str, Any]
    most_symbols: int
    aside: Path


@dataclass(frozen=True)
class Imported:
    """A normalised dataset: its digest, what it declares, what it holds, and the report of the checks."""

    digest: str
    conventions: Mapping[str, str]
    symbols: Mapping[str, Any]
    rows: int
    report: Mapping[str, Any]


def import_file(job: Import, _emit: Emit) -> Imported:
    """Read, check and normalise a file, aside."""
    dataset = engine.load(job.file, name=job.name, **job.options)
    if len(dataset.series) > job.most_symbols:
        raise DataError(f"the file has {len(dataset.series)} symbols; at most {job.most_symbols} are taken")
    return store(dataset, job.aside)


def store(dataset: engine.Dataset, aside: Path) -> Imported:
    """Write a dataset aside as columns."""
    write(dataset, aside)
    conventions = dataset.conventions
    return Imported(
        digest=dataset.digest(),
        conventions=conventions.identity() | {"timezone": conventions.timezone},
        symbols={s: {"rows": len(v), "digest": v.digest(conventions)} for s, v in dataset.series.items()},
        rows=sum(len(v) for v in dataset.series.values()),
        report=dataset.report,
    )

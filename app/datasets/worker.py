"""The job of an import: read, check and normalise a file, aside. Knows the engine and files, nothing of SQL or HTTP."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.executors.base import Emit
from engine.data.bars import Dataset
from engine.data.columnar import open_mapped, write
from engine.data.merge import merged
from engine.data.options import LoadOptions
from engine.data.sources import load
from engine.errors import DataError


@dataclass(frozen=True)
class Import:
    """A file to check and normalise, with what was declared about it; ``base`` is a version its rows are added to."""

    file: Path
    name: str
    options: LoadOptions
    most_symbols: int
    most_rows: int
    aside: Path
    base: Path | None = None


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
    held = None if job.base is None else open_mapped(job.base)
    options = job.options if held is None else job.options.completed(conventions_of(held))
    dataset = load(job.file, name=job.name, max_rows=job.most_rows, **options.model_dump(exclude_none=True))
    if held is not None:
        dataset = merged(held, dataset)
        rows = sum(map(len, dataset.series.values()))
        if rows > job.most_rows:
            raise DataError(f"the dataset would have {rows} rows, more than the {job.most_rows} that are allowed")
    if len(dataset.series) > job.most_symbols:
        raise DataError(f"there are {len(dataset.series)} symbols; at most {job.most_symbols} are taken")
    return store(dataset, job.aside)


def conventions_of(dataset: Dataset) -> dict[str, str]:
    """What a dataset declares, by name."""
    return dataset.conventions.identity() | {"timezone": dataset.conventions.timezone}


def store(dataset: Dataset, aside: Path) -> Imported:
    """Write a dataset aside as columns."""
    write(dataset, aside)
    conventions = dataset.conventions
    return Imported(
        digest=dataset.digest(),
        conventions=conventions_of(dataset),
        symbols={s: {"rows": len(v), "digest": v.digest(conventions)} for s, v in dataset.series.items()},
        rows=sum(len(v) for v in dataset.series.values()),
        report=dataset.report,
    )

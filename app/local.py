"""The commands that need no server: the same data, engine and artifact code, called directly."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import engine
from app.artifacts import manifest
from app.artifacts.profile import profiled, write_profile
from app.datasets.listing import Listed
from app.datasets.repository import Version
from app.datasets.service import DatasetService
from app.datasets.store import DatasetStore
from app.datasets.worker import store
from app.db.migration import migrate
from app.db.session import Database
from app.reports import write_reports
from app.runs.worker import Watch, peak_bytes, reset_peak, threads
from app.settings import Settings
from engine.config import parse_config
from engine.data.columnar import open_mapped
from engine.data.options import LoadOptions
from engine.errors import DataError
from engine.hooks import Stage, within


@contextmanager
def _datasets(settings: Settings) -> Iterator[tuple[DatasetService, DatasetStore]]:
    database = Database(settings)
    migrate(database)
    directory = DatasetStore(settings.data_dir)
    try:
        yield DatasetService(settings, database, directory), directory
    finally:
        database.close()


def load_file(file: Path, name: str, options: LoadOptions, symbol: str | None = None) -> engine.Dataset:
    """Read a file; where it has no symbol column, the symbol is the option's, else ``symbol``, else the file's name."""
    said = options.model_dump(exclude_none=True)
    try:
        return engine.load(file, name=name, **said)
    except DataError as error:
        if "symbol" in said or error.details.get("option") != "symbol":
            raise
    return engine.load(file, name=name, **said, symbol=symbol or file.stem)


def import_file(settings: Settings, name: str, file: Path, options: LoadOptions) -> tuple[Version, bool]:
    """Import a file as the newest version of a dataset; False when its content is held already."""
    with _datasets(settings) as (datasets, directory):
        aside = directory.aside()
        try:
            imported = store(load_file(file, name, options), aside / "columns")
            added = datasets.add(name, imported, aside / "columns")
        finally:
            directory.discard(aside)
        return datasets.get(name), added


def list_migrated(settings: Settings) -> list[Listed]:
    """The newest version of every dataset, of any database, whose schema may be old or not there yet."""
    with _datasets(settings) as (datasets, _):
        return [
            Listed(version.dataset, version.number, version.conventions, tuple(sorted(version.symbols)), version.rows)
            for version in datasets.list()
        ]


@dataclass(frozen=True)
class Ran:
    """A run of the command line: its result, its artifacts, and the reports beside them."""

    result: engine.Result
    directory: Path
    reports: list[Path]


@dataclass(frozen=True)
class Wishes:
    """What the command line wants beyond the configuration."""

    out: Path | None = None
    workers: int = 1
    profile: bool = False
    benchmark_out: Path | None = None


def run_config(settings: Settings, values: Any, file: Path | None, options: LoadOptions, wishes: Wishes) -> Ran:
    """Run a configuration on a file, or on a dataset of the data directory."""
    config = parse_config(values)
    if wishes.out is not None and wishes.out.exists():
        raise DataError(f"{wishes.out} exists already: choose another --out")
    copy = wishes.benchmark_out
    if copy is not None and (copy.is_dir() or not copy.parent.is_dir()):
        raise DataError(f"{copy} is no file that can be written: choose another --benchmark-out")
    if file is not None:
        data = load_file(file, config.dataset, options, config.symbols[0])
    else:
        with _datasets(settings) as (datasets, directory):
            version = datasets.resolve(config).version
            data = open_mapped(directory.path(version.dataset, version.digest), config.window.needed)
    watch = Watch(lambda _message: None)
    reset_peak()
    with profiled(wishes.profile) as profile, threads(wishes.workers) as mapper:
        result = engine.run(config, data, watch, mapper=mapper)
    target = wishes.out or Path(result.run_id)
    if target.exists():
        raise DataError(f"{target} exists already: choose another --out")
    with within(watch, Stage.ARTIFACTS):
        manifest.write(result, target)
    manifest.write_benchmark(target, watch.seconds, result, peak_bytes())
    if copy is not None:
        shutil.copyfile(target / manifest.BENCHMARK, copy)
    if profile is not None:
        write_profile(target / manifest.PROFILE, profile, watch.seconds)
    return Ran(result, target, write_reports(result, target, datetime.now(UTC)))

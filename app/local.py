"""The commands that need no server: the same data, engine and artifact code, called directly."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import engine
from app.artifacts import manifest
from app.datasets.repository import Version
from app.datasets.service import DatasetService
from app.datasets.store import DatasetStore
from app.datasets.worker import store
from app.db.session import Database
from app.settings import Settings
from engine.config import parse_config
from engine.data.columnar import open_mapped
from engine.data.options import LoadOptions
from engine.errors import DataError


@contextmanager
def _datasets(settings: Settings) -> Iterator[tuple[DatasetService, DatasetStore]]:
    database = Database(settings)
    database.migrate()
    directory = DatasetStore(settings.data_dir)
    try:
        yield DatasetService(database, directory), directory
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


def list_datasets(settings: Settings) -> list[Version]:
    """The newest version of every dataset."""
    with _datasets(settings) as (datasets, _):
        return datasets.list()


def run_config(
    settings: Settings, values: Any, file: Path | None, out: Path | None, options: LoadOptions
) -> tuple[engine.Result, Path]:
    """Run a configuration on a file, or on a dataset of the data directory; returns where the artifacts are."""
    config = parse_config(values)
    if out is not None and out.exists():
        raise DataError(f"{out} exists already: choose another --out")
    if file is not None:
        data = load_file(file, config.dataset, options, config.symbols[0])
    else:
        with _datasets(settings) as (datasets, directory):
            version = datasets.resolve(config).version
            data = open_mapped(directory.path(version.dataset, version.digest), config.symbols)
    result = engine.run(config, data)
    target = out or Path(result.run_id)
    if target.exists():
        raise DataError(f"{target} exists already: choose another --out")
    manifest.write(result, target)
    return result, target

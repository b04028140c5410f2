"""Datasets: imported whole or not at all, kept in versions, opened without being read."""

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from app.datasets import repository
from app.datasets.repository import Version
from app.datasets.store import DatasetStore
from app.datasets.worker import Imported
from app.db.session import Database
from app.errors import ConflictError, InvalidRequestError, NotFoundError
from app.settings import Settings
from engine.canonical import canonical_bytes, sha256_hex
from engine.config import NAME_PATTERN, RunConfig, Window, unknown_symbol
from engine.data.align import panel_times
from engine.data.bars import Dataset
from engine.data.columnar import open_mapped
from engine.errors import ConfigError, FieldError, nearest

OPEN_DATASETS = 64
CACHED_DIGESTS = 4096


@dataclass(frozen=True)
class Period:
    """The rows a run touches: a digest by symbol, how many, on how many bars side by side, and from when to when."""

    digests: dict[str, str]
    rows: int
    bars: int
    start_ns: int
    end_ns: int


@dataclass(frozen=True)
class Resolved:
    """A configuration with everything its data decides, and the identity that follows."""

    config: RunConfig
    version: Version
    hash: str
    period: Period

    @property
    def config_digest(self) -> str:
        """SHA-256 of the configuration alone: what an idempotency key is tied to, whatever the data does."""
        return sha256_hex(canonical_bytes(self.config.plain()))


class DatasetService:
    """What the rest of the service knows of datasets. Every method blocks; call it through the database's threads."""

    def __init__(self, settings: Settings, database: Database, store: DatasetStore) -> None:
        self._settings, self._database, self._store = settings, database, store
        self._open = lru_cache(OPEN_DATASETS)(self._open_version)
        self._period = lru_cache(CACHED_DIGESTS)(self._period_of)

    def list(self) -> list[Version]:
        """The newest version of every dataset."""
        with self._database.read() as connection:
            return repository.all_current(connection)

    def get(self, name: str) -> Version:
        """The newest version. Raises ``NotFoundError``."""
        with self._database.read() as connection:
            version = repository.current(connection, name)
            if version is None:
                hint = nearest(name, repository.names(connection))
                raise NotFoundError(f"there is no dataset '{name}'.{hint}")
            return version

    def add(self, name: str, imported: Imported, aside: Path, base: str | None = None) -> bool:
        """Publish a normalised dataset as the newest version; False when its content is held already.

        ``base`` is the digest of the version it was made from. Raises ``InvalidRequestError`` for a name no
        configuration could use, and ``ConflictError`` where that version is not the newest any more.
        """
        if not re.fullmatch(NAME_PATTERN, name):
            raise InvalidRequestError(f"a dataset's name must match {NAME_PATTERN}, such as fx-h1")
        row: dict[str, Any] = {
            "dataset": name,
            "digest": imported.digest,
            "conventions": dict(imported.conventions),
            "symbols": dict(imported.symbols),
            "report": dict(imported.report),
            "rows": imported.rows,
        }
        with self._database.write() as connection:
            held = repository.current(connection, name)
            if base is not None and (held is None or held.digest != base):
                raise ConflictError(f"dataset '{name}' has changed meanwhile: send the file again")
            added = repository.add_version(connection, row)
            if added or not self._store.path(name, imported.digest).exists():
                self._store.publish(aside, name, imported.digest)
        return added

    def remove(self, name: str) -> None:
        """Remove a dataset. Raises ``NotFoundError``, and ``ConflictError`` while kept runs refer to it."""
        with self._database.write() as connection:
            if repository.current(connection, name) is None:
                raise NotFoundError(f"there is no dataset '{name}'")
            runs = repository.runs_of(connection, name)
            if runs:
                raise ConflictError(
                    f"{len(runs)} kept runs refer to dataset '{name}': delete them first", {"runs": runs[:100]}
                )
            repository.remove(connection, name)
        with self._database.write() as connection:
            # Whoever publishes holds the writing transaction: a dataset of that name is now there again, or not.
            trash = self._store.hide(name) if repository.current(connection, name) is None else None
        if trash is not None:
            self._store.discard(trash)

    def resolve(self, config: RunConfig) -> Resolved:
        """A configuration against its dataset. Raises ``ConfigError`` naming all that does not exist."""
        with self._database.read() as connection:
            version = repository.current(connection, config.dataset)
            known = repository.names(connection) if version is None else []
        if version is None:
            message = f"there is no dataset '{config.dataset}'.{nearest(config.dataset, known)}"
            raise ConfigError([FieldError("/dataset", "unknown_dataset", message, tuple(known[:50]))])
        return self.resolve_version(config, version)

    def resolve_version(self, config: RunConfig, version: Version) -> Resolved:
        """A configuration against one version of its dataset."""
        named = {f"/symbols/{i}": symbol for i, symbol in enumerate(config.symbols)}
        if config.benchmark is not None:
            named["/benchmark"] = config.benchmark
        missing = {pointer: symbol for pointer, symbol in named.items() if symbol not in version.symbols}
        if missing:
            raise ConfigError([unknown_symbol(p, s, version.dataset, version.symbols) for p, s in missing.items()])
        self._few_enough(len(config.symbols), 1)
        data = self._open(version.dataset, version.digest, config.window.needed)
        config = config.resolve(data)
        period = self._period(version.dataset, version.digest, config.window)
        self._few_enough(len(period.digests), period.bars)
        return Resolved(config, version, config.identity(period.digests), period)

    def _few_enough(self, symbols: int, bars: int) -> None:
        """Refuse what this service does not compute. Raises ``ConfigError``."""
        most = self._settings
        if symbols > most.run_symbols:
            message = f"{symbols} symbols are more than the {most.run_symbols} a run may have here: leave some out"
            raise ConfigError([FieldError("/symbols", "too_many_symbols", message)])
        if bars * symbols > most.run_bars:
            message = (
                f"{bars} bars of {symbols} symbols are {bars * symbols} in all, more than the {most.run_bars} a run may"
                " have here: take fewer symbols, a shorter period (start, end, fraction) or a longer timeframe"
            )
            raise ConfigError([FieldError("/symbols", "too_many_bars", message)])

    def path(self, name: str, digest: str) -> Path:
        """Where a version's columns are."""
        return self._store.path(name, digest)

    def recover(self) -> None:
        """At start: remove what no row refers to."""
        with self._database.write() as connection:
            self._store.sweep(repository.held_versions(connection))

    def _open_version(self, name: str, digest: str, symbols: tuple[str, ...]) -> Dataset:
        return open_mapped(self._store.path(name, digest), symbols)

    def _period_of(self, name: str, digest: str, window: Window) -> Period:
        data = self._open(name, digest, window.needed)
        made = window.bars(data)
        return Period(
            digests=window.digests({s: bars.digest() for s, bars in made.items()}, window.compared(data, made)),
            rows=sum(len(bars.series) for bars in made.values()),
            bars=len(panel_times([bars.series.time for bars in made.values()], window.align)),
            start_ns=min(int(bars.series.time[0]) for bars in made.values()),
            end_ns=max(int(bars.series.closes(bars.conventions.bar_ns)[-1]) for bars in made.values()),
        )

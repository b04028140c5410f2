"""What is asked of runs: claim one, read it, change what stands beside it.

Rows are committed before anything is scheduled or sent. Methods that block are called in the database's threads.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, RowMapping

from app.artifacts.manifest import OUTSIDE
from app.artifacts.store import ArtifactStore
from app.datasets import repository as dataset_repository
from app.datasets.service import Resolved
from app.db.session import Database
from app.errors import ConflictError, KeyReusedError, NotFoundError, QueueFullError
from app.events import log as event_log
from app.events.broadcast import Broadcast
from app.events.log import Entry
from app.runs import repository, retention
from app.runs.repository import Filter, NewRun, Stored
from app.runs.state import FINAL, REPEATABLE
from app.settings import Settings
from engine.canonical import file_digest
from engine.config import RunConfig, run_id
from engine.errors import ConfigError, FieldError


class Claim(Enum):
    """What a POST found: nothing (so it queued an attempt), a run under way, or a completed one."""

    QUEUED = "queued"
    UNDER_WAY = "under_way"
    FINAL = "final"


@dataclass(frozen=True)
class Request:
    """A POST beyond its configuration. ``waits`` never starts another attempt of a run that ended."""

    tags: Sequence[str] = ()
    note: str | None = None
    key: str | None = None
    waits: bool = False
    profile: bool = False


@dataclass(frozen=True)
class Artifact:
    """One file of a run, and what was recorded about it."""

    path: Path
    sha256: str
    size: int
    media_type: str


class RunService:
    """Runs, as their rows say; what computes them is the driver."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        store: ArtifactStore,
        broadcast: Broadcast,
    ) -> None:
        self._settings, self._database, self._store, self._broadcast = settings, database, store, broadcast

    # -- claiming ------------------------------------------------------------------------------

    def claim(self, resolved: Resolved, request: Request) -> tuple[Stored, Claim]:
        """The one run of a configuration: found, or queued. Blocks.

        Raises ``KeyReusedError`` and ``QueueFullError``, and then stores nothing.
        """
        name = run_id(resolved.hash)
        if not request.tags and request.note is None and request.key is None:
            with self._database.read() as connection:
                known = repository.find(connection, name)
            if known is not None and (known.status not in REPEATABLE or request.waits):
                return known, _claim_of(known)
        with self._database.write() as connection:
            if request.key is not None and not repository.claim_key(connection, request.key, resolved.config_digest):
                raise KeyReusedError("this Idempotency-Key was used with another configuration: take a new one")
            claim = self._find_or_queue(connection, resolved, request, name)
            repository.add_tags(connection, name, request.tags)
            if request.note is not None:
                repository.annotate(connection, name, {"note": request.note})
            stored = repository.require(connection, name)
        return stored, claim

    def _find_or_queue(self, connection: Connection, resolved: Resolved, request: Request, name: str) -> Claim:
        known = repository.find(connection, name)
        if known is not None and (known.status not in REPEATABLE or request.waits):
            return _claim_of(known)
        if not dataset_repository.holds(connection, resolved.config.dataset, resolved.version.digest):
            raise ConfigError([FieldError("/dataset", "unknown_dataset", "the dataset has just been removed")])
        if repository.count_queued(connection) >= self._settings.queue_limit:
            raise QueueFullError(f"{self._settings.queue_limit} runs are waiting already: try again later")
        if known is not None:
            attempt = repository.requeue(connection, name, profile=request.profile)
        else:
            grave = repository.tombstone(connection, name)
            attempt = 1 if grave is None else int(grave["attempt"]) + 1
            repository.insert_run(connection, _new_run(resolved, name, profile=request.profile), attempt)
        event_log.append(connection, name, attempt, [Entry("queued", message=f"attempt {attempt} waits for a worker")])
        return Claim.QUEUED

    def known(self, resolved: Resolved) -> bool:
        """Whether a configuration has a run. Blocks."""
        with self._database.read() as connection:
            return repository.find(connection, run_id(resolved.hash)) is not None

    def is_current(self, name: str, attempt: int) -> bool:
        """Whether more may come of an attempt: its run is there and has not gone on to another. Blocks."""
        with self._database.read() as connection:
            known = repository.find(connection, name)
        return known is not None and known.row["attempt"] == attempt

    # -- reading and changing ------------------------------------------------------------------

    def get(self, name: str) -> Stored:
        """A run. Raises ``NotFoundError``, or ``GoneError`` with the tombstone. Blocks."""
        with self._database.read() as connection:
            return repository.require(connection, name)

    def page(
        self, wanted: Filter, sort: str | None, limit: int, after: Sequence[Any] | None
    ) -> list[tuple[Stored, RowMapping]]:
        """A page of runs with their rows. Blocks."""
        with self._database.read() as connection:
            rows = repository.page(connection, wanted, sort, limit, after)
            return list(zip(repository.load(connection, rows), rows, strict=True))

    def patch(self, name: str, values: Mapping[str, Any], tags: Sequence[str] | None) -> Stored:
        """Change note or pin, and replace the tags unless they are None. Blocks."""
        with self._database.write() as connection:
            repository.require(connection, name)
            repository.annotate(connection, name, values)
            if tags is not None:
                repository.replace_tags(connection, name, tags)
            return repository.require(connection, name)

    async def delete(self, name: str) -> None:
        """Replace a final run by its tombstone. Raises ``ConflictError`` while it is unfinished."""
        await self._database.call(self._delete, name)
        self._broadcast.wake(name)

    def _delete(self, name: str) -> None:
        with self._database.write() as connection:
            if repository.require(connection, name).status not in FINAL:
                raise ConflictError("the run is not finished: cancel it first")
            repository.bury(connection, name, "deleted")
        retention.remove_files(self._database, self._store, [name])

    def artifact(self, name: str, file: str) -> Artifact:
        """One file of a completed run. Raises ``NotFoundError`` for a name its manifest does not have. Blocks."""
        with self._database.read() as connection:
            repository.require_completed(connection, name)
            files = repository.files_of(connection, name)
        listed = files.get(file)
        if listed is None and "/" in file:  # a symbol's folder is percent-encoded, and so is a path on its way here
            folder, _, leaf = file.rpartition("/")
            file = f"{quote(folder, safe='')}/{leaf}"
            listed = files.get(file)
        path = self._store.directory(name) / file
        if (listed is None and file not in OUTSIDE) or not path.is_file():
            raise NotFoundError(f"the run has no artifact '{file}'; its manifest lists what there is")
        if listed is None:
            return Artifact(path, file_digest(path), path.stat().st_size, OUTSIDE[file])
        return Artifact(path, listed["sha256"], listed["size"], listed["media_type"])

    def verify(self, name: str) -> list[dict[str, str | None]]:
        """The files of a completed run whose bytes are not what was recorded. Blocks."""
        with self._database.read() as connection:
            stored = repository.require_completed(connection, name)
            digests = {file: row["sha256"] for file, row in repository.files_of(connection, name).items()}
        return self._store.verify(name, digests, stored.row["manifest_hash"])

    async def wait(self, name: str, seconds: float) -> Stored:
        """The run once it is final, or as it is after ``seconds``."""
        deadline = asyncio.get_running_loop().time() + seconds
        while True:
            changed = self._broadcast.next(name)
            stored = await self._database.call(self.get, name)
            left = deadline - asyncio.get_running_loop().time()
            if stored.status in FINAL or left <= 0 or self._broadcast.closed:
                self._broadcast.wake(name)  # what was registered above must not stay
                return stored
            try:
                await asyncio.wait_for(changed.wait(), left)
            except TimeoutError:
                continue


def _claim_of(stored: Stored) -> Claim:
    return Claim.FINAL if stored.status in FINAL else Claim.UNDER_WAY


def _new_run(resolved: Resolved, name: str, *, profile: bool) -> NewRun:
    config: RunConfig = resolved.config
    return NewRun(
        id=name,
        hash=resolved.hash,
        dataset=config.dataset,
        digest=resolved.version.digest,
        strategy=config.strategy.name,
        symbols=config.symbols,
        config=config.plain(),
        profile=profile,
    )

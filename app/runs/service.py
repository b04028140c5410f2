"""The life of a run: claimed once, driven in the background, recovered after a crash.

Rows are committed before anything is scheduled or sent. The methods that touch SQL block and run in the
database's threads; ``drive`` runs on the event loop and computes nothing itself.
"""

import asyncio
import logging
import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, RowMapping
from starlette.background import BackgroundTasks

from app.artifacts.compare import Difference, Verdict, compare
from app.artifacts.store import ArtifactStore
from app.datasets.service import DatasetService, Resolved
from app.db.session import Database
from app.errors import ConflictError, GoneError, KeyReusedError, NotFoundError, QueueFullError
from app.events import log as event_log
from app.events.broadcast import Broadcast
from app.events.log import Entry
from app.executors.base import Executor, ExecutorError, StoppedError
from app.runs import repository, retention
from app.runs.recorder import Recorder
from app.runs.repository import Filter, NewRun, Stored
from app.runs.state import FINAL, REPEATABLE, Status
from app.runs.worker import Job, Outcome, execute
from app.settings import Settings
from engine.config import RunConfig, run_id
from engine.errors import EngineError

logger = logging.getLogger("tplusone.runs")


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


class RunService:
    """Everything that happens to runs."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        store: ArtifactStore,
        datasets: DatasetService,
        executor: Executor,
        broadcast: Broadcast,
    ) -> None:
        self._settings, self._database, self._store = settings, database, store
        self._datasets, self._executor, self._broadcast = datasets, executor, broadcast
        self._slots = asyncio.Semaphore(settings.workers)
        self._stopping = False
        self._cancels: set[str] = set()
        self._active: set[str] = set()
        self._driving: set[asyncio.Task[None]] = set()

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
            if request.key is not None and not repository.claim_key(connection, request.key, resolved.hash):
                raise KeyReusedError("this Idempotency-Key was used with another configuration: take a new one")
            claim = self._find_or_queue(connection, resolved, request, name)
            repository.add_tags(connection, name, request.tags)
            if request.note is not None:
                repository.annotate(connection, name, {"note": request.note})
            stored = self._stored(connection, name)
        return stored, claim

    def _find_or_queue(self, connection: Connection, resolved: Resolved, request: Request, name: str) -> Claim:
        known = repository.find(connection, name)
        if known is not None and (known.status not in REPEATABLE or request.waits):
            return _claim_of(known)
        if repository.count_queued(connection) >= self._settings.queue_limit:
            raise QueueFullError(f"{self._settings.queue_limit} runs are waiting already: try again later")
        if known is not None:
            attempt = repository.requeue(connection, name)
        else:
            grave = repository.tombstone(connection, name)
            attempt = 1 if grave is None else int(grave["attempt"]) + 1
            repository.insert_run(connection, _new_run(resolved, name), attempt)
        event_log.append(connection, name, attempt, [Entry("queued", message=f"attempt {attempt} waits for a worker")])
        return Claim.QUEUED

    def known(self, resolved: Resolved) -> bool:
        """Whether a configuration has a run. Blocks."""
        with self._database.read() as connection:
            return repository.find(connection, run_id(resolved.hash)) is not None

    # -- reading and changing ------------------------------------------------------------------

    def get(self, name: str) -> Stored:
        """A run. Raises ``NotFoundError``, or ``GoneError`` with the tombstone. Blocks."""
        with self._database.read() as connection:
            return self._stored(connection, name)

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
            self._stored(connection, name)
            repository.annotate(connection, name, values)
            if tags is not None:
                repository.replace_tags(connection, name, tags)
            return self._stored(connection, name)

    def delete(self, name: str) -> None:
        """Replace a final run by its tombstone. Raises ``ConflictError`` while it is unfinished. Blocks."""
        with self._database.write() as connection:
            if self._stored(connection, name).status not in FINAL:
                raise ConflictError("the run is not finished: cancel it first")
            repository.bury(connection, name, "deleted")
        self._store.remove(name)

    def completed(self, name: str) -> Stored:
        """A run whose artifacts are there. Raises ``ConflictError`` where they are not. Blocks."""
        stored = self.get(name)
        if stored.status is not Status.COMPLETED:
            raise ConflictError(f"the run is {stored.status.value}: only a completed run has artifacts")
        return stored

    def _stored(self, connection: Connection, name: str) -> Stored:
        stored = repository.find(connection, name)
        if stored is not None:
            return stored
        grave = repository.tombstone(connection, name)
        if grave is not None:
            raise GoneError(
                f"run {name} was {grave['reason']}; POST its configuration to compute it again",
                {
                    "tombstone": {
                        k: grave[k] for k in ("hash", "attempt", "status", "metrics", "manifest_hash", "reason")
                    }
                    | {"id": name, "removed_at": grave["removed_at"]}
                },
            )
        raise NotFoundError(f"there is no run '{name}'")

    # -- computing -----------------------------------------------------------------------------

    async def drive(self, name: str, attempt: int) -> None:
        """Wait for a worker, compute, and record how it ended. Scheduled once for every queued attempt."""
        async with self._slots:
            if self._stopping:
                return  # stays queued; the next start goes on with it
            self._active.add(name)
            try:
                row = await self._database.call(self._begin, name, attempt)
                if row is not None:  # it is None where the run was cancelled while it waited
                    self._broadcast.wake(name)
                    await self._compute(row, attempt)
            finally:
                self._active.discard(name)
                self._cancels.discard(name)
        self._broadcast.wake(name)

    async def _compute(self, row: RowMapping, attempt: int) -> None:
        name: str = row["id"]
        aside = self._store.aside(f"{name}-{attempt}")
        recorder = Recorder(self._database, self._broadcast, name, attempt)
        error: dict[str, str] | None = None
        try:
            await self._execute(row, attempt, aside, recorder)
        except StoppedError:
            status = Status.CANCELLED if name in self._cancels else Status.INTERRUPTED
            message = "cancelled" if status is Status.CANCELLED else "the server stopped"
        except (EngineError, ExecutorError) as known:
            status, message = Status.FAILED, str(known)
            error = {"code": known.code, "message": message}
        except Exception:
            logger.exception("run %s attempt %d failed", name, attempt)
            status, message = Status.FAILED, "the run failed here, not in your configuration; the log has it"
            error = {"code": "internal_error", "message": message}
        else:
            return
        await recorder.flush()
        ending = Entry(status.value, message=message, data=error or {})
        await self._database.call(self._end, name, attempt, status, ending, error)
        self._store.discard(aside)

    async def _execute(self, row: RowMapping, attempt: int, aside: Path, recorder: Recorder) -> None:
        name: str = row["id"]
        if name in self._cancels or self._stopping:
            raise StoppedError("stopped before it reached a worker")
        job = Job(row["config"], self._datasets.path(row["dataset"], row["digest"]), aside)
        outcome = await self._executor.run(name, execute, job, recorder.note)
        await recorder.flush()
        await self._database.call(self._complete, name, attempt, outcome, aside)

    def _begin(self, name: str, attempt: int) -> RowMapping | None:
        with self._database.write() as connection:
            if not repository.move(connection, name, attempt, Status.RUNNING):
                return None
            event_log.append(connection, name, attempt, [Entry("started")])
            return self._stored(connection, name).row

    def _complete(self, name: str, attempt: int, outcome: Outcome, aside: Path) -> None:
        files: list[dict[str, Any]] = list(outcome.manifest["files"])
        digest: str = outcome.manifest["manifest_hash"]
        entries = [
            Entry("artifacts", "artifacts", 1.0, data={"manifest_hash": digest, "files": [f["name"] for f in files]}),
            Entry("completed", None, 1.0, data={"manifest_hash": digest, "metrics": dict(outcome.metrics)}),
        ]
        with self._database.write() as connection:
            moved = repository.move(
                connection, name, attempt, Status.COMPLETED,
                manifest_hash=digest, warnings=list(outcome.warnings), stage=None, progress=1.0,
            )  # fmt: skip
            if not moved:
                return
            repository.save_results(connection, name, files, outcome.metrics)
            event_log.append(connection, name, attempt, entries)
            removed = retention.prune(connection, self._settings.retain)
            self._store.publish(aside, name)
        retention.remove_files(self._store, removed)

    def _end(self, name: str, attempt: int, status: Status, ending: Entry, error: dict[str, str] | None) -> None:
        with self._database.write() as connection:
            if repository.move(connection, name, attempt, status, error=error):
                event_log.append(connection, name, attempt, [ending])
            removed = retention.prune(connection, self._settings.retain)
        retention.remove_files(self._store, removed)

    async def cancel(self, name: str) -> Stored:
        """Stop a run; nothing happens to a final one."""
        if await self._database.call(self._cancel_queued, name):
            self._broadcast.wake(name)
        stored = await self._database.call(self.get, name)
        if name in self._active:
            self._cancels.add(name)  # it may not have reached the executor yet
            self._executor.cancel(name)
        return stored

    def _cancel_queued(self, name: str) -> bool:
        with self._database.write() as connection:
            stored = self._stored(connection, name)
            attempt: int = stored.row["attempt"]
            if stored.status is not Status.QUEUED:
                return False
            repository.move(connection, name, attempt, Status.CANCELLED)
            event_log.append(connection, name, attempt, [Entry("cancelled", message="cancelled while it waited")])
            return True

    async def wait(self, name: str, seconds: float) -> Stored:
        """The run once it is final, or as it is after ``seconds``."""
        deadline = asyncio.get_running_loop().time() + seconds
        while True:
            changed = self._broadcast.next(name)
            stored = await self._database.call(self.get, name)
            left = deadline - asyncio.get_running_loop().time()
            if stored.status in FINAL or left <= 0:
                return stored
            try:
                await asyncio.wait_for(changed.wait(), left)
            except TimeoutError:
                continue

    async def recompute(self, name: str) -> tuple[Verdict, Difference | None]:
        """Compute a completed run again, aside, and compare."""
        row = (await self._database.call(self.completed, name)).row
        key = f"{name}-{uuid.uuid4().hex}"
        aside = self._store.aside(key)
        try:
            async with self._slots:
                job = Job(row["config"], self._datasets.path(row["dataset"], row["digest"]), aside)
                await self._executor.run(key, execute, job, lambda _message: None)
            return await self._database.call(compare, self._store.directory(name), aside)
        finally:
            await self._database.call(shutil.rmtree, aside, ignore_errors=True)

    # -- starting and stopping -----------------------------------------------------------------

    def recover(self) -> list[tuple[str, int]]:
        """At start: running attempts become interrupted, files without rows go; returns what is still queued."""
        queued = []
        with self._database.write() as connection:
            for row in repository.unfinished(connection):
                name, attempt = row["id"], row["attempt"]
                if row["status"] == Status.QUEUED:
                    queued.append((name, attempt))
                    continue
                error = {"code": "interrupted", "message": "the server stopped while the run was computed"}
                repository.move(connection, name, attempt, Status.INTERRUPTED, error=error)
                event_log.append(
                    connection, name, attempt, [Entry("interrupted", message=error["message"], data=error)]
                )
            self._store.sweep(repository.completed_ids(connection))
        return queued

    def start_now(self, name: str, attempt: int) -> None:
        """Schedule an attempt that no answer is waiting to be sent for: after a restart, or before a wait."""
        tasks = BackgroundTasks()
        tasks.add_task(self.drive, name, attempt)
        driving = asyncio.create_task(tasks())
        self._driving.add(driving)
        driving.add_done_callback(self._driving.discard)

    def stop(self) -> None:
        """Start nothing more and end what is computed; queued runs stay queued. Called on the event loop."""
        self._stopping = True
        for name in self._active:
            self._executor.cancel(name)

    async def stopped(self) -> None:
        """Return when every attempt scheduled by ``start_now`` has recorded how it ended."""
        await asyncio.gather(*self._driving)


def _claim_of(stored: Stored) -> Claim:
    return Claim.FINAL if stored.status in FINAL else Claim.UNDER_WAY


def _new_run(resolved: Resolved, name: str) -> NewRun:
    config: RunConfig = resolved.config
    return NewRun(
        id=name,
        hash=resolved.hash,
        dataset=config.dataset,
        digest=resolved.version.digest,
        strategy=config.strategy.name,
        symbols=config.symbols,
        config=config.plain(),
    )

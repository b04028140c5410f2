"""The life of an attempt: queued, computed in a worker, recorded; recovered after a crash.

``drive`` runs on the event loop and computes nothing itself. Everything is keyed by attempt, because an attempt
that ends late must not be taken for the next one.
"""

import asyncio
import logging
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import RowMapping
from starlette.background import BackgroundTasks

from app.artifacts.compare import Difference, Pair, Verdict, compare_runs
from app.artifacts.store import ArtifactStore
from app.datasets.service import DatasetService
from app.db.session import Database
from app.events import log as event_log
from app.events.broadcast import Broadcast
from app.events.log import Entry
from app.executors.base import CrashError, Executor, ExecutorError, StoppedError
from app.runs import repository, retention, trials
from app.runs.recorder import Recorder
from app.runs.repository import Stored
from app.runs.state import Status
from app.runs.worker import Job, Outcome, execute
from app.settings import MIB, Settings, at_most_cores
from engine.errors import EngineError

logger = logging.getLogger("tplusone.runs")


class RunDriver:
    """Computes what is queued, stops it when asked, and takes up again after a restart."""

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
        self._run_workers = at_most_cores(settings.run_workers, logger.warning)
        self._stopping = False
        self._cancels: set[str] = set()
        self._active: set[str] = set()
        self._driving: set[asyncio.Task[None]] = set()

    async def drive(self, name: str, attempt: int) -> None:
        """Wait for a worker, compute, and record how it ended. Scheduled once for every queued attempt."""
        async with self._slots:
            if self._stopping:
                return  # stays queued; the next start goes on with it
            key = _key(name, attempt)
            self._active.add(key)
            try:
                row = await self._database.call(self._begin, name, attempt)
                if row is not None:  # it is None where the run was cancelled while it waited
                    self._broadcast.wake(name)
                    await self._compute(row, attempt)
            finally:
                self._active.discard(key)
                self._cancels.discard(key)
                self._broadcast.wake(name)

    async def _compute(self, row: RowMapping, attempt: int) -> None:
        name: str = row["id"]
        key = _key(name, attempt)
        aside = self._store.aside(key)
        recorder = Recorder(self._database, self._broadcast, name, attempt)
        error: dict[str, str] | None = None
        try:
            await self._execute(row, attempt, aside, recorder)
        except StoppedError:
            status = Status.CANCELLED if key in self._cancels else Status.INTERRUPTED
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
        await recorder.settle()
        ending = Entry(status.value, recorder.stage, recorder.progress, message, error or {})
        removed = await self._database.call(self._end, name, attempt, status, ending, error)
        self._wake(removed)
        self._store.discard(aside)

    async def _execute(self, row: RowMapping, attempt: int, aside: Path, recorder: Recorder) -> None:
        key = _key(row["id"], attempt)
        if key in self._cancels or self._stopping:
            raise StoppedError("stopped before it reached a worker")
        dataset = self._datasets.path(row["dataset"], row["digest"])
        features = self._settings.feature_cache_mb * MIB
        job = Job(row["config"], dataset, aside, features, row["profile"], self._run_workers)
        outcome = await self._executor.run(key, execute, job, recorder.note)
        await recorder.flush()
        removed = await self._database.call(self._complete, row["id"], attempt, outcome, aside)
        self._wake(removed)

    def _begin(self, name: str, attempt: int) -> RowMapping | None:
        with self._database.write() as connection:
            if not repository.move(connection, name, attempt, Status.RUNNING):
                return None
            event_log.append(connection, name, attempt, [Entry("started")])
            return repository.require(connection, name).row

    def _complete(self, name: str, attempt: int, outcome: Outcome, aside: Path) -> list[str]:
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
                return []
            repository.save_results(connection, name, files, outcome.metrics)
            trials.note(connection, repository.require(connection, name).row, outcome.metrics["sharpe"])
            event_log.append(connection, name, attempt, entries)
            removed = retention.prune(connection, self._settings.retain)
            self._store.publish(aside, name)
        retention.remove_files(self._database, self._store, removed)
        return removed

    def _end(self, name: str, attempt: int, status: Status, ending: Entry, error: dict[str, str] | None) -> list[str]:
        with self._database.write() as connection:
            if repository.move(connection, name, attempt, status, error=error):
                event_log.append(connection, name, attempt, [ending])
            removed = retention.prune(connection, self._settings.retain)
        retention.remove_files(self._database, self._store, removed)
        return removed

    def _wake(self, names: Sequence[str]) -> None:
        """Let those who follow runs that are gone find that out."""
        for name in names:
            self._broadcast.wake(name)

    async def cancel(self, name: str) -> Stored:
        """Stop a run; nothing happens to a final one."""
        if await self._database.call(self._cancel_queued, name):
            self._broadcast.wake(name)
        stored = await self._database.call(self._required, name)
        key = _key(name, stored.row["attempt"])
        if key in self._active:
            self._cancels.add(key)  # it may not have reached the executor yet
            self._executor.cancel(key)
        return stored

    def _required(self, name: str) -> Stored:
        with self._database.read() as connection:
            return repository.require(connection, name)

    def _cancel_queued(self, name: str) -> bool:
        with self._database.write() as connection:
            stored = repository.require(connection, name)
            attempt: int = stored.row["attempt"]
            if stored.status is not Status.QUEUED:
                return False
            repository.move(connection, name, attempt, Status.CANCELLED)
            event_log.append(connection, name, attempt, [Entry("cancelled", message="cancelled while it waited")])
            return True

    async def recompute(self, name: str) -> tuple[Verdict, Difference | None]:
        """Compute a completed run again, aside, and compare."""
        row = await self._database.call(self._completed, name)
        key = f"{name}-{uuid.uuid4().hex}"
        aside = self._store.aside(key)
        self._active.add(key)
        try:
            async with self._slots:
                job = Job(row["config"], self._datasets.path(row["dataset"], row["digest"]), aside)
                await self._executor.run(key, execute, job, lambda _message: None)
                pair = Pair(self._store.directory(name), aside)
                # In a worker too: a damaged file can take down the process that decodes it.
                return await self._executor.run(key, compare_runs, pair, lambda _message: None)
        except CrashError:
            damaged = await self._database.call(self._damaged, name)
            if damaged is None:
                raise  # the files are whole: it was the computation that crashed
            return "different", damaged
        finally:
            self._active.discard(key)
            await self._database.call(shutil.rmtree, aside, ignore_errors=True)

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
        for key in self._active:
            self._executor.cancel(key)
        self._broadcast.close()

    async def stopped(self) -> None:
        """Return when every attempt scheduled by ``start_now`` has recorded how it ended."""
        await asyncio.gather(*self._driving)

    def _completed(self, name: str) -> RowMapping:
        with self._database.read() as connection:
            return repository.require_completed(connection, name).row

    def _damaged(self, name: str) -> Difference | None:
        """The first file of a run whose bytes are not what was recorded."""
        with self._database.read() as connection:
            digests = {file: row["sha256"] for file, row in repository.files_of(connection, name).items()}
            row = repository.require_completed(connection, name).row
        for found in self._store.verify(name, digests, row["manifest_hash"]):
            return Difference(str(found["name"]), None, None, found["actual"], found["expected"])
        return None


def _key(name: str, attempt: int) -> str:
    """What an attempt is called where it is computed."""
    return f"{name}-{attempt}"

"""The job of a run: compute and write aside. Knows the engine and files, nothing of SQL or HTTP."""

import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.artifacts import manifest
from app.artifacts.profile import profiled, write_profile
from app.executors.base import Emit
from engine.config import parse_config
from engine.data.columnar import open_mapped
from engine.features import FeatureCache
from engine.hooks import Mapper, Stage, within
from engine.pipeline import run

PROGRESS_SECONDS = 0.5
"""Two kinds of progress events, each at most twice a second: four together."""

FEATURES = FeatureCache(0)
"""Features this worker has computed, for the next run on the same rows."""

RESET_PEAK = "5"
"""What tells the kernel to forget a process's highest memory use."""


@dataclass(frozen=True)
class Job:
    """What a run needs: the resolved configuration, where its data is, and where to write.

    ``feature_bytes`` bounds the features kept for further runs; 0 neither uses nor keeps any. ``workers`` are the
    threads it may use.
    """

    config: Mapping[str, Any]
    dataset: Path
    aside: Path
    feature_bytes: int = 0
    profile: bool = False
    workers: int = 1


@dataclass(frozen=True)
class Outcome:
    """What a run leaves besides its files."""

    manifest: Mapping[str, Any]
    metrics: Mapping[str, float | None]
    warnings: tuple[Mapping[str, str], ...]


def execute(job: Job, emit: Emit) -> Outcome:
    """Compute a run and write its artifacts aside."""
    hooks = Watch(emit)
    shutil.rmtree(job.aside, ignore_errors=True)  # of a try whose worker was killed
    config = parse_config(job.config)
    data = open_mapped(job.dataset, config.window.needed)
    reset_peak()
    FEATURES.max_bytes = job.feature_bytes
    with profiled(job.profile) as profile:
        with threads(job.workers) as mapper:
            result = run(config, data, hooks, FEATURES if job.feature_bytes else None, mapper)
        with within(hooks, Stage.ARTIFACTS):
            files = manifest.write(result, job.aside)
    manifest.write_benchmark(job.aside, hooks.seconds, result, peak_bytes())
    if profile is not None:
        write_profile(job.aside / manifest.PROFILE, profile, hooks.seconds)
    return Outcome(files, result.summary()["metrics"], result.warnings)


@contextmanager
def threads(workers: int) -> Iterator[Mapper]:
    """A mapper that works in so many threads, ``map`` for one. What has not begun when a run is stopped never does."""
    if workers == 1:
        yield map
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="part")
    try:
        yield pool.map
    finally:
        pool.shutdown(cancel_futures=True)


@dataclass
class Watch:
    """Forwards what a run says, one thing at a time, and keeps the seconds of each stage.

    Threads of one run may speak at once, and those of accounts that began earlier are behind: progress never falls.
    """

    emit: Emit
    seconds: dict[str, float] = field(default_factory=dict)
    _began: float = 0.0
    _stage: Stage = Stage.DATA
    _progress: float = 0.0
    _told: dict[str, float] = field(default_factory=dict)
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock)

    def stage(self, stage: Stage, *, ended: bool) -> None:
        if ended:
            self.seconds[stage.value] = time.perf_counter() - self._began
            return
        self._began = time.perf_counter()
        self._stage, self._progress = stage, stage.done_before
        with self._one_at_a_time:
            self.emit({"type": "stage", "stage": stage.value, "progress": stage.done_before})

    def progress(self, stage: Stage, fraction: float) -> None:
        reached = round(stage.done_before + stage.weight * fraction, 4)
        with self._one_at_a_time:
            self._stage, self._progress = stage, max(self._progress, reached)
            self._throttled("progress", {})

    def event(self, kind: str, data: Mapping[str, Any]) -> None:
        with self._one_at_a_time:
            if kind == "validation_progress":
                self._throttled(kind, data)
            else:
                self.emit({"type": kind, "data": dict(data), "message": str(data.get("message", ""))})

    def _throttled(self, kind: str, data: Mapping[str, Any]) -> None:
        now = time.monotonic()
        if now - self._told.get(kind, -PROGRESS_SECONDS) >= PROGRESS_SECONDS:
            self._told[kind] = now
            self.emit({"type": kind, "stage": self._stage.value, "progress": self._progress, "data": dict(data)})


def _in_own_process() -> bool:
    # A thread of the server shares its memory with everything else there.
    return threading.current_thread() is threading.main_thread() and Path("/proc/self/status").exists()


def reset_peak() -> None:
    """Forget the highest memory use so far."""
    if _in_own_process():
        Path("/proc/self/clear_refs").write_text(RESET_PEAK)


def peak_bytes() -> int | None:
    """The most memory the process of this run had in use since it began; None where that is not the run's alone."""
    if not _in_own_process():
        return None
    status = Path("/proc/self/status").read_text()
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    return int(kilobytes) * 1024

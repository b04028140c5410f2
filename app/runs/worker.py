"""The job of a run: compute and write aside. Knows the engine and files, nothing of SQL or HTTP.

Loaded by the fork server of the process executor: importing this module compiles the kernels (or takes them
from numba's cache), so that a worker is ready when it is forked.
"""

import resource
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import engine
from app.artifacts import manifest
from app.executors.base import Emit
from engine.config import parse_config
from engine.data import synthetic
from engine.data.columnar import open_mapped, write
from engine.hooks import Stage, within

PROGRESS_SECONDS = 0.25
"""At most four progress events a second."""


@dataclass(frozen=True)
class Job:
    """What a run needs: the resolved configuration, where its data is, and where to write."""

    config: Mapping[str, Any]
    dataset: Path
    aside: Path


@dataclass(frozen=True)
class Outcome:
    """What a run leaves besides its files."""

    manifest: Mapping[str, Any]
    metrics: Mapping[str, float | None]
    warnings: tuple[Mapping[str, str], ...]


def execute(job: Job, emit: Emit) -> Outcome:
    """Compute a run and write its artifacts aside."""
    hooks = _Hooks(emit)
    config = parse_config(job.config)
    data = open_mapped(job.dataset, config.symbols)
    result = engine.run(config, data, hooks)
    with within(hooks, Stage.ARTIFACTS):
        files = manifest.write(result, job.aside)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    manifest.write_benchmark(job.aside, hooks.seconds, result, peak)
    return Outcome(files, result.summary()["metrics"], result.warnings)


@dataclass(frozen=True)
class Import:
    """A file to check and normalise, with what was declared about it."""

    file: Path
    name: str
    options: Mapping[str, Any]
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


@dataclass
class _Hooks:
    """Forwards what a run says, and keeps the seconds of each stage."""

    emit: Emit
    seconds: dict[str, float] = field(default_factory=dict)
    _began: float = 0.0
    _told: float = 0.0

    def stage(self, stage: Stage, *, ended: bool) -> None:
        if ended:
            self.seconds[stage.value] = time.perf_counter() - self._began
            return
        self._began = time.perf_counter()
        self.emit({"type": "stage", "stage": stage.value, "progress": stage.done_before})

    def progress(self, stage: Stage, fraction: float) -> None:
        done = stage.done_before + stage.weight * fraction
        self._throttled({"type": "progress", "stage": stage.value, "progress": round(done, 4)})

    def event(self, kind: str, data: Mapping[str, Any]) -> None:
        message = {"type": kind, "data": dict(data), "message": str(data.get("message", ""))}
        if kind == "validation_progress":
            self._throttled(message)
        else:
            self.emit(message)

    def _throttled(self, message: dict[str, Any]) -> None:
        if time.monotonic() - self._told >= PROGRESS_SECONDS:
            self._told = time.monotonic()
            self.emit(message)


def warm_up() -> None:
    """Run a tiny backtest through every kernel, so that no run pays for compiling."""
    data = synthetic.market(bars=200)
    base = {"dataset": data.name, "symbols": list(data.series), "validation": {"permutation": {"n": 10}}}
    engine.run(base | {"strategy": {"name": "dual_sma", "params": {"fast": 2, "slow": 5}}}, data)


warm_up()

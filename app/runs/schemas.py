"""What goes over the wire about runs."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from app.datasets.service import Resolved
from app.instants import instant
from app.runs.repository import Stored
from app.runs.state import Status
from app.runs.trials import Tried, deflate
from engine.config import RunConfig, run_id
from engine.metrics.core import DEFINITIONS
from engine.registry import Frozen, sequence
from engine.validation.suite import whole_runs

Tag = Annotated[str, StringConstraints(pattern=r"^[^\s,\x00-\x1f][^,\x00-\x1f]{0,62}$")]
Tags = Annotated[
    tuple[Tag, ...],
    BeforeValidator(sequence),
    Field(max_length=50, description="labels; no part of the run's identity"),
]
Note = Annotated[str, Field(max_length=10_000, description="free text; no part of the run's identity")]


class RunRequest(RunConfig):
    """A configuration, and what may stand beside it without changing what is computed."""

    tags: Tags = ()
    note: Note | None = None
    profile: Annotated[bool, Field(description="leave profile.json: where the time of this computation went")] = False

    def config(self) -> RunConfig:
        """The configuration alone."""
        return RunConfig.model_validate(
            {name: getattr(self, name) for name in RunConfig.model_fields if name in self.model_fields_set}
        )


class RunPatch(Frozen):
    """What may be changed about a run: none of it is part of the result. An absent field stays."""

    tags: Tags = ()
    note: Note | None = None
    pinned: bool = False


class Wire(BaseModel):
    """Something the service says."""

    model_config = ConfigDict(frozen=True)


class RunWarning(Wire):
    """Something a reader must know before believing the numbers."""

    code: str
    message: str


class RunError(Wire):
    """Why an attempt did not complete."""

    code: str
    message: str


class RunLinks(Wire):
    """Where the rest of a run is."""

    self: str
    events: str
    artifacts: str
    verify: str


class Trials(Wire):
    """The Sharpe ratio of a run beside how much was tried on its data, as it is when read.

    ``dsr`` is the deflated Sharpe ratio: the probability that the true one exceeds ``expected_maximum``, the annual
    ratio that the best of ``n_trials`` without skill is expected to have. ``counted`` says what a trial is.
    """

    sharpe: float | None
    dsr: float | None
    n_trials: int
    expected_maximum: float
    variance: float
    counted: str
    reason: str | None


class Run(Wire):
    """A run: one configuration on one version of its data, with the state of its newest attempt."""

    id: str
    hash: str
    status: Status
    stage: str | None
    progress: float
    attempt: int
    reused: bool
    created_at: str
    started_at: str | None
    finished_at: str | None
    config: dict[str, Any]
    tags: list[str]
    note: str | None
    pinned: bool
    metrics: dict[str, float | None]
    trials: Trials | None
    warnings: list[RunWarning]
    error: RunError | None
    manifest_hash: str | None
    links: RunLinks


class RunList(Wire):
    """A page of runs, newest first unless sorted otherwise."""

    runs: list[Run]
    next_cursor: str | None


class DryRun(Wire):
    """What a POST would do, without doing it."""

    id: str
    hash: str
    config: dict[str, Any]
    rows: int
    start: str
    end: str
    known: bool
    estimated_memory_bytes: int
    estimated_seconds: float


class Mismatch(Wire):
    """A file whose bytes are not what the manifest says."""

    name: str
    expected: str
    actual: str | None


class Verification(Wire):
    """Every file of a run against its manifest."""

    ok: bool
    mismatches: list[Mismatch]


class FirstDifference(Wire):
    """The first place where a recomputed run differs from the kept one."""

    file: str
    row: int | None
    column: str | None
    expected: Any
    actual: Any


class Recompute(Wire):
    """The verdict of computing a run again."""

    result: Annotated[str, Field(pattern="^(identical|equivalent|different)$")]
    difference: FirstDifference | None


BYTES_PER_ROW = 400
FIXED_BYTES = 64 * 2**20
SECONDS_PER_ROW = 4e-7
SECONDS_PER_REPLICATE_AND_ROW = 5e-10
FIXED_SECONDS = 0.03
"""Measured on two shared cores; an estimate is right within a factor of a few."""


def estimate(resolved: Resolved, *, known: bool) -> DryRun:
    """What a POST of a resolved configuration would touch and cost."""
    rows = resolved.period.rows
    permutation = resolved.config.validation.permutation
    replicates = 0 if permutation is None else permutation.n
    repeats = whole_runs(resolved.config.validation)
    return DryRun(
        id=run_id(resolved.hash),
        hash=resolved.hash,
        config=resolved.config.plain(),
        rows=rows,
        start=instant(resolved.period.start_ns // 1000),
        end=instant(resolved.period.end_ns // 1000),
        known=known,
        estimated_memory_bytes=FIXED_BYTES + BYTES_PER_ROW * rows,
        estimated_seconds=FIXED_SECONDS
        + rows * (SECONDS_PER_ROW * (1 + repeats) + replicates * SECONDS_PER_REPLICATE_AND_ROW),
    )


def view(stored: Stored, *, reused: bool = False) -> Run:
    """A stored run as it goes over the wire."""
    row = stored.row
    name = row["id"]
    return Run(
        **{key: row[key] for key in ("id", "hash", "status", "stage", "progress", "attempt", "config")},
        **{key: row[key] for key in ("note", "pinned", "warnings", "error", "manifest_hash")},
        reused=reused,
        created_at=instant(row["created_at"]),
        started_at=None if row["started_at"] is None else instant(row["started_at"]),
        finished_at=None if row["finished_at"] is None else instant(row["finished_at"]),
        tags=list(stored.tags),
        metrics={name: stored.metrics[name] for name in DEFINITIONS if name in stored.metrics},
        trials=None if stored.tried is None else trials_of(stored, stored.tried),
        links=RunLinks(
            self=f"/runs/{name}",
            events=f"/runs/{name}/events",
            artifacts=f"/runs/{name}/artifacts",
            verify=f"/runs/{name}/verify",
        ),
    )


def trials_of(stored: Stored, tried: Tried) -> Trials:
    """What a completed run says of itself and of all others on its data."""
    found = deflate(stored.metrics, tried)
    return Trials(
        sharpe=stored.metrics["sharpe"],
        dsr=found.dsr,
        n_trials=tried.number,
        expected_maximum=found.expected_maximum,
        variance=tried.variance,
        counted=f"distinct configurations that completed on dataset '{stored.row['dataset']}' with the same symbols,"
        " removed ones too, whatever their seed, validation, benchmark and snapshots;"
        f" {tried.defined} of them with a Sharpe ratio, whose variance is meant",
        reason=found.reason,
    )

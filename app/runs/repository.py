"""Every query about runs. Functions take the caller's connection; transactions are the service's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    tuple_,
    update,
)

from app.db.models import (
    artifacts,
    attempts,
    idempotency_keys,
    run_metrics,
    run_symbols,
    run_tags,
    runs,
    tombstones,
)
from app.db.session import now
from app.errors import ConflictError, GoneError, NotFoundError
from app.instants import instant
from app.runs import trials
from app.runs.state import FINAL, UNFINISHED, Status, sources
from app.runs.trials import Tried

KEY_LIFETIME_MICROSECONDS = 24 * 3600 * 1_000_000


@dataclass(frozen=True)
class NewRun:
    """What is known of a run before its first attempt."""

    id: str
    hash: str
    dataset: str
    digest: str
    strategy: str
    symbols: Sequence[str]
    config: Mapping[str, Any]
    profile: bool = False


@dataclass(frozen=True)
class Stored:
    """A run as its rows say."""

    row: RowMapping
    tags: tuple[str, ...]
    metrics: Mapping[str, float | None]
    tried: Tried | None
    """Trials on the same data, of a completed run."""

    @property
    def status(self) -> Status:
        """The state of the newest attempt."""
        return Status(self.row["status"])


@dataclass(frozen=True)
class Filter:
    """What a list is narrowed to; None does not narrow."""

    status: str | None = None
    strategy: str | None = None
    symbol: str | None = None
    dataset: str | None = None
    tag: str | None = None


def find(connection: Connection, run_id: str) -> Stored | None:
    """One run."""
    row = connection.execute(select(runs).where(runs.c.id == run_id)).mappings().first()
    return None if row is None else load(connection, [row])[0]


def require(connection: Connection, run_id: str) -> Stored:
    """One run. Raises ``NotFoundError``, or ``GoneError`` with its tombstone."""
    stored = find(connection, run_id)
    if stored is not None:
        return stored
    grave = tombstone(connection, run_id)
    if grave is None:
        raise NotFoundError(f"there is no run '{run_id}'")
    kept = {name: grave[name] for name in ("hash", "attempt", "status", "metrics", "manifest_hash", "reason")}
    raise GoneError(
        f"run {run_id} was {grave['reason']}; POST its configuration to compute it again",
        {"tombstone": {"id": run_id, **kept, "removed_at": instant(grave["removed_at"])}},
    )


def require_completed(connection: Connection, run_id: str) -> Stored:
    """A run whose artifacts are there. Raises ``ConflictError`` where they are not."""
    stored = require(connection, run_id)
    if stored.status is not Status.COMPLETED:
        raise ConflictError(f"the run is {stored.status.value}: only a completed run has artifacts")
    return stored


def load(connection: Connection, rows: Sequence[RowMapping]) -> list[Stored]:
    """Join tags, metrics and trials to run rows, in one query each; in one more for each kind of data they use."""
    ids = [row["id"] for row in rows]
    tags: dict[str, list[str]] = {run_id: [] for run_id in ids}
    query = select(run_tags).where(run_tags.c.run_id.in_(ids)).order_by(run_tags.c.tag)
    for tag in connection.execute(query).mappings():
        tags[tag["run_id"]].append(tag["tag"])
    metrics: dict[str, dict[str, float | None]] = {run_id: {} for run_id in ids}
    for metric in connection.execute(select(run_metrics).where(run_metrics.c.run_id.in_(ids))).mappings():
        metrics[metric["run_id"]][metric["name"]] = metric["value"]
    tried = trials.tried(connection, rows)
    return [
        Stored(row, tuple(tags[row["id"]]), metrics[row["id"]], mine) for row, mine in zip(rows, tried, strict=True)
    ]


def insert_run(connection: Connection, run: NewRun, attempt: int) -> None:
    """A new run, queued for ``attempt`` (above 1 where a tombstone says it was there before)."""
    stamp = now()
    connection.execute(
        insert(runs).values(
            id=run.id,
            hash=run.hash,
            status=Status.QUEUED,
            progress=0.0,
            attempt=attempt,
            dataset=run.dataset,
            digest=run.digest,
            strategy=run.strategy,
            config=dict(run.config),
            pinned=False,
            profile=run.profile,
            warnings=[],
            created_at=stamp,
            queued_at=stamp,
        )
    )
    connection.execute(insert(run_symbols), [{"run_id": run.id, "symbol": s} for s in run.symbols])
    insert_attempt(connection, run.id, attempt, stamp)


def insert_attempt(connection: Connection, run_id: str, attempt: int, stamp: int) -> None:
    """The row of an attempt."""
    connection.execute(insert(attempts).values(run_id=run_id, attempt=attempt, status=Status.QUEUED, queued_at=stamp))


def requeue(connection: Connection, run_id: str, *, profile: bool = False) -> int:
    """Queue the next attempt of a run that failed, was cancelled or interrupted; returns its number."""
    stamp = now()
    attempt = int(connection.execute(select(runs.c.attempt).where(runs.c.id == run_id)).scalar_one()) + 1
    connection.execute(
        update(runs)
        .where(runs.c.id == run_id)
        .values(
            status=Status.QUEUED,
            attempt=attempt,
            profile=profile,
            stage=None,
            progress=0.0,
            error=None,
            warnings=[],
            queued_at=stamp,
            started_at=None,
            finished_at=None,
        )
    )
    insert_attempt(connection, run_id, attempt, stamp)
    return attempt


def move(connection: Connection, run_id: str, attempt: int, target: Status, **values: Any) -> bool:
    """Move an attempt to ``target`` if its state allows it; False when it has gone elsewhere meanwhile."""
    stamp = now()
    times = {"started_at": stamp} if target is Status.RUNNING else {"finished_at": stamp}
    moved = connection.execute(
        update(runs)
        .where(runs.c.id == run_id, runs.c.attempt == attempt, runs.c.status.in_(sources(target)))
        .values(status=target, **times, **values)
    )
    if moved.rowcount == 0:
        return False
    error = {"error": values["error"]} if "error" in values else {}
    connection.execute(
        update(attempts)
        .where(attempts.c.run_id == run_id, attempts.c.attempt == attempt)
        .values(status=target, **times, **error)
    )
    return True


def set_progress(connection: Connection, run_id: str, stage: str | None, progress: float) -> None:
    """Project the newest stage and progress onto the run."""
    connection.execute(update(runs).where(runs.c.id == run_id).values(stage=stage, progress=progress))


def save_results(
    connection: Connection, run_id: str, files: Sequence[Mapping[str, Any]], metrics: Mapping[str, float | None]
) -> None:
    """The artifacts and metrics of a completed run."""
    connection.execute(insert(artifacts), [{"run_id": run_id, **file} for file in files])
    connection.execute(insert(run_metrics), [{"run_id": run_id, "name": n, "value": v} for n, v in metrics.items()])


def files_of(connection: Connection, run_id: str) -> dict[str, RowMapping]:
    """The artifacts of a run by name."""
    query = select(artifacts).where(artifacts.c.run_id == run_id)
    return {row["name"]: row for row in connection.execute(query).mappings()}


def count_queued(connection: Connection) -> int:
    """Runs that wait for a worker."""
    query = select(func.count()).select_from(runs).where(runs.c.status == Status.QUEUED)
    return int(connection.execute(query).scalar_one())


def unfinished(connection: Connection) -> list[RowMapping]:
    """Queued and running runs, in the order they were queued."""
    query = select(runs).where(runs.c.status.in_(UNFINISHED)).order_by(runs.c.queued_at, runs.c.id)
    return list(connection.execute(query).mappings())


def completed_ids(connection: Connection) -> set[str]:
    """Runs whose artifacts are there."""
    return set(connection.execute(select(runs.c.id).where(runs.c.status == Status.COMPLETED)).scalars())


def add_tags(connection: Connection, run_id: str, tags: Sequence[str]) -> None:
    """Merge tags into those of a run."""
    known = set(connection.execute(select(run_tags.c.tag).where(run_tags.c.run_id == run_id)).scalars())
    fresh = [tag for tag in dict.fromkeys(tags) if tag not in known]
    if fresh:
        connection.execute(insert(run_tags), [{"run_id": run_id, "tag": tag} for tag in fresh])


def replace_tags(connection: Connection, run_id: str, tags: Sequence[str]) -> None:
    """Set the tags of a run."""
    connection.execute(delete(run_tags).where(run_tags.c.run_id == run_id))
    add_tags(connection, run_id, tags)


def annotate(connection: Connection, run_id: str, values: Mapping[str, Any]) -> None:
    """Set note or pin."""
    if values:
        connection.execute(update(runs).where(runs.c.id == run_id).values(**values))


def page(
    connection: Connection, wanted: Filter, sort: str | None, limit: int, after: Sequence[Any] | None
) -> list[RowMapping]:
    """Up to ``limit`` runs behind the cursor ``after``, which holds the sort keys of the last one seen.

    ``sort`` names a metric, with a leading ``-`` for descending; runs where it is undefined come last.
    """
    query: Select[Any] = select(runs).where(*_conditions(wanted))
    if sort is None:
        keys: tuple[ColumnElement[Any], ...] = (runs.c.created_at, runs.c.id)
        if after is not None:
            query = query.where(tuple_(*keys) < tuple(after))
        query = query.order_by(*(key.desc() for key in keys))
    else:
        value = run_metrics.c.value
        descending = sort.startswith("-")
        query = query.add_columns(value.label("sort_value")).join(
            run_metrics,
            (run_metrics.c.run_id == runs.c.id) & (run_metrics.c.name == sort.removeprefix("-")),
            isouter=True,
        )
        if after is not None:
            query = query.where(_behind(value, after, descending=descending))
        order = value.desc() if descending else value.asc()
        query = query.order_by(value.is_(None), order, runs.c.id)
    return list(connection.execute(query.limit(limit)).mappings())


def _behind(value: ColumnElement[Any], after: Sequence[Any], *, descending: bool) -> ColumnElement[bool]:
    last, run_id = after
    if last is None:
        return and_(value.is_(None), runs.c.id > run_id)
    further = value < last if descending else value > last
    return or_(further, and_(value == last, runs.c.id > run_id), value.is_(None))


def _conditions(wanted: Filter) -> list[ColumnElement[bool]]:
    conditions = [
        runs.c[name] == value
        for name, value in (("status", wanted.status), ("strategy", wanted.strategy), ("dataset", wanted.dataset))
        if value is not None
    ]
    if wanted.symbol is not None:
        conditions.append(runs.c.id.in_(select(run_symbols.c.run_id).where(run_symbols.c.symbol == wanted.symbol)))
    if wanted.tag is not None:
        conditions.append(runs.c.id.in_(select(run_tags.c.run_id).where(run_tags.c.tag == wanted.tag)))
    return conditions


def tombstone(connection: Connection, run_id: str) -> RowMapping | None:
    """What stays of a removed run."""
    return connection.execute(select(tombstones).where(tombstones.c.run_id == run_id)).mappings().first()


def bury(connection: Connection, run_id: str, reason: str) -> None:
    """Replace a run's rows by its tombstone; events, metrics and the rest go with them."""
    run = find(connection, run_id)
    if run is None:
        return
    row = run.row
    values = {name: row[name] for name in ("hash", "attempt", "status", "config", "dataset", "digest", "manifest_hash")}
    values |= {"metrics": dict(run.metrics), "reason": reason, "removed_at": now()}
    connection.execute(delete(tombstones).where(tombstones.c.run_id == run_id))
    connection.execute(insert(tombstones).values(run_id=run_id, **values))
    connection.execute(delete(runs).where(runs.c.id == run_id))


def surplus(connection: Connection, retain: int) -> list[str]:
    """Final, unpinned runs beyond the newest ``retain``."""
    query = (
        select(runs.c.id)
        .where(runs.c.status.in_(FINAL), runs.c.pinned.is_(False))
        .order_by(runs.c.finished_at.desc(), runs.c.id)
        .offset(retain)
    )
    return list(connection.execute(query).scalars())


def claim_key(connection: Connection, key: str, digest: str) -> bool:
    """Tie an idempotency key to a configuration for 24 hours; False when it is tied to another."""
    connection.execute(
        delete(idempotency_keys).where(idempotency_keys.c.created_at < now() - KEY_LIFETIME_MICROSECONDS)
    )
    known = connection.execute(select(idempotency_keys.c.hash).where(idempotency_keys.c.key == key)).scalar()
    if known is None:
        connection.execute(insert(idempotency_keys).values(key=key, hash=digest, created_at=now()))
    return known in (None, digest)

"""The event log: append-only rows, one sequence per attempt. Nothing is sent before it is committed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, func, insert, select

from app.db.models import events
from app.db.session import now

PAGE = 500
TERMINAL = frozenset({"completed", "failed", "cancelled", "interrupted"})


@dataclass(frozen=True)
class Entry:
    """Something that happened, before it has a place in the log."""

    type: str
    stage: str | None = None
    progress: float = 0.0
    message: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Event:
    """One row of the log."""

    run_id: str
    attempt: int
    seq: int
    ts: int
    type: str
    stage: str | None
    progress: float
    message: str
    data: Mapping[str, Any]

    @property
    def terminal(self) -> bool:
        """Nothing follows this in its attempt."""
        return self.type in TERMINAL


def append(connection: Connection, run_id: str, attempt: int, entries: Sequence[Entry]) -> None:
    """Add entries behind the last one of the attempt, in the caller's transaction."""
    last = last_seq(connection, run_id, attempt)
    stamp = now()
    connection.execute(
        insert(events),
        [
            {
                "run_id": run_id,
                "attempt": attempt,
                "seq": last + offset,
                "ts": stamp,
                "type": entry.type,
                "stage": entry.stage,
                "progress": entry.progress,
                "message": entry.message,
                "data": dict(entry.data),
            }
            for offset, entry in enumerate(entries, start=1)
        ],
    )


def last_seq(connection: Connection, run_id: str, attempt: int) -> int:
    """The newest sequence number of an attempt, 0 when it has none."""
    query = select(func.max(events.c.seq)).where(events.c.run_id == run_id, events.c.attempt == attempt)
    return int(connection.execute(query).scalar() or 0)


def after(connection: Connection, run_id: str, attempt: int, seq: int, limit: int = PAGE) -> list[Event]:
    """Events of an attempt behind ``seq``, in order, at most ``limit``."""
    query = (
        select(events)
        .where(events.c.run_id == run_id, events.c.attempt == attempt, events.c.seq > seq)
        .order_by(events.c.seq)
        .limit(limit)
    )
    return [Event(**row) for row in connection.execute(query).mappings()]

"""The states of a run and the moves between them, as data."""

from enum import StrEnum


class Status(StrEnum):
    """Where an attempt stands. The last four are final for it and never change."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"


FINAL = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED, Status.INTERRUPTED})
UNFINISHED = frozenset({Status.QUEUED, Status.RUNNING})
REPEATABLE = FINAL - {Status.COMPLETED}
"""A POST of the same configuration starts another attempt from these."""

MOVES: dict[Status, frozenset[Status]] = {
    Status.QUEUED: frozenset({Status.RUNNING, Status.CANCELLED}),
    Status.RUNNING: FINAL,
    Status.COMPLETED: frozenset(),
    Status.FAILED: frozenset({Status.QUEUED}),
    Status.CANCELLED: frozenset({Status.QUEUED}),
    Status.INTERRUPTED: frozenset({Status.QUEUED}),
}
"""From each state to the next. A final state moves to queued only as a new attempt."""


def sources(target: Status) -> frozenset[Status]:
    """The states from which ``target`` may be reached."""
    return frozenset(source for source, targets in MOVES.items() if target in targets)

"""How a run tells the outside where it is, and how the outside stops it.

The engine calls hooks; it never learns who listens. Every call is also a cancellation point: a hook may
raise :class:`engine.errors.CancelledError`. Nor does it know threads: whoever has some lends them as a ``Mapper``.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from engine.errors import CancelledError

A = TypeVar("A")
R = TypeVar("R")


class Stage(StrEnum):
    """The stages of a run, in order. ``weight`` is the share of progress a stage stands for."""

    DATA = "data"
    FEATURES = "features"
    STRATEGY = "strategy"
    SIZING = "sizing"
    EXECUTION = "execution"
    METRICS = "metrics"
    VALIDATION = "validation"
    ARTIFACTS = "artifacts"

    @property
    def weight(self) -> float:
        return _WEIGHTS[self]

    @property
    def done_before(self) -> float:
        """Progress in [0, 1] when this stage begins."""
        stages = list(Stage)
        return round(sum(s.weight for s in stages[: stages.index(self)]), 6)


_WEIGHTS = {
    Stage.DATA: 0.10,
    Stage.FEATURES: 0.10,
    Stage.STRATEGY: 0.05,
    Stage.SIZING: 0.05,
    Stage.EXECUTION: 0.20,
    Stage.METRICS: 0.10,
    Stage.VALIDATION: 0.30,
    Stage.ARTIFACTS: 0.10,
}


class Hooks(Protocol):
    """What a run calls. Implementations may raise ``CancelledError`` from any of these.

    Calls come from the thread of the run, but where accounts are independent from those of its mapper, at any time.
    """

    def stage(self, stage: Stage, *, ended: bool) -> None:
        """A stage begins or has ended."""

    def progress(self, stage: Stage, fraction: float) -> None:
        """``fraction`` in [0, 1] of the stage is done."""

    def event(self, kind: str, data: Mapping[str, Any]) -> None:
        """Something worth telling: ``warning``, ``equity``, ``metrics``, ``validation_progress``."""


class Mapper(Protocol):
    """``map``, or one that works in threads: results in the order of the items.

    What it computes must not map on it again: a pool whose threads all wait for it would wait for ever.
    """

    def __call__(self, function: Callable[[A], R], items: Iterable[A], /) -> Iterator[R]: ...


def spread(mapper: Mapper, function: Callable[[A], R], items: Iterable[A]) -> Iterator[R]:
    """``function`` of each item, in order, wherever ``mapper`` computes it.

    Leaving the loop over the results, by an error of the hooks too, ends the work: what has not begun never does.
    """
    left = False

    def unless_left(item: A) -> R:
        if left:
            raise CancelledError("the rest is not wanted any more")
        return function(item)

    try:
        yield from mapper(unless_left, items)
    finally:
        left = True


class NoHooks:
    """Nobody listens."""

    def stage(self, stage: Stage, *, ended: bool) -> None:
        """Do nothing."""

    def progress(self, stage: Stage, fraction: float) -> None:
        """Do nothing."""

    def event(self, kind: str, data: Mapping[str, Any]) -> None:
        """Do nothing."""


class Recorder:
    """Keeps every call as ``(name, stage or kind, value)``; for tests."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, Any]] = []

    def stage(self, stage: Stage, *, ended: bool) -> None:
        self.calls.append(("stage", stage.value, ended))

    def progress(self, stage: Stage, fraction: float) -> None:
        self.calls.append(("progress", stage.value, fraction))

    def event(self, kind: str, data: Mapping[str, Any]) -> None:
        self.calls.append(("event", kind, dict(data)))


@contextmanager
def within(hooks: Hooks, stage: Stage) -> Iterator[None]:
    """Announce a stage's begin and, unless it raised, its end."""
    hooks.stage(stage, ended=False)
    yield
    hooks.stage(stage, ended=True)

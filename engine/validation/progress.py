"""How a test tells the hooks how far it is, and how its replicates are cut into pieces for workers."""

from collections.abc import Callable, Iterator
from typing import TypeVar

from engine.hooks import Hooks, Mapper, Stage, spread
from engine.validation.inputs import Tick

R = TypeVar("R")


def ticker(hooks: Hooks, test: str, phase: int = 0, phases: int = 1) -> Tick:
    """A ``tick`` that tells ``hooks`` about the test of that name, in one of several equal ``phases``."""

    def tick(done: int, total: int) -> None:
        hooks.event("validation_progress", {"test": test, "done": done, "total": total})
        hooks.progress(Stage.VALIDATION, (phase + done / total) / phases)

    return tick


def in_pieces(
    compute: Callable[[int, int], R], total: int, size: int, tick: Tick, mapper: Mapper
) -> Iterator[tuple[slice, R]]:
    """``compute(first, end)`` of consecutive pieces of at most ``size`` replicates, in order, and where they belong.

    A piece is the same whoever computes it. ``tick`` is told after each, in the thread of the caller.
    """
    step = max(1, size)
    bounds = [(first, min(first + step, total)) for first in range(0, total, step)]
    for (first, end), found in zip(bounds, spread(mapper, lambda b: compute(*b), bounds), strict=True):
        yield slice(first, end), found
        tick(end, total)

"""Replicates on several workers: the same to the bit, in order, and over as soon as somebody says so."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import pytest

import engine
from engine.canonical import canonical_bytes
from engine.errors import CancelledError
from engine.hooks import Hooks, Mapper, NoHooks, Recorder, Stage, spread
from engine.validation import block_bootstrap, bootstrap, monte_carlo, overfitting, permutation, spa
from engine.validation.base import Report
from engine.validation.inputs import no_tick
from engine.validation.progress import in_pieces
from tests.engine.test_pipeline import config, dataset, lively
from tests.engine.validation.test_suite import EXITS, SMALL

A = TypeVar("A")
R = TypeVar("R")

BARS = 800
ORDERS = {"permutation": {"n": 30, "method": "holding_periods"}}
ALONE = ("break_even", "sharpe")
"""What has nothing to spread: a bisection, and a formula."""

PATIENCE = 60.0
"""Seconds after which something waits for itself."""


def reports(mapper: Mapper, tests: Mapping[str, Any] | None = None, hooks: Hooks | None = None) -> tuple[Report, ...]:
    asked = config(validation=dict(SMALL if tests is None else tests), execution=EXITS)
    return engine.run(asked, dataset(A=lively(11, BARS)), hooks, mapper=mapper).validation


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of a few replicates each, so that there is something to share."""
    monkeypatch.setattr(permutation, "PRODUCTS_PER_CHUNK", 7 * BARS)
    monkeypatch.setattr(bootstrap, "CHUNK", 300)
    monkeypatch.setattr(block_bootstrap, "COUNTS", 400)
    monkeypatch.setattr(monte_carlo, "CHUNK", 500)
    monkeypatch.setattr(overfitting, "CHUNK", 24)
    monkeypatch.setattr(spa, "CHUNK", 1000)


@pytest.fixture(scope="module")
def expected() -> dict[str, tuple[Report, ...]]:
    """The reports of one worker, in pieces as large as they come."""
    return {"all": reports(map), "orders": reports(map, ORDERS)}


def backwards(function: Callable[[A], R], items: Iterable[A]) -> Iterator[R]:
    """As unlucky as a pool can be: the last piece is done first."""
    return reversed([function(item) for item in reversed(list(items))])


@contextmanager
def pool(workers: int) -> Iterator[Mapper]:
    with ThreadPoolExecutor(workers) as threads:
        yield threads.map


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_reports_are_identical_for_any_number_of_workers(
    small_pieces: None, expected: dict[str, tuple[Report, ...]], workers: int
) -> None:
    with pool(workers) as mapper:
        found = {"all": reports(mapper), "orders": reports(mapper, ORDERS)}
    assert found == expected
    for name, of in found.items():
        same = [canonical_bytes([report.as_dict() for report in one]) for one in (of, expected[name])]
        assert same[0] == same[1]


def test_reports_do_not_depend_on_which_piece_is_done_first(
    small_pieces: None, expected: dict[str, tuple[Report, ...]]
) -> None:
    assert reports(backwards) == expected["all"]
    assert reports(backwards, ORDERS) == expected["orders"]


@pytest.mark.parametrize("name", SMALL)
def test_every_test_shares_its_replicates(small_pieces: None, name: str) -> None:
    sizes: list[int] = []

    def counted(function: Callable[[A], R], items: Iterable[A]) -> Iterator[R]:
        every = list(items)
        sizes.append(len(every))
        return map(function, every)

    reports(counted, {name: SMALL[name]})
    assert (max(sizes, default=0) > 1) == (name not in ALONE)
    # What maps inside a piece would show as more calls than a test has phases; the first are the symbols' rows.
    assert len(sizes) <= 1 + 3


def test_progress_rises_and_is_told_by_one_thread(small_pieces: None) -> None:
    callers: set[int] = set()

    class Here(Recorder):
        def progress(self, stage: Stage, fraction: float) -> None:
            callers.add(threading.get_ident())
            super().progress(stage, fraction)

    hooks = Here()
    with pool(4) as mapper:
        reports(mapper, hooks=hooks)
    fractions = [value for kind, name, value in hooks.calls if (kind, name) == ("progress", "validation")]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert callers == {threading.get_ident()}


class StopError(Exception):
    """What the outside stops a run with; no error the engine knows."""


class Stopping(NoHooks):
    """Stops the run when a stage tells its progress for that many times."""

    def __init__(self, after: int, error: type[Exception], stage: Stage = Stage.VALIDATION) -> None:
        self.left, self.error, self.stage_of_end = after, error, stage

    def progress(self, stage: Stage, fraction: float) -> None:  # noqa: ARG002 - the form of Hooks
        self.left -= stage is self.stage_of_end
        if self.left <= 0:
            raise self.error("enough")


@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.parametrize("error", [CancelledError, StopError])
@pytest.mark.parametrize(
    "tests",
    [
        {"bar_permutation": {"n": 5000}},
        {"lookahead": {"cuts": 700}},
        {"plateau": {"points": 1000, "radius": 1.0}},
        {"monte_carlo": {"n": 5000}},
        {"permutation": {"n": 500}},
        {"overfitting": SMALL["overfitting"] | {"n": 5000}},
    ],
    ids=lambda tests: next(iter(tests)),
)
def test_a_stop_ends_the_work(small_pieces: None, tests: dict[str, Any], error: type[Exception], workers: int) -> None:
    ahead, stopped, begun = 30, threading.Event(), list[int]()

    def counting(function: Callable[[A], R], items: Iterable[A]) -> Iterator[R]:
        begun.clear()

        def counted(item: A) -> R:
            begun.append(1)
            if len(begun) > ahead:  # not so far that there is nothing left to stop
                assert stopped.wait(PATIENCE)
            return function(item)

        return threads.map(counted, items)

    with ThreadPoolExecutor(workers) as threads:
        with pytest.raises(error):
            reports(counting, tests, Stopping(12, error))
        stopped.set()
    assert 0 < len(begun) <= ahead + workers


def test_what_is_left_is_never_computed() -> None:
    seen: list[int] = []
    first, others = threading.Event(), threading.Event()

    def slow(i: int) -> int:
        seen.append(i)
        if i > 0:
            others.set()
            first.wait(PATIENCE)
        return i

    with ThreadPoolExecutor(2) as threads:
        for _ in spread(threads.map, slow, range(1000)):
            assert others.wait(PATIENCE)
            break
        first.set()
    assert sorted(seen) == list(range(len(seen)))
    assert len(seen) <= 3


def test_a_mapper_that_cannot_be_stopped_runs_empty() -> None:
    """Where pending work cannot be taken back, it is skipped when its turn comes."""
    waiting: list[Callable[[], object]] = []
    seen: list[int] = []

    def stubborn(function: Callable[[A], R], items: Iterable[A]) -> Iterator[R]:
        first, *rest = items
        waiting.extend(partial(function, item) for item in rest)
        yield function(first)

    for _ in spread(stubborn, seen.append, range(5)):
        break
    for late in waiting:
        with pytest.raises(CancelledError):
            late()
    assert seen == [0]


def test_an_error_in_a_piece_is_raised() -> None:
    def odd(first: int, end: int) -> int:
        if first == 4:
            raise ZeroDivisionError
        return end - first

    with pool(2) as mapper, pytest.raises(ZeroDivisionError):
        list(in_pieces(odd, 10, 2, no_tick, mapper))


def test_pieces_make_up_the_whole() -> None:
    told: list[tuple[int, int]] = []
    found = list(in_pieces(lambda a, b: (a, b), 10, 4, lambda done, total: told.append((done, total)), map))
    assert found == [(slice(0, 4), (0, 4)), (slice(4, 8), (4, 8)), (slice(8, 10), (8, 10))]
    assert told == [(4, 10), (8, 10), (10, 10)]
    assert [piece for _, piece in in_pieces(lambda a, b: (a, b), 3, 0, no_tick, map)] == [(0, 1), (1, 2), (2, 3)]


APART = {"symbols": ["A", "B", "C"], "portfolio": {"mode": "independent"}}
DATA = dataset(A=lively(1), B=lively(2), C=lively(3))


def in_time(work: Callable[[], R]) -> R:
    """The result of ``work``; fails where it waits for itself."""
    found: list[R] = []
    thread = threading.Thread(target=lambda: found.append(work()), daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert found, "still waiting, or failed"
    return found[0]


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_accounts_with_tests_do_not_wait_for_themselves(small_pieces: None, workers: int) -> None:
    asked = config(**APART, validation={"permutation": {"n": 20}, "bar_permutation": {"n": 3}})

    def run() -> dict[str, tuple[Report, ...]]:
        with pool(workers) as mapper:
            return {s: part.validation for s, part in engine.run(asked, DATA, mapper=mapper).parts.items()}

    alone = {s: part.validation for s, part in engine.run(asked, DATA).parts.items()}
    assert in_time(run) == alone


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("error", [CancelledError, StopError])
@pytest.mark.parametrize("after", [1, 5, 20])
def test_a_stop_is_no_failure_of_an_account(error: type[Exception], workers: int, after: int) -> None:
    """Whatever the hooks raise ends the run; the symbol at which they did is not left out of a result."""
    hooks = Stopping(after, error, Stage.EXECUTION)
    if workers == 0:
        with pytest.raises(error):
            engine.run(config(**APART), DATA, hooks)
        return
    with pool(workers) as mapper, pytest.raises(error):
        engine.run(config(**APART), DATA, hooks, mapper=mapper)

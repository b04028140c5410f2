"""Which rows train and which test: purged k-fold, combinatorial purged cross-validation, walk-forward windows.

Rows are in the order of time. What row t is trained on may be known only at the close of a later row ``ends[t]`` (a
label over the next ten bars, say): a training row whose span touches that of a test block is purged. The embargo drops
further training rows behind each test block, for what is correlated though it does not overlap. Lopez de Prado 2018,
"Advances in Financial Machine Learning", chapters 7 and 12.
"""

import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from engine.types import Bools, Ints

MOST_SPLITS = 100_000


@dataclass(frozen=True)
class Split:
    """Row numbers, rising: ``train`` and ``test`` share none. ``purged`` counts training rows taken out."""

    train: Ints
    test: Ints
    purged: int


@dataclass(frozen=True)
class Folds:
    """One split a fold; ``groups`` are the half-open row ranges of the folds."""

    splits: tuple[Split, ...]
    groups: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Combinations:
    """All C(N, k) ways to test k of N ``groups``, and the k C(N, k) / N paths through time they make.

    ``tested`` (C(N, k), k) are the groups that each split tests, rising. ``paths`` (paths, N) is the split that
    gives a path the returns of each group: every split gives each of its k groups to one path.
    """

    splits: tuple[Split, ...]
    groups: tuple[tuple[int, int], ...]
    tested: Ints
    paths: Ints


@dataclass(frozen=True)
class Window:
    """Half-open row ranges ``[train_start, train_end)`` and ``[test_start, test_end)``."""

    train_start: int
    train_end: int
    test_start: int
    test_end: int


@dataclass(frozen=True)
class WalkForward:
    """Windows in the order of time; their tests follow each other without overlap or hole.

    ``unused`` counts the rows behind the last test. There is no window where ``reason`` says why.
    """

    windows: tuple[Window, ...]
    unused: int
    reason: str | None = None


def purged_folds(rows: int, folds: int, *, ends: npt.ArrayLike | None = None, embargo: int = 0) -> Folds:
    """Each of ``folds`` consecutive groups is the test once; their sizes differ by one row at most.

    ``ends`` (rows,) is the last row that each row needs, itself where not given; ``embargo`` is a number of rows.
    Raises ``ValueError`` for fewer than two folds, more folds than rows, and ends before their row or behind the last.
    """
    groups, last = _groups(rows, folds), _ends(rows, ends, embargo)
    return Folds(tuple(_split(rows, [group], last, embargo) for group in groups), groups)


def combinatorial_folds(
    rows: int, groups: int, tests: int, *, ends: npt.ArrayLike | None = None, embargo: int = 0
) -> Combinations:
    """Every choice of ``tests`` out of ``groups`` is the test once, in lexicographic order.

    Arguments and errors as :func:`purged_folds`; also ``ValueError`` for ``tests`` outside 1..groups-1 and for more
    than 100,000 splits.
    """
    ranges, last = _groups(rows, groups), _ends(rows, ends, embargo)
    if not 1 <= tests < groups:
        raise ValueError("tests must be from 1 to one less than groups")
    if math.comb(groups, tests) > MOST_SPLITS:
        raise ValueError(f"{math.comb(groups, tests)} splits are more than {MOST_SPLITS}")
    tested = list(combinations(range(groups), tests))
    splits = tuple(_split(rows, [ranges[g] for g in chosen], last, embargo) for chosen in tested)
    paths = np.empty((math.comb(groups - 1, tests - 1), groups), dtype=np.int64)
    given = [0] * groups
    for number, chosen in enumerate(tested):
        for group in chosen:
            paths[given[group], group] = number
            given[group] += 1
    return Combinations(splits, ranges, np.array(tested, dtype=np.int64), paths)


def walk_forward_windows(
    rows: int, train: int, test: int, *, gap: int = 0, anchored: bool = False, partial: bool = False
) -> WalkForward:
    """Train on ``train`` rows, leave out ``gap``, test on the next ``test``; go on where the test ended.

    Windows are laid from the first row on. ``anchored`` training starts at row 0 and grows, rolling training keeps its
    length. Rows too few for a whole test are one shorter test where ``partial``, else unused. Raises ``ValueError`` for
    fewer than one row to train or test on and a negative gap.
    """
    if min(train, test) < 1 or gap < 0 or rows < 0:
        raise ValueError("train and test must be at least 1 row, gap and rows at least 0")
    windows = []
    begin = train + gap
    while begin + test <= rows or (partial and begin < rows):
        end = min(begin + test, rows)
        windows.append(Window(0 if anchored else begin - gap - train, begin - gap, begin, end))
        begin = end
    if not windows:
        return WalkForward((), rows, f"{rows} rows are too few for one window")
    return WalkForward(tuple(windows), rows - begin)


def _groups(rows: int, count: int) -> tuple[tuple[int, int], ...]:
    if not 2 <= count <= rows:
        raise ValueError("there must be at least 2 groups, and a row for each")
    bounds = [rows * i // count for i in range(count + 1)]
    return tuple((bounds[i], bounds[i + 1]) for i in range(count))


def _ends(rows: int, ends: npt.ArrayLike | None, embargo: int) -> Ints:
    if embargo < 0:
        raise ValueError("embargo must be at least 0 rows")
    if ends is None:
        return np.arange(rows)
    given = np.asarray(ends)
    if given.shape != (rows,) or not np.issubdtype(given.dtype, np.integer):
        raise ValueError("ends must be one row number for each row")
    if np.any(given < np.arange(rows)) or np.any(given >= rows):
        raise ValueError("ends must be neither before their row nor behind the last")
    return given.astype(np.int64)


def _split(rows: int, tests: list[tuple[int, int]], ends: Ints, embargo: int) -> Split:
    row = np.arange(rows)
    testing: Bools = np.zeros(rows, dtype=np.bool_)
    dropped: Bools = np.zeros(rows, dtype=np.bool_)
    for start, stop in _joined(tests):
        testing[start:stop] = True
        # Two spans touch where each begins no later than the other ends.
        until = int(ends[start:stop].max())
        dropped |= (row <= until) & (ends >= start)
        dropped[until + 1 : until + 1 + embargo] = True
    dropped &= ~testing
    return Split(row[~testing & ~dropped], row[testing], int(np.count_nonzero(dropped)))


def _joined(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    joined = [ranges[0]]
    for start, stop in ranges[1:]:
        if start == joined[-1][1]:
            joined[-1] = (joined[-1][0], stop)
        else:
            joined.append((start, stop))
    return joined

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.validation.splits import Window, combinatorial_folds, purged_folds, walk_forward_windows


@st.composite
def spans(draw: st.DrawFn) -> tuple[int, list[int]]:
    rows = draw(st.integers(6, 40))
    return rows, [min(rows - 1, t + draw(st.integers(0, 6))) for t in range(rows)]


def test_walk_forward_by_hand() -> None:
    rolling = walk_forward_windows(12, 4, 3, gap=1)
    assert rolling.windows == (Window(0, 4, 5, 8), Window(3, 7, 8, 11))
    assert (rolling.unused, rolling.reason) == (1, None)
    anchored = walk_forward_windows(12, 4, 3, gap=1, anchored=True, partial=True)
    assert anchored.windows == (Window(0, 4, 5, 8), Window(0, 7, 8, 11), Window(0, 10, 11, 12))
    assert anchored.unused == 0
    short = walk_forward_windows(7, 4, 3, gap=1)
    assert (short.windows, short.unused, short.reason) == ((), 7, "7 rows are too few for one window")
    assert walk_forward_windows(8, 4, 3, gap=1).windows == (Window(0, 4, 5, 8),)


@given(st.integers(0, 200), st.integers(1, 50), st.integers(1, 30), st.integers(0, 10), st.booleans(), st.booleans())
def test_tests_tile_time_and_never_touch_their_training(
    rows: int, train: int, test: int, gap: int, anchored: bool, partial: bool
) -> None:
    found = walk_forward_windows(rows, train, test, gap=gap, anchored=anchored, partial=partial)
    begin = train + gap
    for window in found.windows:
        assert window.test_start == begin
        assert window.train_end == begin - gap
        assert window.train_start == (0 if anchored else window.train_end - train)
        assert 0 <= window.train_start < window.train_end <= window.test_start < window.test_end <= rows
        begin = window.test_end
    whole = max(0, rows - train - gap) // test
    assert len([w for w in found.windows if w.test_end - w.test_start == test]) == whole
    assert found.unused == (rows if found.reason else rows - begin)
    assert not partial or found.unused == 0 or not found.windows


def test_purged_folds_by_hand() -> None:
    # Twelve rows in three folds; every row needs the next one too; one row of embargo.
    ends = np.minimum(np.arange(12) + 1, 11)
    found = purged_folds(12, 3, ends=ends, embargo=1)
    assert found.groups == ((0, 4), (4, 8), (8, 12))
    trains = [split.train.tolist() for split in found.splits]
    # Row 3 needs row 4, which training must then leave alone; row 3 is purged before the fold that starts at 4.
    assert trains == [[6, 7, 8, 9, 10, 11], [0, 1, 2, 10, 11], [0, 1, 2, 3, 4, 5, 6]]
    assert [split.purged for split in found.splits] == [2, 3, 1]
    assert [split.test.tolist() for split in found.splits] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]


@given(spans(), st.integers(2, 6), st.integers(0, 5))
def test_training_rows_are_those_whose_span_touches_no_test(
    case: tuple[int, list[int]], folds: int, embargo: int
) -> None:
    rows, ends = case
    found = purged_folds(rows, folds, ends=ends, embargo=embargo)
    assert np.concatenate([split.test for split in found.splits]).tolist() == list(range(rows))
    for split in found.splits:
        test = split.test.tolist()
        # A fold is one block: it spans all bars from its first row to the last that any of its rows needs.
        bars = set(range(test[0], max(ends[t] for t in test) + 1))
        behind = set(range(max(bars) + 1, max(bars) + 1 + embargo))
        expected = [t for t in range(rows) if not bars & set(range(t, ends[t] + 1)) and t not in behind]
        assert split.train.tolist() == expected
        assert split.purged == rows - len(test) - len(expected)


@given(spans(), st.integers(2, 6), st.integers(1, 5), st.integers(0, 4))
def test_combinations_and_their_paths(case: tuple[int, list[int]], groups: int, tests: int, embargo: int) -> None:
    rows, ends = case
    if tests >= groups:
        return
    found = combinatorial_folds(rows, groups, tests, ends=ends, embargo=embargo)
    splits = math.comb(groups, tests)
    assert (len(found.splits), len(found.paths)) == (splits, tests * splits // groups)
    singles = purged_folds(rows, groups, ends=ends, embargo=embargo)
    for split, chosen in zip(found.splits, found.tested.tolist(), strict=True):
        assert split.test.tolist() == np.concatenate([singles.splits[g].test for g in chosen]).tolist()
        # Nothing may train here that may not beside each of the groups alone.
        allowed = set(range(rows)).intersection(*(singles.splits[g].train.tolist() for g in chosen))
        assert set(split.train.tolist()) == allowed
    used = set()
    for path in found.paths.tolist():
        for group, split in enumerate(path):
            assert group in found.tested[split]
            used.add((split, group))
    assert len(used) == splits * tests  # each split gives each of its groups to exactly one path


def test_the_published_example_has_five_paths() -> None:
    # Lopez de Prado 2018, figure 12.1: six groups, two tested, fifteen splits.
    found = combinatorial_folds(60, 6, 2)
    assert (len(found.splits), found.paths.shape) == (15, (5, 6))
    assert found.tested[:6].tolist() == [[0, 1], [0, 2], [0, 3], [0, 4], [0, 5], [1, 2]]
    # Figure 12.2: the first path takes groups 1 and 2 from the first split, and the others from the next four.
    assert found.paths[0].tolist() == [0, 0, 1, 2, 3, 4]


def test_impossible_arguments_are_refused() -> None:
    for folds in (1, 11):
        with pytest.raises(ValueError, match="groups"):
            purged_folds(10, folds)
    with pytest.raises(ValueError, match="embargo"):
        purged_folds(10, 2, embargo=-1)
    for ends in ([0] * 9, [0.5] * 10):
        with pytest.raises(ValueError, match="one row number"):
            purged_folds(10, 2, ends=ends)
    for ends in ([0] * 10, [10] * 10):
        with pytest.raises(ValueError, match="neither before"):
            purged_folds(10, 2, ends=ends)
    for tests in (0, 5):
        with pytest.raises(ValueError, match="tests must"):
            combinatorial_folds(10, 5, tests)
    with pytest.raises(ValueError, match="more than"):
        combinatorial_folds(100, 40, 20)
    for train, test, gap in ((0, 1, 0), (1, 0, 0), (1, 1, -1)):
        with pytest.raises(ValueError, match="at least"):
            walk_forward_windows(10, train, test, gap=gap)

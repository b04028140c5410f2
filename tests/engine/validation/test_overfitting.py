import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.types import Floats
from engine.validation import overfitting as module
from engine.validation.overfitting import Overfitting, halvings, probability_of_overfitting
from engine.validation.overfitting_kernels import block_moments, split_kernel, split_plain
from engine.validation.resample import Blocks


def noise(seed: int, rows: int, columns: int) -> Floats:
    return np.random.default_rng(seed).normal(0.0, 0.01, (rows, columns))


def splits(values: Floats, blocks: int) -> Floats:
    moments = block_moments(values, np.arange(len(values)), blocks)
    return split_kernel(*moments, len(values) // blocks, halvings(blocks))


@pytest.mark.parametrize("blocks", [2, 4, 8])
@pytest.mark.parametrize("columns", [2, 3, 40])
def test_kernels_equal_their_twin(blocks: int, columns: int) -> None:
    values = noise(blocks + columns, 80, columns) + np.linspace(0.0, 10.0, columns)
    values[:, 0] -= values[:, 0].mean()
    np.testing.assert_allclose(splits(values, blocks), split_plain(values, blocks, halvings(blocks)), rtol=1e-9)
    moments = block_moments.py_func(values, np.arange(80), blocks)
    interpreted = split_kernel.py_func(*moments, 80 // blocks, halvings(blocks))
    np.testing.assert_array_equal(splits(values, blocks), interpreted)


def test_halves_are_all_of_them() -> None:
    halves = halvings(6).tolist()
    both = {tuple(h) for h in halves} | {tuple(sorted(set(range(6)) - set(h))) for h in halves}
    assert both == set(combinations(range(6), 3))


def test_by_hand() -> None:
    # Two blocks: A is the better one in the first, B in the second. The best is always the worse of two next time:
    # rank 1 of 2, w = 1/3, logit log(1/2).
    a, b = [3.0, 1.0, 0.0, -2.0], [1.0, -1.0, 4.0, 2.0]
    found = probability_of_overfitting(np.column_stack((a, b)), 1, blocks=2, replicates=0)
    assert (found.splits, found.pbo, found.pbo_below, found.loss) == (2, 1.0, 1.0, 0.5)
    assert found.logits == pytest.approx((-math.log(2), -math.log(2)))
    # Ratios (best, next time): (sqrt 2, -1 / sqrt 2) and (3 / sqrt 2, 0), a line through both.
    assert found.slope == pytest.approx(1.0)
    assert found.intercept == pytest.approx(-math.sqrt(2) - 1 / math.sqrt(2))
    assert found.band is None


def test_a_true_winner_is_not_overfitted_and_a_trap_is() -> None:
    values = noise(1, 800, 9)
    values[:, 3] += 0.01
    found = probability_of_overfitting(values, 1, blocks=8, replicates=100)
    assert (found.pbo, found.loss) == (0.0, 0.0)
    assert found.band is not None
    assert found.band.p_value.value == pytest.approx(1 / 101)
    # Each strategy earns in one block of time only: the best so far never is again.
    trap = noise(2, 800, 8) * 0.1
    for i in range(8):
        trap[100 * i : 100 * (i + 1), i] += 0.01
    worse = probability_of_overfitting(trap - trap.mean(axis=0), 1, blocks=8, replicates=0)
    assert worse.pbo == 1.0
    assert worse.slope is not None
    assert worse.slope < 0.0


def test_ties_and_odd_numbers() -> None:
    # Three copies of one strategy: rank 2 of 3 is the median, logit 0, and counts only with "or equal".
    copies = np.repeat(noise(3, 40, 1), 3, axis=1)
    found = probability_of_overfitting(copies, 1, blocks=4, replicates=0)
    assert (found.pbo, found.pbo_below, set(found.logits)) == (1.0, 0.0, {0.0})


def test_a_strategy_that_rests_in_a_half_scores_nought_there() -> None:
    # Three blocks of 0.1 have a mean that is not 0.1: without a look at the values the ratio would be 1e16.
    for rest in (0.0, 0.1):
        resting = np.full(60, rest)
        resting[:30] = noise(4, 30, 1)[:, 0] + 0.02
        values = np.column_stack((resting, noise(5, 60, 1)[:, 0] - 0.005))
        found = splits(values, 6)
        np.testing.assert_allclose(found, split_plain(values, 6, halvings(6)), rtol=1e-9)
        assert found[0, 1] == 0.0


def test_a_half_of_rounding_scores_nought() -> None:
    """A strategy that earns interest alone in one half: its returns there differ in their last digits."""
    resting = 0.03 / 365 + 2e-16 * np.random.default_rng(3).integers(-2, 3, 60)
    resting[:30] = noise(4, 30, 1)[:, 0] + 0.02
    values = np.column_stack((resting, noise(5, 60, 1)[:, 0] - 0.005))
    found = splits(values, 6)
    np.testing.assert_allclose(found, split_plain(values, 6, halvings(6)), rtol=1e-9)
    assert found[0, 1] == 0.0
    assert np.abs(found[:, :2]).max() < 10.0
    whole = np.column_stack((values, 0.03 / 365 + 2e-16 * np.arange(60) % 3))
    assert probability_of_overfitting(whole, 1, blocks=6, replicates=5).excluded == (2,)
    assert probability_of_overfitting(whole * [1.0, 1.0, 1e-3], 1, blocks=6, replicates=5).excluded == (2,)


def test_small_moves_about_a_large_mean_keep_their_digits() -> None:
    values = noise(6, 64, 5) * 1e-6 + 1.0
    np.testing.assert_allclose(splits(values, 8)[:, :2], split_plain(values, 8, halvings(8))[:, :2], rtol=1e-6)


def test_the_oldest_rows_are_dropped_and_flat_strategies_left_out() -> None:
    values = noise(7, 43, 4)
    values[:, 2] = 0.001
    found = probability_of_overfitting(values, 1, blocks=4, replicates=0)
    assert (found.dropped, found.excluded, found.strategies, found.rows) == (3, (2,), 4, 43)
    same = probability_of_overfitting(values[3:, [0, 1, 3]], 1, blocks=4, replicates=0)
    assert (found.logits, found.slope) == (same.logits, same.slope)


def test_results_do_not_depend_on_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    values, told = noise(8, 96, 6), list[tuple[int, int]]()
    whole = probability_of_overfitting(values, 3, blocks=6, replicates=20)
    assert probability_of_overfitting(values, 4, blocks=6, replicates=20).band != whole.band
    for chunk in (1, 36 * 3, 36 * 9):
        monkeypatch.setattr(module, "CHUNK", chunk)
        assert probability_of_overfitting(values, 3, blocks=6, replicates=20) == whole
    probability_of_overfitting(values, 3, blocks=6, replicates=3, tick=lambda done, total: told.append((done, total)))
    assert told == [(9, 10), (10, 10), (1, 3), (2, 3), (3, 3)]


def test_the_band_is_that_of_noise() -> None:
    # Over many data sets without skill, the band holds nine tenths of what is found, and p-values are uniform.
    found = [
        probability_of_overfitting(noise(100 + i, 240, 6), i, blocks=6, replicates=60, cut=Blocks()) for i in range(300)
    ]
    inside, low = 0, 0
    for one in found:
        assert one.band is not None
        assert one.pbo is not None
        inside += one.band.lower <= one.pbo <= one.band.upper
        low += one.band.p_value.value <= 0.1
    assert low <= 30 + 3 * math.sqrt(300 * 0.1 * 0.9)
    assert inside >= 270 - 3 * math.sqrt(300 * 0.1 * 0.9)
    assert np.mean([one.pbo for one in found if one.pbo is not None]) == pytest.approx(0.5, abs=0.06)


def test_undefined_is_null_with_a_reason() -> None:
    def empty(found: Overfitting) -> str | None:
        assert (found.pbo, found.pbo_below, found.slope, found.loss, found.band, found.logits) == (None,) * 5 + ((),)
        return found.reason

    assert empty(probability_of_overfitting(noise(1, 31, 4), 1)) == "fewer than two rows a block"
    assert empty(probability_of_overfitting(noise(1, 64, 1), 1)) == "fewer than two strategies vary"
    assert empty(probability_of_overfitting(np.full((64, 5), 0.1), 1)) == "fewer than two strategies vary"


def test_impossible_arguments_are_refused() -> None:
    for blocks in (0, 3, 22):
        with pytest.raises(ValueError, match="blocks must"):
            probability_of_overfitting(noise(1, 64, 3), 1, blocks=blocks)
    with pytest.raises(ValueError, match="replicates"):
        probability_of_overfitting(noise(1, 64, 3), 1, replicates=-1)
    with pytest.raises(ValueError, match="finite"):
        probability_of_overfitting(np.full((64, 3), math.inf), 1)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([2, 4, 6]), st.integers(2, 7), st.sampled_from([1e-8, 1e-4, 3.0, 1e90]))
def test_results_are_bounded_and_without_a_unit(seed: int, blocks: int, columns: int, factor: float) -> None:
    values = noise(seed, 60, columns)
    found = probability_of_overfitting(values, 1, blocks=blocks, replicates=0)
    other = probability_of_overfitting(values[:, ::-1] * factor, 1, blocks=blocks, replicates=0)
    assert (found.pbo, found.pbo_below) == (other.pbo, other.pbo_below)
    assert found.pbo is not None
    assert found.pbo_below is not None
    assert 0.0 <= found.pbo_below <= found.pbo <= 1.0
    assert found.pbo == np.mean(np.array(found.logits) <= 0.0)
    assert max(map(abs, found.logits)) <= math.log(columns) + 1e-12

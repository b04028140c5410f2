import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.streams import stream
from engine.types import Floats
from engine.validation import spa
from engine.validation.inputs import PValue
from engine.validation.resample import Blocks, long_run_variance
from engine.validation.spa import Superiority, maxima_kernel, recentred, resampled_plain, superiority, weighted_sums


def value(p: PValue | None) -> float:
    assert p is not None
    assert p.standard_error == pytest.approx(math.sqrt(p.value * (1 - p.value) / (p.replicates + 1)))
    return p.value


def noise(seed: int, rows: int, columns: int) -> Floats:
    return np.random.default_rng(seed).normal(0.0, 0.01, (rows, columns))


def winner_and_loser(seed: int) -> Floats:
    rng = np.random.default_rng(seed)
    return np.column_stack((rng.normal(0.002, 0.01, 500), rng.normal(-0.02, 0.2, 500)))


@pytest.mark.parametrize("blocks", [Blocks(), Blocks("stationary", 4.0), Blocks("circular", 5)])
@pytest.mark.parametrize(("rows", "columns"), [(12, 1), (30, 3), (150, 5)])
def test_kernel_equals_its_twin(blocks: Blocks, rows: int, columns: int) -> None:
    key, values = stream(rows, "x"), noise(rows, rows, columns)
    omega, means = np.sqrt(long_run_variance(values, blocks)), values.mean(axis=0)
    order = np.argsort(-means / omega)
    values, omega, means = values[:, order], omega[order], means[order]
    shifts, reached = recentred(means, omega, rows), math.sqrt(rows) * means / omega
    unit = np.ascontiguousarray((values - means) / omega)
    maxima, exceeded = maxima_kernel(key, 2, 70, unit, omega, shifts, reached, blocks.survival(rows), blocks.fixed)
    sums = resampled_plain(int(key), 2, 70, values, blocks)
    for j in range(3):
        np.testing.assert_allclose(maxima[:, j], np.maximum(0.0, (sums + shifts[j]).max(axis=1)), atol=1e-11)
    np.testing.assert_allclose(maxima[:, 3], (sums * omega).max(axis=1), atol=1e-11)
    after = [int(np.count_nonzero(sums[:, j:].max(axis=1) >= reached[j])) for j in range(columns)]
    assert exceeded.tolist() == after


@pytest.mark.parametrize(("n", "rows", "columns"), [(1, 1, 1), (3, 65, 2), (40, 200, 9)])
def test_weighted_sums_are_a_product_in_the_order_of_time(n: int, rows: int, columns: int) -> None:
    rng = np.random.default_rng(n)
    weights, data = rng.poisson(1.0, (n, rows)).astype(np.float64), rng.normal(size=(rows, columns))
    found = weighted_sums(weights, data)
    np.testing.assert_allclose(found, weights @ data, atol=1e-12)
    np.testing.assert_array_equal(found, weighted_sums.py_func(weights, data))
    np.testing.assert_array_equal(found, np.vstack([weighted_sums(weights[[i]], data) for i in range(n)]))
    one = 0.0
    for t in range(rows):
        one += weights[0, t] * data[t, 0]
    assert found[0, 0] == one


def test_one_winner_and_one_noisy_loser() -> None:
    # Without division by omega the loser's noise hides the winner: 0.25 of arch against 0.003.
    found = superiority(winner_and_loser(1), 1, blocks=Blocks())
    for p in (found.lower, found.consistent, found.upper):
        assert value(p) < 0.005
    assert value(found.reality_check) > 0.2
    assert (found.best, found.warning) == (0, None)
    assert value(found.stepdown[0]) < 0.005
    assert value(found.stepdown[1]) > 0.5


def test_one_strategy_of_independent_rows_is_a_t_test() -> None:
    # One column: every recentring and the step-down are the one-sided bootstrap test of its mean.
    values = noise(2, 400, 1) + 0.0008
    found = superiority(values, 1, blocks=Blocks(), replicates=40_000)
    t = math.sqrt(400) * values.mean() / values.std()
    assert found.statistic == pytest.approx(t)
    tail = 0.5 * math.erfc(t / math.sqrt(2))
    for p in (found.lower, found.consistent, found.upper, found.reality_check, found.stepdown[0]):
        assert value(p) == pytest.approx(tail, abs=0.006)


def test_all_resamples_of_two_strategies() -> None:
    # Twelve rows in two blocks of six: 144 resamples, each as likely, laid out by hand.
    values = noise(3, 12, 2) + np.array([0.004, 0.001])
    blocks = Blocks("circular", 6)
    omega = np.sqrt(long_run_variance(values, blocks))
    means = values.mean(axis=0)
    reached = math.sqrt(12) * means / omega
    bound = -math.sqrt(2 * math.log(math.log(12)))
    g = [np.maximum(means, 0), np.where(reached >= bound, means, 0), means]
    drawn = np.array(
        [
            values[[(s + j) % 12 for s in starts for j in range(6)]].mean(axis=0)
            for starts in product(range(12), repeat=2)
        ]
    )
    found = superiority(values, 1, blocks=blocks, replicates=60_000)
    for p, centre in zip((found.lower, found.consistent, found.upper), g, strict=True):
        largest = (math.sqrt(12) * (drawn - centre) / omega).max(axis=1)
        exact = float(np.mean(np.maximum(0, largest) >= reached.max() - 1e-9))
        assert value(p) == pytest.approx(exact, abs=4 * math.sqrt(0.25 / 60_000))
    assert found.warning == spa.LIBERAL


def test_step_down_by_its_definition() -> None:
    values = noise(4, 300, 4) + np.array([0.0015, 0.0, 0.001, -0.002])
    blocks, count = Blocks("stationary", 3.0), 2000
    found = superiority(values, 7, blocks=blocks, replicates=count)
    order = [int(i) for i in np.argsort([-(s or 0.0) for s in found.statistics])]
    sums = resampled_plain(int(stream(7, spa.STREAM)), 0, count, values[:, order], blocks)
    previous = 0.0
    for j, strategy in enumerate(order):
        reached = found.statistics[strategy]
        assert reached is not None
        p = (np.count_nonzero(sums[:, j:].max(axis=1) >= reached) + 1) / (count + 1)
        previous = max(previous, p)
        assert value(found.stepdown[strategy]) == pytest.approx(previous)
    # Of the best, the step-down is the test of all with everything recentred.
    assert value(found.stepdown[order[0]]) == value(found.upper)


def test_recentring_by_hand() -> None:
    # Bound at T = 100: sqrt(2 log log 100) = 1.7479 standard errors.
    shifts = recentred(np.array([0.3, -0.1, -0.3]), np.array([1.0, 1.0, 1.0]), 100)
    np.testing.assert_allclose(shifts, [[0.0, -1.0, -3.0], [0.0, 0.0, -3.0], [0.0, 0.0, 0.0]])


def test_nothing_better_than_the_benchmark() -> None:
    found = superiority(noise(5, 200, 5) - 0.01, 1, replicates=500)
    assert found.statistic == 0.0
    assert [value(p) for p in (found.lower, found.consistent, found.upper)] == [1.0, 1.0, 1.0]


def test_flat_columns_are_left_out() -> None:
    values = noise(6, 200, 3)
    wide = np.column_stack((values[:, 0], np.zeros(200), values[:, 1:], np.full(200, 0.1)))
    found, plain = (
        superiority(wide, 1, blocks=Blocks(), replicates=300),
        superiority(values, 1, blocks=Blocks(), replicates=300),
    )
    assert found.excluded == (1, 4)
    assert (found.statistics[1], found.stepdown[4]) == (None, None)
    assert [s for s in found.statistics if s is not None] == list(plain.statistics)
    assert (found.consistent, found.reality_check) == (plain.consistent, plain.reality_check)


def test_results_do_not_depend_on_pieces_or_order(monkeypatch: pytest.MonkeyPatch) -> None:
    values, told = noise(7, 130, 4) + 0.001, list[tuple[int, int]]()
    whole = superiority(values, 3, replicates=300)
    for chunk in (1, 520 * 33, 520 * 299):
        monkeypatch.setattr(spa, "CHUNK", chunk)
        assert superiority(values, 3, replicates=300) == whole
    superiority(values, 3, replicates=300, tick=lambda done, total: told.append((done, total)))
    assert told == [(299, 300), (300, 300)]
    turned = superiority(values[:, ::-1], 3, replicates=300)
    assert (turned.consistent, turned.lower, turned.reality_check) == (
        whole.consistent,
        whole.lower,
        whole.reality_check,
    )
    assert turned.stepdown == whole.stepdown[::-1]
    assert superiority(values, 4, replicates=300).consistent != whole.consistent


def test_undefined_is_null_with_a_reason() -> None:
    def empty(found: Superiority) -> str | None:
        assert (found.statistic, found.lower, found.consistent, found.upper, found.reality_check) == (None,) * 5
        return found.reason

    assert empty(superiority(noise(1, 11, 3), 1)) == "fewer than 12 rows"
    assert empty(superiority(np.full((50, 3), 0.1), 1)) == "no strategy varies against the benchmark"
    assert empty(superiority(np.empty((50, 0)), 1)) == "no strategy varies against the benchmark"
    rotations = superiority(noise(1, 50, 3), 1, blocks=Blocks("circular", 50))
    assert empty(rotations) == "no strategy varies against the benchmark"


def test_impossible_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        superiority(np.full((50, 2), math.nan), 1)
    with pytest.raises(ValueError, match="axes"):
        superiority(np.ones(50), 1)
    with pytest.raises(ValueError, match="replicates"):
        superiority(noise(1, 50, 2), 1, replicates=0)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 6), st.floats(-0.01, 0.01))
def test_p_values_are_ordered(seed: int, columns: int, mean: float) -> None:
    found = superiority(noise(seed, 80, columns) + mean, seed, replicates=99)
    assert value(found.lower) <= value(found.consistent) <= value(found.upper) <= 1.0
    for p in found.stepdown:
        assert value(p) >= value(found.upper) - 1e-12 or found.statistic == 0.0

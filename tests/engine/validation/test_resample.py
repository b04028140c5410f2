import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.streams import stream
from engine.types import Floats
from engine.validation.resample import (
    Blocks,
    autocovariances,
    draw_counts,
    draw_indices,
    draw_indices_plain,
    long_run_variance,
    optimal_block_length,
)

BLOCKS = [Blocks("stationary", length) for length in (1.0, 1.5, 4.0, 1e6)] + [Blocks("circular", n) for n in (1, 3, 40)]


def autoregressive(seed: int, rows: int, rho: float) -> Floats:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=rows)
    for t in range(1, rows):
        values[t] += rho * values[t - 1]
    return values


@pytest.mark.parametrize("blocks", BLOCKS)
@pytest.mark.parametrize("rows", [1, 2, 7, 30])
def test_kernels_equal_their_twin(blocks: Blocks, rows: int) -> None:
    key, survival = stream(rows, "x"), blocks.survival(rows)
    drawn = draw_indices(key, 3, 20, rows, survival, blocks.fixed)
    np.testing.assert_array_equal(drawn, draw_indices_plain(int(key), 3, 20, rows, blocks))
    counts = draw_counts(key, 3, 20, rows, survival, blocks.fixed)
    np.testing.assert_array_equal(counts, [np.bincount(row, minlength=rows) for row in drawn])


@pytest.mark.parametrize("blocks", BLOCKS)
def test_replicates_do_not_depend_on_how_they_are_split(blocks: Blocks) -> None:
    key, survival = stream(1, "x"), blocks.survival(25)
    whole = draw_indices(key, 0, 30, 25, survival, blocks.fixed)
    for first, end in ((0, 1), (1, 17), (17, 30)):
        part = draw_indices(key, first, end - first, 25, survival, blocks.fixed)
        np.testing.assert_array_equal(part, whole[first:end])
    assert len(np.unique(whole, axis=0)) > 15  # long blocks leave little but rotations


def test_block_lengths_are_geometric_and_starts_uniform() -> None:
    # A row that does not follow its predecessor begins a block, but for one in ``rows`` that does so by chance.
    rows, length, count = 200, 5.0, 2000
    blocks = Blocks("stationary", length)
    drawn = draw_indices(stream(2, "x"), 0, count, rows, blocks.survival(rows), 0)
    follows = (drawn[:, 1:] - drawn[:, :-1]) % rows == 1
    expected = 1 - 1 / length + 1 / length / rows
    assert abs(follows.mean() - expected) < 4 * math.sqrt(expected * (1 - expected) / follows.size)
    # Without memory: after a block has gone on for k rows, it goes on as likely as before.
    for k in range(1, 6):
        run = np.all([follows[:, j : -6 + j] for j in range(k)], axis=0)
        share = follows[:, k : k - 6][run].mean()
        assert abs(share - expected) < 5 * math.sqrt(expected * (1 - expected) / run.sum() * length)
    cells = np.bincount(drawn[:, 0], minlength=rows)
    assert float(((cells - 10.0) ** 2 / 10.0).sum()) < 267.5  # 99.9 %, 199 degrees of freedom


def test_circular_blocks_are_of_one_length_and_wrap() -> None:
    blocks = Blocks("circular", 4)
    drawn = draw_indices(stream(3, "x"), 0, 500, 10, blocks.survival(10), blocks.fixed)
    for row in drawn.tolist():
        for begin in (0, 4, 8):
            block = row[begin : begin + 4]
            assert block == [(block[0] + j) % 10 for j in range(len(block))]
    assert {tuple(row[:2]) for row in drawn.tolist()} == {(t, (t + 1) % 10) for t in range(10)}


def test_a_survival_table_is_the_geometric_law() -> None:
    chances = Blocks("stationary", 4.0).survival(1000)
    np.testing.assert_allclose(chances[1:60] / 2.0**64, 0.75 ** np.arange(1, 60), rtol=1e-9)
    assert chances[-1] == 0
    assert list(Blocks().survival(10)[1:]) == [0]
    assert len(Blocks("stationary", 1e12).survival(10)) == 11


@pytest.mark.parametrize(
    "blocks", [Blocks(), Blocks("stationary", 3.0), Blocks("stationary", 20.0), Blocks("circular", 4)]
)
def test_variance_of_the_mean_has_a_closed_form(blocks: Blocks) -> None:
    rows, count = 60, 40_000
    values = autoregressive(5, rows, 0.5) + 3.0
    drawn = draw_indices(stream(4, "x"), 0, count, rows, blocks.survival(rows), blocks.fixed)
    means = values[drawn].mean(axis=1)
    exact = float(long_run_variance(values[:, None], blocks)[0]) / rows
    assert means.var() == pytest.approx(exact, rel=4 * math.sqrt(2 / count))
    assert abs(means.mean() - values.mean()) < 4 * math.sqrt(exact / count)


def test_the_closed_form_by_enumeration() -> None:
    # Three rows, p = 1/2: all starts and all ways to go on, with their chances.
    values, goes_on = np.array([1.0, 2.0, 6.0]), 0.5
    expected = 0.0
    for starts in product(range(3), repeat=3):
        for keeps in product((True, False), repeat=2):
            rows = [starts[0]]
            for t, keep in enumerate(keeps, 1):
                rows.append((rows[-1] + 1) % 3 if keep else starts[t])
            expected += goes_on**2 / 27 * (values[rows].mean() - 3.0) ** 2
    found = long_run_variance(values[:, None], Blocks("stationary", 2.0))
    assert found[0] == pytest.approx(3 * expected, rel=1e-13)
    # Circular blocks of two rows in four: sixteen pairs of starts.
    values = np.array([1.0, 2.0, 6.0, -3.0])
    means = [values[[a, (a + 1) % 4, b, (b + 1) % 4]].mean() for a in range(4) for b in range(4)]
    found = long_run_variance(values[:, None], Blocks("circular", 2))
    assert found[0] == pytest.approx(4 * float(np.var(means)), rel=1e-13)


def test_long_run_variance_of_independent_blocks_and_of_columns() -> None:
    values = np.random.default_rng(6).normal(size=(50, 3))
    np.testing.assert_allclose(long_run_variance(values, Blocks()), values.var(axis=0), rtol=1e-12)
    whole = long_run_variance(values, Blocks("stationary", 3.0))
    for i in range(3):
        assert long_run_variance(values[:, [i]], Blocks("stationary", 3.0))[0] == whole[i]
    assert list(long_run_variance(np.full((9, 2), 0.1), Blocks("stationary", 2.0))) == [0.0, 0.0]
    assert list(long_run_variance(np.ones((1, 1)), Blocks())) == [0.0]
    # A resample that is one rotation has always the same mean.
    assert long_run_variance(values, Blocks("circular", 50)) == pytest.approx([0.0] * 3, abs=1e-12)


def test_autocovariances_by_definition() -> None:
    values = np.random.default_rng(7).normal(1.0, 2.0, 33)
    off = values - values.mean()
    expected = [sum(off[t] * off[t + k] for t in range(33 - k)) / 33 for k in range(33)]
    np.testing.assert_allclose(autocovariances(values), expected, atol=1e-13)


def test_optimal_block_length_of_an_autoregression_approaches_its_closed_form() -> None:
    # G = 2 rho / (1 - rho^2)^2 and g(0) = 1 / (1 - rho)^2 for unit shocks; length (2 G^2 / (2 g^2) T)^(1/3).
    rows, rho = 100_000, 0.5
    slope, spectrum = 2 * rho / (1 - rho**2) / (1 - rho) ** 2, 1 / (1 - rho) ** 2
    found = optimal_block_length(autoregressive(8, rows, rho))
    assert found.stationary == pytest.approx((slope**2 / spectrum**2 * rows) ** (1 / 3), rel=0.15)
    assert found.circular == pytest.approx((found.stationary or 0.0) * 1.5 ** (1 / 3), rel=1e-12)


def test_optimal_block_length_of_little_dependence_is_one_row_at_least() -> None:
    found = [optimal_block_length(np.random.default_rng(seed).normal(size=500)) for seed in range(30)]
    lengths = [one.stationary or 0.0 for one in found]
    assert min(lengths) == 1.0
    assert sorted(lengths)[15] < 4.0
    assert {one.lag for one in found} >= {0, 1} - {0}


def test_undefined_block_lengths() -> None:
    assert optimal_block_length(np.arange(11.0)).reason == "fewer than 12 values"
    assert optimal_block_length(np.full(50, 0.1)).reason == "values do not vary"
    with pytest.raises(ValueError, match="finite"):
        optimal_block_length([math.nan] * 20)
    assert optimal_block_length(np.arange(300.0)).lag is None  # a trend: no autocorrelation is insignificant


@given(st.lists(st.floats(-1e6, 1e6), min_size=12, max_size=60))
def test_block_lengths_are_within_their_bounds(values: list[float]) -> None:
    found = optimal_block_length(values)
    if found.reason is None:
        rows = len(values)
        assert 1.0 <= (found.stationary or 0.0) <= math.ceil(min(3 * math.sqrt(rows), rows / 3))
        assert 1.0 <= (found.circular or 0.0) <= math.ceil(min(3 * math.sqrt(rows), rows / 3))
    else:
        assert max(values) - min(values) <= 1e-13 * max(1.0, *map(abs, values))
    variances = long_run_variance(np.array(values)[:, None], Blocks("stationary", 4.0))
    assert np.all(np.isfinite(variances) & (variances >= 0.0))


def test_impossible_blocks_are_refused() -> None:
    for method, length in (("stationary", 0.5), ("stationary", math.nan), ("stationary", math.inf), ("circular", 2.5)):
        with pytest.raises(ValueError, match="block must be"):
            Blocks(method, length)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="stationary or circular"):
        Blocks("moving", 3.0)  # type: ignore[arg-type]

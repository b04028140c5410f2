import math
from itertools import product
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.streams import stream
from engine.types import Floats
from engine.validation import bootstrap
from engine.validation.bootstrap import (
    Interval,
    automatic_blocks,
    bca_interval,
    bootstrap_sharpe,
    influence,
    jackknife_sharpe,
    sharpe_error,
    sharpe_replicates,
)
from engine.validation.bootstrap_kernels import sharpe_plain
from engine.validation.resample import Blocks, draw_indices
from engine.validation.sharpe import mertens_error, moments

SPATIAL = [48, 36, 20, 29, 42, 42, 20, 42, 22, 41, 45, 14, 6, 0, 33, 28, 34, 4, 32, 24, 47, 41, 24, 26, 30, 41]
"""Spatial test A of 26 children: Efron & Tibshirani 1993, table 14.1."""

BLOCKS = [Blocks(), Blocks("stationary", 1.5), Blocks("stationary", 8.0), Blocks("circular", 7)]


def bounds(interval: Interval) -> tuple[float, float]:
    assert interval.reason is None
    assert interval.lower is not None
    assert interval.upper is not None
    return interval.lower, interval.upper


def returns(seed: int, rows: int = 250, mean: float = 0.05) -> Floats:
    return np.random.default_rng(seed).standard_t(4, rows) * 0.01 + mean * 0.01


@pytest.mark.parametrize("blocks", BLOCKS)
@pytest.mark.parametrize("rows", [12, 40, 251])
def test_kernel_equals_its_twin(blocks: Blocks, rows: int) -> None:
    values, key = returns(rows, rows), stream(rows, "x")
    ratios, _ = sharpe_replicates(values, blocks, key, 60, errors=True)
    np.testing.assert_allclose(ratios, sharpe_plain(int(key), 0, 60, values, blocks), rtol=1e-9, atol=1e-12)


def test_standard_errors_of_resamples_are_those_of_their_blocks() -> None:
    # Circular blocks whose length divides the sample are where they begin: the sums can be taken again.
    values, size = returns(3, 60), 6
    key, blocks = stream(3, "x"), Blocks("circular", size)
    _, errors = sharpe_replicates(values, blocks, key, 40, errors=True)
    drawn = draw_indices(key, 0, 40, 60, blocks.survival(60), size)
    for i in range(40):
        sums = influence(values[drawn[i]]).reshape(-1, size).sum(axis=1)
        assert errors[i] == pytest.approx(math.sqrt(float(sums @ sums)) / 60 * math.sqrt(59 / 60), rel=1e-9)


def test_one_block_alone_has_no_standard_error() -> None:
    _, errors = sharpe_replicates(returns(3, 60), Blocks("stationary", 1e9), stream(3, "x"), 200, errors=True)
    assert set(errors.tolist()) == {0.0}


def test_the_standard_error_without_blocks_is_that_of_mertens() -> None:
    values = returns(4)
    wanted = mertens_error(moments(values)).value
    assert wanted is not None
    assert sharpe_error(values, Blocks()) == pytest.approx(wanted, rel=2e-3)
    # And under autocorrelation that of the resamples, which the closed form describes.
    smooth = np.convolve(returns(5, 604), [0.4, 0.3, 0.2, 0.1, 0.1], mode="valid")
    blocks = Blocks("stationary", 10.0)
    ratios, _ = sharpe_replicates(smooth, blocks, stream(1, "x"), 20_000, errors=False)
    assert sharpe_error(smooth, blocks) == pytest.approx(float(ratios.std()), rel=0.06)
    assert sharpe_error(smooth, blocks) > 1.3 * sharpe_error(smooth, Blocks())


def test_bca_of_efrons_spatial_data() -> None:
    values = np.array(SPATIAL, dtype=np.float64)
    assert values.var() == pytest.approx(171.5, abs=0.05)
    drawn = draw_indices(stream(1, "spatial"), 0, 50_000, 26, Blocks().survival(26), 0)
    left_out = [np.delete(values, i).var() for i in range(26)]
    lower, upper = bounds(bca_interval(float(values.var()), values[drawn].var(axis=1), left_out, 0.9))
    # 2,000 replicates of the book gave (115.8, 259.6), and (100.8, 233.9) by plain percentiles.
    assert lower == pytest.approx(115.5, abs=0.7)
    assert upper == pytest.approx(260.8, abs=1.5)
    plain = np.quantile(values[drawn].var(axis=1), [0.05, 0.95])
    assert plain == pytest.approx([100.8, 233.9], abs=5)


def test_bca_without_bias_and_skewness_is_the_percentile_interval() -> None:
    grid = np.array([NormalDist().inv_cdf((i + 0.5) / 4001) for i in range(4001)])
    lower, upper = bounds(bca_interval(0.0, grid, [-1.0, 1.0], 0.9))
    assert (lower, upper) == pytest.approx(tuple(np.quantile(grid, [0.05, 0.95])))
    # A bias of the median by z0 moves both levels by 2 z0: Efron 1987.
    shift = 0.3
    lower, upper = bounds(bca_interval(shift, grid, [-1.0, 1.0], 0.9))
    normal = NormalDist()
    z0 = normal.inv_cdf(float(np.mean(grid < shift)))
    levels = [normal.cdf(2 * z0 + normal.inv_cdf(tail)) for tail in (0.05, 0.95)]
    assert (lower, upper) == pytest.approx(tuple(np.quantile(grid, levels)))


def test_all_resamples_of_four_returns() -> None:
    # All 256 samples with replacement, and the share of each ratio among many drawn.
    values = np.array([0.01, 0.02, -0.01, 0.05])
    exact = []
    for rows in product(range(4), repeat=4):
        drawn = values[list(rows)]
        exact.append(drawn.mean() / drawn.std(ddof=1) if len(set(rows)) > 1 else math.nan)
    ratios, _ = sharpe_replicates(values, Blocks(), stream(9, "x"), 40_000, errors=False)
    missing = np.isnan(ratios).mean()
    assert abs(missing - 4 / 256) < 4 * math.sqrt(4 / 256 / 40_000)
    for level in np.nanquantile(exact, [0.1, 0.35, 0.6, 0.9]) + 1e-6:
        share = np.nanmean(np.array(exact)[~np.isnan(exact)] <= level)
        assert abs(np.mean(ratios[~np.isnan(ratios)] <= level) - share) < 4 * math.sqrt(0.25 / 40_000)


@pytest.mark.parametrize("block", [1, 7, 30])
def test_jackknife_leaves_pieces_out(block: int) -> None:
    values = returns(6, 100)
    values[50] = 1e4  # without it the others are close together: one pass would cancel
    expected = [moments(np.delete(values, slice(i, i + block))).sharpe for i in range(0, 100, block)]
    np.testing.assert_allclose(jackknife_sharpe(values, block), np.array(expected, dtype=np.float64), rtol=1e-9)


def test_an_outlier_costs_no_digits() -> None:
    values = returns(7, 50)
    values[10] = 1e5
    key = stream(2, "x")
    ratios, _ = sharpe_replicates(values, Blocks(), key, 400, errors=False)
    np.testing.assert_allclose(ratios, sharpe_plain(int(key), 0, 400, values, Blocks()), rtol=1e-8, atol=1e-8)
    assert np.all(np.isfinite(ratios))


def test_the_parts_of_a_result_fit_together() -> None:
    values = returns(8)
    found = bootstrap_sharpe(values, 42, blocks=Blocks("stationary", 3.0), replicates=4000)
    sharpe = moments(values).sharpe
    ratios, errors = sharpe_replicates(values, found.blocks, stream(42, bootstrap.STREAM), 4000, errors=True)
    assert sharpe is not None
    assert found.sharpe == sharpe
    assert found.p_value is not None
    assert found.p_value.value == (np.count_nonzero(ratios - sharpe >= sharpe) + 1) / 4001
    p = found.p_value.value
    assert found.p_value.standard_error == pytest.approx(math.sqrt(p * (1 - p) / 4001))
    assert found.standard_error == pytest.approx(float(ratios.std(ddof=1)))
    assert found.bias == pytest.approx(float(ratios.mean()) - sharpe)
    assert bounds(found.percentile) == pytest.approx(tuple(np.quantile(ratios, [0.025, 0.975])))
    high, low = np.quantile((ratios - sharpe) / errors, [0.975, 0.025])
    error = sharpe_error(values, found.blocks)
    assert bounds(found.studentised) == pytest.approx((sharpe - high * error, sharpe - low * error))
    # The largest of the p-value's benchmarks that is not rejected is near the one-sided bound.
    assert bootstrap_sharpe(values, 42, blocks=found.blocks, replicates=4000, benchmark=9.0).p_value is not None


def test_results_do_not_depend_on_pieces_and_the_caller_can_end_them(monkeypatch: pytest.MonkeyPatch) -> None:
    values, told = returns(9), list[tuple[int, int]]()
    whole = bootstrap_sharpe(values, 1, replicates=500)
    assert bootstrap_sharpe(values, 1, replicates=500) == whole
    assert bootstrap_sharpe(values, 2, replicates=500).percentile != whole.percentile
    for chunk in (1, 250 * 7, 250 * 499):
        monkeypatch.setattr(bootstrap, "CHUNK", chunk)
        assert bootstrap_sharpe(values, 1, replicates=500) == whole
    bootstrap_sharpe(values, 1, replicates=500, tick=lambda done, total: told.append((done, total)))
    assert told == [(499, 500), (500, 500)]

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bootstrap_sharpe(values, 1, replicates=500, tick=stop)


def test_undefined_is_null_with_a_reason() -> None:
    for values, reason in (([0.1] * 20, "returns do not vary"), ([0.1, 0.2], "fewer than 12 returns"), ([], None)):
        found = bootstrap_sharpe(values, 1, replicates=10)
        assert found.reason == (reason or "fewer than two returns")
        assert (found.sharpe, found.p_value, found.standard_error, found.bias) == (None,) * 4
        assert found.percentile == found.bca == found.studentised == Interval(None, None, found.reason)


def test_where_resamples_do_not_vary_there_are_no_intervals() -> None:
    # One return in fifty: a resample misses it with probability (49/50)^50, 36 %.
    values = np.zeros(50)
    values[20] = 0.1
    found = bootstrap_sharpe(values, 1, blocks=Blocks(), replicates=2000)
    assert abs(found.constant / 2000 - 0.98**50) < 0.05
    assert found.percentile.reason == f"{found.constant} of 2000 resamples do not vary"
    assert found.p_value is not None
    assert found.p_value.value > 0.36
    # The same where the others are interest, whose digits end in rounding.
    rounded = bootstrap_sharpe(
        values + 1e-4 + 2e-16 * np.random.default_rng(1).integers(-2, 3, 50), 1, blocks=Blocks(), replicates=2000
    )
    assert rounded.constant == found.constant
    # One block that is the whole sample: every resample is a rotation of it, and nothing is known.
    turned = bootstrap_sharpe(returns(1, 50), 1, blocks=Blocks("circular", 50), replicates=50)
    assert turned.studentised.reason == "the standard error is zero in resamples"
    assert bca_interval(1.0, [2.0, 3.0], [1.0, 2.0]).reason == "all replicates are on one side of the estimate"
    assert bca_interval(2.5, [2.0, 3.0], [1.0, 1.0]).reason == "the jackknife does not vary"
    assert bca_interval(2.5, [2.0, 3.0], []).reason == "the jackknife does not vary"


def test_impossible_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        bootstrap_sharpe([math.nan] * 20, 1)
    with pytest.raises(ValueError, match="replicates"):
        bootstrap_sharpe(returns(1), 1, replicates=1)
    with pytest.raises(ValueError, match="benchmark"):
        bootstrap_sharpe(returns(1), 1, benchmark=math.nan)
    with pytest.raises(ValueError, match="confidence"):
        bootstrap_sharpe(returns(1), 1, confidence=95.0)


def test_automatic_blocks() -> None:
    smooth = np.convolve(returns(2, 400), np.ones(8), mode="valid")
    drawn, equal = automatic_blocks(smooth), automatic_blocks(smooth, "circular")
    assert drawn.length > 5
    assert equal.length == round(equal.length) > drawn.length
    assert automatic_blocks([0.1] * 30) == Blocks()
    assert bootstrap_sharpe(smooth, 1, replicates=50).blocks == drawn


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(60, 120), st.sampled_from(BLOCKS), st.sampled_from([1e-8, 1e-4, 3.0, 1e90]))
def test_results_are_ordered_finite_and_without_a_unit(seed: int, rows: int, blocks: Blocks, factor: float) -> None:
    values = returns(seed, rows)
    found = bootstrap_sharpe(values, seed, blocks=blocks, replicates=200)
    scaled = bootstrap_sharpe(values * factor, seed, blocks=blocks, replicates=200)
    for interval, other in ((found.percentile, scaled.percentile), (found.studentised, scaled.studentised)):
        lower, upper = bounds(interval)
        assert lower <= upper
        assert bounds(other) == pytest.approx((lower, upper), rel=1e-6, abs=1e-9)
    assert found.p_value is not None
    assert 0.0 < found.p_value.value <= 1.0

"""The validation statistics beside arch, statsmodels and skfolio."""

import warnings

import numpy as np
import pytest

from engine.streams import stream
from engine.types import Floats
from engine.validation.bootstrap import bca_interval, bootstrap_sharpe, sharpe_replicates
from engine.validation.multiple import benjamini_hochberg, benjamini_yekutieli, holm
from engine.validation.resample import Blocks, long_run_variance, optimal_block_length
from engine.validation.spa import superiority
from engine.validation.splits import combinatorial_folds, walk_forward_windows
from tests.parity.cases import peer

arch, selection, multitest = (
    peer("arch.bootstrap"),
    peer("skfolio.model_selection"),
    peer("statsmodels.stats.multitest"),
)


def autoregressive(seed: int, rows: int, rho: float) -> Floats:
    values = np.random.default_rng(seed).normal(size=rows)
    for t in range(1, rows):
        values[t] += rho * values[t - 1]
    return values


def sharpe(returns: Floats) -> float:
    return float(returns.mean() / returns.std(ddof=1))


@pytest.mark.parametrize("rho", [-0.5, 0.0, 0.3, 0.9])
@pytest.mark.parametrize("rows", [12, 50, 300, 5000])
def test_block_lengths_of_arch(rho: float, rows: int) -> None:
    for seed in range(20):
        values = autoregressive(seed, rows, rho)
        theirs, ours = arch.optimal_block_length(values).iloc[0], optimal_block_length(values)
        # Theirs may be below one row, which no block can be.
        assert ours.stationary == pytest.approx(max(1.0, theirs["stationary"]), rel=1e-9)
        assert ours.circular == pytest.approx(max(1.0, theirs["circular"]), rel=1e-9)


def test_adjusted_p_values_of_statsmodels() -> None:
    rng = np.random.default_rng(1)
    for size in (1, 2, 5, 40, 300):
        p = np.round(rng.uniform(size=size) ** 3, 3)  # with ties
        for method, own in (("holm", holm), ("fdr_bh", benjamini_hochberg), ("fdr_by", benjamini_yekutieli)):
            rejected, adjusted, _, _ = multitest.multipletests(p, alpha=0.05, method=method)
            np.testing.assert_allclose(own(p).p_values, adjusted, rtol=1e-12)
            assert own(p).rejected(0.05) == list(np.flatnonzero(rejected))


def test_sharpe_replicates_and_intervals_of_arch() -> None:
    # Other random numbers: standard errors and quantiles agree within their Monte Carlo error.
    values = autoregressive(3, 500, 0.3) * 0.01 + 0.001
    other = arch.StationaryBootstrap(8, values, seed=1)
    theirs = other.apply(sharpe, 4000)[:, 0]
    ours, _ = sharpe_replicates(values, Blocks("stationary", 8.0), stream(1, "x"), 4000, errors=False)
    assert float(ours.std()) == pytest.approx(float(theirs.std()), rel=0.05)
    deviation = float(theirs.std())
    for level in (0.05, 0.5, 0.95):
        assert np.quantile(ours, level) == pytest.approx(np.quantile(theirs, level), abs=0.08 * deviation)
    found = bootstrap_sharpe(values, 1, blocks=Blocks("stationary", 8.0), replicates=4000)
    low, high = other.conf_int(sharpe, 4000, method="percentile")[:, 0]
    assert (found.percentile.lower, found.percentile.upper) == pytest.approx((low, high), abs=0.2 * deviation)


def test_bca_of_arch_on_the_same_replicates() -> None:
    values = np.random.default_rng(4).exponential(size=60)
    other = arch.IIDBootstrap(values, seed=2)
    low, high = other.conf_int(np.var, 2000, method="bca", size=0.9)[:, 0]
    left_out = [np.delete(values, i).var() for i in range(60)]
    found = bca_interval(float(values.var()), other._results[:, 0], left_out, 0.9)
    # arch takes order statistics between which it interpolates otherwise.
    assert (found.lower, found.upper) == pytest.approx((low, high), rel=2e-3)


def test_long_run_variance_of_arch() -> None:
    excess = np.column_stack([autoregressive(i, 200, 0.3) for i in range(3)])
    other = arch.SPA(np.zeros(200), -excess, block_size=7, reps=10, seed=1)
    other.compute()
    np.testing.assert_allclose(long_run_variance(excess, Blocks("stationary", 7.0)), other._loss_diff_var, rtol=1e-10)


def test_spa_where_all_deviations_are_equal_is_that_of_arch() -> None:
    # arch never divides by omega; with columns of one omega nothing is lost by that.
    rng = np.random.default_rng(5)
    excess = rng.normal(size=(400, 6))
    excess = (excess - excess.mean(axis=0)) / excess.std(axis=0) + np.array([0.1, 0.08, 0.0, -0.02, -0.05, -0.3])
    other = arch.SPA(np.zeros(400), -excess, block_size=1, reps=4000, seed=1)
    other.compute()
    ours = superiority(excess, 1, blocks=Blocks(), replicates=4000)
    for name in ("lower", "consistent", "upper"):
        assert getattr(ours, name).value == pytest.approx(other.pvalues[name], abs=0.025)
    step = arch.StepM(np.zeros(400), -excess, size=0.25, block_size=1, reps=4000, seed=1)
    step.compute()
    adjusted = [p.value if p is not None else 1.0 for p in ours.stepdown]
    assert [i for i, p in enumerate(adjusted) if p <= 0.25] == step.superior_models


def test_where_arch_does_not_divide_by_omega() -> None:
    rng = np.random.default_rng(1)
    loser = rng.normal(0.0, 0.2, 500)
    excess = np.column_stack((rng.normal(0.002, 0.01, 500), loser - loser.mean() - 0.001))
    with_omega, without = (
        arch.SPA(np.zeros(500), -excess, block_size=1, reps=2000, studentize=flag, seed=1) for flag in (True, False)
    )
    with_omega.compute()
    without.compute()
    assert list(with_omega.pvalues) == list(without.pvalues)  # the known difference: were it mended, this fails
    ours = superiority(excess, 1, blocks=Blocks(), replicates=2000)
    assert ours.consistent is not None
    assert ours.consistent.value < 0.005
    assert with_omega.pvalues["consistent"] > 0.1


@pytest.mark.parametrize(("groups", "tests"), [(6, 2), (5, 2), (8, 4), (10, 3)])
@pytest.mark.parametrize(("purge", "embargo"), [(0, 0), (2, 0), (2, 3)])
def test_combinations_of_skfolio(groups: int, tests: int, purge: int, embargo: int) -> None:
    rows = 12 * groups
    other = selection.CombinatorialPurgedCV(n_folds=groups, n_test_folds=tests, purged_size=purge, embargo_size=embargo)
    ends = np.minimum(np.arange(rows) + purge, rows - 1)
    ours = combinatorial_folds(rows, groups, tests, ends=ends, embargo=embargo)
    assert (len(ours.splits), len(ours.paths)) == (other.n_splits, other.n_test_paths)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = list(other.split(np.zeros((rows, 1))))
    for split, (train, test) in zip(ours.splits, theirs, strict=True):
        assert sorted(int(i) for part in test for i in part) == split.test.tolist()
        assert sorted(int(i) for i in train) == split.train.tolist()


@pytest.mark.parametrize(("rows", "gap"), [(100, 0), (103, 3), (64, 1)])
def test_windows_of_skfolio(rows: int, gap: int) -> None:
    ours = walk_forward_windows(rows, 30, 10, gap=gap)
    theirs = list(selection.WalkForward(train_size=30, test_size=10, purged_size=gap).split(np.zeros((rows, 1))))
    assert len(ours.windows) == len(theirs)
    for window, (train, test) in zip(ours.windows, theirs, strict=True):
        assert list(test) == list(range(window.test_start, window.test_end))
        assert train[-1] == window.train_end - 1

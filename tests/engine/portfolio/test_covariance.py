"""Ledoit and Wolf's estimators against their own matrix form, with holes, and the repair of indefinite matrices."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from engine.portfolio.covariance import (
    EIGENVALUE_FLOOR,
    Target,
    intensity_of,
    moments,
    moments_plain,
    shrink,
    shrink_estimates,
    usable_correlation,
)
from engine.types import Floats
from tests.engine.portfolio.matrices import MAILLARD, correlation, returns

SHAPES = [(2, 60), (3, 20), (10, 100), (40, 30), (5, 3)]


def holed(seed: int, assets: int, rows: int, share: float = 0.15) -> Floats:
    window = returns(seed, assets, rows)
    window[np.random.default_rng(seed).random(window.shape) < share] = np.nan
    return window


def constant_correlation_2004b(x: Floats) -> float:
    """The authors' program, in matrices: intensity = max(0, min(1, (pi - rho) / gamma / T)), all sums over T by T."""
    rows, n = x.shape
    x = x - x.mean(axis=0)
    sample = x.T @ x / rows
    deviation = np.sqrt(np.diag(sample))
    mean = (np.sum(sample / np.outer(deviation, deviation)) - n) / (n * (n - 1))
    prior = mean * np.outer(deviation, deviation)
    np.fill_diagonal(prior, np.diag(sample))
    pi = (x**2).T @ x**2 / rows - sample**2
    theta = (x**3).T @ x / rows - np.diag(sample)[:, None] * sample
    np.fill_diagonal(theta, 0.0)
    rho = np.trace(pi) + mean * np.sum(np.outer(1.0 / deviation, deviation) * theta)
    gamma = np.sum((sample - prior) ** 2)
    return float(max(0.0, min(1.0, (pi.sum() - rho) / gamma / rows)))


def identity_2004a(x: Floats) -> float:
    """b^2 / d^2 of the paper: every row's own outer product against the sample."""
    rows, n = x.shape
    x = x - x.mean(axis=0)
    sample = x.T @ x / rows
    d2 = np.sum((sample - np.trace(sample) / n * np.eye(n)) ** 2)
    b2 = sum(np.sum((np.outer(row, row) - sample) ** 2) for row in x) / rows**2
    return float(min(b2, d2) / d2)


@pytest.mark.parametrize(("assets", "rows"), SHAPES[1:])
def test_constant_correlation_is_the_authors(assets: int, rows: int) -> None:
    window = returns(assets, assets, rows)
    assert intensity_of(window, "constant_correlation") == pytest.approx(constant_correlation_2004b(window), rel=1e-9)


@pytest.mark.parametrize(("assets", "rows"), SHAPES)
def test_identity_is_the_authors(assets: int, rows: int) -> None:
    window = returns(assets, assets, rows)
    assert intensity_of(window, "identity") == pytest.approx(identity_2004a(window), rel=1e-9)


@pytest.mark.parametrize("share", [0.0, 0.15, 0.6])
@pytest.mark.parametrize(("assets", "rows"), SHAPES)
def test_moments_equal_their_twin_with_holes(assets: int, rows: int, share: float) -> None:
    window = holed(assets, assets, rows, share)
    window[:2] = returns(1, assets, 2)
    both = [vars(f(window)) for f in (moments, moments_plain)]
    for name, expected in both[1].items():
        assert_allclose(both[0][name], expected, rtol=1e-9, atol=1e-18, err_msg=name)


@pytest.mark.parametrize("target", ["identity", "constant_correlation"])
def test_the_matrix_lies_between_sample_and_target(target: Target) -> None:
    window = returns(3, 6)
    found = shrink(window, target)
    sample = np.cov(window.T, ddof=0)
    assert 0.0 < found.intensity < 1.0
    aim = (found.matrix - (1.0 - found.intensity) * sample) / found.intensity
    if target == "identity":
        assert_allclose(aim, np.trace(sample) / 6 * np.eye(6), atol=1e-15)
    else:
        assert_allclose(np.diag(aim), np.diag(sample), rtol=1e-12)
        rho = aim / np.sqrt(np.outer(np.diag(aim), np.diag(aim)))
        mean = (np.corrcoef(window.T).sum() - 6.0) / 30.0
        assert_allclose(rho, np.where(np.eye(6) == 1.0, 1.0, mean), rtol=1e-9)


@pytest.mark.parametrize("target", ["identity", "constant_correlation"])
def test_estimates_shrink_as_the_covariance_they_make(target: Target) -> None:
    window = returns(4, 6)
    found = shrink(window, target)
    deviation: Floats = np.sqrt(np.diag(np.cov(window.T, ddof=0)))
    volatility, rho = shrink_estimates(deviation, np.atleast_2d(np.corrcoef(window.T)), found.intensity, target)
    assert_allclose(rho * np.outer(volatility, volatility), found.matrix, rtol=1e-10)


@pytest.mark.parametrize("target", ["identity", "constant_correlation"])
def test_more_rows_shrink_less_and_scale_does_not_matter(target: Target) -> None:
    few, many = (intensity_of(returns(5, 8, rows), target) for rows in (40, 4000))
    assert many < 0.2 * few
    assert intensity_of(1e3 * returns(5, 8, 40), target) == pytest.approx(few, rel=1e-12)


def test_two_symbols_have_one_correlation_and_one_symbol_none() -> None:
    assert intensity_of(returns(6, 2), "constant_correlation") == 0.0
    for target in ("identity", "constant_correlation"):
        assert shrink(returns(6, 1), target).intensity == 0.0


def test_rows_without_a_pair_leave_its_estimates_alone() -> None:
    """A symbol that never trades with the others: the pairs it has none with are neither error nor distance."""
    window = np.full((90, 4), np.nan)
    window[:60, :3] = returns(7, 3)
    window[60:, 3] = returns(8, 1, 30)[:, 0]
    alone = window[:60, :3]
    assert intensity_of(window, "constant_correlation") == pytest.approx(
        intensity_of(alone, "constant_correlation"), rel=1e-12
    )


@pytest.mark.parametrize("window", [np.empty((0, 3)), np.empty((3, 0)), np.ones(3), np.array([[np.inf, 1.0]])])
def test_impossible_windows(window: Floats) -> None:
    with pytest.raises(ValueError, match="returns must be"):
        shrink(window)


def test_a_constant_symbol_has_no_correlation_to_shrink() -> None:
    with pytest.raises(ValueError, match="without variance"):
        shrink(np.array([[1.0, 2.0], [1.0, 3.0]]), "constant_correlation")


def test_a_good_matrix_stays_as_it_is() -> None:
    assert usable_correlation(MAILLARD).tobytes() == MAILLARD.tobytes()
    assert usable_correlation(MAILLARD - 0.5 * np.eye(4)).tobytes() == MAILLARD.tobytes()


@pytest.mark.parametrize("seed", range(8))
def test_an_indefinite_matrix_becomes_usable_and_stays_near(seed: int) -> None:
    noise = np.random.default_rng(seed).normal(0.0, 0.3, (12, 12))
    indefinite = np.clip(correlation(seed, 12) + (noise + noise.T) / 2.0, -1.0, 1.0)
    np.fill_diagonal(indefinite, 1.0)
    assert np.linalg.eigvalsh(indefinite)[0] < -0.01
    made = usable_correlation(indefinite)
    assert np.linalg.eigvalsh(made)[0] > 0.1 * EIGENVALUE_FLOOR
    assert np.array_equal(made, made.T)
    assert np.all(np.diag(made) == 1.0)
    assert np.max(np.abs(made)) <= 1.0
    negative = np.minimum(np.linalg.eigvalsh(indefinite), 0.0)
    assert np.linalg.norm(made - indefinite) <= 3.0 * np.linalg.norm(negative)


def test_duplicates_are_pulled_apart_by_next_to_nothing() -> None:
    assert_allclose(usable_correlation(np.ones((3, 3))), np.ones((3, 3)), atol=3.0 * EIGENVALUE_FLOOR)


def test_an_unknown_correlation_cannot_be_repaired() -> None:
    with pytest.raises(ValueError, match="finite"):
        usable_correlation(np.array([[1.0, np.nan], [np.nan, 1.0]]))

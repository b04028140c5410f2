"""The optimisations satisfy their conditions and equal slow twins of another kind."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from engine.portfolio.covariance import usable_correlation
from engine.portfolio.solvers import _one_by_one, equal_risk, equal_risk_plain, nonnegative, nonnegative_plain
from engine.types import Floats
from tests.engine.portfolio.matrices import correlation

RANDOM = [(seed, 1 + seed % 24) for seed in range(48)]


def aims(seed: int, assets: int) -> Floats:
    made: Floats = 10.0 ** np.random.default_rng(seed).uniform(-2.0, 0.0, assets)
    return made


@pytest.mark.parametrize(("seed", "assets"), RANDOM)
def test_equal_risk_equals_its_twin(seed: int, assets: int) -> None:
    rho = correlation(seed, assets, 80)
    exposure, residual = equal_risk(rho)
    assert residual < 1e-12
    assert_allclose(exposure, equal_risk_plain(rho), rtol=1e-10)
    assert_allclose(exposure * (rho @ exposure), 1.0, rtol=1e-11)


@pytest.mark.parametrize(("seed", "assets"), RANDOM)
def test_nonnegative_equals_its_twin(seed: int, assets: int) -> None:
    rho, aim = correlation(seed, assets, 80), aims(seed, assets)
    exposure, residual = nonnegative(rho, aim)
    assert residual < 1e-12
    assert_allclose(exposure, nonnegative_plain(rho, aim), atol=1e-11 * exposure.max())


@pytest.mark.parametrize(("seed", "assets"), RANDOM)
def test_the_last_resort_gives_the_same(seed: int, assets: int) -> None:
    rho, aim = correlation(seed, assets, 80), aims(seed, assets)
    exposure = np.zeros(assets)
    _one_by_one(rho, aim, np.ones(assets, dtype=np.bool_), exposure)
    assert_allclose(exposure, nonnegative(rho, aim)[0], atol=1e-11 * exposure.max())


@pytest.mark.parametrize("assets", [30, 100, 250])
@pytest.mark.parametrize("seed", range(3))
def test_matrices_at_the_edge_are_solved(seed: int, assets: int) -> None:
    """Pairs near 1 and -1 at random, which no returns have: repaired, and solved all the same."""
    draw = np.random.default_rng(seed)
    sides = np.where(draw.random(assets) < 0.5, -1.0, 1.0)
    rho = usable_correlation(np.outer(sides, sides) * draw.uniform(0.5, 1.0, (assets, assets)))
    assert equal_risk(rho)[1] < 1e-8
    assert nonnegative(rho, aims(seed, assets))[1] < 1e-8


def test_a_perfect_hedge_is_solved() -> None:
    rho = usable_correlation(np.array([[1.0, -1.0, 0.2], [-1.0, 1.0, -0.2], [0.2, -0.2, 1.0]]))
    assert equal_risk(rho)[1] < 1e-8
    exposure, residual = nonnegative(rho, np.ones(3))
    assert residual < 1e-8
    assert_allclose(exposure[0], exposure[1], rtol=1e-3)

"""Diversification, contributions and bets: closed forms, Euler's sums, and what is undefined."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

from engine.portfolio.risk import RiskContributions, diversification_ratio, effective_bets, risk_contributions
from engine.types import Floats
from tests.engine.portfolio.matrices import MAILLARD, correlation

VOLS = np.array([0.1, 0.2, 0.3, 0.4])
NAMES = ("A", "B", "C", "D")


def ratio(weights: object, volatility: Floats = VOLS, rho: Floats = MAILLARD) -> float:
    found = diversification_ratio(np.array(weights, dtype=np.float64), volatility, rho)
    assert found.value is not None
    return found.value


def bets(weights: object, volatility: Floats, rho: Floats) -> float:
    found = effective_bets(np.array(weights, dtype=np.float64), volatility, rho)
    assert found.value is not None
    return found.value


@pytest.mark.parametrize("assets", [1, 2, 5, 50])
def test_uncorrelated_symbols_of_one_volatility_diversify_by_the_root_of_their_number(assets: int) -> None:
    weights, vols = np.full(assets, 1.0 / assets), np.full(assets, 0.2)
    assert ratio(weights, vols, np.eye(assets)) == pytest.approx(math.sqrt(assets))
    assert bets(weights, vols, np.eye(assets)) == pytest.approx(assets)


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.9, 1.0])
def test_equal_correlations_have_a_closed_form(rho: float) -> None:
    matrix = np.full((4, 4), rho) + (1.0 - rho) * np.eye(4)
    assert ratio([0.25] * 4, np.ones(4), matrix) == pytest.approx(1.0 / math.sqrt(rho + (1.0 - rho) / 4.0))


@pytest.mark.parametrize("seed", range(20))
def test_the_ratio_is_at_least_1_with_shorts_too_and_its_unit_does_not_matter(seed: int) -> None:
    draw = np.random.default_rng(seed)
    weights, rho = draw.normal(size=6), correlation(seed, 6)
    vols = draw.uniform(0.1, 1.0, 6)
    assert ratio(weights, vols, rho) >= 1.0
    assert ratio(3.0 * weights, 16.0 * vols, rho) == pytest.approx(ratio(weights, vols, rho), rel=1e-12)
    assert ratio(-weights, vols, rho) == ratio(weights, vols, rho)


@pytest.mark.parametrize("seed", range(20))
def test_contributions_are_the_derivatives_and_sum_to_volatility(seed: int) -> None:
    draw = np.random.default_rng(seed)
    weights, vols, rho = draw.normal(size=4), draw.uniform(0.1, 1.0, 4), correlation(seed, 4)
    covariance = rho * np.outer(vols, vols)
    found = risk_contributions(NAMES, weights, vols, rho)
    assert found.volatility == pytest.approx(math.sqrt(weights @ covariance @ weights), rel=1e-12)
    assert sum(found.contributions.values()) == pytest.approx(found.volatility, rel=1e-12)
    assert sum(found.shares.values()) == pytest.approx(1.0, rel=1e-12)
    for i, name in enumerate(NAMES):
        step = 1e-6 * np.eye(4)[i]
        up, down = (math.sqrt(w @ covariance @ w) for w in (weights + step, weights - step))
        assert found.contributions[name] == pytest.approx(weights[i] * (up - down) / 2e-6, rel=1e-5, abs=1e-9)


def test_a_hedge_contributes_less_than_nothing() -> None:
    rho = np.array([[1.0, 0.9], [0.9, 1.0]])
    found = risk_contributions(("A", "B"), np.array([1.0, -0.5]), np.array([0.2, 0.2]), rho)
    assert found.contributions["B"] < 0.0 < found.contributions["A"]


def test_what_has_no_weight_does_not_count() -> None:
    rho, vols = MAILLARD.copy(), VOLS.copy()
    rho[1] = rho[:, 1] = np.nan
    vols[1] = np.nan
    weights = np.array([0.5, 0.0, 0.2, 0.3])
    assert ratio(weights, vols, rho) == ratio(weights)
    assert risk_contributions(NAMES, weights, vols, rho) == risk_contributions(NAMES, weights, VOLS, MAILLARD)
    assert risk_contributions(NAMES, weights, vols, rho).contributions["B"] == 0.0
    assert bets(weights, vols, rho) == bets(weights, VOLS, MAILLARD)


def test_a_constant_price_needs_no_correlation() -> None:
    rho, vols = MAILLARD.copy(), np.array([0.1, 0.0, 0.3, 0.4])
    rho[1] = rho[:, 1] = np.nan
    assert ratio([0.5, 0.1, 0.2, 0.2], vols, rho) == ratio([0.5, 0.0, 0.2, 0.2], vols, rho)


@pytest.mark.parametrize(
    ("weights", "volatility", "rho", "reason"),
    [
        ([0.0] * 4, VOLS, MAILLARD, "there is no position"),
        ([0.25] * 4, np.full(4, np.nan), MAILLARD, "the volatility of a position is unknown"),
        ([0.25] * 4, VOLS, np.full((4, 4), np.nan), "the correlation of two positions is unknown"),
        ([0.25] * 4, np.zeros(4), MAILLARD, "the portfolio has no volatility"),
        ([0.25, -0.25, 0.0, 0.0], np.ones(4), np.ones((4, 4)), "the portfolio has no volatility"),
        ([0.25] * 4, np.ones(4), np.full((4, 4), -0.9), "the portfolio has no volatility"),
    ],
)
def test_what_is_undefined_says_why(weights: list[float], volatility: Floats, rho: Floats, reason: str) -> None:
    held = np.array(weights)
    for found in (diversification_ratio(held, volatility, rho), effective_bets(held, volatility, rho)):
        assert (found.value, found.reason) == (None, reason)
    assert risk_contributions(NAMES, held, volatility, rho) == RiskContributions(None, reason=reason)


def test_impossible_arguments() -> None:
    good = np.full(4, 0.25)
    for weights, vols, rho in (
        (good[:3], VOLS, MAILLARD),
        (good, VOLS[:3], MAILLARD),
        (good, VOLS, MAILLARD[:3]),
        (good * np.nan, VOLS, MAILLARD),
        (good, -VOLS, MAILLARD),
        (good, VOLS * np.inf, MAILLARD),
    ):
        with pytest.raises(ValueError, match="must"):
            diversification_ratio(weights, vols, rho)
    with pytest.raises(ValueError, match="one length"):
        risk_contributions(NAMES[:3], good, VOLS, MAILLARD)


def test_one_bet_is_one_and_bets_are_between() -> None:
    assert bets([1.0, 0.0, 0.0, 0.0], VOLS, MAILLARD) == 1.0
    for seed in range(20):
        draw = np.random.default_rng(seed)
        found = bets(draw.normal(size=7), draw.uniform(0.1, 1.0, 7), correlation(seed, 7))
        assert 1.0 <= found <= 7.0


def test_uncorrelated_bets_count_by_the_entropy_of_their_variances() -> None:
    shares = np.array([0.5, 0.25, 0.125, 0.125])
    weights = np.sqrt(shares) / VOLS
    assert bets(weights, VOLS, np.eye(4)) == pytest.approx(2.0**1.75)


@pytest.mark.parametrize("rho", [-0.8, 0.0, 0.5, 0.99])
def test_two_symbols_have_their_torsion_in_closed_form(rho: float) -> None:
    """The root of [[1, r], [r, 1]] is [[a, b], [b, a]] with a, b = (sqrt(1 + r) +- sqrt(1 - r)) / 2."""
    a, b = ((math.sqrt(1.0 + rho) + side * math.sqrt(1.0 - rho)) / 2.0 for side in (1.0, -1.0))
    exposure = np.array([0.7, 0.2])
    parts = np.array([a * 0.7 + b * 0.2, b * 0.7 + a * 0.2]) ** 2
    shares = parts / parts.sum()
    expected = math.exp(-float(np.sum(shares * np.log(shares))))
    assert bets(exposure, np.ones(2), np.array([[1.0, rho], [rho, 1.0]])) == pytest.approx(expected, rel=1e-12)
    assert parts.sum() == pytest.approx(0.49 + 0.04 + 2.0 * rho * 0.14)


def test_a_little_correlation_changes_bets_a_little() -> None:
    """Principal portfolios would say 5 here and 1 there."""
    nearly = np.full((5, 5), 1e-6) + (1.0 - 1e-6) * np.eye(5)
    weights = np.full(5, 0.2)
    assert bets(weights, np.ones(5), nearly) == pytest.approx(bets(weights, np.ones(5), np.eye(5)), rel=1e-6)


def test_the_order_of_symbols_does_not_matter() -> None:
    draw = np.random.default_rng(3)
    weights, vols, rho = draw.normal(size=9), draw.uniform(0.1, 1.0, 9), correlation(3, 9)
    order = draw.permutation(9)
    other = weights[order], vols[order], rho[np.ix_(order, order)]
    assert_allclose(bets(*other), bets(weights, vols, rho), rtol=1e-12)
    assert_allclose(ratio(*other), ratio(weights, vols, rho), rtol=1e-12)

"""Weightings: closed forms, published examples, optimality, and that the order of symbols changes no bit."""

import json
import math
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from pydantic import ValidationError

from engine.errors import ConfigError, DataError
from engine.portfolio import Equal, Estimates, weighting_rules, weightings
from engine.portfolio.covariance import shrink_estimates
from engine.portfolio.risk import diversification_ratio, risk_contributions
from engine.portfolio.weighting import TOLERANCE, Solution, solve
from engine.types import Floats
from tests.engine.portfolio.matrices import MAILLARD, correlation, estimates, of, taken, weighting

ESTIMATED = ("inverse_volatility", "risk_parity", "hrp", "min_variance", "max_diversification")
OPTIMISED = ESTIMATED[1:]
VOLS = [0.1, 0.2, 0.3, 0.4]


def weights(name: str, given: Estimates, **params: Any) -> Floats:
    found = weighting(name, **params).weights(given)
    assert found.reason is None
    assert found.weights.sum() == pytest.approx(1.0, abs=1e-14)
    assert np.all(found.weights >= 0.0)
    assert found.residual <= TOLERANCE
    return found.weights


def variance(shares: Floats, given: Estimates) -> float:
    assert given.volatility is not None
    assert given.correlation is not None
    exposure = shares * given.volatility
    return float(exposure @ given.correlation @ exposure)


def test_equal() -> None:
    assert weights("equal", of([0.1, 0.9, math.nan, 0.0], MAILLARD)).tolist() == [0.25] * 4
    assert Equal().weights(Estimates(("A", "B"))).weights.tolist() == [0.5, 0.5]


def test_inverse_volatility() -> None:
    given = Estimates(("A", "B", "C"), np.array([0.1, 0.2, 0.4]))
    assert_allclose(weights("inverse_volatility", given), [4 / 7, 2 / 7, 1 / 7])


def test_the_worked_example_of_maillard_roncalli_and_teiletche() -> None:
    """Printed to 0.1 %: the weights of three portfolios, their volatilities, and the contributions of the equal one."""
    given, vols = of(VOLS, MAILLARD), np.array(VOLS)
    parity, least = weights("risk_parity", given), weights("min_variance", given)
    assert_allclose(parity, [0.384, 0.192, 0.243, 0.182], atol=5e-4)
    assert_allclose(least, [0.745, 0.0, 0.152, 0.103], atol=6e-4)
    for shares, volatility in ((np.full(4, 0.25), 0.115), (least, 0.086), (parity, 0.103)):
        assert math.sqrt(variance(shares, given)) == pytest.approx(volatility, abs=5e-4)
    spread = risk_contributions(given.symbols, parity, vols, MAILLARD).shares
    assert_allclose(list(spread.values()), 0.25, rtol=1e-12)


@pytest.mark.parametrize("rho", [-0.9, -0.2, 0.0, 0.4, 0.95])
def test_two_symbols_have_closed_forms(rho: float) -> None:
    a, b = 0.1, 0.3
    given = of([a, b], [[1.0, rho], [rho, 1.0]])
    inverse = np.array([b, a]) / (a + b)
    for name in ("risk_parity", "max_diversification"):
        assert_allclose(weights(name, given), inverse, rtol=1e-12)
    least = np.array([b * b - rho * a * b, a * a - rho * a * b])
    least = np.array([1.0, 0.0]) if least[1] < 0.0 else least / least.sum()
    assert_allclose(weights("min_variance", given), least, rtol=1e-12)
    assert_allclose(weights("hrp", given), np.array([b * b, a * a]) / (a * a + b * b), rtol=1e-12)


@pytest.mark.parametrize("rho", [-0.2, 0.0, 0.5, 0.99])
def test_under_equal_correlations_inverse_volatility_is_all(rho: float) -> None:
    given = of([0.1, 0.15, 0.4, 0.7], np.full((4, 4), rho) + (1.0 - rho) * np.eye(4))
    for name in ("risk_parity", "max_diversification"):
        assert_allclose(weights(name, given), weights("inverse_volatility", given), rtol=1e-12)


def test_uncorrelated_symbols_have_least_variance_by_inverse_variance() -> None:
    given = of(VOLS, np.eye(4))
    expected = 1.0 / np.square(VOLS) / np.sum(1.0 / np.square(VOLS))
    for name in ("min_variance", "hrp"):
        assert_allclose(weights(name, given), expected, rtol=1e-12)


@pytest.mark.parametrize("seed", range(30))
def test_conditions_hold_on_random_matrices(seed: int) -> None:
    """Equal contributions; Karush-Kuhn-Tucker of least variance; and of most diversification, on correlations."""
    assets = 2 + seed % 20
    vols, rho = np.random.default_rng(seed).uniform(0.05, 0.8, assets), correlation(seed, assets, 100)
    given = Estimates(tuple(f"S{i:02d}" for i in range(assets)), vols, rho)
    covariance = rho * np.outer(vols, vols)
    parity = weights("risk_parity", given)
    contributions = parity * (covariance @ parity)
    assert_allclose(contributions * assets / contributions.sum(), 1.0, rtol=1e-9)
    for name, scale in (("min_variance", np.ones(assets)), ("max_diversification", vols)):
        shares = weights(name, given)
        marginal = covariance @ shares / scale
        level = (shares @ covariance @ shares) / (shares @ scale)
        assert np.all(marginal >= level * (1.0 - 1e-9))
        assert_allclose(marginal[shares > 0.0], level, rtol=1e-9)


@pytest.mark.parametrize("seed", range(10))
def test_no_random_portfolio_does_better(seed: int) -> None:
    given = of(np.random.default_rng(seed).uniform(0.05, 0.8, 6), correlation(seed, 6, 100))
    assert given.volatility is not None
    assert given.correlation is not None
    least = variance(weights("min_variance", given), given)
    most = diversification_ratio(weights("max_diversification", given), given.volatility, given.correlation).value
    assert most is not None
    for other in np.random.default_rng(seed).dirichlet(np.full(6, 0.5), 500):
        assert variance(other, given) >= least * (1.0 - 1e-12)
        ratio = diversification_ratio(other, given.volatility, given.correlation).value
        assert ratio is not None
        assert ratio <= most * (1.0 + 1e-12)


@pytest.mark.parametrize("name", ["equal", "custom", *ESTIMATED])
def test_the_order_of_symbols_changes_no_bit(name: str) -> None:
    given = estimates(11, 17)
    params = {"weights": {s: 0.1 + i for i, s in enumerate(given.symbols)}} if name == "custom" else {}
    draw = np.random.default_rng(1)
    expected = weights(name, given, **params)
    for _ in range(60):
        order = draw.permutation(17)
        found = weights(name, taken(given, order), **params)
        assert found.tobytes() == expected[order].tobytes()


@pytest.mark.parametrize("name", OPTIMISED)
def test_ties_do_not_depend_on_the_order_either(name: str) -> None:
    """All correlations and all volatilities equal, and a pair of duplicates: names decide, whatever their order."""
    rho = np.full((7, 7), 0.3) + 0.7 * np.eye(7)
    rho[0, 1] = rho[1, 0] = 1.0
    given = Estimates(tuple("GBADCFE"), np.full(7, 0.2), rho)
    expected = weights(name, given)
    draw = np.random.default_rng(2)
    for _ in range(60):
        order = draw.permutation(7)
        assert weights(name, taken(given, order)).tobytes() == expected[order].tobytes()


@pytest.mark.parametrize("seed", range(5))
def test_weights_of_a_tree_do_not_hang_on_names(seed: int) -> None:
    """Other names in another order, so that sorting by name is no help: the same weights but for rounding."""
    given = estimates(seed, 24)
    expected = weights("hrp", given)
    for _ in range(12):
        order = np.random.default_rng(seed).permutation(24)
        other = taken(given, order)
        renamed = Estimates(given.symbols, other.volatility, other.correlation, other.returns)
        assert_allclose(weights("hrp", renamed), expected[order], rtol=1e-9)


@pytest.mark.parametrize("name", ESTIMATED)
@pytest.mark.parametrize("scale", [1e-4, 16.0, 1e3])
def test_the_unit_of_volatility_does_not_matter(name: str, scale: float) -> None:
    given = estimates(12, 9)
    assert given.volatility is not None
    scaled = Estimates(given.symbols, scale * given.volatility, given.correlation, given.returns)
    assert_allclose(weights(name, scaled), weights(name, given), rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("name", ["risk_parity", "max_diversification"])
def test_twice_the_volatility_is_half_the_weight(name: str) -> None:
    given = of([0.1, 0.2, 0.3, 0.4], MAILLARD)
    doubled = weights(name, of([0.1, 0.4, 0.3, 0.4], MAILLARD))
    expected = weights(name, given) * [1.0, 0.5, 1.0, 1.0]
    assert_allclose(doubled, expected / expected.sum(), rtol=1e-10)


@pytest.mark.parametrize("name", ["equal", *ESTIMATED])
def test_one_symbol_gets_all(name: str) -> None:
    assert weights(name, estimates(1, 1)).tolist() == [1.0]


@pytest.mark.parametrize("name", OPTIMISED)
def test_duplicates_share_alike(name: str) -> None:
    rho = np.array([[1.0, 1.0, 0.2], [1.0, 1.0, 0.2], [0.2, 0.2, 1.0]])
    shares = weights(name, of([0.2, 0.2, 0.3], rho))
    assert shares[0] == pytest.approx(shares[1], rel=1e-6)
    assert shares[2] > 0.0


@pytest.mark.parametrize("name", OPTIMISED)
def test_more_symbols_than_rows_are_weighted(name: str) -> None:
    weights(name, estimates(3, 80, 40))


@pytest.mark.parametrize("name", OPTIMISED)
def test_volatilities_of_any_size_go_together(name: str) -> None:
    """A pegged currency beside a token: ten million to one."""
    given = of([1e-7, 1.0, 0.3, 0.01], MAILLARD)
    assert weights(name, given)[0] > 0.9


@pytest.mark.parametrize("name", OPTIMISED)
def test_an_indefinite_matrix_is_weighted(name: str) -> None:
    weights(name, of([0.1, 0.2, 0.3], [[1.0, 0.9, -0.9], [0.9, 1.0, 0.9], [-0.9, 0.9, 1.0]]))


@pytest.mark.parametrize("shrinkage", ["constant_correlation", "identity"])
def test_the_matrix_is_shrunk_by_what_the_returns_say(shrinkage: Any) -> None:
    given = estimates(4, 8)
    assert given.volatility is not None
    assert given.correlation is not None
    for name in ("hrp", "min_variance", "max_diversification"):
        found = weighting(name, shrinkage=shrinkage).weights(given)
        assert found.shrinkage is not None
        assert 0.0 < found.shrinkage < 1.0
        by_hand = shrink_estimates(given.volatility, given.correlation, found.shrinkage, shrinkage)
        assert_allclose(found.weights, weights(name, Estimates(given.symbols, *by_hand)), rtol=1e-9, atol=1e-12)
        plain = weighting(name).weights(Estimates(given.symbols, given.volatility, given.correlation))
        assert plain.shrinkage is None
        assert np.max(np.abs(plain.weights - found.weights)) > 1e-3


def test_holes_in_the_window_are_no_obstacle() -> None:
    given = estimates(5, 6)
    assert given.returns is not None
    window = given.returns.copy()
    window[np.random.default_rng(1).random(window.shape) < 0.2] = np.nan
    for name in OPTIMISED:
        weights(name, Estimates(given.symbols, given.volatility, given.correlation, window))


@pytest.mark.parametrize("name", ESTIMATED)
@pytest.mark.parametrize("unknown", [math.nan, 0.0, 1e-13])
def test_while_a_volatility_is_unknown_all_are_equal(name: str, unknown: float) -> None:
    found = weighting(name).weights(of([0.1, unknown, 0.3, 0.4], MAILLARD))
    assert found.weights.tolist() == [0.25] * 4
    assert found.reason == "no volatility of B: weights are equal"
    assert (found.unknown, found.shrinkage, found.residual) == (("B",), None, 0.0)


@pytest.mark.parametrize("name", OPTIMISED)
def test_while_a_correlation_is_unknown_all_are_equal(name: str) -> None:
    rho = MAILLARD.copy()
    rho[2] = rho[:, 2] = np.nan
    found = weighting(name).weights(of(VOLS, rho))
    assert found.weights.tolist() == [0.25] * 4
    assert found.reason == "no correlation of C: weights are equal"
    rho = MAILLARD.copy()
    rho[0, 3] = rho[3, 0] = np.nan
    assert weighting(name).weights(of(VOLS, rho)).unknown == ("A", "D")


def test_the_diagonal_is_not_read() -> None:
    rho = MAILLARD.copy()
    np.fill_diagonal(rho, np.nan)
    for name in OPTIMISED:
        assert weights(name, of(VOLS, rho)).tobytes() == weights(name, of(VOLS, MAILLARD)).tobytes()
    assert np.isnan(np.diag(rho)).all()


@pytest.mark.parametrize("column", [0.0, math.nan])
def test_a_window_in_which_a_symbol_stands_still_shrinks_nothing(column: float) -> None:
    given = estimates(6, 4)
    assert given.returns is not None
    window = given.returns.copy()
    window[:, 1] = column
    found = weighting("hrp").weights(Estimates(given.symbols, given.volatility, given.correlation, window))
    assert found.reason == "no returns that vary of S001: weights are equal"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (Estimates(("A", "B")), "volatility must be an array of shape"),
        (Estimates(("A", "B"), np.ones(3)), "volatility must be an array of shape"),
        (Estimates(("A", "B"), np.ones(2)), "correlation must be an array of shape"),
        (Estimates(("A", "B"), np.array([-0.1, 0.1]), np.eye(2)), "not negative"),
        (Estimates(("A", "B"), np.array([np.inf, 0.1]), np.eye(2)), "finite"),
        (Estimates(("A", "B"), np.ones(2), np.array([[1.0, 1.1], [1.1, 1.0]])), "correlation must be in"),
        (Estimates(("A", "B"), np.ones(2), np.eye(2), np.ones((5, 3))), "returns must be an array of shape"),
    ],
)
def test_impossible_estimates(given: Estimates, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        weighting("min_variance").weights(given)


@pytest.mark.parametrize("residual", [1.1e-8, math.nan, math.inf])
def test_a_solution_that_is_not_exact_is_refused(residual: float) -> None:
    rule = weighting("min_variance")
    with pytest.raises(DataError, match="min_variance has no solution exact to 1e-08") as caught:
        solve(rule, of(VOLS, MAILLARD), lambda v, _, __: Solution(v, residual))
    assert caught.value.details["weighting"] == "min_variance"


def test_custom_weights_are_scaled_over_the_active() -> None:
    by_hand = {"A": 1.0, "B": 3.0, "C": 0.0}
    assert weights("custom", Estimates(("B", "A")), weights=by_hand).tolist() == [0.75, 0.25]
    none = weighting("custom", weights=by_hand).weights(Estimates(("C",)))
    assert (none.weights.tolist(), none.reason) == ([0.0], "every active symbol has weight 0")
    with pytest.raises(ConfigError, match="no weight of D, E"):
        weighting("custom", weights=by_hand).weights(Estimates(("E", "A", "D")))


@pytest.mark.parametrize("given", [{}, {"A": -0.1}, {"A": "1"}, {"A": math.inf}, {"A": 1e7}, {"A": 0.0}])
def test_custom_weights_have_bounds(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        weighting("custom", weights=given)


def test_the_catalog_has_them_all() -> None:
    assert list(weightings.members()) == sorted(["equal", "custom", *ESTIMATED])
    for entry in weightings.describe():
        assert entry["source"] == weighting_rules.__name__
        assert entry["description"]
        json.dumps(entry)


@pytest.mark.parametrize("name", ["equal", *ESTIMATED])
def test_a_configured_weighting_comes_back_from_json(name: str) -> None:
    made = weighting(name)
    again = json.loads(made.model_dump_json())
    assert weighting(**{"name": again["name"], **again["params"]}) == made

"""The weightings of skfolio and PyPortfolioOpt on the same returns, where the definitions are the same.

What differs is left out or brought in line. skfolio's solver is exact to about 1e-5, and told to go on where that is
not enough. Its tree is told single linkage (its default is Ward). Its leaf order is scipy's, which is not always the
best one (scipy issue 11227): weights are compared where scipy found the best, and there must be many of them; where it
did not, its order is never shorter than ours. PyPortfolioOpt divides the sample covariance of constant correlation by
T - 1 and the moments beside it by T: on a long window that is nothing.
"""

import itertools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from engine.portfolio import Estimates
from engine.portfolio.covariance import shrink
from engine.portfolio.hrp import best_order, single_linkage
from engine.types import Floats
from tests.engine.portfolio.matrices import returns, weighting
from tests.parity.cases import peer

CLOSE, LEAST = 1e-5, 1e-4
SEEDS = range(8)
TREES = range(60)
EXACT = {"tol_gap_abs": 1e-14, "tol_gap_rel": 1e-14, "tol_feas": 1e-14}

skfolio = peer("skfolio.optimization")
seriation, cluster, distance_of = peer("skfolio.seriation"), peer("skfolio.cluster"), peer("skfolio.distance")
hierarchy = peer("scipy.cluster.hierarchy")
condensed = peer("scipy.spatial.distance").squareform
models, frontier = peer("pypfopt.risk_models"), peer("pypfopt.efficient_frontier")


def frame(window: Floats) -> pd.DataFrame:
    return pd.DataFrame(window, columns=[f"S{i:03d}" for i in range(window.shape[1])])


def given(window: Floats) -> Estimates:
    """Without the window, so that nothing is shrunk: the peers are given sample covariances."""
    table = frame(window)
    return Estimates(tuple(table.columns), table.std().to_numpy(), table.corr().to_numpy())


def ours(name: str, window: Floats) -> Floats:
    return weighting(name).weights(given(window)).weights


def quiet(call: Callable[[], Any]) -> Any:
    """The peers' own warnings are not ours to answer."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call()


def theirs(model: Any, window: Floats) -> Floats:
    return np.asarray(quiet(lambda: model.fit(frame(window)).weights_), dtype=np.float64)


@pytest.mark.parametrize("seed", SEEDS)
def test_inverse_volatility(seed: int) -> None:
    window = returns(seed, 12, 250)
    assert_allclose(theirs(skfolio.InverseVolatility(), window), ours("inverse_volatility", window), atol=CLOSE)


@pytest.mark.parametrize("seed", SEEDS)
def test_risk_parity(seed: int) -> None:
    window = returns(seed, 12, 250)
    assert_allclose(theirs(skfolio.RiskBudgeting(), window), ours("risk_parity", window), atol=CLOSE)


@pytest.mark.parametrize("seed", SEEDS)
def test_least_variance(seed: int) -> None:
    window = returns(seed, 12, 250)
    expected = ours("min_variance", window)
    assert_allclose(theirs(skfolio.MeanRisk(solver_params=EXACT), window), expected, atol=LEAST)
    model = frontier.EfficientFrontier(None, frame(window).cov(), weight_bounds=(0.0, 1.0))
    assert_allclose(list(quiet(model.min_volatility).values()), expected, atol=LEAST)


@pytest.mark.parametrize("seed", SEEDS)
def test_most_diversified(seed: int) -> None:
    window = returns(seed, 12, 250)
    assert_allclose(theirs(skfolio.MaximumDiversification(), window), ours("max_diversification", window), atol=LEAST)


def length(distance: Floats, order: Any) -> float:
    return float(sum(distance[a, b] for a, b in itertools.pairwise(order)))


def orders(window: Floats) -> tuple[Floats, list[int], list[int]]:
    """Distances, scipy's order of the leaves and ours."""
    distance = np.sqrt(np.clip((1.0 - frame(window).corr().to_numpy()) / 2.0, 0.0, 1.0))
    flat = condensed(distance, checks=False)
    tree = hierarchy.linkage(flat, "single", optimal_ordering=True)
    return distance, hierarchy.leaves_list(tree).tolist(), best_order(distance, *single_linkage(distance)).tolist()


def test_no_order_of_scipy_is_shorter() -> None:
    for seed in TREES:
        distance, scipys, best = orders(returns(seed, 4 + seed % 30, 250))
        assert length(distance, scipys) >= length(distance, best) - 1e-6


def test_hierarchical_risk_parity() -> None:
    compared = 0
    for seed in TREES:
        window = returns(seed, 4 + seed % 12, 250)
        _, scipys, best = orders(window)
        if scipys == best:
            model = skfolio.HierarchicalRiskParity(
                distance_estimator=distance_of.PearsonDistance(),
                seriation_estimator=seriation.HierarchicalSeriation(
                    hierarchical_clustering_estimator=cluster.HierarchicalClustering(
                        linkage_method=cluster.LinkageMethod.SINGLE
                    ),
                    optimal_ordering=True,
                ),
            )
            assert_allclose(theirs(model, window), ours("hrp", window), atol=CLOSE)
            compared += 1
    assert compared >= 20


@pytest.mark.parametrize("seed", SEEDS)
def test_shrinkage_to_the_identity(seed: int) -> None:
    window = returns(seed, 12)
    model = peer("skfolio.moments").LedoitWolf()
    assert_allclose(quiet(lambda: model.fit(frame(window)).covariance_), shrink(window, "identity").matrix, rtol=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_shrinkage_to_constant_correlation(seed: int) -> None:
    window = returns(seed, 12, 20_000)
    model = models.CovarianceShrinkage(frame(window), returns_data=True, frequency=1)
    expected = quiet(lambda: model.ledoit_wolf("constant_correlation"))
    found = shrink(window)
    assert found.intensity == pytest.approx(model.delta, abs=1e-4)
    assert_allclose(found.matrix, expected, atol=1e-4 * np.diag(found.matrix).max())

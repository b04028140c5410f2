"""The tree, its best order and the bisection: by hand, and against every order there is."""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose

from engine.portfolio.hrp import (
    best_order,
    bisection_kernel,
    bisection_plain,
    hierarchical_weights,
    hierarchical_weights_plain,
    single_linkage,
)
from engine.types import Floats
from tests.engine.portfolio.matrices import correlation


def order(distance: Floats) -> list[int]:
    found: list[int] = best_order(distance, *single_linkage(distance)).tolist()
    return found


def test_neighbours_of_a_published_counterexample() -> None:
    """scipy issue 11227: its function puts 2 and 1 the wrong way round."""
    upper = np.zeros((4, 4))
    upper[np.triu_indices(4, 1)] = [0.46680166, 0.7747411, 0.79942054, 0.28626558, 0.68441929, 0.74692541]
    assert order(upper + upper.T) in ([0, 1, 2, 3], [3, 2, 1, 0])


def test_clusters_merge_by_their_nearest_members() -> None:
    points = np.array([0.0, 10.0, 1.0, 11.5, 3.0])
    merges, leaves = single_linkage(np.abs(points[:, None] - points[None, :]))
    assert merges.tolist() == [[0, 2], [1, 3], [4, 5], [6, 7]]
    assert leaves.tolist() == [1, 3, 4, 0, 2]


def test_points_on_a_line_are_put_in_line() -> None:
    points = np.random.default_rng(1).permutation(np.cumsum(np.random.default_rng(2).uniform(0.1, 1.0, 40)))
    found = order(np.abs(points[:, None] - points[None, :]))
    assert found in (np.argsort(points).tolist(), np.argsort(-points).tolist())


@pytest.mark.parametrize("seed", range(60))
def test_weights_equal_those_of_the_best_of_all_orders(seed: int) -> None:
    assets = 1 + seed % 9
    variance = np.random.default_rng(seed).uniform(0.01, 1.0, assets)
    rho = correlation(seed, assets)
    assert_allclose(hierarchical_weights(variance, rho), hierarchical_weights_plain(variance, rho), rtol=1e-12)


@pytest.mark.parametrize("assets", [1, 2, 3, 5, 8, 17, 64])
def test_bisection_equals_its_twin(assets: int) -> None:
    draw = np.random.default_rng(assets)
    deviation = draw.uniform(0.1, 1.0, assets)
    covariance = correlation(assets, assets, 100) * np.outer(deviation, deviation)
    places = draw.permutation(assets)
    assert_allclose(bisection_kernel(covariance, places), bisection_plain(covariance, places.tolist()), rtol=1e-12)


def test_two_symbols_share_by_inverse_variance() -> None:
    made = hierarchical_weights(np.array([0.01, 0.04]), np.array([[1.0, 0.3], [0.3, 1.0]]))
    assert_allclose(made, [0.8, 0.2], rtol=1e-14)


def test_uncorrelated_symbols_share_by_inverse_variance() -> None:
    variance = np.array([0.01, 0.04, 0.09, 0.16, 0.25])
    assert_allclose(hierarchical_weights(variance, np.eye(5)), 1.0 / variance / np.sum(1.0 / variance), rtol=1e-14)


@pytest.mark.parametrize("seed", range(20))
def test_no_other_order_of_the_tree_is_shorter_than_the_best(seed: int) -> None:
    """Turning any cluster of a large tree, alone, never helps."""
    distance = np.sqrt(0.5 * (1.0 - correlation(seed, 60, 90)))
    best = order(distance)
    merges, _ = single_linkage(distance)
    members: dict[int, set[int]] = {i: {i} for i in range(60)}
    for row, (a, b) in enumerate(merges.tolist()):
        members[60 + row] = members[a] | members[b]

    def length(path: list[int]) -> float:
        return float(sum(distance[a, b] for a, b in itertools.pairwise(path)))

    for cluster in members.values():
        places = sorted(best.index(i) for i in cluster)
        first, last = places[0], places[-1] + 1
        assert last - first == len(cluster)  # a cluster stays together
        assert length(best[:first] + best[first:last][::-1] + best[last:]) >= length(best) - 1e-12

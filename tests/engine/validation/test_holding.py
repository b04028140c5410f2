"""Holding periods in another order: the second method of ``permutation``."""

import math
from itertools import permutations

import numpy as np
import pytest

from engine.hooks import NoHooks, Recorder
from engine.streams import stream
from engine.types import Floats
from engine.validation import permutation
from engine.validation.base import Report
from engine.validation.holding import (
    draw_period_orders,
    draw_period_orders_plain,
    every_order,
    periods,
    reordered_means,
    reordered_plain,
)
from engine.validation.permutation import Permutation
from tests.engine.validation.test_permutation import holds

SIMULATIONS = 600


def evaluate(weights: Floats, returns: Floats, n: int = 500, seed: int = 42) -> Report:
    return Permutation(n=n, method="holding_periods").evaluate(weights, returns, seed, NoHooks())


def test_a_period_keeps_its_sign_and_its_size_may_drift() -> None:
    weights = np.array([0.0, 0.0, 0.5, 0.6, -0.1, -0.2, 0.0, 1.0])
    assert periods(weights).tolist() == [0, 2, 4, 6, 7, 8]
    assert periods(np.ones(5)).tolist() == [0, 5]


@pytest.mark.parametrize("seed", range(4))
def test_kernels_equal_their_twins(seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights, returns, key = holds(rng, 101, 7), rng.normal(size=101), stream(seed, "x")
    bounds = periods(weights)
    orders = draw_period_orders(key, 3, 40, len(bounds) - 1)
    np.testing.assert_array_equal(orders, draw_period_orders_plain(int(key), 3, 40, len(bounds) - 1))
    means = reordered_means(weights, returns, bounds, orders)
    np.testing.assert_allclose(means, reordered_plain(weights, returns, bounds, orders), atol=1e-15)


@pytest.mark.parametrize("seed", range(6))
def test_enumeration_equals_brute_force(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pieces = [np.full(int(rng.integers(1, 4)), float(w)) for w in (1, 0, -1, 1, 0)]
    weights = np.concatenate(pieces)
    returns = rng.integers(-3, 4, len(weights)).astype(np.float64)  # whole numbers: ties are common, and exact
    returns[0] += 5.0
    own = float(weights @ returns)
    sums = [float(np.concatenate(order) @ returns) for order in permutations(pieces)]
    found = evaluate(weights, returns, n=119)
    assert found.exact
    assert found.replicates == 120 == len(every_order(5))
    assert found.p_value == sum(s >= own for s in sums) / 120
    assert not evaluate(weights, returns, n=118).exact


def test_sampling_agrees_with_enumeration() -> None:
    rng = np.random.default_rng(3)
    weights = np.repeat([1.0, 0.0, -1.0, 0.0, 1.0, -1.0, 0.0], rng.integers(5, 20, 7))
    returns = rng.normal(size=len(weights))
    full, sampled = evaluate(weights, returns, n=5039), evaluate(weights, returns, n=5038)
    assert (full.exact, sampled.exact) == (True, False)
    assert full.p_value is not None
    assert sampled.p_value is not None
    assert sampled.p_value == pytest.approx(full.p_value, abs=4 * math.sqrt(0.25 / 5038))


def test_one_period_has_no_other_order() -> None:
    found = evaluate(np.full(50, 0.5), np.random.default_rng(1).normal(size=50))
    assert (found.p_value, found.exact, found.replicates) == (1.0, True, 1)


def test_results_do_not_depend_on_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(8)
    weights, returns = holds(rng, 997), rng.normal(0.0, 0.01, 997)
    whole = evaluate(weights, returns)
    monkeypatch.setattr(permutation, "PRODUCTS_PER_CHUNK", 997 * 7)
    assert evaluate(weights, returns) == whole
    hooks = Recorder()
    Permutation(n=20, method="holding_periods").evaluate(weights, returns, 1, hooks)
    assert [c[2]["done"] for c in hooks.calls if c[0] == "event"] == [7, 14, 20]


@pytest.mark.parametrize("autocorrelation", [0.0, 0.5])
def test_calibration(autocorrelation: float) -> None:
    rejected = 0
    for seed in range(SIMULATIONS):
        rng = np.random.default_rng([seed, 9])
        returns = rng.normal(0.0, 0.01, 600)
        for t in range(1, 600) if autocorrelation else ():
            returns[t] += autocorrelation * returns[t - 1]
        p_value = evaluate(holds(rng, 600), returns, n=199, seed=seed).p_value
        assert p_value is not None
        rejected += p_value <= 0.05
    assert rejected / SIMULATIONS == pytest.approx(0.05, abs=3 * math.sqrt(0.05 * 0.95 / SIMULATIONS))


def test_foresight_is_found() -> None:
    rng = np.random.default_rng(2)
    returns = rng.normal(0.0, 0.01, 1000)
    foresight = np.repeat(np.sign(returns.reshape(50, 20).sum(axis=1)), 20)
    assert evaluate(foresight, returns, n=999).p_value == 0.001
    assert (evaluate(-foresight, returns, n=999).p_value or 0.0) > 0.99

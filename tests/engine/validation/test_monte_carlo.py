import math
from itertools import permutations
from typing import Any

import numpy as np
import pytest

import engine
from engine.hooks import NoHooks, Recorder
from engine.outcome import Result
from engine.streams import stream
from engine.types import Floats
from engine.validation import monte_carlo
from engine.validation.base import Report
from engine.validation.monte_carlo import (
    ORDER,
    MonteCarlo,
    fall,
    fall_plain,
    noise_kernel,
    noise_plain,
    path_kernel,
    path_plain,
)
from tests.engine.test_pipeline import config, dataset, lively


def gains(seed: int, size: int = 30) -> Floats:
    return np.random.default_rng(seed).normal(0.002, 0.03, size)


RUN = engine.run(config(), dataset(A=lively(1)))


def evaluate(result: Result = RUN, seed: int = 1, **parameters: Any) -> Report:
    return MonteCarlo.model_validate(parameters).evaluate(result.ledger, result.trades, seed, NoHooks())


@pytest.mark.parametrize("seed", range(3))
def test_kernels_equal_their_twins(seed: int) -> None:
    values, key = gains(seed), stream(seed, "x")
    np.testing.assert_allclose(fall(values), fall_plain(values), rtol=0.0, atol=1e-14)
    for replace in (False, True):
        paths = path_kernel(key, 2, 20, values, replace=replace)
        plain = path_plain(int(key), 2, 20, values, replace=replace)
        np.testing.assert_allclose(paths, plain, rtol=0.0, atol=1e-13)
    costs = noise_kernel(key, 5, 10, np.abs(values))
    np.testing.assert_allclose(costs, noise_plain(int(key), 5, 10, np.abs(values)), rtol=1e-12)


def test_a_fall_by_hand() -> None:
    # 1 -> 1.5 -> 0.75 -> 1.05: half of the peak is lost.
    assert fall(np.array([0.5, -0.75, 0.3])) == pytest.approx((-0.5, 0.05, -0.25))
    assert fall(np.array([0.1, 0.2])) == pytest.approx((0.0, 0.3, 0.0))
    assert fall(np.array([-2.0]))[0] == -2.0


def test_another_order_ends_at_the_same_equity_and_falls_as_enumeration_says() -> None:
    values = np.array([0.3, -0.2, 0.1, -0.4])
    drawn = path_kernel(stream(1, ORDER), 0, 24_000, values, replace=False)
    assert np.ptp(drawn[:, 1]) < 1e-14
    exact = sorted(fall_plain(np.array(order))[0] for order in permutations(values))
    assert float(drawn[:, 0].mean()) == pytest.approx(float(np.mean(exact)), abs=4 * float(np.std(exact)) / 155)
    assert set(np.round(drawn[:, 0], 12)) == set(np.round(exact, 12))


def test_draws_with_replacement_have_the_moments_of_the_sample() -> None:
    values = gains(4, 50)
    total = path_kernel(stream(2, "x"), 0, 20_000, values, replace=True)[:, 1]
    spread = float(values.std()) * math.sqrt(50)
    assert float(total.mean()) == pytest.approx(float(values.sum()), abs=4 * spread / math.sqrt(20_000))
    assert float(total.std()) == pytest.approx(spread, rel=0.03)


def test_noise_is_half_normal() -> None:
    notional = np.abs(gains(5, 40)) * 1e5
    costs = noise_kernel(stream(3, "x"), 0, 20_000, notional)
    assert float(costs.mean()) == pytest.approx(math.sqrt(2 / math.pi) * notional.sum(), rel=0.01)
    spread = math.sqrt((1 - 2 / math.pi) * float(notional @ notional))
    assert float(costs.std()) == pytest.approx(spread, rel=0.03)


def test_the_report_of_a_run() -> None:
    found = evaluate(n=2000, slippage_bps=2.0)
    pnl, capital = RUN.trades.pnl_net, RUN.ledger.initial_capital
    path = np.concatenate(([capital], capital + np.cumsum(pnl)))
    assert found.statistic == pytest.approx(float((path / np.maximum.accumulate(path) - 1.0).min()))
    details = found.details
    assert details["order"]["final_equity"] == pytest.approx(float(RUN.ledger.equity[-1]))
    assert (
        details["replacement"]["final_equity"]["p05"]
        < capital + pnl.sum()
        < details["replacement"]["final_equity"]["p95"]
    )
    fills = RUN.ledger.fills
    mean = 2e-4 * math.sqrt(2 / math.pi) * float(np.abs(fills.quantity * fills.price).sum())
    assert details["slippage"]["mean_cost"] == pytest.approx(mean, rel=0.02)
    assert details["slippage"]["final_equity"]["p50"] == pytest.approx(float(RUN.ledger.equity[-1]) - mean, rel=0.02)
    quantiles = list(found.percentiles.values())
    assert quantiles == sorted(quantiles)
    assert found.p_value is not None
    assert 0.0 < found.p_value <= 1.0


def test_no_noise_costs_nothing() -> None:
    details = evaluate(n=10, slippage_bps=0.0).details["slippage"]
    assert details["mean_cost"] == 0.0
    assert set(details["final_equity"].values()) == {float(RUN.ledger.equity[-1])}


def test_results_do_not_depend_on_chunks_and_hang_on_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = evaluate(n=100)
    monkeypatch.setattr(monte_carlo, "CHUNK", 7 * len(RUN.trades))
    assert evaluate(n=100) == whole
    assert evaluate(n=100, seed=2) != whole
    hooks = Recorder()
    MonteCarlo(n=14).evaluate(RUN.ledger, RUN.trades, 1, hooks)
    assert len([c for c in hooks.calls if c[0] == "event"]) >= 6


def test_without_trades_there_is_nothing_to_draw() -> None:
    idle = engine.run(config(strategy={"name": "dual_sma", "params": {"slow": 99_999}}), dataset(A=lively(1)))
    found = evaluate(idle)
    assert (found.statistic, found.p_value, found.reason) == (None, None, "nothing was traded")

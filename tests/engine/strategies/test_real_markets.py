"""Every strategy and every risk rule on real rows; collected only where they lie beside the checkout."""

from typing import Any

import numpy as np
import pytest

import engine
from engine.data.bars import Dataset
from engine.data.sources import load
from engine.strategies import strategies
from engine.strategies.base import Strategy
from tests.engine.data.conftest import MARKET_DATA
from tests.engine.strategies import naive
from tests.engine.strategies.cases import plain

REQUIRED: dict[str, dict[str, Any]] = {
    "signal": {"column": "close", "long_above": 40_000.0, "short_below": 35_000.0},
    "target_weight": {"column": "close"},
}
DEFAULTS = sorted(set(strategies.members()) - {"target_weight"})
RISKS: list[dict[str, Any]] = [
    {"name": "volatility_target", "params": {"target_vol": 0.3}},
    {"name": "kelly_fraction", "params": {"win_prob": 0.55, "reward_risk": 1.2}},
    {"name": "risk_per_trade", "params": {"risk": 0.01, "stop": 0.05}},
    {"name": "fixed_notional", "params": {"amount": 10_000.0}},
]


@pytest.fixture(scope="module")
def bitcoin() -> Dataset:
    return load(MARKET_DATA / "crypto_m30" / "BTCUSD.parquet", symbol="BTC", calendar="24x7", on_bad_rows="drop")


def backtest(data: Dataset, strategy: str, risk: dict[str, Any]) -> Any:
    values = {"dataset": "real", "symbols": ["BTC"], "strategy": plain(strategy, REQUIRED.get(strategy)), "risk": risk}
    return engine.run(values, data)


@pytest.mark.parametrize("name", DEFAULTS)
def test_a_naive_restatement_says_the_same_on_real_rows(name: str, bitcoin: Dataset) -> None:
    result = backtest(bitcoin, name, {"name": "fixed_fraction", "params": {"fraction": 0.2}})
    assert len(result.ledger.fills) > (0 if name in ("buy_and_hold", "signal") else 50)
    if name not in vars(naive):
        return
    rows = slice(0, 3000)  # enough to trade, and a naive restatement takes its time
    made: Strategy = result.config.strategy
    params = made.params.model_dump(exclude_none=True)  # type: ignore[attr-defined]
    prices = naive.Prices(*(getattr(result.bars, c)[rows, 0].tolist() for c in ("high", "low", "close")))
    expected = np.array(naive.signals(prices, name, params, 1))
    assert (result.signals.values[rows, 0] == expected).mean() == 1.0


@pytest.mark.parametrize("risk", RISKS, ids=lambda risk: str(risk["name"]))
def test_the_account_balances_under_every_risk_rule(risk: dict[str, Any], bitcoin: Dataset) -> None:
    result = backtest(bitcoin, "donchian_breakout", risk)
    ledger = result.ledger
    account = ledger.cash + ledger.values.sum(axis=1)
    assert np.abs(account - ledger.equity).max() <= 1e-9 * np.abs(ledger.equity).max()
    assert len(ledger.fills) > 100
    weights = result.targets.weights
    assert np.isfinite(weights).all()
    assert result.targets.notional or np.abs(weights).max() <= 1.0

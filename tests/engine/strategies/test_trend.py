import numpy as np
import pytest
from pydantic import ValidationError

from engine.features.base import FeatureMatrix
from engine.strategies import Strategy, signals
from engine.strategies.trend import BuyAndHold, DualSma, DualSmaParams
from engine.types import Floats
from tests.engine.test_pipeline import backtest, config, series


def matrix(fast: list[float], slow: list[float], warmup: int = 0) -> FeatureMatrix:
    values = {"fast": np.array(fast).reshape(-1, 1), "slow": np.array(slow).reshape(-1, 1)}
    return FeatureMatrix(values, warmup, (len(fast), 1))


def given(strategy: Strategy, features: FeatureMatrix) -> list[float]:
    values: list[float] = signals(strategy, features).values[:, 0].tolist()
    return values


SMA = DualSma(name="dual_sma")


def test_long_above_short_below_flat_while_equal() -> None:
    assert given(SMA, matrix([2.0, 1.0, 1.0, 1.0 + 1e-14], [1.0, 2.0, 1.0, 1.0])) == [1.0, -1.0, 0.0, 0.0]


def test_before_warmup_is_over_the_signal_is_zero() -> None:
    made = signals(SMA, matrix([2.0] * 4, [1.0] * 4, warmup=2))
    assert made.values[:, 0].tolist() == [0.0, 0.0, 1.0, 1.0]
    assert made.warmup == 2


def test_nan_keeps_the_last_signal() -> None:
    nan = float("nan")
    assert given(SMA, matrix([nan, 2.0, nan, 0.5, nan], [1.0] * 5)) == [0.0, 1.0, 1.0, -1.0, -1.0]


class Echo(BuyAndHold):
    """Hands a feature out as its signal, as a plug-in may."""

    def raw_signals(self, features: FeatureMatrix) -> Floats:
        return features["fast"]


def test_a_strategy_may_hand_out_a_feature_without_losing_it() -> None:
    features = matrix([0.5, 0.5, 0.5], [1.0] * 3, warmup=2)
    assert given(Echo(name="buy_and_hold"), features) == [0.0, 0.0, 0.5]
    assert features["fast"][:, 0].tolist() == [0.5, 0.5, 0.5]


def test_buy_and_hold_is_long_from_the_first_bar() -> None:
    assert given(BuyAndHold(name="buy_and_hold"), matrix([1.0] * 3, [1.0] * 3)) == [1.0] * 3


def test_lengths_are_ordered_and_have_defaults() -> None:
    assert (SMA.params.fast, SMA.params.slow) == (20, 50)
    for fast, slow in ((5, 5), (6, 5), (0, 5)):
        with pytest.raises(ValidationError):
            DualSmaParams(fast=fast, slow=slow)


def test_a_flat_market_after_a_spike_is_not_traded() -> None:
    prices = [0.1] * 300
    prices[20] = 1e9
    result = backtest(series(prices), strategy=config()["strategy"])
    assert set(result.signals.values[40:, 0].tolist()) == {0.0}

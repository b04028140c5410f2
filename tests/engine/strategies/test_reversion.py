"""Mean reversion by hand: beyond an extreme and not at it, back at the middle, across to the other extreme."""

import math

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from engine.config import parse_config
from engine.errors import ConfigError
from engine.strategies.reversion import reversion, reversion_plain
from tests.engine.strategies.cases import SMALL, given, matrix, strategy
from tests.engine.test_pipeline import backtest, config, series

NAN = math.nan


def rsi(values: list[float], leave: float = 50.0) -> list[float]:
    rule = strategy("rsi_reversion", lower=30.0, upper=70.0, exit=leave)
    # The rule looks at Chande's oscillator, which is 2 * RSI - 100.
    return given(rule, matrix(cmo=[2.0 * v - 100.0 for v in values]))


def test_an_index_beyond_a_level_until_exit() -> None:
    assert rsi([50.0, 30.0, 29.5, 31.0, 49.5, 50.0, 49.0, 20.0]) == [0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 1.0]
    assert rsi([50.0, 70.0, 70.5, 69.0, 50.5, 50.0, 51.0]) == [0.0, 0.0, -1.0, -1.0, -1.0, 0.0, 0.0]


def test_from_one_extreme_to_the_other_it_reverses() -> None:
    assert rsi([20.0, 80.0, 20.0]) == [1.0, -1.0, 1.0]


def test_exit_need_not_be_the_middle() -> None:
    assert rsi([20.0, 35.0, 40.0, 80.0, 45.0, 40.0], leave=40.0) == [1.0, 1.0, 0.0, -1.0, -1.0, 0.0]


def test_nan_keeps_the_last_signal() -> None:
    assert rsi([NAN, 20.0, NAN, 60.0, NAN]) == [0.0, 1.0, 1.0, 0.0, 0.0]


def test_beyond_a_band_until_the_average() -> None:
    rule = strategy("bollinger_reversion")
    position = [-1.0, -1.1, -0.5, 0.0, 1.0, 1.1, 0.5, 0.0, -2.0, 2.0]
    assert given(rule, matrix(position=position)) == [0.0, 1.0, 1.0, 0.0, 0.0, -1.0, -1.0, 0.0, 1.0, -1.0]


def z_score(values: list[float], leave: float = 0.5) -> list[float]:
    return given(strategy("zscore_reversion", entry=2.0, exit=leave), matrix(z=values))


def test_far_from_the_average_until_near_it() -> None:
    assert z_score([-2.0, -2.1, -0.6, -0.5, -1.0]) == [0.0, 1.0, 1.0, 0.0, 0.0]
    assert z_score([2.0, 2.1, 0.6, 0.5, 1.0]) == [0.0, -1.0, -1.0, 0.0, 0.0]
    assert z_score([-3.0, 3.0, NAN, -3.0]) == [1.0, -1.0, -1.0, 1.0]
    assert z_score([-3.0, -1e-9, 0.0, -3.0], leave=0.0) == [1.0, 1.0, 0.0, 1.0]


REVERSIONS = ("rsi_reversion", "bollinger_reversion", "zscore_reversion")


@pytest.mark.parametrize("name", REVERSIONS)
@pytest.mark.parametrize("price", [0.1, 1e-7, 33333.3])
def test_a_price_that_does_not_move_is_not_traded(name: str, price: float) -> None:
    """Not from the beginning either, and a trade from before it stopped is no trade again later."""
    assert not backtest(series([price] * 60), strategy={"name": name, "params": SMALL[name]}).signals.values.any()
    stopped = np.full(900, price)
    stopped[20] *= 1.5
    signals = backtest(series(stopped), strategy={"name": name, "params": SMALL[name]}).signals.values[:, 0]
    assert len(set(signals[100:].tolist())) == 1


@pytest.mark.parametrize("name", REVERSIONS)
@pytest.mark.parametrize("factor", [2.0**-30, 2.0**20])
def test_the_unit_of_the_price_does_not_matter(name: str, factor: float) -> None:
    closes = 100.0 * np.exp(np.cumsum(0.02 * np.random.default_rng(3).standard_normal(400)))
    values = {"name": name, "params": SMALL[name]}
    one, other = (backtest(series(c), strategy=values).signals.values for c in (closes, closes * factor))
    assert len(np.unique(one)) == 3
    assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"lower": 60}, "lower"),
        ({"upper": 40}, "upper"),
        ({"exit": 20}, "exit"),
        ({"exit": 80}, "exit"),
        ({"lower": 60, "exit": 50}, "exit"),
    ],
)
def test_the_level_that_was_written_down_is_to_blame(params: dict[str, float], field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(config(strategy={"name": "rsi_reversion", "params": params}))
    assert [f.pointer for f in caught.value.fields] == [f"/strategy/params/{field}"]


@pytest.mark.parametrize("seed", range(60))
def test_the_kernel_equals_its_twin(seed: int) -> None:
    random = np.random.default_rng(seed)
    values = random.choice([NAN, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0], (int(random.integers(1, 40)), 2))
    leave = float(random.choice([0.0, 1.0]))
    levels = (-2.0, 2.0, -leave, leave)
    assert_array_equal(reversion(values, *levels), reversion_plain(values, *levels), strict=True)

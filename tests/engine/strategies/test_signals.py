"""Columns somebody brings: scores with thresholds, and target weights."""

import math
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import engine
from engine.config import parse_config
from engine.data.bars import Series
from engine.errors import ConfigError
from engine.features.base import FeatureMatrix
from engine.strategies import SignalError, signals
from engine.strategies.base import tidy, tidy_plain
from engine.strategies.trend import DualSma
from engine.types import Floats
from tests.engine.strategies.cases import given, matrix, strategy
from tests.engine.test_pipeline import FREE, config, dataset, series

NAN = math.nan


def score(values: list[float], **thresholds: float) -> list[float]:
    return given(strategy("signal", column="score", **thresholds), matrix(value=values))


def with_column(closes: list[float], **columns: list[float]) -> Series:
    rows = series(closes)
    extra = {name: np.array(values) for name, values in columns.items()}
    return Series(rows.time, rows.open, rows.high, rows.low, rows.close, rows.volume, extra=extra)


def test_thresholds_are_beyond_and_not_at() -> None:
    assert score([0.6, 0.5, 0.0, -0.5, -0.6], long_above=0.5, short_below=-0.5) == [1.0, 0.0, 0.0, 0.0, -1.0]
    assert score([0.6, 0.5, 0.0, -0.5, -0.6], long_below=-0.5, short_above=0.5) == [-1.0, 0.0, 0.0, 0.0, 1.0]


def test_a_missing_score_keeps_the_last_signal() -> None:
    assert score([NAN, 1.0, NAN, 0.0, NAN], long_above=0.5) == [0.0, 1.0, 1.0, 0.0, 0.0]


@pytest.mark.parametrize(
    "thresholds",
    [
        {},
        {"long_above": 1.0, "short_above": 2.0},
        {"long_below": 1.0, "short_below": 2.0},
        {"long_above": 1.0, "short_below": 2.0},
        {"short_above": 1.0, "long_below": 2.0},
    ],
)
def test_rules_that_say_nothing_or_both_are_refused(thresholds: dict[str, float]) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(config(strategy={"name": "signal", "params": {"column": "score", **thresholds}}))
    assert caught.value.fields[0].pointer.startswith("/strategy/params/")


def test_a_score_is_seen_a_bar_late_and_filled_a_bar_later() -> None:
    rows = with_column([10.0, 11.0, 12.0, 13.0, 14.0], score=[0.0, 1.0, 0.0, 0.0, 0.0])
    brought = {"name": "signal", "params": {"column": "score", "long_above": 0.5}}
    result = engine.run(config(strategy=brought, execution=FREE), dataset(A=rows))
    assert result.signals.values[:, 0].tolist() == [0.0, 0.0, 1.0, 0.0, 0.0]
    assert result.ledger.fills.bar.tolist() == [3, 4]


@pytest.mark.parametrize(("leverage", "held"), [(True, 150.0), (False, 100.0)])
def test_brought_weights_are_taken_as_they_are(leverage: bool, held: float) -> None:
    rows = with_column([10.0] * 5, weight=[NAN, 1.5, NAN, -0.5, -0.5])
    rules = {**FREE, "feature_lag": 0, "allow_leverage": leverage}
    weights = {"name": "target_weight"}
    result = engine.run(config(strategy=weights, execution=rules, initial_capital=1000.0), dataset(A=rows))
    assert result.targets.weights[:, 0].tolist() == [0.0, 1.5, 1.5, -0.5, -0.5]
    assert result.ledger.quantity[:, 0].tolist() == [0.0, 0.0, held, held, -50.0]


def test_scores_are_part_of_the_identity() -> None:
    prices = [10.0, 11.0, 12.0]
    one, other = (with_column(prices, score=[s, 0.0, 0.0]) for s in (1.0, 2.0))
    conventions = dataset().conventions
    assert one.digest(conventions) != other.digest(conventions) != series(prices).digest(conventions)


@pytest.mark.parametrize("value", [2.0, -1.5, math.inf])
def test_a_signal_that_is_none_is_refused_by_name_and_bar(monkeypatch: pytest.MonkeyPatch, value: float) -> None:
    def wrong(self: DualSma, features: FeatureMatrix) -> Floats:
        made = np.zeros(features.shape)
        made[5] = value
        return made

    monkeypatch.setattr(DualSma, "raw_signals", wrong)
    with pytest.raises(SignalError, match=r"'dual_sma'.*at bar 5"):
        signals(strategy("dual_sma"), FeatureMatrix({}, 2, (9, 1)))


@pytest.mark.parametrize("seed", range(20))
def test_the_twins_tidy_alike(seed: int) -> None:
    random = np.random.default_rng(seed)
    one: Any = random.choice([NAN, -1.0, 0.0, 0.5, 1.0, 1.5], (12, 2), p=[0.3, 0.2, 0.2, 0.1, 0.15, 0.05])
    other = one.copy()
    warmup = int(random.integers(0, 5))
    found, expected = tidy(one, warmup, 1.0), tidy_plain(other, warmup, 1.0)
    assert found == expected
    if found == (-1, -1):
        assert_array_equal(one, other)


def test_a_feature_is_never_written_into() -> None:
    features = matrix(warmup=2, weight=[1.0, 2.0, NAN])
    before = features["weight"].copy()
    assert signals(strategy("target_weight"), features).values[:, 0].tolist() == [0.0, 0.0, 0.0]
    assert_array_equal(features["weight"], before)

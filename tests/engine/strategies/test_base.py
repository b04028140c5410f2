"""Whose memory the signals are, and what a strategy of someone else may hand out."""

import math
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from engine.features.base import FeatureMatrix
from engine.strategies import SignalError, signals
from engine.strategies.base import all_within, all_within_plain
from engine.strategies.trend import BuyAndHold
from engine.types import Floats
from tests.engine.strategies.cases import given, matrix

NAN = math.nan


def made_by(hand_out: Any) -> BuyAndHold:
    """A strategy that hands out what a function makes of its feature."""

    class Someones(BuyAndHold):
        def raw_signals(self, features: FeatureMatrix) -> Floats:
            made: Floats = hand_out(features["x"])
            return made

    return Someones(name="buy_and_hold")


ECHO = made_by(lambda x: x)


@pytest.mark.parametrize("warmup", [4, 9])
def test_a_warmup_of_the_whole_period_leaves_nothing(warmup: int) -> None:
    assert given(ECHO, matrix(warmup, x=[1.0] * 4)) == [0.0] * 4


def test_no_signal_from_before_warmup_is_kept() -> None:
    assert given(ECHO, matrix(2, x=[1.0, 1.0, NAN, 1.0])) == [0.0, 0.0, 0.0, 1.0]


@pytest.mark.parametrize(
    "view", [lambda x: x, lambda x: x[:], lambda x: x[::-1][::-1], lambda x: x.T.T, np.asfortranarray]
)
def test_a_feature_and_its_views_are_never_written_into(view: Any) -> None:
    features = matrix(2, x=[0.5, 0.5, NAN, 0.5])
    assert given(made_by(view), features) == [0.0, 0.0, 0.0, 0.5]
    assert_array_equal(features["x"][:, 0], [0.5, 0.5, NAN, 0.5])


def test_a_fresh_array_is_not_copied() -> None:
    fresh = np.ones((4, 1))
    assert signals(made_by(lambda _: fresh), matrix(x=[0.0] * 4)).values is fresh


@pytest.mark.parametrize("kind", [np.int64, np.int8, np.float32, np.bool_])
@pytest.mark.parametrize("shared", [True, False])
def test_any_numbers_will_do(kind: Any, shared: bool) -> None:
    one = np.broadcast_to(kind(1), (3, 1)) if shared else np.ones((3, 1), dtype=kind)
    got = signals(made_by(lambda _: one), matrix(1, x=[0.0] * 3)).values
    assert got.dtype == np.float64
    assert got[:, 0].tolist() == [0.0, 1.0, 1.0]
    assert one.all()


@pytest.mark.parametrize("shape", [(3,), (3, 1), (4, 2), (1, 4)])
def test_signals_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(SignalError, match=r"'buy_and_hold' gave signals of shape .* for bars of shape \(4, 1\)"):
        signals(made_by(lambda _: np.ones(shape)), matrix(x=[1.0] * 4))


@pytest.mark.parametrize("line", [[], [0.5, -1.0], [1.0000001, 0.0], [0.0, NAN], [-math.inf], [NAN, 2.0]])
def test_whether_there_is_nothing_to_tidy_equals_its_twin(line: list[float]) -> None:
    values = np.array(line, dtype=np.float64)
    assert all_within(values, 1.0) == all_within_plain(values, 1.0)
    assert all_within(values, 1.0) == (line in ([], [0.5, -1.0]))

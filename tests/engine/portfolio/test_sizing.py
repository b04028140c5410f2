import numpy as np
import pytest
from pydantic import ValidationError

from engine.portfolio.sizing import FixedFraction, FixedFractionParams, targets
from engine.results import Signals, Targets


def made(values: list[float], fraction: float = 1.0, *, allow_short: bool = True) -> Targets:
    sizing = FixedFraction(params=FixedFractionParams(fraction=fraction))
    return targets(sizing, Signals(np.array(values).reshape(-1, 1), 0), allow_short=allow_short)


def test_an_order_leaves_only_where_the_signal_changes() -> None:
    made_ = made([0.0, 1.0, 1.0, -1.0, -1.0, 0.0, 0.0])
    assert made_.decides[:, 0].tolist() == [False, True, False, True, False, True, False]
    assert made([1.0, 1.0]).decides[:, 0].tolist() == [True, False]


def test_the_fraction_scales_every_signal() -> None:
    assert made([1.0, -0.5, 0.0], 0.4).weights[:, 0].tolist() == [0.4, -0.2, 0.0]


def test_without_shorts_a_long_still_closes_and_nothing_else_happens() -> None:
    made_ = made([1.0, -1.0, 0.0, -1.0, 1.0], allow_short=False)
    assert made_.weights[:, 0].tolist() == [1.0, 0.0, 0.0, 0.0, 1.0]
    assert made_.decides[:, 0].tolist() == [True, True, False, False, True]


def test_no_bars_no_decisions() -> None:
    assert made([]).decides.shape == (0, 1)


@pytest.mark.parametrize("fraction", [0.0, -0.1, 1.1])
def test_a_fraction_is_above_zero_and_at_most_one(fraction: float) -> None:
    with pytest.raises(ValidationError):
        FixedFractionParams(fraction=fraction)

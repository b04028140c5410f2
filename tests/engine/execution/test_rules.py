from typing import Any

import pytest
from pydantic import ValidationError

from engine.execution import Commission, Execution


def test_the_defaults_are_those_of_the_semantics() -> None:
    assert Execution().model_dump() == {
        "feature_lag": 1,
        "fill_lag": 1,
        "fill_price": "open",
        "size_at": "decision",
        "slippage_bps": 1.0,
        "commission": {"bps": 5.0},
        "allow_short": True,
        "untradable_bar": "wait",
        "end_policy": "mark",
    }


def test_rates_are_fractions() -> None:
    rules = Execution(slippage_bps=2.0, commission=Commission(bps=3.0))
    assert (rules.slippage_rate, rules.commission_rate) == pytest.approx((2e-4, 3e-4))


@pytest.mark.parametrize(
    "values",
    [
        {"fill_lag": 0},
        {"feature_lag": -1},
        {"slippage_bps": -0.1},
        {"slippage_bps": 10_000},
        {"commission": {"bps": -1}},
        {"fill_price": "close"},
        {"untradable_bar": "skip"},
        {"end_policy": "close"},
        {"borrow_rate": 0.1},
    ],
)
def test_what_is_not_built_or_makes_no_sense_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Execution.model_validate(values)

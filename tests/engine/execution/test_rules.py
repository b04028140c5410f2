from typing import Any

import pytest
from pydantic import ValidationError

from engine.execution import Commission, Execution
from engine.execution.inputs import terms_of


def test_the_defaults_are_those_of_the_semantics() -> None:
    assert Execution().model_dump() == {
        "feature_lag": 1,
        "fill_lag": 1,
        "fill_price": "open",
        "size_at": "decision",
        "slippage": {"name": "none", "params": {}},
        "slippage_bps": 1.0,
        "commission": {"bps": 5.0, "per_unit": 0.0, "per_order": 0.0, "minimum": 0.0},
        "borrow_rate": 0.0,
        "cash_rate": 0.0,
        "rebalance": {"name": "on_change", "band": 0.0},
        "allow_short": True,
        "allow_leverage": False,
        "quantity_step": 0.0,
        "min_notional": 0.0,
        "max_participation": None,
        "untradable_bar": "wait",
        "stop_loss": None,
        "take_profit": None,
        "trailing_stop": None,
        "max_holding_bars": None,
        "bar_path": "stop_first",
        "end_policy": "mark",
        "per_symbol": {},
    }


def test_terms_are_fractions_and_a_symbol_may_have_its_own() -> None:
    own = {"B": {"slippage_bps": 4.0, "borrow_rate": 0.5, "commission": {"minimum": 7.0}}}
    rules = Execution.model_validate({"slippage_bps": 2.0, "commission": {"bps": 3.0}, "per_symbol": own})
    terms = terms_of(rules, ("A", "B"))
    assert terms["slippage_rate"].tolist() == pytest.approx([2e-4, 4e-4])
    assert terms["commission_rate"].tolist() == pytest.approx([3e-4, 0.0])
    assert terms["minimum"].tolist() == [0.0, 7.0]
    assert terms["borrow_rate"].tolist() == [0.0, 0.5]


def test_a_factor_multiplies_every_trading_cost_and_a_price_stays_above_zero() -> None:
    fees = Commission(bps=10.0, per_unit=1.0, per_order=2.0, minimum=3.0)
    spread = {"name": "spread_pct", "params": {"spread": 0.1}}
    rules = Execution.model_validate(
        {"slippage": spread, "slippage_bps": 100.0, "commission": fees, "borrow_rate": 0.1}
    )
    (row,) = terms_of(rules, ("A",), 2.0)
    names = ("amount", "slippage_rate", "commission_rate", "per_unit", "per_order", "minimum", "borrow_rate")
    assert [row[n] for n in names] == pytest.approx([0.1, 0.02, 0.002, 2.0, 4.0, 6.0, 0.1])
    (row,) = terms_of(rules, ("A",), 1000.0)
    assert (row["amount"], row["slippage_rate"]) == (0.99, 0.99)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"fill_lag": 0}, "fill_lag"),
        ({"feature_lag": -1}, "feature_lag"),
        ({"slippage_bps": -0.1}, "slippage_bps"),
        ({"slippage_bps": 10_000}, "slippage_bps"),
        ({"commission": {"bps": -1}}, "bps"),
        ({"commission": {"minimum": -1}}, "minimum"),
        ({"fill_price": "vwop"}, "fill_price"),
        ({"untradable_bar": "drop"}, "untradable_bar"),
        ({"end_policy": "drop"}, "end_policy"),
        ({"borrow_rate": -0.1}, "borrow_rate"),
        ({"stop_loss": 1.0}, "stop_loss"),
        ({"stop_loss": 0.0}, "stop_loss"),
        ({"take_profit": -1.0}, "take_profit"),
        ({"trailing_stop": 1.5}, "trailing_stop"),
        ({"max_holding_bars": 0}, "max_holding_bars"),
        ({"max_participation": 0.0}, "max_participation"),
        ({"max_participation": 1.5}, "max_participation"),
        ({"quantity_step": -1}, "quantity_step"),
        ({"slippage": {"name": "spread_pct", "params": {"spread": 2.0}}}, "spread"),
        ({"slippage": {"name": "participation_rate", "params": {"impact": 1.0}}}, "impact"),
        ({"slippage": {"name": "square_root", "params": {"lookback": 1}}}, "lookback"),
        ({"slippage": {"name": "cubic"}}, "slippage"),
    ],
)
def test_what_makes_no_sense_is_refused(values: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Execution.model_validate(values)
    assert field in map(str, caught.value.errors()[0]["loc"])


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"bar_path": "target_first"}, "bar_path"),
        ({"bar_path": "target_first", "stop_loss": 0.1}, "bar_path"),
        ({"bar_path": "nearest_open_first", "take_profit": 0.1}, "bar_path"),
        ({"rebalance": {"name": "on_change", "band": 0.1}}, "band"),
        ({"borrow_rate": 0.1, "allow_short": False}, "borrow_rate"),
        ({"per_symbol": {"B": {"borrow_rate": 0.1}}, "allow_short": False}, "per_symbol/B/borrow_rate"),
        ({"fill_lag": 2, "rebalance": {"name": "every_bar"}}, "rebalance/name"),
    ],
)
def test_what_would_have_no_effect_is_refused(values: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Execution.model_validate(values)
    assert caught.value.errors()[0]["ctx"]["field"] == field

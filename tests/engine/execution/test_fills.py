"""Orders and fills on hand-made bars; every number here can be checked in the head."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from engine.data.bars import Bars
from engine.execution import Commission, Execution, simulate
from engine.results import Cause, Ledger, Leg, Outcome, Reason, Targets
from engine.types import Floats
from tests.engine.test_pipeline import dataset, series

Table = Sequence[Sequence[float]]
FREE: dict[str, Any] = {"slippage_bps": 0.0, "commission": Commission(bps=0.0)}


def bars(opens: Table, closes: Table, shut: Sequence[tuple[int, int]] = ()) -> Bars:
    """Bars (T, N); ``shut`` lists the (t, i) that cannot be traded."""
    opened, closed = np.array(opens, dtype=np.float64), np.array(closes, dtype=np.float64)
    one = Bars.of("A", series(np.ones(len(opened))), dataset().conventions)
    tradable = np.ones(opened.shape, dtype=np.bool_)
    for at in shut:
        tradable[at] = False
    high, low = np.maximum(opened, closed), np.minimum(opened, closed)
    symbols = tuple("ABCD"[: opened.shape[1]])
    prices: dict[str, Any] = {"open": opened, "close": closed, "high": high, "low": low, "tradable": tradable}
    return dataclasses.replace(one, symbols=symbols, **prices)


def flat(price: float, rows: int) -> list[list[float]]:
    return [[price]] * rows


def targets(weights: Table) -> Targets:
    """A decision wherever the weight changes, the first row included if it is not 0."""
    values: Floats = np.array(weights, dtype=np.float64)
    return Targets(values, np.diff(values, axis=0, prepend=0.0) != 0.0, values)


def account(market: Bars, weights: Table, capital: float = 1000.0, **rules: Any) -> Ledger:
    return simulate(market, targets(weights), Execution(**{**FREE, **rules}), capital)


def reasons(ledger: Ledger) -> list[str]:
    return [Reason(r).name for r in ledger.orders.reason]


@pytest.mark.parametrize("lag", [1, 2, 3])
def test_a_decision_fills_at_the_open_fill_lag_bars_later(lag: int) -> None:
    opens = [[10.0], [11.0], [12.0], [13.0], [14.0]]
    ledger = account(bars(opens, flat(10.0, 5)), [[0.5]] * 5, fill_lag=lag)
    assert ledger.orders.filled_bar.tolist() == [lag]
    assert ledger.fills.price.tolist() == [opens[lag][0]]
    assert ledger.fills.quantity.tolist() == [50.0]


def test_size_at_decision_and_at_fill_differ_by_the_gap() -> None:
    market = bars([[10.0], [8.0], [8.0]], [[10.0], [8.0], [8.0]])
    assert account(market, [[0.8]] * 3).orders.quantity.tolist() == [80.0]
    assert account(market, [[0.8]] * 3, size_at="fill").orders.quantity.tolist() == [100.0]


def test_costs_are_against_the_trade_and_slippage_comes_first() -> None:
    market = bars(flat(100.0, 4), flat(100.0, 4))
    rules: dict[str, Any] = {"slippage_bps": 100.0, "commission": Commission(bps=50.0)}
    fills = account(market, [[0.5], [0.5], [0.0], [0.0]], **rules).fills
    assert fills.price.tolist() == [101.0, 99.0]
    assert fills.commission.tolist() == pytest.approx([5 * 101.0 * 0.005, 5 * 99.0 * 0.005])
    assert fills.slippage.tolist() == pytest.approx([5.0, 5.0])


def test_cash_is_the_capital_and_what_flowed() -> None:
    market = bars(flat(100.0, 4), [[100.0], [100.0], [110.0], [110.0]])
    rules: dict[str, Any] = {"slippage_bps": 100.0, "commission": Commission(bps=50.0)}
    ledger = account(market, [[0.5]] * 2 + [[-0.5]] * 2, **rules)
    fills = ledger.fills
    flow = -float((fills.quantity * fills.price).sum()) - float(fills.commission.sum())
    assert ledger.cash[-1] == pytest.approx(1000.0 + flow, rel=1e-12)
    assert ledger.equity.tolist() == pytest.approx((ledger.cash + ledger.values.sum(axis=1)).tolist())


def test_a_flip_is_two_fills_of_one_order() -> None:
    ledger = account(bars(flat(10.0, 4), flat(10.0, 4)), [[0.5], [0.5], [-0.3], [-0.3]])
    assert ledger.fills.leg.tolist() == [Leg.OPEN, Leg.CLOSE, Leg.OPEN]
    assert ledger.fills.order.tolist() == [0, 1, 1]
    assert ledger.fills.quantity.tolist() == [50.0, -50.0, -30.0]
    assert ledger.orders.filled.tolist() == [50.0, -80.0]


@pytest.mark.parametrize("weight", [1.0, -1.0])
def test_openings_are_scaled_so_that_gross_exposure_after_costs_is_at_most_equity(weight: float) -> None:
    rules: dict[str, Any] = {"slippage_bps": 100.0, "commission": Commission(bps=200.0)}
    ledger = account(bars(flat(10.0, 3), flat(10.0, 3)), [[weight]] * 3, **rules)
    price, quantity = ledger.fills.price[0], ledger.quantity[-1, 0]
    equity = ledger.cash[-1] + quantity * price
    assert 0.0 < ledger.orders.scale[0] < 1.0
    assert abs(quantity) * price == pytest.approx(equity, rel=1e-12)
    assert ledger.orders.outcome.tolist() == [Outcome.FILLED]


def test_an_exact_fit_is_not_scaled() -> None:
    assert account(bars(flat(0.3, 3), flat(0.3, 3)), [[1.0]] * 3).orders.scale.tolist() == [1.0]


def test_closing_is_never_scaled() -> None:
    market = bars([[10.0], [10.0], [10.0], [19.0], [19.0]], [[10.0], [10.0], [10.0], [19.0], [19.0]])
    ledger = account(market, [[-1.0], [-1.0], [0.0], [0.0], [0.0]], commission=Commission(bps=500.0))
    assert ledger.quantity[-1].tolist() == [0.0]
    assert ledger.orders.scale[1] == 1.0


def test_reductions_pay_for_openings_whatever_the_order_of_symbols() -> None:
    both = bars([[10.0, 20.0]] * 4, [[10.0, 20.0]] * 4)
    weights = [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]
    ledger = account(both, weights)
    turned = account(both, [w[::-1] for w in weights])
    assert ledger.orders.scale.tolist() == turned.orders.scale.tolist() == [1.0] * 3
    assert ledger.quantity[-1].tolist() == [0.0, 50.0]
    assert turned.quantity[-1].tolist() == [100.0, 0.0]
    assert ledger.equity.tolist() == turned.equity.tolist()


def test_openings_of_one_bar_share_one_factor() -> None:
    ledger = account(bars([[10.0, 20.0]] * 3, [[10.0, 20.0]] * 3), [[1.5, -0.5]] * 3)
    assert ledger.orders.scale.tolist() == pytest.approx([0.5, 0.5])


def test_an_order_waits_for_a_tradable_bar() -> None:
    market = bars([[10.0], [11.0], [12.0], [13.0]], flat(10.0, 4), shut=[(1, 0), (2, 0)])
    ledger = account(market, [[0.5]] * 4)
    assert ledger.orders.filled_bar.tolist() == [3]
    assert ledger.fills.price.tolist() == [13.0]


def test_a_newer_target_supersedes_even_if_it_trades_nothing() -> None:
    market = bars(flat(10.0, 5), flat(10.0, 5), shut=[(1, 0), (2, 0)])
    ledger = account(market, [[0.5], [0.0], [0.0], [0.0], [0.0]])
    assert reasons(ledger) == ["SUPERSEDED"]
    assert len(ledger.fills) == 0


def test_what_never_fills_ends_with_the_data() -> None:
    ledger = account(bars(flat(10.0, 3), flat(10.0, 3)), [[0.0], [0.0], [0.5]])
    assert reasons(ledger) == ["END_OF_DATA"]
    assert np.isnan(ledger.orders.price).all()
    assert ledger.orders.filled_bar.tolist() == [-1]


def test_a_target_already_reached_is_no_order() -> None:
    market = bars(flat(10.0, 4), flat(10.0, 4))
    half: Floats = np.full((4, 1), 0.5)
    made = Targets(half, np.ones((4, 1), dtype=np.bool_), half)
    assert len(simulate(market, made, Execution(**FREE), 1000.0).orders) == 1


@pytest.mark.parametrize("size_at", ["decision", "fill"])
def test_ruin_closes_at_the_next_tradable_open_and_is_the_end(size_at: str) -> None:
    closes = [[10.0], [10.0], [25.0], [25.0], [25.0], [10.0]]
    market = bars(closes, closes, shut=[(3, 0)])
    ledger = account(market, [[-1.0]] * 4 + [[1.0]] * 2, fill_lag=1, size_at=size_at)
    assert ledger.ruined_bar == 2
    assert ledger.orders.cause.tolist() == [Cause.SIGNAL, Cause.RUIN]
    assert ledger.orders.filled_bar.tolist() == [1, 4]
    assert ledger.quantity[-1].tolist() == [0.0]
    assert ledger.equity[-1] == -500.0


def test_no_equity_at_the_open_buys_nothing() -> None:
    market = bars([[10.0, 5.0], [10.0, 5.0], [40.0, 5.0], [5.0, 5.0]], [[10.0, 5.0]] * 3 + [[5.0, 5.0]])
    ledger = account(market, [[-1.0, 0.0], [-1.0, 0.5], [-1.0, 0.5], [-1.0, 0.5]])
    assert reasons(ledger) == ["NONE", "NO_CASH"]
    assert ledger.orders.scale.tolist() == [1.0, 0.0]

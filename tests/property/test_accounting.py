"""Identities of an account that hold whatever the market and the strategy do (semantics sections 3 and 6)."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.data.bars import Bars
from engine.execution import Commission, Execution, round_trips, simulate
from engine.results import Ledger, Leg, Outcome, Targets
from engine.types import Floats
from tests.oracle.markets import Columns, Kind, bars_of, columns

TOLERANCE = 1e-9
PROPERTY = settings(deadline=None, max_examples=300, derandomize=True)


@dataclass(frozen=True)
class Case:
    """A market, targets and rules, all from one seed."""

    bars: Bars
    targets: Targets
    rules: Execution
    capital: float

    def ledger(self) -> Ledger:
        return simulate(self.bars, self.targets, self.rules, self.capital)


def rules_of(**values: Any) -> Execution:
    return Execution.model_validate(values)


FREE = {"slippage_bps": 0.0, "commission": {"bps": 0.0}}


def build(seed: int, *, long_only: bool = False, size_at: str | None = None, free: bool = False) -> Case:
    """Up to four symbols, 2 to 80 bars; a tenth to a half of the bars are dead."""
    random = np.random.default_rng(seed)
    assets = int(random.integers(1, 5))
    kind = Kind(jumps=float(random.choice((0.0, 0.05, 0.3))), dead=float(random.choice((0.0, 0.1, 0.5))))
    market = columns(seed, int(random.integers(2, 81)), assets, kind)
    shape = market.open.shape
    signs = (0.0, 1.0, 1.0) if long_only else (0.0, 1.0, -1.0)
    weights = random.choice(signs, shape) * random.uniform(0.05, 1.2, shape)
    rules = rules_of(
        fill_lag=int(random.choice((1, 1, 2, 4))),
        size_at=size_at or str(random.choice(("decision", "fill"))),
        slippage_bps=0.0 if free else float(random.choice((0.0, 5.0, 250.0, 3000.0))),
        commission={"bps": 0.0 if free else float(random.choice((0.0, 5.0, 250.0, 3000.0)))},
    )
    decides = random.random(shape) < random.choice((0.1, 0.4, 1.0))
    return Case(bars_of(market), Targets(weights, decides, weights), rules, float(random.choice((100.0, 1e5, 1e12))))


SEEDS = st.integers(0, 2**32 - 1)


def size_of(ledger: Ledger) -> Floats:
    """(T,) what a rounding error may be measured against: the largest sum the account has seen so far."""
    gross = np.abs(ledger.cash) + np.abs(ledger.values).sum(axis=1)
    return np.asarray(np.maximum.accumulate(np.maximum(gross, ledger.initial_capital)), dtype=np.float64)


def flows_by_bar(ledger: Ledger, length: int) -> Floats:
    fills = ledger.fills
    return np.bincount(fills.bar, weights=-fills.quantity * fills.price - fills.commission, minlength=length).astype(
        np.float64
    )


@PROPERTY
@given(seed=SEEDS)
def test_cash_and_equity_follow_from_the_fills_alone(seed: int) -> None:
    case = build(seed)
    ledger = case.ledger()
    limit = TOLERANCE * size_of(ledger)
    cash = case.capital + np.cumsum(flows_by_bar(ledger, len(case.bars)))
    held = np.zeros_like(ledger.quantity)
    np.add.at(held, (ledger.fills.bar, ledger.fills.asset), ledger.fills.quantity)
    held = np.cumsum(held, axis=0)
    assert np.all(np.abs(ledger.cash - cash) <= limit)
    assert np.all(np.abs((ledger.quantity - held) * case.bars.close).sum(axis=1) <= limit)
    assert np.all(np.abs(ledger.equity - cash - (held * case.bars.close).sum(axis=1)) <= limit)
    assert np.array_equal(ledger.mark, case.bars.close)


@PROPERTY
@given(seed=SEEDS)
def test_trades_add_up_to_the_change_of_equity(seed: int) -> None:
    case = build(seed)
    ledger = case.ledger()
    trades = round_trips(ledger, case.bars)
    limit = TOLERANCE * size_of(ledger)[-1]
    costs = ledger.fills.commission.sum() + ledger.fills.slippage.sum()
    assert abs(trades.pnl_net.sum() - (ledger.equity[-1] - case.capital)) <= limit
    assert abs(trades.pnl_gross.sum() - costs - trades.pnl_net.sum()) <= limit
    each = trades.entry_commission + trades.exit_commission + trades.entry_slippage + trades.exit_slippage
    assert np.all(np.abs(trades.pnl_gross - each - trades.pnl_net) <= limit)
    assert abs(each.sum() - costs) <= limit
    assert min((*ledger.fills.commission, *ledger.fills.slippage, 0.0)) >= 0.0


@PROPERTY
@given(seed=SEEDS)
def test_orders_hold_the_sums_of_their_fills(seed: int) -> None:
    ledger = build(seed).ledger()
    orders, fills = ledger.orders, ledger.fills
    filled = orders.outcome == Outcome.FILLED
    assert np.array_equal(np.unique(fills.order), np.flatnonzero(filled))
    for name in ("commission", "slippage"):
        total = np.bincount(fills.order, weights=getattr(fills, name), minlength=len(orders))
        np.testing.assert_allclose(getattr(orders, name), total, rtol=TOLERANCE)
    traded = np.bincount(fills.order, weights=fills.quantity, minlength=len(orders))
    np.testing.assert_allclose(orders.filled, traded, rtol=TOLERANCE)
    assert np.all(np.isnan(orders.price) == ~filled)
    assert np.all((orders.filled_bar >= 0) == filled)
    assert np.all((orders.filled_bar > orders.decided_bar) | ~filled)
    assert np.all(np.abs(orders.filled) <= np.abs(orders.quantity) * (1.0 + TOLERANCE))
    assert np.all((orders.scale >= 0.0) & (orders.scale <= 1.0))


@PROPERTY
@given(seed=SEEDS)
def test_a_buyer_never_owes_money(seed: int) -> None:
    """T29: sized at one price, filled at a higher one plus costs; cash is not overdrawn."""
    ledger = build(seed, long_only=True).ledger()
    assert np.all(ledger.cash >= -TOLERANCE * size_of(ledger))
    assert np.all(ledger.quantity >= 0.0)


@PROPERTY
@given(seed=SEEDS)
def test_no_leverage_after_a_bar_that_opens(seed: int) -> None:
    case = build(seed)
    ledger = case.ledger()
    fills = ledger.fills
    size = size_of(ledger)
    for t in np.unique(fills.bar[fills.leg == Leg.OPEN]):
        price = case.bars.open[t].copy()
        here = fills.bar == t
        price[fills.asset[here]] = fills.price[here]
        values = ledger.quantity[t] * price
        assert np.abs(values).sum() <= ledger.cash[t] + values.sum() + TOLERANCE * size[t]


@PROPERTY
@given(seed=SEEDS)
def test_openings_of_a_bar_share_one_factor_and_closings_have_none(seed: int) -> None:
    ledger = build(seed).ledger()
    orders, fills = ledger.orders, ledger.fills
    opened = fills.order[fills.leg == Leg.OPEN]
    for t in np.unique(fills.bar):
        scales = orders.scale[opened[orders.filled_bar[opened] == t]]
        assert len(set(scales.tolist())) <= 1
    pure = np.setdiff1d(np.flatnonzero(orders.outcome == Outcome.FILLED), opened)
    closed_whole = np.abs(orders.filled[pure]) < np.abs(orders.quantity[pure]) * (1.0 - TOLERANCE)
    assert np.all(orders.scale[pure[closed_whole]] == 0.0)


@PROPERTY
@given(seed=SEEDS, shuffle=st.randoms(use_true_random=False))
def test_the_order_of_symbols_does_not_matter(seed: int, shuffle: Any) -> None:
    """T26. Two sums of the same numbers in another order differ by rounding: 1e-12 of what was added."""
    case = build(seed, free=False)
    assets = len(case.bars.symbols)
    order = list(range(assets))
    shuffle.shuffle(order)
    fields = ("open", "high", "low", "close", "volume", "tradable")
    bars = replace(case.bars, **{f: getattr(case.bars, f)[:, order] for f in fields})
    weights = case.targets.weights[:, order]
    permuted = Targets(weights, case.targets.decides[:, order], weights)
    one, two = case.ledger(), simulate(bars, permuted, case.rules, case.capital)
    limit = 1e-12 * size_of(one)
    assert np.all(np.abs(one.cash - two.cash) <= limit)
    assert np.all(np.abs(one.equity - two.equity) <= limit)
    moved = (one.quantity[:, order] - two.quantity) * bars.close
    assert np.all(np.abs(moved).sum(axis=1) <= limit)
    assert one.ruined_bar == two.ruined_bar


@PROPERTY
@given(seed=SEEDS, power=st.integers(-20, 20))
def test_the_unit_of_price_does_not_matter(seed: int, power: int) -> None:
    """Multiplying prices by a power of two is exact, so equity is the same to the last bit."""
    case = build(seed)
    unit = 2.0**power
    prices = {f: getattr(case.bars, f) * unit for f in ("open", "high", "low", "close")}
    one, two = case.ledger(), simulate(replace(case.bars, **prices), case.targets, case.rules, case.capital)
    assert one.equity.tobytes() == two.equity.tobytes()
    assert one.cash.tobytes() == two.cash.tobytes()
    assert (one.quantity / unit).tobytes() == two.quantity.tobytes()


@PROPERTY
@given(seed=SEEDS, power=st.integers(-20, 20))
def test_the_unit_of_money_does_not_matter(seed: int, power: int) -> None:
    case = build(seed)
    one, two = case.ledger(), simulate(case.bars, case.targets, case.rules, case.capital * 2.0**power)
    assert (one.equity * 2.0**power).tobytes() == two.equity.tobytes()


@PROPERTY
@given(seed=SEEDS)
def test_ruin_ends_it(seed: int) -> None:
    """After a close at or below zero every symbol is closed at its next tradable open, and nothing opens again."""
    case = build(seed)
    ledger = case.ledger()
    t = ledger.ruined_bar
    below = np.flatnonzero(ledger.equity <= 0.0)
    assert t == (int(below[0]) if len(below) else -1)
    if t < 0:
        return
    assert ledger.orders.decided_bar.max(initial=-1) <= t
    assert not np.any((ledger.fills.bar > t) & (ledger.fills.leg == Leg.OPEN))
    ended = np.cumsum(case.bars.tradable[t + 1 :], axis=0) > 0
    assert np.array_equal(ledger.quantity[t + 1 :] == 0.0, ended | (ledger.quantity[t] == 0.0))


@PROPERTY
@given(seed=SEEDS)
def test_costs_only_cost(seed: int) -> None:
    """Without slippage and commission nothing is charged, and gross is net."""
    case = build(seed, free=True)
    ledger = case.ledger()
    trades = round_trips(ledger, case.bars)
    assert ledger.fills.commission.sum() == ledger.fills.slippage.sum() == 0.0
    assert np.array_equal(trades.pnl_gross, trades.pnl_net)


# --- single rules, on markets small enough to check by eye ---------------------------------------------------


def market_of(opens: list[float], closes: list[float] | None = None) -> Bars:
    """One symbol whose bars are given by their opens (and closes, where they differ)."""
    opened = np.array(opens).reshape(-1, 1)
    closed = opened if closes is None else np.array(closes).reshape(-1, 1)
    return bars_of(
        Columns(opened, np.maximum(opened, closed), np.minimum(opened, closed), closed, np.ones_like(opened))
    )


def one(weights: list[float], decides: list[int]) -> Targets:
    column = np.array(weights, dtype=np.float64).reshape(-1, 1)
    return Targets(column, np.array(decides, dtype=np.bool_).reshape(-1, 1), column)


@pytest.mark.parametrize("weight", [0.25, 0.5, 1.0, -0.25, -0.5, -1.0])
@pytest.mark.parametrize("size_at", ["decision", "fill"])
def test_the_same_target_twice_trades_nothing(weight: float, size_at: str) -> None:
    """T31, T30: weights of equity, not of free cash; at an unchanged price the target is already held."""
    ledger = simulate(market_of([8.0] * 8), one([weight] * 8, [1] * 8), rules_of(size_at=size_at, **FREE), 1024.0)
    assert ledger.fills.quantity.tolist() == [weight * 128.0]
    assert len(ledger.orders) == 1


@pytest.mark.parametrize("first", [1.0, 0.5, 0.0, -0.5, -1.0])
@pytest.mark.parametrize("second", [1.0, 0.5, 0.0, -0.5, -1.0])
def test_the_side_is_that_of_the_change(first: float, second: float) -> None:
    """T28: reduce, close, flip, add; every fill is priced against its own direction and pays."""
    rules = Execution(slippage_bps=100.0, commission=Commission(bps=50.0))
    bars = market_of([8.0, 8.0, 8.0, 8.0])
    ledger = simulate(bars, one([first, first, second, second], [1, 0, 1, 0]), rules, 1024.0)
    fills = ledger.fills
    assert np.all(np.sign(fills.price - 8.0) == np.sign(fills.quantity))
    np.testing.assert_allclose(fills.price, 8.0 * (1.0 + 0.01 * np.sign(fills.quantity)), rtol=1e-15)
    np.testing.assert_allclose(fills.commission, np.abs(fills.quantity) * fills.price * 0.005, rtol=1e-12)
    np.testing.assert_allclose(fills.slippage, np.abs(fills.quantity) * 8.0 * 0.01, rtol=1e-12)
    later = fills.bar == 3
    assert np.all(fills.leg[~later] == Leg.OPEN)
    if first * second < 0.0:
        assert fills.leg[later].tolist() == [Leg.CLOSE, Leg.OPEN]
        assert fills.quantity[later][0] == -ledger.quantity[2, 0]
        assert np.sign(fills.quantity[later]).tolist() == [np.sign(second)] * 2
    elif abs(second) < abs(first):
        assert fills.leg[later].tolist() == [Leg.CLOSE]
        assert np.sign(fills.quantity[later]).tolist() == [-np.sign(first)]


def test_a_flip_is_two_fills_that_both_pay_and_two_trades() -> None:
    """T27: cash plus position at the fill price changes by the commission alone."""
    bars = market_of([100.0, 100.0, 100.0, 100.0])
    rules = rules_of(slippage_bps=0.0, commission={"bps": 10.0})
    ledger = simulate(bars, one([0.5, 0.5, -0.5, -0.5], [1, 0, 1, 0]), rules, 10_000.0)
    trades = round_trips(ledger, bars)
    fills = ledger.fills
    assert fills.order.tolist() == [0, 1, 1]
    assert fills.leg.tolist() == [Leg.OPEN, Leg.CLOSE, Leg.OPEN]
    assert fills.quantity[1] == -50.0
    np.testing.assert_allclose(fills.commission, np.abs(fills.quantity) * 0.1, rtol=1e-12)
    assert trades.side.tolist() == [1, -1]
    assert trades.exit_bar.tolist() == [3, -1]
    assert trades.entry_bar.tolist() == [1, 3]
    assert ledger.equity[3] == pytest.approx(10_000.0 - fills.commission.sum(), rel=1e-12)


@pytest.mark.parametrize("size_at", ["decision", "fill"])
def test_half_the_equity_buys_half_as_much(size_at: str) -> None:
    """T35: after a loss of one half the notional halves."""
    opens = [8.0, 8.0, 8.0, 4.0, 4.0, 4.0]
    rules = rules_of(size_at=size_at, **FREE)
    ledger = simulate(market_of(opens), one([1.0, 0, 0, 0, 1.0, 1.0], [1, 0, 0, 1, 1, 0]), rules, 1024.0)
    assert ledger.equity.tolist() == [1024.0, 1024.0, 1024.0, 512.0, 512.0, 512.0]
    notional = np.abs(ledger.fills.quantity * ledger.fills.price)[ledger.fills.leg == Leg.OPEN]
    assert notional.tolist() == [1024.0, 512.0]


def test_a_gap_up_shrinks_the_purchase_and_says_so() -> None:
    """T29: sized for 10, filled at 15.015 with 10 bps of commission: all cash is spent, none is owed."""
    bars = market_of([10.0, 15.0, 15.0])
    rules = Execution(slippage_bps=10.0, commission=Commission(bps=10.0))
    ledger = simulate(bars, one([1.0, 1.0, 1.0], [1, 0, 0]), rules, 1000.0)
    price = 15.0 * 1.001
    assert ledger.orders.quantity.tolist() == [100.0]
    assert ledger.orders.scale[0] == pytest.approx(1000.0 / (100.0 * price * 1.001), rel=1e-12)
    assert ledger.quantity[1, 0] == pytest.approx(1000.0 / (price * 1.001), rel=1e-12)
    assert ledger.cash[1] == pytest.approx(0.0, abs=1e-9)
    assert ledger.orders.outcome.tolist() == [Outcome.FILLED]


def test_two_orders_of_one_bar_do_not_spend_the_same_money() -> None:
    """T29, T36: each of two full purchases gets half."""
    price = np.full((3, 2), 16.0)
    bars = bars_of(Columns(price, price, price, price, np.ones_like(price)))
    ones = np.ones((3, 2))
    both = Targets(ones, np.array([[True, True], [False, False], [False, False]]), ones)
    ledger = simulate(bars, both, rules_of(**FREE), 1024.0)
    assert ledger.orders.scale.tolist() == [0.5, 0.5]
    assert ledger.quantity[1].tolist() == [32.0, 32.0]
    assert ledger.cash.tolist() == [1024.0, 0.0, 0.0]

"""Kernels equal their plain twins: codes and counts exactly, floats up to rounding."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from engine.execution import pricing
from engine.execution.exits import levels
from engine.execution.fills import ledger, made_of
from engine.execution.inputs import (
    FILL,
    ORDER,
    TERMS,
    Market,
    Records,
    read_only,
    rolling_impact,
    rolling_impact_plain,
)
from engine.execution.plain import PlainLedger, ledger_plain
from engine.execution.plain_account import (
    Position,
    Terms,
    cash_factor_plain,
    fee_plain,
    impacted_plain,
    same_plain,
    to_lot_plain,
)
from engine.execution.portfolio import nothing_together
from engine.execution.trades import TRADE, excursions, excursions_plain, fill_arrays, pair, pair_plain
from engine.features.rolling import rolling_mean, rolling_mean_plain
from engine.portfolio.correlation import estimates
from engine.results import Cause, Ledger, Moment, Outcome, Reason
from engine.strategies.trend import EQUAL_WITHIN, crossing, crossing_plain
from engine.types import Floats
from tests.engine.execution.cases import HIGHEST, HOUR, LOWEST, Case, cases, rules_for

TOLERANCE = 1e-9
OFTEN = settings(derandomize=True, deadline=None, max_examples=200)
FOR_LONG = settings(OFTEN, max_examples=600)


def by_kernel(case: Case) -> tuple[PlainLedger, Ledger]:
    """The kernel's answer in the twin's form, and the ledger of a run made from it."""
    rows = len(case.market.mark)
    path, accrued = np.empty(rows + 1), np.empty(rows if case.rules.accrues else 0)
    path[0] = case.capital
    room = np.zeros(1, dtype=ORDER), np.zeros(1, dtype=FILL)
    known = estimates(case.window, case.market.mark.shape[1])
    written, told = ledger(*case[:-1], path[1:], accrued, *room, known)
    made = made_of(path, case.market.mark, written, told, accrued, np.empty(0))
    answer = {name: getattr(told, name) for name in told._fields}
    answer |= {"orders": written.orders, "fills": written.fills, "events": written.events}
    return PlainLedger(**answer, cash=made.cash, equity=made.equity, quantity=made.quantity), made


def flows_of(fills: Records) -> float:
    """All money that changed hands: rounding of a difference of flows is measured against it."""
    return float(np.abs(fills["quantity"] * fills["price"]).sum())


def assert_close(left: Floats, right: Floats, name: str, within: Any = 0.0) -> None:
    """Equal, infinities and NaN included, up to rounding; ``within`` is money, one for all or one each."""
    gone = np.isnan(left)
    assert_array_equal(gone, np.isnan(right), err_msg=name)
    fine = np.isfinite(left) & np.isfinite(right)
    assert_array_equal(left[~fine & ~gone], right[~fine & ~gone], err_msg=name)
    apart = np.abs(left[fine] - right[fine]) - TOLERANCE * np.abs(right[fine])
    assert (apart <= np.broadcast_to(within, left.shape)[fine]).all(), (name, left, right)


def assert_same_records(left: Records, right: Records, within: dict[str, Any]) -> None:
    assert left.dtype == right.dtype
    assert len(left) == len(right)
    kinds = {name: left[name].dtype.kind for name in left.dtype.names or ()}
    for name in (n for n, kind in kinds.items() if kind == "i"):
        assert_array_equal(left[name], right[name], err_msg=name)
    for name in (n for n, kind in kinds.items() if kind == "f"):
        assert_close(left[name], right[name], name, within.get(name, 0.0))


def traded(records: Records, quantity: str) -> dict[str, Any]:
    """Rounding allowed to costs: one pays what is due less what was paid, the other is a difference of prices."""
    money = 1e-13 * np.nan_to_num(np.abs(records[quantity] * records["price"]))
    return {"commission": money, "slippage": money}


def assert_same_ledgers(kernel: PlainLedger, plain: PlainLedger, capital: float) -> None:
    assert (kernel.ruined_bar, kernel.ambiguous) == (plain.ruined_bar, plain.ambiguous)
    assert_same_records(kernel.orders, plain.orders, traded(plain.orders, "filled"))
    assert_same_records(kernel.fills, plain.fills, traded(plain.fills, "quantity"))
    within = 1e-12 * (capital + flows_of(plain.fills))
    for name in ("cash", "equity", "borrow", "interest", "open_borrow"):
        assert_close(np.asarray(getattr(kernel, name)), np.asarray(getattr(plain, name)), name, within)
    assert_close(kernel.quantity, plain.quantity, "quantity")
    assert_array_equal(kernel.events, plain.events)


def sights(case: Case, result: PlainLedger) -> set[Any]:
    """What happened in an account."""
    orders, seen = result.orders, set[Any]()
    for row in orders:
        seen |= {Cause(row["cause"]), Moment(row["moment"]), (Outcome(row["outcome"]), Reason(row["reason"]))}
        seen |= {("scale", Reason(row["scale_reason"]))}
    exits = orders["cause"] >= Cause.STOP_LOSS
    happened = {
        "ruin": result.ruined_bar >= 0,
        "ambiguous": result.ambiguous > 0,
        "scaled": bool(((orders["scale"] > 0.0) & (orders["scale"] < 1.0)).any()),
        "flip": bool((orders["close_fills"] * orders["open_fills"] > 0).any()),
        "filled in parts": bool((orders["close_fills"] + orders["open_fills"] > 2).any()),
        "exit in parts": bool((orders["close_fills"][exits] > 1).any()),
        "waited": bool((orders["filled_bar"] - orders["decided_bar"] > case.rules.fill_lag).any()),
        "borrow": result.borrow > 0.0,
        "interest": result.interest > 0.0,
        "one bar": len(result.cash) == 1,
    }
    return seen | {name for name, yes in happened.items() if yes}


EVERYTHING = {
    *Cause,
    *Moment,
    *((Outcome.UNFILLED, r) for r in Reason if r != Reason.NONE),
    *((Outcome.PARTIAL, r) for r in (Reason.END_OF_DATA, Reason.NO_CASH, Reason.SUPERSEDED, Reason.CANCELLED_BY_EXIT)),
    *((Outcome.PARTIAL, r) for r in (Reason.NO_PRICE, Reason.ZERO_VOLUME)),
    (Outcome.FILLED, Reason.NONE),
    *(("scale", r) for r in (Reason.NO_CASH, Reason.MIN_NOTIONAL, Reason.LOT_ROUNDED_TO_ZERO)),
    *("ruin", "ambiguous", "scaled", "flip", "filled in parts", "exit in parts"),
    *("waited", "borrow", "interest", "one bar"),
}


def test_the_ledger_equals_its_twin() -> None:
    """And the markets go everywhere: a comparison proves little of what never happens."""
    seen: set[Any] = set()

    @FOR_LONG
    @given(cases())
    def compare(case: Case) -> None:
        (kernel, _), plain = by_kernel(case), ledger_plain(*case)
        assert_same_ledgers(kernel, plain, case.capital)
        seen.update(sights(case, plain))

    compare()
    assert seen >= EVERYTHING, EVERYTHING - seen


def test_an_exit_that_goes_on_cancels_an_order_that_came_to_zero_lots() -> None:
    """Too rare for random accounts: a turn of the signal while the stop of a short waits for volume."""
    price = np.array([[10.0], [10.0], [11.0], [11.0], [11.0]])
    volume = np.array([[1.0], [1.0], [0.0], [1.0], [1.0]])
    valid = np.ones((5, 1), dtype=np.bool_)
    prices = dict.fromkeys(("open", "high", "low", "base", "mark", "sigma", "adv"), price)
    times = np.arange(5, dtype=np.int64) * HOUR
    arrays = {**prices, "volume": volume, "close_time": times, "valid": valid, "tradable": volume > 0.0}
    market = Market(**{name: read_only(array) for name, array in arrays.items()})
    terms, _ = one_symbol({"step": 60.0})
    rules = rules_for(np.random.default_rng(0), at_open=True, accrues=False)._replace(
        fill_lag=1, size_at_fill=False, notional=False, on_change=True, band=0.0, allow_short=True, skip=False,
        stop_loss=0.02, take_profit=0.0, trailing_stop=0.0, max_holding_bars=0, close_at_end=False, exits=True,
    )  # fmt: skip
    signals = np.array([[-1.0], [-1.0], [0.3], [0.3], [0.3]])
    decides = np.array([[True], [False], [True], [False], [False]])
    wishes = (read_only(signals), read_only(decides), read_only(signals))
    case = Case(market, terms, rules, nothing_together(5, 1), *wishes, 1000.0, 1)
    (kernel, _), plain = by_kernel(case), ledger_plain(*case)
    assert_same_ledgers(kernel, plain, case.capital)
    assert plain.orders["cause"].tolist() == [Cause.SIGNAL, Cause.STOP_LOSS, Cause.SIGNAL]
    assert plain.orders["reason"].tolist() == [Reason.NONE, Reason.NONE, Reason.CANCELLED_BY_EXIT]
    assert plain.quantity[:, 0].tolist() == [0.0, -60.0, -60.0, 0.0, 0.0]


MONEY = {"pnl_gross", "pnl_net", "mfe", "mae", "entry_slippage", "exit_slippage"}


@OFTEN
@given(cases())
def test_trades_equal_their_twin(case: Case) -> None:
    result, made = by_kernel(case)
    fills, last = fill_arrays(made.fills), np.ascontiguousarray(made.mark[-1])
    both = [np.zeros(len(made.fills), dtype=TRADE) for _ in range(2)]
    count = pair(fills, last, made.open_borrow, both[0])
    assert pair_plain(fills, last, made.open_borrow, both[1]) == count
    kernel, plain = (trades[:count] for trades in both)
    for i in range(len(last)):
        mine = np.flatnonzero(kernel["asset"] == i)
        high, low, valid = (read_only(c[:, i]) for c in (case.market.high, case.market.low, case.market.valid))
        own = np.flatnonzero(fills.asset == i)
        excursions(kernel, mine, fills, own, high, low, valid, float(last[i]))
        excursions_plain(plain, mine, fills, own, high, low, valid, float(last[i]))
    # Profit is a difference of flows, so rounding is measured against the flows.
    flows = flows_of(result.fills) + float((kernel["quantity"] * np.nanmax(case.market.high, initial=0.0)).sum())
    assert_same_records(kernel, plain, dict.fromkeys(MONEY, 1e-12 * flows))


def test_same_equals_its_twin() -> None:
    values = [0.0, 1.0, 1.0 + 5e-13, 1.0 + 1e-11, -1.0, 1e-300, 7e8, 7e8 + 1e-3, 7e8 + 1e-7]
    answers = [(pricing.same(a, b), same_plain(a, b)) for a in values for b in values]
    assert all(kernel == plain for kernel, plain in answers)
    assert {plain for _, plain in answers} == {True, False}


@OFTEN
@given(st.floats(-1e12, 1e12), st.sampled_from([0.0, 1e-6, 0.1, 1.0, 1000.0]), st.integers(-1000, 1000))
def test_rounding_to_lots_equals_its_twin(quantity: float, step: float, lots: int) -> None:
    for value in (quantity, lots * step, lots * step * (1.0 - 1e-15)):
        assert pricing.to_lot(value, step) == to_lot_plain(value, step)
        assert abs(to_lot_plain(value, step)) <= abs(value) * (1.0 + 1e-12) + step * 1e-8


def one_symbol(values: dict[str, float]) -> tuple[Records, Terms]:
    row = np.zeros(1, dtype=TERMS)
    for name, value in values.items():
        row[name] = value
    return row, Terms(*row.tolist()[0])


@st.composite
def symbol_terms(draw: st.DrawFn) -> tuple[Records, Terms]:
    """The costs of one symbol, as the kernel and as the twin read them."""
    small = st.sampled_from([0.0, 1e-4, 0.5]) | st.floats(0.0, 0.9)
    values: dict[str, float] = {name: draw(small) for name in ("slippage_rate", "commission_rate", "amount")}
    values |= {name: draw(small) * 100.0 for name in ("per_unit", "per_order", "minimum")}
    return one_symbol(values | {"slippage": draw(st.integers(0, 3))})


@OFTEN
@given(
    symbol_terms(),
    st.floats(LOWEST, HIGHEST),
    st.sampled_from([1, -1]),
    st.floats(1e-6, 1e9),
    st.tuples(*[st.sampled_from([0.0, 1.0, 1e6]) | st.floats(0.0, 1e9)] * 2),
    st.sampled_from([0.0, 0.01, 5.0]),
)
def test_price_impact_equals_its_twin(
    terms: tuple[Records, Terms], base: float, side: int, amount: float, volumes: tuple[float, float], sigma: float
) -> None:
    volume, adv = volumes
    cell = {name: read_only(np.full((1, 1), math.nan)) for name in Market._fields}
    cell |= {n: read_only(np.full((1, 1), v)) for n, v in (("volume", volume), ("sigma", sigma), ("adv", adv))}
    cell |= {"close_time": read_only(np.zeros(1, dtype=np.int64))}
    cell |= {n: read_only(np.ones((1, 1), dtype=np.bool_)) for n in ("valid", "tradable")}
    kernel = pricing.impacted(Market(**cell), terms[0], 0, 0, 0, base, float(side), amount)
    plain = impacted_plain(terms[1], base, side, amount, volume, sigma, adv)
    assert kernel == plain or abs(kernel - plain) <= 1e-14 * base
    assert plain > 0.0
    assert side * (plain - base) >= 0.0


@OFTEN
@given(symbol_terms(), st.integers(0, 3), st.floats(0.0, 1e9))
def test_commission_equals_its_twin(terms: tuple[Records, Terms], fills: int, variable: float) -> None:
    assert pricing.fee(terms[0], 0, fills, variable) == fee_plain(terms[1], fills, variable)


@OFTEN
@given(
    st.lists(
        st.tuples(symbol_terms(), st.sampled_from([0.0, -3.0, 5.0]), st.floats(0.1, 100.0), st.floats(0.0, 9.0)),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from([0.0, 1e4]) | st.floats(-1e3, 2e3),
)
def test_the_factor_on_openings_equals_its_twin(symbols: list[Any], cash: float) -> None:
    terms = np.concatenate([own[0] for own, *_ in symbols])
    held, price, opening = (np.array([symbol[k] for symbol in symbols]) for k in (1, 2, 3))
    kernel = pricing.cash_factor(cash, held, price, opening, terms)
    plain = cash_factor_plain(cash, held.tolist(), price.tolist(), opening.tolist(), [own[1] for own, *_ in symbols])
    assert kernel == plain
    assert 0.0 <= plain <= 1.0


@OFTEN
@given(
    st.lists(
        st.tuples(st.floats(LOWEST, HIGHEST) | st.just(5.0), st.floats(0.0, 1e9), st.booleans()),
        min_size=1,
        max_size=30,
    ),
    st.integers(2, 12),
)
def test_impact_inputs_equal_their_twin(bars: list[tuple[float, float, bool]], lookback: int) -> None:
    close, volume = (np.array([bar[k] for bar in bars]) for k in (0, 1))
    valid = np.array([bar[2] for bar in bars])
    close[~valid] = math.nan
    kernel = rolling_impact(close, volume, valid, lookback)
    plain = rolling_impact_plain(close, volume, valid, lookback)
    scale = max(1.0, float(np.nanmax(np.append(close, 1.0)) / np.nanmin(np.append(close, 1.0))))
    for left, right, within in zip(kernel, plain, (1e-15 * scale, 0.0), strict=True):
        assert_allclose(left, right, rtol=TOLERANCE, atol=within)


@OFTEN
@given(
    st.sampled_from([1, -1]),
    st.floats(1.0, 100.0),
    st.floats(1.0, 100.0),
    st.tuples(*[st.sampled_from([0.0, 0.02, 0.5])] * 3),
)
def test_levels_equal_their_twin(side: int, average: float, extreme: float, fractions: tuple[float, ...]) -> None:
    rules = rules_for(np.random.default_rng(0), at_open=True, accrues=False)
    stop, target, trailing = fractions
    rules = rules._replace(stop_loss=stop, take_profit=target, trailing_stop=trailing)
    position = Position(quantity=2.0 * side, average=average, extreme=extreme)
    assert levels(float(side), average, extreme, rules) == position.levels(rules)


@OFTEN
@given(
    st.lists(st.floats(LOWEST, HIGHEST) | st.sampled_from([1e9, 0.1]), min_size=1, max_size=80),
    st.integers(1, 90),
)
def test_rolling_mean_is_the_exact_mean(values: list[float], length: int) -> None:
    array = np.array(values)
    assert_allclose(rolling_mean(array, length), rolling_mean_plain(array, length), rtol=1e-13, atol=0.0)


@pytest.mark.parametrize("price", [1e-4, 0.1, 1.2345, 99.99, 7e8])
def test_a_spike_that_has_left_the_window_leaves_nothing_behind(price: float) -> None:
    values = np.full(400, price)
    values[60:63] = [1e9, 3.3e8, 1e9]
    fast, slow = (rolling_mean(values, n) for n in (7, 110))
    assert_allclose(slow, rolling_mean_plain(values, 110), rtol=1e-13, atol=0.0)
    after = slice(63 + 110, None)
    assert np.all(np.abs(fast[after] - slow[after]) <= EQUAL_WITHIN * slow[after])
    signs = crossing(fast[after, None], slow[after, None], EQUAL_WITHIN)
    assert_array_equal(signs, 0.0)


def test_rolling_mean_is_undefined_before_the_window_is_full() -> None:
    for length in (1, 3, 4, 9):
        means = rolling_mean(np.array([1.0, 2.0, 6.0, 7.0]), length)
        assert np.count_nonzero(np.isnan(means)) == min(length - 1, 4)


def test_crossing_equals_its_twin() -> None:
    edges = [0.0, 1.0, 1.0 + 1e-13, 1.0 - 1e-13, 1.0 + 1e-11, 1.0 - 1e-11, 2.0, math.nan]
    fast, slow = (np.ascontiguousarray(a) for a in np.meshgrid(edges, edges))
    both: list[npt.NDArray[np.float64]] = [f(fast, slow, EQUAL_WITHIN) for f in (crossing, crossing_plain)]
    assert_array_equal(both[0], both[1])
    equal: Floats = crossing(slow, slow, EQUAL_WITHIN)
    assert set(equal[~np.isnan(equal)].tolist()) == {0.0}

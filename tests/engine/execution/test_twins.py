"""Kernels equal their plain twins: the integers exactly, floats up to rounding."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from engine.execution.fills import FILL, ORDER, Records, columns, ledger
from engine.execution.plain import ledger_plain
from engine.execution.trades import TRADE, excursions, excursions_plain, pair, pair_plain
from engine.features.indicators import rolling_mean, rolling_mean_plain
from engine.results import Reason
from engine.strategies.trend import EQUAL_WITHIN, crossing, crossing_plain
from engine.types import Floats

TOLERANCE = 1e-12
LOWEST, HIGHEST = 1e-4, 1e9
OFTEN = settings(derandomize=True, deadline=None, max_examples=250)


@st.composite
def markets(draw: st.DrawFn) -> dict[str, Any]:
    """Every input of the ledger kernel: prices that jump, orders that wait, costs from none to ruinous."""
    assets, rows = draw(st.integers(1, 4)), draw(st.integers(1, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    jump = draw(st.sampled_from([0.0, 0.02, 0.3]))
    moves = np.where(
        rng.random((2 * rows, assets)) < jump,
        rng.choice([0.4, 1.6, 5.0, 0.2], (2 * rows, assets)),
        np.exp(draw(st.sampled_from([0.0, 0.01])) * rng.normal(size=(2 * rows, assets))),
    )
    start = 10.0 ** rng.uniform(-4.0, 9.0, assets)
    prices = np.clip(start * np.cumprod(moves, axis=0), LOWEST, HIGHEST)
    levels = draw(st.sampled_from([[-1.0, 0.0, 1.0], [-0.5, 0.0, 0.25, 0.3, 0.5], [-3.0, 3.0]]))
    return {
        "opens": np.ascontiguousarray(prices[0::2]),
        "closes": np.ascontiguousarray(prices[1::2]),
        "tradable": rng.random((rows, assets)) < draw(st.sampled_from([1.0, 0.7, 0.0])),
        "weights": rng.choice(levels, (rows, assets)) * draw(st.sampled_from([1.0, 1.0 / assets])),
        "decides": rng.random((rows, assets)) < draw(st.sampled_from([0.0, 0.1, 0.5, 1.0])),
        "initial_capital": draw(st.sampled_from([1.0, 1e5, 1e15])),
        "fill_lag": draw(st.sampled_from([1, 2, 7])),
        "slippage": draw(st.sampled_from([0.0, 1e-4, 0.05])),
        "commission": draw(st.sampled_from([0.0, 5e-4, 0.2])),
        "size_at_fill": draw(st.booleans()),
    }


def untyped(function: Any) -> Any:
    """Records are spread over parameters here, which a type checker cannot follow."""
    return function


def run_ledger(function: Any, market: dict[str, Any]) -> dict[str, Any]:
    rows, assets = market["closes"].shape
    orders = np.zeros(int(market["decides"].sum()) + assets, dtype=ORDER)
    fills = np.zeros(2 * len(orders), dtype=FILL)
    cash, equity, quantity = np.empty(rows), np.empty(rows), np.empty((rows, assets))
    counts = function(*market.values(), orders, fills, cash, equity, quantity)
    return {
        "counts": counts,
        "orders": orders[: counts[0]],
        "fills": fills[: counts[1]],
        "cash": cash,
        "equity": equity,
        "quantity": quantity,
    }


def assert_equal_records(left: Records, right: Records) -> None:
    for name, values in columns(left).items():
        if values.dtype.kind == "i":
            assert_array_equal(values, right[name], err_msg=name)
        else:
            assert_allclose(values, right[name], rtol=TOLERANCE, atol=0.0, err_msg=name)


@OFTEN
@given(markets())
def test_the_ledger_equals_its_twin(market: dict[str, Any]) -> None:
    kernel, plain = run_ledger(ledger, market), run_ledger(ledger_plain, market)
    assert kernel["counts"] == plain["counts"]
    for name in ("orders", "fills"):
        assert_equal_records(kernel[name], plain[name])
    for name in ("cash", "equity", "quantity"):
        assert_allclose(kernel[name], plain[name], rtol=TOLERANCE, atol=0.0, err_msg=name)


MONEY = {"pnl_gross", "pnl_net", "mfe", "mae"}


@OFTEN
@given(markets())
def test_trades_equal_their_twin(market: dict[str, Any]) -> None:
    fills = columns(run_ledger(ledger, market)["fills"])
    both = [np.zeros(len(fills["order"]), dtype=TRADE) for _ in range(2)]
    names = ("order", "asset", "bar", "leg", "position", "quantity", "price", "commission", "slippage")
    values = [fills[n] for n in names]
    count = untyped(pair)(*values, market["closes"], both[0])
    assert untyped(pair_plain)(*values, market["closes"], both[1]) == count
    high = np.maximum(market["opens"], market["closes"])
    low = np.minimum(market["opens"], market["closes"])
    kernel, plain = (trades[:count] for trades in both)
    excursions(kernel, high, low)
    excursions_plain(plain, high, low)
    # Profit is a difference of flows, so rounding is measured against the flows.
    flows = float(np.abs(fills["quantity"] * fills["price"]).sum())
    flows += float((kernel["quantity"] * np.max(high, initial=0.0)).sum())
    for name, column in columns(kernel).items():
        within = TOLERANCE * flows if name in MONEY else 0.0
        if column.dtype.kind == "i":
            assert_array_equal(column, plain[name], err_msg=name)
        else:
            assert_allclose(column, plain[name], rtol=TOLERANCE, atol=within, err_msg=name)


def test_the_markets_reach_every_branch() -> None:
    """The comparison would prove little if nothing waited, was scaled, flipped or ruined."""
    seen: set[str] = set()

    @settings(derandomize=True, deadline=None, max_examples=200, database=None)
    @given(markets())
    def look(market: dict[str, Any]) -> None:
        result = run_ledger(ledger, market)
        orders = result["orders"]
        seen.update(f"reason {r}" for r in orders["reason"])
        seen.update(["ruin"] if result["counts"][2] >= 0 else [])
        seen.update(["scaled"] if np.any((orders["scale"] < 1.0) & (orders["scale"] > 0.0)) else [])
        seen.update(["flip"] if np.any(np.diff(result["fills"]["order"]) == 0) else [])
        seen.update(["waited"] if np.any(orders["filled_bar"] - orders["decided_bar"] > market["fill_lag"]) else [])

    look()
    assert seen >= {"ruin", "scaled", "flip", "waited", *(f"reason {int(r)}" for r in Reason)}


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

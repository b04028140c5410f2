import math
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.metrics.trades import (
    MOST_PARTS,
    bars_held,
    bars_held_plain,
    exact_sum,
    exposure,
    profit_factor,
    sum_exactly,
    sum_exactly_plain,
    trade_count,
    turnover,
    win_rate,
)
from engine.results import Events, Fills, Ledger, Leg, Metric, Orders, Snapshots, Trades


def make_trades(pnl: Sequence[float], exit_bar: Sequence[int]) -> Trades:
    """Round trips of which only net P&L and exit bar say something (-1: open); one unit entered at 1."""
    count = len(pnl)
    zeros: Any = np.zeros(count)
    ones: Any = np.ones(count)
    ints: Any = np.zeros(count, dtype=np.int64)
    return Trades(
        **dict.fromkeys(("asset", "side", "entry_order", "exit_order", "entry_bar"), ints),
        **dict.fromkeys(("entry_moment", "exit_moment"), ints),
        **dict.fromkeys(("borrow_cost", "stop_level", "target_level"), zeros),
        **dict.fromkeys(("exit_price", "pnl_gross", "mfe", "mae"), zeros),
        **dict.fromkeys(("entry_price", "quantity"), ones),
        **dict.fromkeys(("entry_commission", "exit_commission", "entry_slippage", "exit_slippage"), zeros),
        exit_bar=np.array(exit_bar, dtype=np.int64),
        pnl_net=np.array(pnl, dtype=np.float64),
    )


def make_ledger(
    equity: Sequence[float],
    fills: Sequence[tuple[int, float, float]] = (),
    capital: float = 100.0,
    stop: float | None = None,
) -> Ledger:
    """A ledger of one asset; ``fills`` are (bar, quantity, price), each at costs of 1 and 0.5, none a flip."""
    bars, count = len(equity), len(fills)
    zeros: Any = np.zeros(count)
    ints: Any = np.zeros(count, dtype=np.int64)
    quantity = np.array([f[1] for f in fills], dtype=np.float64)
    position = np.cumsum(quantity)
    opens = np.abs(position) > np.abs(position - quantity)
    sides = np.where(opens, np.sign(quantity), -np.sign(quantity))
    whole = ("asset", "decided_bar", "cause", "outcome", "reason", "filled_bar", "moment", "scale_reason", "partner")
    real = ("weight", "quantity", "price", "filled", "commission", "slippage", "scale", "rho", "factor")
    return Ledger(
        path=np.array([capital, *equity], dtype=np.float64),
        mark=np.ones((bars, 1)),
        orders=Orders(**dict.fromkeys(whole, ints), **dict.fromkeys(real, zeros)),
        events=Events(ints[:0], ints[:0], ints[:0]),
        snapshots=Snapshots(ints[:0], zeros[:0], ints[:0], ints[:0], ints[:0], ints[:0], zeros[:0]),
        fills=Fills(
            order=ints,
            asset=ints,
            bar=np.array([f[0] for f in fills], dtype=np.int64),
            leg=np.where(opens, int(Leg.OPEN), int(Leg.CLOSE)),
            moment=ints,
            position=position,
            borrow=zeros,
            stop=-sides * np.inf if stop is None else np.full(count, stop),
            target=sides * np.inf,
            quantity=quantity,
            price=np.array([f[2] for f in fills], dtype=np.float64),
            commission=np.full(count, 1.0),
            slippage=np.full(count, 0.5),
        ),
        ruined_bar=-1,
        accrued=np.empty(0),
        idle=np.empty(0),
        borrow=0.0,
        interest=0.0,
        open_borrow=np.zeros(1),
        ambiguous=0,
    )


def test_break_even_is_no_win_but_is_counted() -> None:
    trades = make_trades([10.0, 0.0, -4.0, -1.0, 99.0], [1, 2, 3, 4, -1])
    assert (win_rate(trades).value, win_rate(trades).unit) == (0.25, "fraction")
    assert (profit_factor(trades).value, profit_factor(trades).unit) == (2.0, "ratio")
    assert trade_count(trades) == Metric(5.0, "count")


@pytest.mark.parametrize("trades", [make_trades([], []), make_trades([5.0], [-1])])
def test_without_a_closed_trade_there_is_no_rate(trades: Trades) -> None:
    assert win_rate(trades) == Metric(None, "fraction", "there is no closed trade")
    assert profit_factor(trades) == Metric(None, "ratio", "there is no closed trade")


def test_profit_factor_needs_a_losing_trade() -> None:
    assert profit_factor(make_trades([5.0, 0.0], [1, 2])).reason == "there is no losing trade"
    assert profit_factor(make_trades([-5.0], [1])).value == 0.0


def test_the_interval_of_a_rate_is_wilsons_and_of_a_factor_is_by_its_logarithm() -> None:
    rate = win_rate(make_trades([1.0] * 15 + [-1.0] * 133, range(148))).interval
    assert rate is not None
    assert (round(rate.low, 4), round(rate.high, 4)) == (0.0624, 0.1605)  # Newcombe 1998, table I
    factor = profit_factor(make_trades([3.0, 3.0, -1.0, 0.0], range(4)))
    # The members' squares over the squares of their sums: (9 + 9) / 36 + 1 / 1.
    assert factor.interval is not None
    assert factor.interval.high == pytest.approx(6.0 * math.exp(1.959963984540054 * math.sqrt(1.5)))
    assert factor.interval.low == pytest.approx(6.0 * math.exp(-1.959963984540054 * math.sqrt(1.5)))
    assert profit_factor(make_trades([-3.0, -1.0], range(2))).interval is None


def test_profit_factor_does_not_depend_on_order() -> None:
    pnl = np.random.default_rng(3).normal(0.0, 1e6, 1001)
    mixed = np.random.default_rng(4).permutation(pnl)
    exits = list(range(1001))
    assert profit_factor(make_trades(list(pnl), exits)) == profit_factor(make_trades(list(mixed), exits))


def test_exposure_counts_bars_with_any_position() -> None:
    assert exposure(make_ledger([1.0] * 5, [(1, 1.0, 1.0), (3, -1.0, 1.0)])) == Metric(0.4, "fraction")
    assert exposure(make_ledger([1.0] * 5, [(4, 1.0, 1.0)])) == Metric(0.2, "fraction")
    assert exposure(make_ledger([1.0] * 5)) == Metric(0.0, "fraction")
    assert exposure(make_ledger([])).reason == "there are no bars"


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2), st.sampled_from([0.0, 1.0, -1.0])), max_size=20))
def test_the_twins_count_the_same_bars(fills: list[tuple[int, int, float]]) -> None:
    fills.sort(key=lambda fill: fill[0])
    bar, asset = (np.array([f[k] for f in fills], dtype=np.int64) for k in (0, 1))
    position = np.array([f[2] for f in fills], dtype=np.float64)
    assert bars_held(bar, asset, position, 10, 3) == bars_held_plain(bar, asset, position, 10, 3)


def test_turnover_is_two_sided_over_the_equity_before_by_hand() -> None:
    ledger = make_ledger([200.0, 400.0, 50.0], fills=[(0, 2.0, 50.0), (1, -1.0, 100.0), (2, -1.0, 100.0)])
    assert turnover(ledger) == Metric(1.0 + 0.5 + 0.25, "ratio")


def test_turnover_after_ruin_is_undefined_and_without_fills_zero() -> None:
    ruined = make_ledger([100.0, -5.0, -5.0], fills=[(2, -1.0, 10.0)])
    assert turnover(ruined).reason == "a fill follows equity at or below zero"
    assert turnover(make_ledger([100.0, 90.0])) == Metric(0.0, "ratio")
    assert turnover(replace(ruined, ruined_bar=1)).value is None


SIZES = st.sampled_from([1.0, -1.0, 0.1, 1e16, -1e16, 1e-16, 2.0**-53, -(2.0**-53), 5e-324, 1e300, -1e300, 0.0, -0.0])


@settings(deadline=None, derandomize=True, max_examples=500)
@given(line=st.lists(SIZES | st.floats(-1e200, 1e200), max_size=40))
def test_sums_lose_nothing(line: list[float]) -> None:
    values = np.array(line, dtype=np.float64)
    assert exact_sum(values) == sum_exactly_plain(values) == float(sum(map(Fraction, line)))
    assert sum_exactly(values, np.empty(MOST_PARTS)) == sum_exactly_plain(values)


def test_sums_that_are_not_finite_end_as_the_library_does() -> None:
    assert exact_sum(np.array([1.0, np.inf])) == np.inf
    assert np.isnan(exact_sum(np.array([1.0, np.nan])))
    with pytest.raises(OverflowError):
        exact_sum(np.full(3, 1.7e308))

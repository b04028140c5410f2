"""Orders, cash and costs by hand: every number is worked out on paper, and both engines have to find it."""

import math
from typing import Any

import pytest

from tests.oracle.play import DAY, HOLE, HOUR, flat, near, only, play, told, traded

TEN = flat(10.0)


# --- lags, sides, sizes ----------------------------------------------------------------------------------------


def test_an_order_fills_fill_lag_bars_after_its_decision() -> None:
    bars = [TEN, flat(11.0), flat(12.0), flat(13.0)]
    assert traded(play(bars, [0.5] * 4, fill_lag=2)) == [(2, "OPEN", 50.0, 12.0)]


@pytest.mark.parametrize(("price", "paid"), [("open", 10.0), ("mid", 12.0), ("typical", 11.0), ("close", 9.0)])
def test_the_price_of_the_fill_bar(price: str, paid: float) -> None:
    """Bar 1 is 10, 16, 8, 9: mid 24 / 2, typical 33 / 3. 50 units were decided at 10."""
    account = play([TEN, (10.0, 16.0, 8.0, 9.0), TEN], [0.5] * 3, fill_price=price)
    assert traded(account) == [(1, "OPEN", 50.0, paid)]
    assert account.fills[0].moment == ("OPEN" if price == "open" else "INSIDE")


def test_the_average_price_of_the_bar_and_none_where_it_is_missing() -> None:
    """50 units: bar 1 has a vwap of 11; to be sold at bar 3, whose vwap is missing, they go at the 9 of bar 4."""
    rows = [TEN, (10.0, 12.0, 10.0, 12.0), TEN, flat(14.0), TEN]
    account = play(rows, [0.5, 0.5, 0.0, 0.0, 0.0], vwap=[10.0, 11.0, 10.0, math.nan, 9.0], fill_price="vwap")
    assert traded(account) == [(1, "OPEN", 50.0, 11.0), (4, "CLOSE", -50.0, 9.0)]
    assert [row[0] for row in account.mark] == [10.0, 12.0, 10.0, 10.0, 10.0]


def test_t27_a_flip_is_two_fills_and_two_fees() -> None:
    """50 long; at an equity of 999 half of it is 49.95 short."""
    account = play([TEN] * 4, [0.5, -0.5, -0.5, -0.5], commission={"per_order": 1.0})
    assert traded(account) == [(1, "OPEN", 50.0, 10.0), (2, "CLOSE", -50.0, 10.0), (2, "OPEN", -49.95, 10.0)]
    assert [f.commission for f in account.fills] == [1.0, 1.0, 1.0]
    assert (account.orders[1].commission, account.equity) == (2.0, [1000.0, 999.0, 997.0, 997.0])


@pytest.mark.parametrize("side", [1.0, -1.0])
@pytest.mark.parametrize(
    ("later", "legs"),
    [
        (0.25, [("CLOSE", -50.0)]),
        (0.0, [("CLOSE", -100.0)]),
        (-0.25, [("CLOSE", -100.0), ("OPEN", -50.0)]),
        (0.75, [("OPEN", 50.0)]),
    ],
)
def test_t28_the_side_comes_from_the_delta(side: float, later: float, legs: list[tuple[str, float]]) -> None:
    """Half of 2000 at 10 is 100 units. Purchases pay a quarter more, sales get a quarter less."""
    bars = [TEN] * 3
    account = play(bars, [side * 0.5, side * later, side * later], capital=2000.0)
    assert [(f.leg, f.quantity * side) for f in account.fills[1:]] == legs
    account = play(bars, [side * 0.5, side * later, side * later], capital=2000.0, slippage_bps=2500.0)
    for fill in account.fills:
        assert fill.price == (12.5 if fill.quantity > 0.0 else 7.5)


def test_t29_a_gap_after_the_decision_scales_the_opening() -> None:
    """100 units at 10 were decided; at 12.5 the capital of 1000 buys 80."""
    account = play([TEN, flat(12.5), TEN], [1.0] * 3)
    order = account.orders[0]
    assert (order.asked, order.filled, order.scale, order.scale_reason) == (100.0, 80.0, 0.8, "NO_CASH")
    assert (order.outcome, account.cash[1]) == ("FILLED", 0.0)


def test_t29_the_fixed_fee_is_reserved_and_the_proportional_one_is_in_the_factor() -> None:
    """(1000 - 40) / (100 * (10 + 2)) = 0.8: 80 units cost 800, 160 and 40."""
    account = play([TEN] * 3, [1.0] * 3, commission={"per_unit": 2.0, "per_order": 40.0})
    assert (account.orders[0].scale, account.orders[0].filled, account.cash[1]) == (0.8, 80.0, 0.0)
    assert account.orders[0].commission == 200.0


def test_t29_leverage_is_allowed_where_it_is_allowed() -> None:
    account = play([TEN, flat(12.5), TEN], [1.0] * 3, allow_leverage=True)
    assert (account.orders[0].filled, account.cash[1]) == (100.0, -250.0)


def test_t36_t26_all_openings_of_a_bar_share_one_factor() -> None:
    """75 and 50 units are decided; at 20 and 10 they would need 2000: half of each, in any order of symbols."""
    a, b = [TEN, flat(20.0), TEN], [TEN, TEN, TEN]
    forth = play([a, b], [[0.75] * 3, [0.5] * 3])
    back = play([b, a], [[0.5] * 3, [0.75] * 3])
    assert [(o.filled, o.scale) for o in forth.orders] == [(37.5, 0.5), (25.0, 0.5)]
    assert [(o.filled, o.scale) for o in back.orders] == [(25.0, 0.5), (37.5, 0.5)]
    assert forth.equity == back.equity


def test_t26_what_closes_makes_room_for_what_opens() -> None:
    """The first symbol is bought with what the second one brings in at the same open."""
    rows = [TEN] * 4
    account = play([rows, rows], [[0.0, 1.0, 1.0, 1.0], [1.0, 0.0, 0.0, 0.0]])
    assert account.held[2] == [100.0, 0.0]


def test_t31_the_same_target_twice_trades_nothing() -> None:
    account = play([TEN] * 4, [0.5] * 4, decides=[True] * 4, rebalance={"name": "every_bar"})
    assert (len(account.orders), len(account.fills)) == (1, 1)


def test_t35_the_size_follows_the_equity_of_the_decision() -> None:
    """Half of 1000 at 10; at 5 equity is 750: flat, then half of 750 at 5 is 75 units."""
    account = play([TEN, TEN, flat(5.0), flat(5.0), flat(5.0), flat(5.0)], [0.5, 0.5, 0.0, 0.5, 0.5, 0.5])
    assert traded(account)[-1] == (4, "OPEN", 75.0, 5.0)


def test_size_at_fill_takes_the_equity_and_the_price_of_the_fill() -> None:
    """The same gap as in T29: half of 1000 at 12.5 is 40 units."""
    account = play([TEN, flat(12.5), TEN], [0.5] * 3, size_at="fill")
    assert (account.orders[0].asked, account.orders[0].filled) == (40.0, 40.0)


def test_size_at_fill_with_nothing_left_to_trade_is_filled_with_nothing() -> None:
    """At bar 2's close of 12.5 the target of 0.5 differs from 50 units; at the next open of 10 it does not."""
    rows = [TEN, TEN, (10.0, 12.5, 10.0, 12.5), TEN, TEN]
    account = play(
        rows, [0.5] * 5, decides=[True, False, True, False, False], size_at="fill", rebalance={"name": "daily"}
    )
    order = account.orders[1]
    assert (order.outcome, order.filled_bar, order.filled) == ("FILLED", 3, 0.0)
    assert math.isnan(order.price)


def test_notional_sizing_asks_for_currency() -> None:
    """500 of currency at 10 and, sized at the fill, at 12.5."""
    rows = [TEN, flat(12.5), TEN]
    assert play(rows, [1.0] * 3, weights=[500.0] * 3, notional=True).orders[0].filled == 50.0
    account = play(rows, [1.0] * 3, weights=[500.0] * 3, notional=True, size_at="fill")
    assert (account.orders[0].filled, account.orders[0].weight) == (40.0, 0.5)


def test_drift_inside_the_band_is_left_alone() -> None:
    """50 units of 1000: at 12 they are 600 / 1100 = 0.545 of equity, at 20 they are 1000 / 1500 = 0.667."""
    rows = [TEN, TEN, flat(12.0), flat(20.0), flat(20.0)]
    account = play(rows, [0.5] * 5, decides=[True] * 5, rebalance={"name": "every_bar", "band": 0.1})
    assert traded(account) == [(1, "OPEN", 50.0, 10.0), (4, "CLOSE", -12.5, 20.0)]


# --- lots and minima -------------------------------------------------------------------------------------------


def test_t32_lots_round_toward_zero() -> None:
    """99.9 units are 9 lots of 11."""
    account = play([TEN] * 3, [-0.999] * 3, quantity_step=11.0)
    assert (account.orders[0].asked, account.orders[0].filled) == (-99.0, -99.0)


@pytest.mark.parametrize("size_at", ["decision", "fill"])
def test_t32_a_size_rounded_to_zero_is_recorded(size_at: str) -> None:
    account = play([TEN] * 3, [0.5] * 3, quantity_step=64.0, size_at=size_at)
    assert told(account) == [("SIGNAL", "UNFILLED", "LOT_ROUNDED_TO_ZERO", -1)]


def test_t32_a_scaled_opening_is_rounded_again() -> None:
    """At 12.5 the capital of 1000 buys 80 units: 2 lots of 32 and 200 left in cash, but no lot of 100."""
    account = play([TEN, flat(12.5), TEN], [0.96] * 3, quantity_step=32.0)
    assert (account.orders[0].asked, account.orders[0].filled, account.cash[1]) == (96.0, 64.0, 200.0)
    account = play([TEN, flat(12.5), TEN], [1.0] * 3, quantity_step=100.0)
    order = account.orders[0]
    assert (order.outcome, order.reason, order.scale) == ("UNFILLED", "LOT_ROUNDED_TO_ZERO", 0.0)


def test_min_notional_refuses_openings_and_never_closings() -> None:
    account = play([TEN, TEN, flat(1.0), flat(1.0), flat(1.0)], [0.5, 0.5, 0.0, 0.5, 0.5], min_notional=300.0)
    assert told(account) == [
        ("SIGNAL", "FILLED", "NONE", 1),
        ("SIGNAL", "FILLED", "NONE", 3),
        ("SIGNAL", "UNFILLED", "MIN_NOTIONAL", -1),
    ]


def test_min_notional_says_nothing_about_an_opening_that_is_not_yet_due() -> None:
    """50 long, 10 short wanted, 30 a bar: the newer target comes while 20 are still to be closed."""
    rows = [TEN, TEN, *[flat(10.0, 30.0)] * 3]
    account = play(rows, [0.5, -0.1, 0.0, 0.0, 0.0], max_participation=1.0, min_notional=300.0)
    order = account.orders[1]
    assert (order.outcome, order.reason, order.scale, order.scale_reason) == ("PARTIAL", "SUPERSEDED", 1.0, "NONE")
    account = play(rows, [0.5, -0.1, -0.1, -0.1, -0.1], max_participation=1.0, min_notional=300.0)
    order = account.orders[1]
    assert (order.outcome, order.filled, order.scale, order.scale_reason) == ("FILLED", -50.0, 0.0, "MIN_NOTIONAL")


def test_t33_a_minimum_fee_is_due_on_both_sides() -> None:
    """1 % of 500 is 5, below the minimum of 8."""
    account = play([TEN] * 4, [0.5, 0.0, 0.0, 0.0], commission={"bps": 100.0, "minimum": 8.0})
    assert ([f.commission for f in account.fills], account.cash[-1]) == ([8.0, 8.0], 984.0)


def test_t33_fees_of_a_partial_fill_add_up_to_those_of_one_order() -> None:
    """20, 20 and 10 units at 10 with 5 % and at least 15: 15, then 20 - 15 due, then 25 - 20."""
    rows = [TEN, *[flat(10.0, 20.0)] * 4]
    account = play(rows, [0.5] * 5, max_participation=1.0, commission={"bps": 500.0, "minimum": 15.0})
    assert [near(f.commission) for f in account.fills] == [15.0, 5.0, 5.0]


# --- slippage models -------------------------------------------------------------------------------------------


def test_spread_then_basis_points() -> None:
    """10 * 1.1 * 1.5 = 16.5 on the way in; 10 * 0.9 * 0.5 = 4.5 on the way out."""
    spread = {"name": "spread_pct", "params": {"spread": 0.2}}
    account = play([TEN] * 4, [0.5, 0.0, 0.0, 0.0], slippage=spread, slippage_bps=5000.0, allow_leverage=True)
    assert [near(f.price) for f in account.fills] == [16.5, 4.5]
    assert near(account.orders[0].slippage) == 325.0


def test_participation_rate_is_linear_in_the_share_of_the_bar() -> None:
    """50 of a volume of 100 with an impact of 0.4: 10 * 1.2; of 25 it is all of it: 10 * 0.6."""
    model = {"name": "participation_rate", "params": {"impact": 0.4}}
    rows = [TEN, flat(10.0, 100.0), flat(10.0, 25.0), TEN]
    account = play(rows, [0.5, 0.0, 0.0, 0.0], slippage=model)
    assert [near(f.price) for f in account.fills] == [12.0, 6.0]


def test_square_root_knows_what_the_decision_knew() -> None:
    """Returns 0.5 and -0.5: sigma is sqrt(0.5). 50 units of an average of 25: impact 0.1 * sqrt(0.5) * sqrt(2)."""
    model = {"name": "square_root", "params": {"k": 0.1, "lookback": 2}}
    rows = [flat(20.0, 999.0), flat(30.0, 10.0), flat(15.0, 40.0), flat(10.0, 7.0), TEN]
    account = play(rows, [0.0, 0.0, 0.75, 0.75, 0.75], slippage=model)
    assert traded(account) == [(3, "OPEN", 50.0, 11.0)]


# --- untradable bars and shares of volume ----------------------------------------------------------------------


def test_t14_t7_an_order_waits_through_bars_without_a_price_and_valuation_carries() -> None:
    """50 at 10, then 12; the order to sell waits through two holes and fills at 8. No fill at a carried price."""
    rows = [TEN, flat(12.0), flat(12.0), HOLE, HOLE, flat(8.0)]
    account = play(rows, [0.5, 0.5, 0.0, 0.0, 0.0, 0.0])
    assert account.equity == [1000.0, 1000.0, 1000.0, 1000.0, 1000.0, 800.0]
    assert [row[0] for row in account.mark] == [10.0, 12.0, 12.0, 12.0, 12.0, 8.0]
    assert traded(account) == [(1, "OPEN", 50.0, 12.0), (5, "CLOSE", -50.0, 8.0)]


@pytest.mark.parametrize(("row", "reason"), [(HOLE, "NO_PRICE"), (flat(10.0, 0.0), "ZERO_VOLUME")])
def test_skip_ends_the_order_with_its_reason(row: tuple[float, ...], reason: str) -> None:
    account = play([TEN, row, TEN], [0.5] * 3, untradable_bar="skip")
    assert told(account) == [("SIGNAL", "UNFILLED", reason, -1)]


def test_fill_ignores_zero_volume_but_not_a_missing_price() -> None:
    account = play([TEN, flat(10.0, 0.0), TEN], [0.5] * 3, untradable_bar="fill")
    assert account.orders[0].filled_bar == 1
    assert play([TEN, HOLE, TEN], [0.5] * 3, untradable_bar="fill").orders[0].filled_bar == 2


def test_a_symbol_without_any_volume_can_be_traded() -> None:
    assert play([flat(10.0, 0.0)] * 3, [0.5] * 3).orders[0].filled_bar == 1


def test_a_decision_before_the_first_price_is_lost() -> None:
    account = play([HOLE, TEN, TEN], [0.5] * 3)
    assert (told(account), account.orders[0].asked) == ([("SIGNAL", "UNFILLED", "NO_PRICE", -1)], 0.0)


def test_weights_of_orders_are_fractions_of_equity_even_where_nothing_has_a_price() -> None:
    account = play([HOLE, TEN, TEN], [0.5] * 3, weights=[250.0] * 3, notional=True)
    assert (told(account), account.orders[0].weight) == ([("SIGNAL", "UNFILLED", "NO_PRICE", -1)], 0.25)


def test_t25_a_share_of_the_volume_over_several_bars() -> None:
    """50 units at a quarter of 80 a bar: 20, 20 and 10, at three prices."""
    rows = [TEN, *[flat(p, 80.0) for p in (10.0, 11.0, 12.0, 13.0)]]
    account = play(rows, [0.5] * 5, max_participation=0.25)
    assert traded(account) == [(1, "OPEN", 20.0, 10.0), (2, "OPEN", 20.0, 11.0), (3, "OPEN", 10.0, 12.0)]
    assert (account.orders[0].outcome, account.orders[0].filled_bar, account.orders[0].price) == ("FILLED", 3, 10.8)


def test_t25_the_share_is_rounded_to_lots_and_a_newer_target_ends_the_rest() -> None:
    """A quarter of 80 is 2 lots of 8."""
    rows = [TEN, *[flat(10.0, 80.0)] * 4]
    account = play(rows, [0.5, 0.5, 0.0, 0.0, 0.0], max_participation=0.25, quantity_step=8.0)
    assert told(account)[0] == ("SIGNAL", "PARTIAL", "SUPERSEDED", 2)
    assert [f.quantity for f in account.fills] == [16.0, 16.0, -16.0, -16.0]


def test_t25_a_flip_opens_nothing_while_it_still_closes() -> None:
    """50 long, 50 short wanted, 30 a bar: 30 closed; 20 closed and 10 opened; 30 and 10 opened."""
    rows = [TEN, TEN, *[flat(10.0, 30.0)] * 4]
    account = play(rows, [0.5, -0.5, -0.5, -0.5, -0.5, -0.5], max_participation=1.0)
    assert [(f.bar, f.leg, f.quantity) for f in account.fills[1:]] == [
        (2, "CLOSE", -30.0),
        (3, "CLOSE", -20.0),
        (3, "OPEN", -10.0),
        (4, "OPEN", -30.0),
        (5, "OPEN", -10.0),
    ]


def test_a_capped_order_that_lacks_money_is_not_chased() -> None:
    """100 decided at 10; at 20 the bar gives 80, which 1000 cannot pay: 50, and the rest is not waited for."""
    rows = [TEN, flat(20.0, 80.0), flat(10.0, 80.0)]
    account = play(rows, [1.0] * 3, max_participation=1.0)
    assert told(account) == [("SIGNAL", "PARTIAL", "NO_CASH", 1)]
    assert (account.orders[0].filled, account.orders[0].scale) == (50.0, 0.625)


# --- shorts, accruals, ruin, the end ---------------------------------------------------------------------------


def test_a_short_where_none_is_allowed_is_recorded_and_a_long_still_closes() -> None:
    account = play([TEN] * 5, [0.5, -0.5, -0.5, 0.0, -0.25], allow_short=False)
    assert told(account) == [
        ("SIGNAL", "FILLED", "NONE", 1),
        ("SIGNAL", "FILLED", "NONE", 2),
        ("SIGNAL", "UNFILLED", "SHORT_NOT_ALLOWED", -1),
    ]
    assert (account.orders[1].weight, account.orders[2].asked) == (0.0, -25.0)


def test_t34_a_short_from_friday_to_monday_pays_three_days() -> None:
    """50 short at 10, 73 % a year: 500 * 0.73 / 365 = 1 a day; 3 from the close of Friday to that of Monday."""
    days = [0, 1, 4, 5]  # 1970-01-01 was a Thursday
    account = play([TEN] * 4, [-0.5] * 4, opens_at=[d * DAY for d in days], borrow_rate=0.73)
    assert [near(c) for c in account.cash] == [1000.0, 1500.0, 1497.0, 1496.0]
    assert near(account.borrow) == 4.0


def test_t34_borrow_is_marked_at_the_close_before() -> None:
    """From the close of bar 1 at 20 to that of bar 2: 50 * 20 * 0.73 / 365 = 2."""
    rows = [TEN, (10.0, 20.0, 10.0, 20.0), flat(5.0)]
    account = play(rows, [-0.5] * 3, opens_at=[0, DAY, 2 * DAY], borrow_rate=0.73)
    assert near(account.borrow) == 2.0


def test_idle_cash_earns_for_calendar_time_and_debt_does_not() -> None:
    """365 % a year is 1 % a day: 10 on 1000, then 1 % of the 510 left, as it was at the close before."""
    account = play([TEN] * 3, [0.5] * 3, opens_at=[0, DAY, 2 * DAY], cash_rate=3.65)
    assert [near(c) for c in account.cash] == [1000.0, 510.0, 515.1]
    account = play([TEN] * 3, [2.0] * 3, opens_at=[0, DAY, 2 * DAY], cash_rate=3.65, allow_leverage=True)
    assert [near(c) for c in account.cash] == [1000.0, -990.0, -990.0]


def test_ruin_closes_at_the_next_tradable_open_and_ends_it_all() -> None:
    """100 short at 10; at 25 equity is -500. Bar 3 is a hole; at 30 the account is left with -1000."""
    rows = [TEN, TEN, (10.0, 25.0, 10.0, 25.0), HOLE, flat(30.0), flat(30.0)]
    account = play(rows, [-1.0, -1.0, -1.0, 1.0, 1.0, 0.5])
    assert (account.ruined, account.cash[-1]) == (2, -1000.0)
    assert told(account) == [("SIGNAL", "FILLED", "NONE", 1), ("RUIN", "FILLED", "NONE", 4)]


def test_ruin_supersedes_what_was_waiting() -> None:
    rows = [TEN, TEN, TEN, (10.0, 25.0, 10.0, 25.0), flat(25.0), flat(25.0)]
    account = play(rows, [-1.0, -1.0, 0.5, 0.5, 0.5, 0.5], fill_lag=2)
    assert told(account)[1] == ("SIGNAL", "UNFILLED", "SUPERSEDED", -1)


def test_end_policy_close_sells_at_the_last_mark_with_costs() -> None:
    """50 at 10; the last bar is a hole, so they are sold at 12 less a quarter: 9, and 10 % of 450 in fees."""
    rows = [flat(8.0), flat(8.0), flat(12.0), HOLE]
    costs: dict[str, Any] = {"commission": {"bps": 1000.0}, "end_policy": "close"}
    account = play(rows, [0.4] * 4, **costs)
    end = only(account, "END")
    assert (end.decided, end.filled_bar, end.moment, end.price) == (3, 3, "END", 12.0)
    assert (near(account.cash[2]), near(account.cash[3]), account.held[3]) == (560.0, 1100.0, [0.0])
    assert near(only(play(rows, [0.4] * 4, **costs, slippage_bps=2500.0), "END").price) == 9.0


def test_what_waits_at_the_end_met_the_end_of_the_data_and_not_an_exit() -> None:
    """The order to add is decided at the last close, where the position is closed because the data end."""
    account = play([TEN] * 3, [0.25, 0.25, 0.5], end_policy="close")
    assert told(account)[1] == ("SIGNAL", "UNFILLED", "END_OF_DATA", -1)


def test_end_policy_close_ignores_the_share_of_the_volume() -> None:
    rows = [TEN, TEN, flat(10.0, 1.0)]
    account = play(rows, [0.5] * 3, max_participation=0.1, end_policy="close")
    assert only(account, "END").filled == -50.0


def test_a_newer_target_supersedes_a_waiting_order_even_with_nothing_left_to_trade() -> None:
    account = play([TEN, HOLE, TEN], [0.5, 0.0, 0.0])
    assert told(account) == [("SIGNAL", "UNFILLED", "SUPERSEDED", -1)]


def test_what_still_waits_at_the_end_of_the_data_says_so() -> None:
    assert told(play([TEN, TEN], [0.0, 0.5])) == [("SIGNAL", "UNFILLED", "END_OF_DATA", -1)]
    rows = [TEN, flat(10.0, 20.0)]
    assert told(play(rows, [0.5] * 2, max_participation=0.5)) == [("SIGNAL", "PARTIAL", "END_OF_DATA", 1)]


def test_one_bar_decides_and_that_is_all() -> None:
    account = play([TEN], [0.5], opens_at=[HOUR], end_policy="close")
    assert (account.equity, told(account)) == ([1000.0], [("SIGNAL", "UNFILLED", "END_OF_DATA", -1)])


def test_the_gain_of_an_open_trade_lies_within_its_excursions() -> None:
    """Bought at the middle of the last bar, 10, and marked at its close of 12: 2 on each of 50 units."""
    play([TEN, (9.0, 13.0, 7.0, 12.0)], [0.5, 0.5], fill_price="mid")


def test_a_bar_with_an_invalid_price_does_not_count_in_the_excursions() -> None:
    """Bar 2 has a high of 99 but no close: the best was 11, in bar 3."""
    play([TEN, TEN, (10.0, 99.0, 10.0, math.nan), (10.0, 11.0, 10.0, 10.0), TEN], [0.5] * 5)

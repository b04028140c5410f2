"""Exits by hand: every number is worked out on paper, and both engines have to find it (semantics section 5)."""

import math
from typing import Any

import pytest

from tests.oracle.play import HOLE, flat, near, only, play, told, traded

LONG = [1.0, 1.0, 1.0, 1.0, 1.0]
"""100 units at 10 of a capital of 1000, bought at the open of bar 1."""
TEN = flat(10.0)


def test_t18_a_gap_through_the_stop_fills_at_the_open() -> None:
    account = play([TEN, TEN, (8.0, 8.5, 7.5, 8.0), TEN], LONG[:4], stop_loss=0.1)
    exit_ = only(account, "STOP_LOSS")
    assert (exit_.decided, exit_.filled_bar, exit_.moment, exit_.price) == (1, 2, "OPEN", 8.0)
    assert account.cash == [1000.0, 0.0, 800.0, 800.0]


def test_t18_a_stop_inside_the_bar_fills_at_its_level() -> None:
    account = play([TEN, TEN, (9.5, 9.6, 8.0, 8.5), TEN], LONG[:4], stop_loss=0.1)
    assert (only(account, "STOP_LOSS").moment, account.cash[2]) == ("INSIDE", 900.0)


def test_t18_a_short_s_stop_lies_above() -> None:
    signal = [-1.0] * 4
    account = play([TEN, TEN, (10.5, 11.5, 10.0, 10.0), TEN], signal, stop_loss=0.1)
    assert (only(account, "STOP_LOSS").moment, near(account.cash[2])) == ("INSIDE", 900.0)
    account = play([TEN, TEN, (12.0, 12.0, 10.0, 10.0), TEN], signal, stop_loss=0.1)
    assert (only(account, "STOP_LOSS").moment, account.cash[2]) == ("OPEN", 800.0)


def test_t17_a_gap_beyond_the_target_fills_at_the_better_open() -> None:
    account = play([TEN, TEN, (13.0, 13.0, 12.5, 13.0), TEN], LONG[:4], take_profit=0.25)
    assert (only(account, "TAKE_PROFIT").moment, account.cash[2]) == ("OPEN", 1300.0)


def test_t19_touching_a_level_counts() -> None:
    account = play([TEN, TEN, (10.0, 12.5, 10.0, 11.0), TEN], LONG[:4], take_profit=0.25)
    assert (only(account, "TAKE_PROFIT").moment, account.cash[2]) == ("INSIDE", 1250.0)
    account = play([flat(8.0), flat(8.0), (8.0, 8.0, 6.0, 7.0), flat(8.0)], LONG[:4], stop_loss=0.25)
    assert (only(account, "STOP_LOSS").moment, account.cash[2]) == ("INSIDE", 750.0)


@pytest.mark.parametrize(
    ("path", "opened", "left"),
    [
        ("stop_first", 10.0, 750.0),
        ("target_first", 10.0, 1500.0),
        ("nearest_open_first", 10.0, 750.0),
        ("nearest_open_first", 13.0, 1500.0),
        ("nearest_open_first", 11.25, 750.0),
    ],
)
def test_t21_stop_and_target_in_one_bar(path: str, opened: float, left: float) -> None:
    """Levels 7.5 and 15. From 11.25 both are 3.75 away, and the tie is the stop's."""
    bars = [TEN, TEN, (opened, 16.0, 7.0, 10.0), TEN]
    account = play(bars, LONG[:4], stop_loss=0.25, take_profit=0.5, bar_path=path)
    assert (account.cash[2], account.ambiguous, len(account.fills)) == (left, 1, 2)


def test_t22_the_stop_may_fire_on_the_entry_bar_after_an_entry_at_the_open() -> None:
    account = play([TEN, (10.0, 10.5, 8.9, 10.0), TEN], LONG[:3], stop_loss=0.1)
    assert (only(account, "STOP_LOSS").filled_bar, account.cash) == (1, [1000.0, 900.0, 900.0])
    assert [o.decided for o in account.orders] == [0, 0]


@pytest.mark.parametrize("price", ["mid", "close"])
def test_t22_but_not_after_an_entry_inside_the_bar(price: str) -> None:
    """Bar 1 spans 9 to 11: mid and close are 10, the stop is 9.5; only the low of bar 2 is after the entry."""
    bars = [TEN, (10.0, 11.0, 9.0, 10.0), (9.8, 9.9, 9.4, 9.6), TEN]
    account = play(bars, LONG[:4], fill_price=price, stop_loss=0.05)
    assert (only(account, "STOP_LOSS").filled_bar, near(account.cash[2])) == (2, 950.0)


def test_t23_a_trailing_stop_knows_previous_bars_only() -> None:
    """Bar 2 reaches 20 before or after its low of 10.5: nobody knows, so the level there is still 9."""
    bars = [TEN, TEN, (10.0, 20.0, 10.5, 19.0), (19.0, 19.5, 17.0, 17.0), TEN]
    account = play(bars, LONG, trailing_stop=0.1)
    exit_ = only(account, "TRAILING_STOP")
    assert (exit_.filled_bar, exit_.moment, near(exit_.price)) == (3, "INSIDE", 18.0)


def test_t23_the_entry_bar_s_range_raises_the_trailing_stop_only_after_an_entry_at_the_open() -> None:
    bars = [TEN, (10.0, 20.0, 10.0, 15.0), (15.0, 15.0, 14.9, 15.0), TEN]
    assert near(only(play(bars, LONG[:4], trailing_stop=0.2), "TRAILING_STOP").price) == 15.0
    assert len(play(bars[:3], LONG[:3], trailing_stop=0.2, fill_price="mid").fills) == 1


def test_the_tighter_of_two_stops_holds() -> None:
    """The fixed stop is 8, the trailing one 20 * 0.5 = 10 from bar 2 on; without the rise it is 5, and 8 holds."""
    both: dict[str, Any] = {"stop_loss": 0.2, "trailing_stop": 0.5}
    bars = [TEN, (10.0, 20.0, 10.0, 20.0), (20.0, 20.0, 6.0, 7.0), TEN]
    assert only(play(bars, LONG[:4], **both), "TRAILING_STOP").price == 10.0
    assert only(play([TEN, TEN, (10.0, 10.0, 7.0, 7.0), TEN], LONG[:4], **both), "STOP_LOSS").price == 8.0


def test_a_stop_hangs_on_the_average_of_all_that_opened() -> None:
    """50 at 10 and 25 at 20 of an equity of 1500 at the second decision: the average is 40 / 3, the stop 12."""
    bars = [TEN, flat(20.0), flat(20.0), (20.0, 20.0, 11.0, 12.0), TEN]
    account = play(
        [TEN, TEN, *bars[1:]],
        [0.5] * 6,
        weights=[0.5, 0.5, 1.0, 1.0, 1.0, 1.0],
        decides=[True, False, True, False, False, False],
        stop_loss=0.1,
    )
    assert traded(account)[:2] == [(1, "OPEN", 50.0, 10.0), (3, "OPEN", 25.0, 20.0)]
    assert (only(account, "STOP_LOSS").filled_bar, near(only(account, "STOP_LOSS").price)) == (4, 12.0)


def test_a_fresh_entry_that_slipped_past_its_own_stop_leaves_at_the_same_open() -> None:
    """Bought at 10 * 1.2 = 12 with the stop at 10.8: the open is below it. Sold at 8."""
    account = play([TEN, TEN, TEN], LONG[:3], stop_loss=0.1, slippage_bps=2000.0, allow_leverage=True)
    assert traded(account) == [(1, "OPEN", 100.0, 12.0), (1, "CLOSE", -100.0, 8.0)]


def test_a_time_exit_fills_at_the_open_after_the_count() -> None:
    """Two bars are held, 1 and 2; bar 3 opens at 11."""
    bars = [TEN, TEN, TEN, (11.0, 12.0, 9.0, 12.0), TEN]
    account = play(bars, LONG, max_holding_bars=2)
    exit_ = only(account, "TIME")
    assert (exit_.decided, exit_.filled_bar, exit_.moment, account.cash[3]) == (2, 3, "OPEN", 1100.0)


@pytest.mark.parametrize("signal", [0.0, -1.0])
def test_a_new_signal_s_order_pre_empts_the_time_exit(signal: float) -> None:
    account = play([TEN] * 4, [1.0, 1.0, signal, signal], max_holding_bars=2)
    assert [o.cause for o in account.orders] == ["SIGNAL", "SIGNAL"]
    assert account.held[3] == [100.0 * signal]


def test_a_time_exit_cancels_an_order_that_would_hold_on() -> None:
    account = play([TEN] * 4, [1.0, 1.0, 0.5, 0.5], max_holding_bars=2)
    assert told(account) == [
        ("SIGNAL", "FILLED", "NONE", 1),
        ("SIGNAL", "UNFILLED", "CANCELLED_BY_EXIT", -1),
        ("TIME", "FILLED", "NONE", 3),
    ]


def test_after_an_exit_the_symbol_stays_flat_until_the_sign_of_its_signal_changes() -> None:
    """Stopped in bar 2; 0.5 is the same sign, so nothing happens until 0 and then 1 again: 90 units at 10."""
    bars = [TEN, TEN, (10.0, 10.0, 9.0, 10.0), *[TEN] * 5]
    account = play(bars, [1.0, 1.0, 1.0, 0.5, 0.5, 0.0, 1.0, 1.0], stop_loss=0.1)
    assert [row[0] for row in account.held] == [0.0, 100.0, 0.0, 0.0, 0.0, 0.0, 0.0, 90.0]
    assert [o.decided for o in account.orders] == [0, 1, 6]


def test_a_block_ends_even_where_no_order_may_leave() -> None:
    """The signal is 0 at bar 3, between two decisions: at bar 4 the symbol may be bought again."""
    bars = [TEN, TEN, (10.0, 10.0, 9.0, 10.0), TEN, TEN, TEN]
    at = [True, False, False, False, True, False]
    account = play(bars, [1.0, 1.0, 1.0, 0.0, 1.0, 1.0], decides=at, stop_loss=0.1, rebalance={"name": "weekly"})
    assert near(account.held[5][0]) == 90.0
    account = play(bars, [1.0] * 6, decides=at, stop_loss=0.1, rebalance={"name": "weekly"})
    assert account.held[5][0] == 0.0


def test_t24_an_exit_cancels_the_waiting_order_of_the_same_signal() -> None:
    """The order to close, decided at bar 2, would fill at bar 4; the stop in bar 3 came first."""
    bars = [TEN, TEN, TEN, (10.0, 10.0, 9.0, 9.0), TEN, TEN]
    account = play(bars, [1.0, 1.0, 0.0, 0.0, 0.0, 0.0], fill_lag=2, stop_loss=0.1)
    assert told(account) == [
        ("SIGNAL", "FILLED", "NONE", 2),
        ("SIGNAL", "UNFILLED", "CANCELLED_BY_EXIT", -1),
        ("STOP_LOSS", "FILLED", "NONE", 3),
    ]


def test_an_order_to_turn_the_position_survives_its_exit() -> None:
    """100 long are stopped at 9 in bar 3. The order for 100 short finds nothing to close, and equity of 900."""
    bars = [TEN, TEN, TEN, (10.0, 10.0, 9.0, 9.0), TEN, TEN]
    account = play(bars, [1.0, 1.0, -1.0, -1.0, -1.0, -1.0], fill_lag=2, stop_loss=0.1)
    turn = account.orders[1]
    assert (turn.asked, turn.outcome, near(turn.filled), near(turn.scale)) == (-200.0, "FILLED", -90.0, 0.9)
    assert account.positions[0].blocked == 0.0


def test_an_order_rounded_to_flat_is_cancelled_by_an_exit_as_well() -> None:
    """96 short. A tenth of 1000 is less than a lot of 32, so the order is one to close, and the stop at 11 is first."""
    bars = [TEN, TEN, TEN, (10.0, 11.5, 10.0, 10.0), TEN, TEN]
    account = play(bars, [-1.0, -1.0, 0.1, 0.1, 0.1, 0.1], fill_lag=2, stop_loss=0.1, quantity_step=32.0)
    assert told(account) == [
        ("SIGNAL", "FILLED", "NONE", 2),
        ("SIGNAL", "UNFILLED", "CANCELLED_BY_EXIT", -1),
        ("STOP_LOSS", "FILLED", "NONE", 3),
    ]


def test_an_order_rounded_to_flat_while_an_exit_is_under_way_is_cancelled_when_the_exit_goes_on() -> None:
    """The same short, stopped in a bar without volume; the tenth is decided at its close."""
    bars = [TEN, TEN, (10.0, 11.5, 10.0, 10.0, 0.0), TEN, TEN]
    account = play(bars, [-1.0, -1.0, 0.1, 0.1, 0.1], stop_loss=0.1, quantity_step=32.0)
    assert sorted(told(account)) == [
        ("SIGNAL", "FILLED", "NONE", 1),
        ("SIGNAL", "UNFILLED", "CANCELLED_BY_EXIT", -1),
        ("STOP_LOSS", "FILLED", "NONE", 3),
    ]


def test_an_order_behind_a_pending_exit_waits_on_even_where_untradable_bars_are_skipped() -> None:
    """The stop is hit in bar 2, which has no volume: the exit fills at the open of bar 3, the order at its close."""
    bars = [TEN, TEN, (10.0, 10.0, 8.0, 9.5, 0.0), TEN, TEN]
    rules: dict[str, Any] = {"fill_price": "close", "stop_loss": 0.1, "untradable_bar": "skip"}
    account = play(bars, [1.0, -1.0, -1.0, -1.0, -1.0], **rules)
    assert traded(account)[1:] == [(3, "CLOSE", -100.0, 10.0), (3, "OPEN", -100.0, 10.0)]
    account = play(bars, [1.0, 0.0, 0.0, 0.0, 0.0], **rules)
    assert told(account)[1] == ("SIGNAL", "UNFILLED", "CANCELLED_BY_EXIT", -1)


def test_an_exit_in_a_bar_without_volume_goes_on_at_the_next_tradable_open() -> None:
    """Bar 2 trades through 9 with no volume; bar 3 is a hole; bar 4 opens at 7."""
    bars = [TEN, TEN, (10.0, 10.0, 8.0, 9.5, 0.0), HOLE, (7.0, 9.9, 7.0, 9.9), TEN]
    account = play(bars, [1.0] * 6, stop_loss=0.1)
    exit_ = only(account, "STOP_LOSS")
    assert (exit_.decided, exit_.filled_bar, exit_.moment, exit_.price) == (1, 4, "OPEN", 7.0)
    assert (account.equity[2], account.equity[3]) == (950.0, 950.0)


def test_an_invalid_bar_triggers_nothing() -> None:
    bars = [TEN, TEN, (5.0, 5.0, 1.0, math.nan), TEN]
    assert [o.cause for o in play(bars, LONG[:4], stop_loss=0.1).orders] == ["SIGNAL"]


def test_where_zero_volume_is_to_be_ignored_an_exit_fills_there() -> None:
    bars = [TEN, TEN, (10.0, 10.0, 8.0, 9.5, 0.0), TEN]
    account = play(bars, LONG[:4], stop_loss=0.1, untradable_bar="fill")
    assert (only(account, "STOP_LOSS").filled_bar, account.cash[2]) == (2, 900.0)


def test_t25_an_exit_takes_its_share_of_each_bar() -> None:
    """100 units, half of a volume of 80 a bar: 40 at the level, then 40 and 20 at the next opens."""
    bars = [TEN, TEN, (10.0, 10.0, 9.0, 9.0, 80.0), flat(8.0, 80.0), flat(7.0, 80.0), TEN]
    account = play(bars, [1.0] * 6, stop_loss=0.1, max_participation=0.5)
    assert traded(account)[1:] == [(2, "CLOSE", -40.0, 9.0), (3, "CLOSE", -40.0, 8.0), (4, "CLOSE", -20.0, 7.0)]
    exit_ = only(account, "STOP_LOSS")
    assert (exit_.outcome, exit_.filled, exit_.filled_bar, exit_.price) == ("FILLED", -100.0, 4, 8.2)


def test_an_exit_that_the_data_cuts_short_is_partial() -> None:
    bars = [TEN, TEN, (10.0, 10.0, 9.0, 9.0, 80.0)]
    account = play(bars, LONG[:3], stop_loss=0.1, max_participation=0.5)
    assert told(account)[1] == ("STOP_LOSS", "PARTIAL", "END_OF_DATA", 2)
    account = play([TEN, TEN, (10.0, 10.0, 9.0, 9.0, 0.0)], LONG[:3], stop_loss=0.1)
    assert told(account)[1] == ("STOP_LOSS", "UNFILLED", "END_OF_DATA", -1)


def test_t33_stops_pay_slippage_and_commission_and_targets_commission_only() -> None:
    """5000 bps against a stop at 5: sold at 2.5, a tenth of 250 in fees. The target at 20 sells at 20."""
    costs: dict[str, Any] = {"slippage_bps": 5000.0, "commission": {"bps": 1000.0}, "allow_leverage": True}
    entry: dict[str, Any] = {"weights": [0.5] * 4}
    bars = [TEN, TEN, (15.0, 15.0, 7.4, 8.0), TEN]
    account = play(bars, LONG[:4], **entry, **costs, stop_loss=0.5)
    stop = only(account, "STOP_LOSS")
    assert (stop.price, stop.slippage, stop.commission) == (3.75, 50 * 3.75, 18.75)
    account = play([TEN, TEN, (15.0, 31.0, 15.0, 20.0), TEN], LONG[:4], **entry, **costs, take_profit=1.0)
    target = only(account, "TAKE_PROFIT")
    assert (target.price, target.slippage, target.commission) == (30.0, 0.0, 150.0)

"""Portfolios by hand, for the second portfolio alone: every number is worked out on paper (semantics section 8)."""

import math

import pytest

from tests.oracle.account import Costs
from tests.oracle.stage import HOLE, from_bar, near, play, slow_zigzag, told, zigzag

TEN = [10.0] * 6
YES, NO = True, False
BARS = 30


# --- shares and cash -------------------------------------------------------------------------------------------


def test_two_symbols_share_the_capital_equally() -> None:
    """0.8 of a half each is 400 of 1000: 40 units at 10 and 20 at 20. At 12 the first has gained 80."""
    played = play([[10.0, 10.0, 12.0, 12.0], [20.0] * 4], [[0.8] * 4, [0.8] * 4], shares=[0.5, 0.5])
    assert told(played, "asset", "decided", "filled_bar", "weight", "filled") == [
        (0, 0, 1, 0.4, 40.0),
        (1, 0, 1, 0.4, 20.0),
    ]
    assert played.equity.tolist() == [1000.0, 1000.0, 1080.0, 1080.0]
    assert played.cash.tolist() == [1000.0, 200.0, 200.0, 200.0]


def test_all_openings_of_a_bar_share_one_cash_factor() -> None:
    """100 and 25 units were decided; at 20 and 40 they need 3000 of a capital of 1000: a third of each."""
    played = play([[10.0, 20.0, 20.0], [20.0, 40.0, 40.0]], [[1.0] * 3, [0.5] * 3], rules={"allow_leverage": False})
    third = near(1 / 3)
    assert told(played, "filled", "scale", "scale_reason") == [
        (near(100 / 3), third, "NO_CASH"),
        (near(25 / 3), third, "NO_CASH"),
    ]


def test_what_one_symbol_sells_pays_for_what_another_buys() -> None:
    played = play([TEN, TEN], [from_bar(2, 1.0, 6), [1.0, 1.0, 0.0, 0.0, 0.0, 0.0]], rules={"allow_leverage": False})
    assert played.positions.tolist() == [[0.0, 0.0]] + [[0.0, 100.0]] * 2 + [[100.0, 0.0]] * 3
    assert told(played, "scale")[1:] == [(1.0,), (1.0,)]


def test_sizing_in_currency_is_shared_too() -> None:
    """Half of 500 is 250: 25 units at 10; sized at the fill at 12.5, 20 units."""
    prices = [[10.0, 12.5, 12.5]] * 2
    orders = {"notional": True}
    wanted = [[500.0] * 3, [0.0] * 3]
    assert told(play(prices, wanted, shares=[0.5, 0.5], rules=orders), "weight", "filled") == [(0.25, 25.0)]
    at_fill = orders | {"size_at": "fill"}
    assert told(play(prices, wanted, shares=[0.5, 0.5], rules=at_fill), "weight", "filled") == [(0.25, 20.0)]


# --- redundancy ------------------------------------------------------------------------------------------------


def test_a_pair_that_is_one_bet_is_halved() -> None:
    """rho = 1, equal weights: 1 / (1 + 1 * 1). A quarter of 1024 is 16 units at 16 and 32 at 8."""
    wanted = [from_bar(25, 0.5, BARS)] * 2
    played = play([zigzag(BARS, 8.0), zigzag(BARS, 4.0)], wanted, capital=1024.0, redundancy="scale")
    assert told(played, "filled", "weight", "scale", "scale_reason", "outcome") == [
        (16.0, 0.25, 0.5, "CORRELATED", "FILLED"),
        (32.0, 0.25, 0.5, "CORRELATED", "FILLED"),
    ]
    assert told(played, "partner", "rho", "factor") == [(1, 1.0, 0.5), (0, 1.0, 0.5)]


def test_the_smaller_one_takes_less_from_the_larger() -> None:
    """0.6 against 0.2: 1 / (1 + 1/3) = 0.75 and 1 / (1 + 1) = 0.5."""
    wanted = [from_bar(25, 0.6, BARS), from_bar(25, 0.2, BARS)]
    played = play([zigzag(BARS, 8.0), zigzag(BARS, 4.0)], wanted, redundancy="scale")
    assert told(played, "weight", "factor") == [(0.45, 0.75), (0.1, 0.5)]


@pytest.mark.parametrize(("sides", "factor"), [((1.0, 1.0), 1.0), ((1.0, -1.0), 0.5), ((-1.0, -1.0), 1.0)])
def test_against_a_mirror_it_is_long_and_short_that_are_one_bet(sides: tuple[float, float], factor: float) -> None:
    wanted = [from_bar(25, 0.5 * side, BARS) for side in sides]
    played = play([zigzag(BARS, 8.0), zigzag(BARS, 4.0, first_up=True)], wanted, redundancy="scale")
    assert told(played, "factor") == [(factor,)] * 2
    assert [math.isnan(o["rho"]) or near(o["rho"]) == -1.0 for o in played.orders] == [True, True]


@pytest.mark.parametrize(("bar", "factor"), [(19, 1.0), (20, 0.5)])
def test_there_is_no_correlation_before_twenty_rows(bar: int, factor: float) -> None:
    """Bar 0 has no return: at bar 19 there are 19 rows, at bar 20 there are 20."""
    played = play([zigzag(BARS, 8.0)] * 2, [from_bar(bar, 0.5, BARS)] * 2, redundancy="scale")
    assert told(played, "factor") == [(factor,)] * 2


def test_a_pair_has_a_threshold_of_its_own() -> None:
    """Over 24 rows the zigzags of two and of four bars do not correlate: above -0.5, and not above 0.8."""
    prices, wanted = [zigzag(BARS, 8.0), slow_zigzag(BARS, 4.0)], [from_bar(24, 0.5, BARS)] * 2
    assert told(play(prices, wanted, redundancy="scale"), "factor") == [(1.0,)] * 2
    played = play(prices, wanted, redundancy="scale", overrides={"A:B": -0.5})
    assert [o["partner"] for o in played.orders] == [1, 0]


def test_freed_weight_goes_to_whoever_is_redundant_with_nobody() -> None:
    """0.3 each; the pair is halved, which frees 0.3, and the third one doubles. It counts as cut by nobody."""
    prices = [zigzag(BARS, 8.0), zigzag(BARS, 4.0), slow_zigzag(BARS, 8.0)]
    wanted = [from_bar(24, 0.3, BARS)] * 3
    played = play(prices, wanted, redundancy="scale", redistribute=True)
    assert told(played, "weight", "scale", "scale_reason") == [
        (0.15, 0.5, "CORRELATED"),
        (0.15, 0.5, "CORRELATED"),
        (0.6, 1.0, "NONE"),
    ]
    assert told(play(prices, wanted, redundancy="scale"), "weight") == [(0.15,), (0.15,), (0.3,)]
    pair = play(prices[:2], wanted[:2], redundancy="scale", redistribute=True)
    assert told(pair, "weight") == [(0.15,), (0.15,)]


def test_the_filter_rejects_the_later_one_even_if_it_is_larger() -> None:
    """B is held since bar 6. At bar 25, where A costs 16, it would have asked for 0.9 of equity."""
    wanted = [from_bar(25, 0.9, BARS), from_bar(5, 0.1, BARS)]
    played = play([zigzag(BARS, 8.0), zigzag(BARS, 4.0)], wanted, redundancy="filter")
    assert told(played, "asset", "outcome", "reason") == [(1, "FILLED", "NONE"), (0, "UNFILLED", "CORRELATED")]
    rejected = played.orders[1]
    assert (rejected["decided"], rejected["partner"], rejected["factor"]) == (25, 1, 0.0)
    assert near(rejected["quantity"]) == near(0.9 * played.equity[25] / 16.0)


@pytest.mark.parametrize(("weights", "kept"), [((0.2, 0.3), 1), ((0.3, 0.2), 0), ((0.3, 0.3), 0)])
def test_the_filter_keeps_the_larger_and_among_equals_the_first_by_name(
    weights: tuple[float, float], kept: int
) -> None:
    wanted = [from_bar(25, weight, BARS) for weight in weights]
    played = play([zigzag(BARS, 8.0)] * 2, wanted, redundancy="filter")
    assert [o["asset"] for o in played.orders if o["outcome"] == "FILLED"] == [kept]


def test_a_rejection_is_told_once_until_the_signal_or_the_reason_changes() -> None:
    """B is refused at five decisions, and its signal is another one at the third of them."""
    wanted = [from_bar(5, 0.5, BARS), [0.0] * 25 + [0.2, 0.2, 0.3, 0.3, 0.3]]
    decides = [[t == 5 for t in range(BARS)], [t >= 25 for t in range(BARS)]]
    prices = [zigzag(BARS, 8.0), zigzag(BARS, 8.0)]
    played = play(prices, wanted, decides=decides, redundancy="filter")
    assert told(played, "decided", "reason")[1:] == [(25, "CORRELATED"), (27, "CORRELATED")]
    crowded = play(prices, wanted, decides=decides, max_positions=1)
    assert told(crowded, "decided", "reason")[1:] == [(25, "MAX_POSITIONS"), (27, "MAX_POSITIONS")]


def test_a_signal_that_was_refused_is_nobody_s_bet() -> None:
    """A is held from bar 22 to 25 and B refused at 23. B stays long with nothing, and C gets all of its 0.25.

    A's 31.25 units, bought at 8, are 500 of 1250 at bar 23: 1 / (1 + 0.4 / 0.5) for B.
    """
    wanted = [[0.0] * 21 + [0.5] * 4 + [0.0] * 5, from_bar(23, 0.5, BARS), from_bar(27, 0.25, BARS)]
    for mode, factor in (("filter", 0.0), ("scale", near(1 / 1.8))):
        limits = {"max_positions": 1} if mode == "scale" else {}
        played = play([zigzag(BARS, 8.0)] * 3, wanted, redundancy=mode, **limits)
        assert told(played, "asset", "decided", "partner", "factor") == [
            (0, 21, -1, 1.0),
            (1, 23, 0, factor),
            (0, 25, -1, 1.0),
            (2, 27, -1, 1.0),
        ]
        assert near(played.orders[-1]["weight"]) == 0.25


def test_a_bet_that_is_on_its_way_counts_with_its_target() -> None:
    """A's 0.3 of bar 24 fills at 27. B asks for 0.5 at 25: 1 / (1 + 0.3 / 0.5) = 0.625. A is not asked again."""
    wanted = [from_bar(24, 0.3, BARS), from_bar(25, 0.5, BARS)]
    late = {"fill_lag": 3, "size_at": "fill"}
    played = play([zigzag(BARS, 8.0)] * 2, wanted, redundancy="scale", rules=late)
    assert told(played, "weight", "partner", "factor") == [(0.3, -1, 1.0), (0.3125, 0, 0.625)]
    assert told(play([zigzag(BARS, 8.0)] * 2, wanted, redundancy="filter", rules=late), "reason") == [
        ("NONE",),
        ("CORRELATED",),
    ]


def test_what_falls_to_a_bet_that_stands_stays_in_cash() -> None:
    """A is held, so B of 0.3 is rejected. C takes its part of 0.3 by its weight beside that of A, who takes nothing."""
    prices = [zigzag(BARS, 8.0), zigzag(BARS, 4.0), slow_zigzag(BARS, 8.0)]
    wanted = [from_bar(22, 0.4, BARS), from_bar(24, 0.3, BARS), from_bar(24, 0.2, BARS)]
    played = play(prices, wanted, redundancy="filter", redistribute=True)
    held = played.positions[24, 0] * prices[0][24] / played.equity[24]
    assert told(played, "asset", "factor") == [(0, 1.0), (1, 0.0), (2, near(1.0 + 0.3 / (0.2 + held)))]


def test_shorts_that_are_not_allowed_are_nobody_s_bet() -> None:
    """A short of the mirror would be redundant; where there are no shorts the long is left alone."""
    wanted = [from_bar(25, 0.5, BARS), from_bar(25, -0.5, BARS)]
    prices = [zigzag(BARS, 8.0), zigzag(BARS, 4.0, first_up=True)]
    played = play(prices, wanted, redundancy="scale", rules={"allow_short": False})
    assert told(played, "reason", "factor") == [("NONE", 1.0), ("SHORT_NOT_ALLOWED", 1.0)]


def test_a_cash_factor_multiplies_what_redundancy_left() -> None:
    """Two halves of 1024, 64 units of 8 each, cost 2048 at 16: a half of a half."""
    wanted = [from_bar(24, 1.0, BARS)] * 2
    played = play([zigzag(BARS, 8.0)] * 2, wanted, capital=1024.0, redundancy="scale", rules={"allow_leverage": False})
    assert (
        told(played, "quantity", "filled", "scale", "scale_reason", "factor")
        == [(64.0, 32.0, 0.25, "NO_CASH", 0.5)] * 2
    )


# --- limits ----------------------------------------------------------------------------------------------------


def test_the_gross_limit_shrinks_increases_only() -> None:
    """A goes from 0.5 to 0.7 and B from 0 to 0.4: 0.5 is there, 0.6 is to come, 0.3 of it fits."""
    wanted = [[0.5, 0.5, 0.7, 0.7], from_bar(2, 0.4, 4)]
    played = play([TEN[:4]] * 2, wanted, max_gross_exposure=0.8)
    assert told(played, "weight", "scale", "scale_reason") == [
        (0.5, 1.0, "NONE"),
        (0.6, near(6 / 7), "EXPOSURE_LIMIT"),
        (0.2, 0.5, "EXPOSURE_LIMIT"),
    ]


def test_a_full_account_opens_nothing_and_sells_nothing() -> None:
    """60 units at 10 were 0.6; at 20 they are 1200 of 1600, above the limit, and stay. A reduction goes through."""
    prices = [[10.0, 10.0, 20.0, 20.0, 20.0], [10.0] * 5]
    played = play(prices, [[0.6] * 5, from_bar(3, 0.2, 5)], max_gross_exposure=0.7)
    assert told(played, "asset", "outcome", "reason", "quantity") == [
        (0, "FILLED", "NONE", 60.0),
        (1, "UNFILLED", "EXPOSURE_LIMIT", 32.0),
    ]
    assert played.positions[-1].tolist() == [60.0, 0.0]
    less = play(prices, [[0.6, 0.6, 0.6, 0.72, 0.72], [0.0] * 5], max_gross_exposure=0.7)
    assert told(less, "weight", "filled", "scale")[1:] == [(0.72, near(0.72 * 1600 / 20 - 60), 1.0)]


def test_what_waits_counts() -> None:
    """A's order of bar 0 fills at bar 2; at bar 1 it takes 0.5 of 0.8. B's own order of bar 1 is superseded at 2."""
    prices = [TEN] * 2
    wanted = [[0.5] * 6, [0.0, 0.4, 0.2, 0.2, 0.2, 0.2]]
    played = play(prices, wanted, rules={"fill_lag": 2}, max_gross_exposure=0.8)
    assert told(played, "weight", "reason", "scale") == [
        (0.5, "NONE", 1.0),
        (0.3, "SUPERSEDED", 0.75),
        (0.2, "NONE", 1.0),
    ]


def test_the_net_limit_shrinks_what_adds_to_the_net() -> None:
    """0.6 + 0.4 - 0.3 is 0.7, 0.3 too much: 1 - 0.3 / 1 of both longs."""
    played = play([TEN[:3]] * 3, [[0.6] * 3, [0.4] * 3, [-0.3] * 3], max_net_exposure=0.4)
    assert told(played, "weight", "scale_reason") == [
        (0.42, "EXPOSURE_LIMIT"),
        (0.28, "EXPOSURE_LIMIT"),
        (-0.3, "NONE"),
    ]


def test_a_symbol_takes_no_more_than_its_limit() -> None:
    """-0.7 becomes -0.4. A position of 0.3 that has become 0.6 of 1.3 may stay, but not grow to 0.9."""
    assert told(play([TEN[:3]], [[-0.7] * 3], max_symbol_weight=0.4), "weight", "scale") == [(-0.4, near(4 / 7))]
    played = play([[10.0, 10.0, 20.0, 20.0]], [[0.3, 0.3, 0.9, 0.9]], max_symbol_weight=0.4)
    assert told(played, "filled") == [(30.0,)]


def test_the_number_of_positions_is_limited_largest_first() -> None:
    played = play([TEN[:3]] * 3, [[0.2] * 3, [0.3] * 3, [-0.3] * 3], max_positions=2)
    assert told(played, "asset", "outcome", "reason", "quantity") == [
        (0, "UNFILLED", "MAX_POSITIONS", 20.0),
        (1, "FILLED", "NONE", 30.0),
        (2, "FILLED", "NONE", -30.0),
    ]


def test_who_is_held_keeps_the_place() -> None:
    """A of 0.1 is held; B of 0.9 finds no place, until A leaves, which at its decision counts no more."""
    wanted = [[0.1, 0.1, 0.1, 0.0, 0.0, 0.0], [0.0, 0.0, 0.9, 0.8, 0.8, 0.8]]
    played = play([TEN] * 2, wanted, max_positions=1)
    assert told(played, "asset", "decided", "outcome", "reason") == [
        (0, 0, "FILLED", "NONE"),
        (1, 2, "UNFILLED", "MAX_POSITIONS"),
        (0, 3, "FILLED", "NONE"),
        (1, 3, "FILLED", "NONE"),
    ]


# --- halts and ends --------------------------------------------------------------------------------------------


def test_a_daily_loss_halts_a_symbol_until_the_next_day() -> None:
    """50 units lose 100 in a day that began with 1000. They leave at 8.5, and bar 4 is another day.

    At bar 3 the signal asks in vain, and B takes A's half as well. At bar 4 A may buy again: 0.25 of 925 at 8.
    """
    prices = [[10.0, 10.0, 8.0, 8.5, 8.0, 8.0], TEN]
    wanted = [[1.0, 1.0, 1.0, 0.8, 0.5, 0.5], from_bar(3, 0.4, 6)]
    days = [0, 0, 0, 0, 1, 1]
    played = play(prices, wanted, shares=[0.5, 0.5], days=days, max_symbol_daily_loss=0.1)
    assert played.halts == [(2, 0)]
    assert told(played, "asset", "decided", "cause", "reason", "weight", "filled") == [
        (0, 0, "SIGNAL", "NONE", 0.5, 50.0),
        (0, 2, "DAILY_LOSS", "NONE", 0.0, -50.0),
        (0, 3, "SIGNAL", "SYMBOL_HALTED", 0.4, 0.0),
        (1, 3, "SIGNAL", "NONE", 0.4, 37.0),
        (0, 4, "SIGNAL", "NONE", 0.25, near(0.25 * 925 / 8)),
    ]
    assert near(played.orders[2]["quantity"]) == near(0.4 * 925 / 8.5)
    assert play(prices, wanted, shares=[0.5, 0.5], days=days, max_symbol_daily_loss=0.11).halts == []


def test_a_loss_is_counted_from_the_close_of_the_day_before() -> None:
    """30 lost on day 0 and 30 more on day 1, each day less than 5 % of what it began with."""
    prices, wanted = [[10.0, 10.0, 9.4, 8.8, 8.8]], [[0.5] * 5]
    assert play(prices, wanted, days=[0, 0, 0, 1, 1], max_symbol_daily_loss=0.05).halts == []
    assert play(prices, wanted, days=[0, 0, 0, 0, 1], max_symbol_daily_loss=0.05).halts == [(3, 0)]


def test_a_loss_is_measured_by_the_equity_of_the_day_before() -> None:
    """B brings 500 on day 0: a loss of 100 on day 1 is 6.7 % of 1500, and not 10 % of 1000."""
    prices = [[10.0, 10.0, 10.0, 8.0, 8.0], [10.0, 10.0, 20.0, 20.0, 20.0]]
    days = [0, 0, 0, 1, 1]
    assert play(prices, [[0.5] * 5] * 2, days=days, max_symbol_daily_loss=0.07).halts == []
    assert play(prices, [[0.5] * 5] * 2, days=days, max_symbol_daily_loss=0.06).halts == [(3, 0)]


def test_borrow_is_a_loss_as_well() -> None:
    """50 short at 10 for 365 % a year: 1 % of 500 from bar 1 to bar 2, and 10 by bar 3."""
    costs = Costs(borrow_rate=3.65)
    assert play([TEN], [[-0.5] * 6], days=[0] * 6, costs=costs, max_symbol_daily_loss=0.007).halts == [(3, 0)]


def test_a_halt_ends_what_waits() -> None:
    """The order to add, decided at bar 1, is due at bar 3; the halt of bar 2 comes before, and sells at bar 3."""
    played = play(
        [[10.0, 10.0, 10.0, 8.0, 8.0, 8.0]],
        [[0.5, 0.5, 0.6, 0.6, 0.6, 0.6]],
        rules={"fill_lag": 2},
        days=[0] * 6,
        max_symbol_daily_loss=0.1,
    )
    assert told(played, "cause", "reason", "filled_bar") == [
        ("SIGNAL", "NONE", 2),
        ("SIGNAL", "SYMBOL_HALTED", -1),
        ("DAILY_LOSS", "NONE", 4),
    ]


def test_a_drawdown_ends_it_all() -> None:
    """The highest was 1200 at 12; at 9 there are 900, a quarter less. Bar 4 is a hole, and at 8 everything goes."""
    prices = [[10.0, 10.0, 12.0, 9.0, HOLE, 8.0, 8.0], [10.0] * 7]
    wanted = [[1.0] * 7, [0.0, 0.0, 0.0, 0.5, 0.5, 0.0, -0.5]]
    played = play(prices, wanted, max_drawdown=0.25)
    assert (played.stopped, played.cash.tolist()[-2:]) == (3, [800.0, 800.0])
    assert told(played, "asset", "decided", "cause", "reason", "filled_bar", "quantity") == [
        (0, 0, "SIGNAL", "NONE", 1, 100.0),
        (0, 3, "DRAWDOWN", "NONE", 5, -100.0),
        (1, 3, "SIGNAL", "PORTFOLIO_HALTED", -1, 45.0),
        (1, 6, "SIGNAL", "PORTFOLIO_HALTED", -1, -40.0),
    ]
    assert play(prices, wanted, max_drawdown=0.3).stopped == 5


def test_ruin_comes_before_the_drawdown() -> None:
    played = play([[10.0, 10.0, 20.0, 20.0]], [[-1.0] * 4], max_drawdown=0.2)
    assert (played.ruined, played.stopped) == (2, -1)
    assert told(played, "cause") == [("SIGNAL",), ("RUIN",)]

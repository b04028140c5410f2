"""Symbols that end, by hand, for the second portfolio alone (semantics section 8)."""

from dataclasses import replace

from tests.oracle.account import Costs
from tests.oracle.portfolio import simulate
from tests.oracle.stage import HOLE, near, play, stage, told

TEN = [10.0] * 6


def test_a_symbol_that_ends_is_closed_at_its_last_close_with_costs() -> None:
    """50 units bought at 10 * 1.25 = 12.5 with 10 % on top. At 12 * 0.75 = 9 they bring 450 less 45.

    The order of bar 3 meets no bar any more, and the signal of bar 4 makes none.
    """
    prices = [[10.0, 10.0, 12.0, 12.0, HOLE, HOLE], TEN]
    wanted = [[0.5, 0.5, 0.5, 0.4, 0.9, 0.9], [0.0] * 6]
    played = play(prices, wanted, last=[3, 5], costs=Costs(slippage=0.25, commission=0.1))
    assert told(played, "decided", "cause", "reason", "filled_bar", "moment", "commission") == [
        (0, "SIGNAL", "NONE", 1, "OPEN", 62.5),
        (3, "SIGNAL", "END_OF_DATA", -1, "", 0.0),
        (3, "ENDED", "NONE", 4, "OPEN", 45.0),
    ]
    assert [fill["price"] for fill in played.fills] == [12.5, 9.0]
    assert played.cash.tolist() == [1000.0, 312.5, 312.5, 312.5, 717.5, 717.5]
    assert played.positions[:, 0].tolist() == [0.0, 50.0, 50.0, 50.0, 0.0, 0.0]


def test_the_last_bar_of_a_symbol_that_ends_takes_what_is_held() -> None:
    """50 units are a tenth of the 500 of bar 3: 2 of 20 percent. Bar 4 has no volume, which would cost all of them."""
    prices = [[10.0, 10.0, 12.0, 12.0, HOLE, HOLE], TEN]
    given = stage(prices, [[0.5] * 6, [0.0] * 6], last=[3, 5], costs=Costs(model="participation_rate", impact=0.2))
    volume = given.volume.copy()
    volume[3, 0] = 500.0
    played = simulate(replace(given, volume=volume))
    assert told(played, "cause", "filled_bar") == [("SIGNAL", 1), ("ENDED", 4)]
    assert near(float(played.fills[1]["price"])) == near(12.0 * 0.98)


def test_an_ended_symbol_decides_nothing_even_if_it_never_had_a_price() -> None:
    """It says so at bar 0, while it still should have one."""
    played = play([[HOLE] * 6, TEN], [[0.5, 0.5, 0.5, 0.2, 0.2, 0.2], [0.0] * 6], last=[1, 5])
    assert told(played, "decided", "outcome", "reason") == [(0, "UNFILLED", "NO_PRICE")]


def test_an_exit_under_way_ends_with_its_symbol() -> None:
    """The drawdown of bar 2 has 100 units leave at 20 a bar; 20 went at bar 3, its last, and 80 go at the mark."""
    costs = Costs(max_participation=0.1)
    given = stage(
        [[10.0, 10.0, 6.0, 6.0, HOLE, HOLE], TEN], [[1.0] * 6, [0.0] * 6], last=[3, 5], costs=costs, max_drawdown=0.3
    )
    volume = given.volume.copy()
    volume[3, 0] = 200.0
    played = simulate(replace(given, volume=volume))
    assert told(played, "cause", "outcome", "reason", "filled") == [
        ("SIGNAL", "FILLED", "NONE", 100.0),
        ("DRAWDOWN", "PARTIAL", "END_OF_DATA", -20.0),
        ("ENDED", "FILLED", "NONE", -80.0),
    ]

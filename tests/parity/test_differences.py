"""Where a peer differs by design: what it does, beside what this engine does."""

import pytest

from tests.parity.cases import CAPITAL, Case, Rules, Trade
from tests.parity.markets import bars, long_at_100
from tests.parity.ours import ours
from tests.parity.peer_backtesting import run_backtesting
from tests.parity.peer_backtrader import run_backtrader
from tests.parity.peer_vectorbt import run_vectorbt


def still_held(trade: Trade) -> bool:
    return trade.exit_bar == -1


def test_vectorbt_and_brackets_of_backtrader_look_at_no_stop_in_the_bar_of_the_entry() -> None:
    entered = long_at_100(Rules(stop=0.1), (100.0, 103.0, 80.0, 102.0), (102.0, 104.0, 101.0, 103.0))
    expected = pytest.approx((2, 2, 100.0, 90.0))
    assert ours(entered).trades[0].held == expected
    assert run_backtesting(entered).trades[0].held == expected
    assert run_backtrader(entered).trades[0].held == expected
    assert still_held(run_vectorbt(entered).trades[0])
    assert still_held(run_backtrader(entered, bracket=True).trades[0])


def test_vectorbt_reaches_a_stop_before_an_order_due_at_the_open() -> None:
    """Bar 3 closes lower, so all is sold at the open of bar 4, before the low of that bar is seen."""
    leaving = long_at_100(
        Rules(stop=0.1), (100.0, 103.0, 99.0, 102.0), (102.0, 102.0, 100.0, 101.0), (101.0, 101.0, 80.0, 81.0)
    )
    sold, stopped = pytest.approx((2, 4, 100.0, 101.0)), pytest.approx((2, 4, 100.0, 90.0))
    assert ours(leaving).trades[0].held == sold
    assert run_vectorbt(leaving).trades[0].held == sold
    assert run_vectorbt(leaving, patient=False).trades[0].held == stopped
    assert run_backtesting(leaving).trades[0].held == sold


def test_vectorbt_has_one_order_in_a_bar() -> None:
    """The same with shorts: a stop of its own in bar 4 uses the bar up, and the short entry due there is lost."""
    turning = long_at_100(
        Rules(short=True, stop=0.1),
        (100.0, 103.0, 99.0, 102.0),
        (102.0, 102.0, 100.0, 101.0),
        (101.0, 101.0, 80.0, 81.0),
        (81.0, 81.0, 80.0, 80.0),
    )
    assert [t.side for t in ours(turning).trades] == [1, -1]
    assert [t.side for t in run_vectorbt(turning).trades] == [1, -1]
    assert [t.side for t in run_vectorbt(turning, patient=False).trades] == [1]


def test_vectorbt_slips_stops_and_targets_alike() -> None:
    rows = (100.0, 101.0, 99.0, 101.5), (101.5, 112.0, 101.0, 102.0), (102.0, 103.0, 101.0, 103.0)
    gaining = long_at_100(Rules(slippage=0.01, target=0.1), *rows)
    target, slipped = 100.0 * 1.01 * 1.1, 100.0 * 1.01 * 1.1 * 0.99
    assert ours(gaining).trades[0].exit_price == pytest.approx(target)
    assert run_vectorbt(gaining, exit_price="stoplimit").trades[0].exit_price == pytest.approx(target)
    assert run_vectorbt(gaining).trades[0].exit_price == pytest.approx(slipped)

    losing = long_at_100(Rules(slippage=0.01, stop=0.1), (100.0, 101.0, 99.0, 101.5), (101.5, 102.0, 80.0, 102.0))
    level = 100.0 * 1.01 * 0.9
    assert ours(losing).trades[0].exit_price == pytest.approx(level * 0.99)
    assert run_vectorbt(losing).trades[0].exit_price == pytest.approx(level * 0.99)
    assert run_vectorbt(losing, exit_price="stoplimit").trades[0].exit_price == pytest.approx(level)


def test_backtrader_slips_a_target_beyond_which_a_bar_opens() -> None:
    gapped = long_at_100(Rules(slippage=0.01, target=0.1), (100.0, 101.0, 99.0, 101.5), (120.0, 125.0, 119.0, 121.0))
    assert ours(gapped).trades[0].exit_price == 120.0
    assert run_vectorbt(gapped, exit_price="stoplimit").trades[0].exit_price == 120.0
    assert run_backtrader(gapped).trades[0].exit_price == pytest.approx(120.0 * 0.99)


def test_backtesting_slips_entries_only() -> None:
    """Its adapter charges the slip of every exit as a cost, targets included, and reports prices after it."""
    rows = (100.0, 101.0, 99.0, 101.5), (101.5, 112.0, 101.0, 102.0), (102.0, 103.0, 101.0, 103.0)
    gaining = long_at_100(Rules(slippage=0.01, target=0.1), *rows)
    assert run_backtesting(gaining).trades[0].exit_price == pytest.approx(ours(gaining).trades[0].exit_price * 0.99)


def test_a_trailing_stop_of_vectorbt_forgets_the_bar_of_the_entry_and_of_backtrader_follows_closes() -> None:
    """The high of 120 in the entry bar lifts the stop to 108, and bar 3 opens below it."""
    entered = long_at_100(Rules(trail=0.1), (100.0, 120.0, 99.5, 110.0), (105.0, 111.0, 100.0, 111.0))
    expected = pytest.approx((2, 3, 100.0, 105.0))
    assert ours(entered).trades[0].held == expected
    assert run_backtesting(entered).trades[0].held == expected
    assert still_held(run_vectorbt(entered).trades[0])  # 90, from the entry price
    assert still_held(run_backtrader(entered).trades[0])  # 99, from the close


def test_a_flip_is_two_orders_here_and_one_in_vectorbt() -> None:
    """Both legs pay the fee of an order: bought once, flipped once."""
    rules = Rules(short=True)
    turning = long_at_100(rules, (100.0, 103.0, 99.0, 100.0), (100.0, 100.0, 99.0, 99.0))
    got = ours(turning, commission={"per_order": 1000.0})
    assert [t.quantity for t in got.trades] == pytest.approx([990.0, 970.0])
    theirs = run_vectorbt(turning, fixed_fees=1000.0)
    assert [t.quantity for t in theirs.trades] == pytest.approx([990.0, 980.0])


def test_a_short_is_sized_before_slippage() -> None:
    """A weight of -1 is a notional of equity at the open; others sell what the slipped price allows, a little more.

    With a commission above the slippage this does not show: then all hold notional and costs within equity.
    """
    closes = (100.0, 99.0, 98.0, 97.0)
    falling = Case(bars(*((c, c, c, c) for c in closes)), Rules(short=True, slippage=0.01), fast=1, slow=2)
    assert ours(falling).trades[0].quantity == pytest.approx(CAPITAL / 98.0)
    for run in (run_vectorbt, run_backtesting):
        assert run(falling).trades[0].quantity == pytest.approx(CAPITAL / (98.0 * 0.99))

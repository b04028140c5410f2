"""Stops, targets, trailing stops and time exits, each with the peers whose rule is ours.

Slippage is where rules part: here a stop pays it and a target does not. vectorbt slips both or neither, backtesting.py
neither in the price (its adapter charges every exit), backtrader stops and gapped targets.
"""

import pytest

from tests.parity.cases import Case, Rules, assert_same
from tests.parity.markets import MARKETS, long_at_100
from tests.parity.ours import ours
from tests.parity.peer_backtesting import run_backtesting
from tests.parity.peer_backtrader import run_backtrader
from tests.parity.peer_vectorbt import run_vectorbt

LEVELS = {"GOOG daily": (0.083, 0.151), "EURUSD hourly": (0.0083, 0.0151), "BTC minutes": (0.0171, 0.0151)}
"""Stop and target: far enough for vectorbt, which looks at neither in the bar of the entry."""
TIGHT = {"GOOG daily": (0.0283, 0.0291), "EURUSD hourly": (0.0013, 0.0017), "BTC minutes": (0.0007, 0.0009)}
"""So near that an entry bar can reach one and a single bar both, and beyond every gap at an entry: backtesting.py
refuses an order whose stop lies beyond the last close."""
SLIPPAGE, COMMISSION = 1e-4, 5e-4
BARS = 20_000
"""Where backtrader takes part, which needs 60 microseconds for each."""


BY_HAND: dict[str, tuple[tuple[float, float, float, float], float]] = {
    "a stop that is touched": ((102.0, 104.0, 75.0, 103.0), 75.0),
    "a target that is touched": ((102.0, 125.0, 101.0, 103.0), 125.0),
    "an open beyond the stop": ((70.0, 72.0, 69.0, 71.0), 70.0),
    "an open beyond the target": ((130.0, 131.0, 128.0, 129.0), 130.0),
    "both in one bar": ((102.0, 130.0, 70.0, 103.0), 75.0),
}
"""Bar 3, and the price at which a long position from 100 leaves, with stop and target a quarter away."""
FLAT_UNTIL_THE_SIGNAL_TURNS = (
    (100.0, 103.0, 99.0, 102.0),  # bought
    (102.0, 104.0, 70.0, 103.0),  # stopped; the signal stays long
    (103.0, 105.0, 102.0, 104.0),
    (104.0, 105.0, 102.0, 103.0),  # the signal turns
    (103.0, 105.0, 102.0, 104.0),  # and turns back
    (104.0, 105.0, 103.0, 104.5),  # bought again
)


@pytest.fixture(params=MARKETS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[False, True], ids=["long", "long and short"])
def short(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.mark.parametrize("what", BY_HAND)
def test_levels_by_hand(what: str) -> None:
    row, price = BY_HAND[what]
    case = long_at_100(Rules(stop=0.25, target=0.25), (100.0, 103.0, 99.0, 102.0), row)
    for run in (ours, run_vectorbt, run_backtesting, run_backtrader):
        assert run(case).trades[0].held == (2, 3, 100.0, price)


def test_flat_until_the_signal_turns() -> None:
    case = long_at_100(Rules(stop=0.25), *FLAT_UNTIL_THE_SIGNAL_TURNS)
    for run in (ours, run_vectorbt, run_backtesting, run_backtrader):
        assert [trade.entry_bar for trade in run(case).trades] == [2, 7]


def test_stops(name: str, short: bool) -> None:
    stop, _ = LEVELS[name]
    case = Case(MARKETS[name](), Rules(short, SLIPPAGE, COMMISSION, stop=stop))
    got = ours(case)
    assert got.equity != ours(Case(case.market, Rules(short, SLIPPAGE, COMMISSION))).equity
    assert_same(got, run_vectorbt(case), at_least=20)
    assert_same(got, run_backtesting(case), at_least=20)


def test_targets(name: str, short: bool) -> None:
    _, target = LEVELS[name]
    case = Case(MARKETS[name](), Rules(short, SLIPPAGE, COMMISSION, target=target))
    assert_same(ours(case), run_vectorbt(case, exit_price="stoplimit"), at_least=20)


def test_stops_and_targets(name: str, short: bool) -> None:
    stop, target = LEVELS[name]
    case = Case(MARKETS[name](), Rules(short, commission=COMMISSION, stop=stop, target=target))
    got = ours(case)
    assert_same(got, run_vectorbt(case), at_least=20)
    assert_same(got, run_backtesting(case), at_least=20)


def test_stops_and_targets_within_one_bar(name: str) -> None:
    """Which of the two comes first in a bar that reaches both is ours to choose; backtrader's to order."""
    stop, target = TIGHT[name]
    case = Case(MARKETS[name]().first(BARS), Rules(True, commission=COMMISSION, stop=stop, target=target))
    stop_first, target_first = ours(case), ours(case, bar_path="target_first")
    assert_same(stop_first, run_backtesting(case), at_least=20)
    assert_same(stop_first, run_backtrader(case), at_least=20)
    assert_same(target_first, run_backtrader(case, target_first=True), at_least=20)
    in_the_entry_bar = [trade for trade in stop_first.trades if trade.exit_bar == trade.entry_bar]
    assert in_the_entry_bar
    assert (target_first.equity > stop_first.equity) == (name != "GOOG daily")  # where no bar reaches both


def test_backtrader_stops(name: str, short: bool) -> None:
    stop, _ = TIGHT[name]
    case = Case(MARKETS[name]().first(BARS), Rules(short, SLIPPAGE, COMMISSION, stop=stop))
    assert_same(ours(case), run_backtrader(case), at_least=20)


def test_trailing_stops(name: str, short: bool) -> None:
    stop, _ = LEVELS[name]
    case = Case(MARKETS[name](), Rules(short, SLIPPAGE, COMMISSION, trail=stop))
    assert_same(ours(case), run_backtesting(case), at_least=20)


def test_trailing_stops_and_targets(name: str) -> None:
    stop, target = LEVELS[name]
    case = Case(MARKETS[name](), Rules(True, commission=COMMISSION, trail=stop, target=target))
    assert_same(ours(case), run_backtesting(case), at_least=20)


def test_time_exits(name: str, short: bool) -> None:
    stop, _ = LEVELS[name]
    case = Case(MARKETS[name](), Rules(short, SLIPPAGE, COMMISSION, stop=stop, hold=30))
    got = ours(case)
    assert max(trade.exit_bar - trade.entry_bar for trade in got.trades) == 30
    assert_same(got, run_backtesting(case), at_least=20)

"""Without exits of their own: the same trades, prices, quantities and final equity as three other engines."""

from collections.abc import Callable

import pandas as pd
import pytest

from engine.types import Floats
from tests.parity.cases import Case, Market, Outcome, Rules, assert_same
from tests.parity.markets import MARKETS
from tests.parity.ours import ours
from tests.parity.peer_backtesting import run_backtesting
from tests.parity.peer_backtrader import run_backtrader
from tests.parity.peer_vectorbt import run_vectorbt, run_vectorbt_weights

PEERS: dict[str, Callable[[Case], Outcome]] = {
    "vectorbt": run_vectorbt,
    "backtesting.py": run_backtesting,
    "backtrader": run_backtrader,
}
FEWEST = {"GOOG daily": 21, "EURUSD hourly": 843, "BTC minutes": 786}
LOTS = {"GOOG daily": 1.0, "EURUSD hourly": 1000.0, "BTC minutes": 2.0**-10}
SLIPPAGE, COMMISSION = 1e-4, 5e-4
PRICES: dict[str, Callable[[Market], Floats]] = {
    "mid": lambda m: (m.high + m.low) / 2.0,
    "typical": lambda m: (m.high + m.low + m.close) / 3.0,
    "close": lambda m: m.close,
}


@pytest.fixture(params=MARKETS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("short", [False, True], ids=["long", "long and short"])
def test_with_costs(name: str, short: bool, peer: str) -> None:
    case = Case(MARKETS[name](), Rules(short=short, slippage=SLIPPAGE, commission=COMMISSION))
    assert_same(ours(case), PEERS[peer](case), at_least=FEWEST[name])


@pytest.mark.parametrize("peer", ["vectorbt", "backtesting.py"])
def test_without_costs(name: str, peer: str) -> None:
    case = Case(MARKETS[name](), Rules(short=True))
    assert_same(ours(case), PEERS[peer](case), at_least=FEWEST[name])


@pytest.mark.parametrize("short", [False, True], ids=["long", "long and short"])
def test_half_of_equity(name: str, short: bool) -> None:
    case = Case(MARKETS[name](), Rules(short=short, slippage=SLIPPAGE, commission=COMMISSION))
    theirs = run_vectorbt_weights(case, 0.5, every_bar=False)
    assert_same(ours(case, fraction=0.5), theirs, at_least=FEWEST[name])


@pytest.mark.parametrize("price", PRICES)
def test_other_prices_of_the_bar(name: str, price: str) -> None:
    case = Case(MARKETS[name](), Rules(short=True, slippage=SLIPPAGE, commission=COMMISSION))
    theirs = run_vectorbt(case, price=pd.Series(PRICES[price](case.market)))
    assert_same(ours(case, fill_price=price), theirs, at_least=FEWEST[name])


def test_a_fee_per_order(name: str) -> None:
    case = Case(MARKETS[name](), Rules(slippage=SLIPPAGE, commission=COMMISSION))
    fees = {"bps": 5.0, "per_order": 3.0}
    assert_same(ours(case, commission=fees), run_vectorbt(case, fixed_fees=3.0), at_least=FEWEST[name])


def test_lots(name: str) -> None:
    """Of these sizes: vectorbt drops cash below 1e-9 of what it spends, which can be worth a small lot."""
    case, lot = Case(MARKETS[name](), Rules(slippage=SLIPPAGE, commission=COMMISSION)), LOTS[name]
    assert_same(ours(case, quantity_step=lot), run_vectorbt(case, size_granularity=lot), at_least=FEWEST[name])

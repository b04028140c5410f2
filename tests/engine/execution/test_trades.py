import dataclasses
from typing import Any

import numpy as np
import pytest

from engine.execution import Commission, round_trips
from engine.results import Ledger, Trades
from tests.engine.execution.test_fills import Table, account, bars, flat

COSTS: dict[str, Any] = {"slippage_bps": 100.0, "commission": Commission(bps=50.0)}


def trips(opens: Table, closes: Table, weights: Table, **rules: Any) -> tuple[Trades, Ledger]:
    market = bars(opens, closes)
    ledger = account(market, weights, **rules)
    return round_trips(ledger, market), ledger


def test_a_round_trip_earns_the_difference_less_its_costs() -> None:
    prices = [[10.0], [10.0], [12.0], [12.0]]
    trades, _ = trips(prices, prices, [[0.5], [0.0], [0.0], [0.0]], **COSTS)
    assert trades.side.tolist() == [1]
    assert (trades.entry_bar.tolist(), trades.exit_bar.tolist()) == ([1], [2])
    assert trades.quantity.tolist() == [50.0]
    assert trades.pnl_gross[0] == pytest.approx(100.0)
    costs = sum(
        c[0]
        for c in (
            trades.entry_commission,
            trades.exit_commission,
            trades.entry_slippage,
            trades.exit_slippage,
        )
    )
    assert trades.pnl_net[0] == pytest.approx(100.0 - costs)
    assert trades.entry_price.tolist() == pytest.approx([10.1])
    assert trades.exit_price.tolist() == pytest.approx([11.88])


def test_a_flip_ends_one_trade_and_begins_another() -> None:
    prices = [[10.0], [10.0], [12.0], [9.0]]
    trades, _ = trips(prices, prices, [[0.5], [-0.5], [-0.5], [-0.5]])
    assert trades.side.tolist() == [1, -1]
    assert trades.exit_bar.tolist() == [2, -1]
    assert trades.exit_order[0] == trades.entry_order[1] == 1
    assert trades.closed.tolist() == [True, False]
    assert trades.pnl_net.tolist() == pytest.approx([100.0, 50.0 * 3.0])


def test_adding_averages_the_entry_and_reducing_keeps_the_trade_open() -> None:
    opens = [[10.0], [10.0], [20.0], [20.0], [20.0]]
    trades, _ = trips(opens, opens, [[0.2], [0.5], [0.1], [0.1], [0.0]])
    assert len(trades) == 1
    assert trades.quantity[0] == pytest.approx(20.0 + 30.0)
    assert trades.entry_price[0] == pytest.approx((20.0 * 10.0 + 30.0 * 20.0) / 50.0)
    assert trades.closed.tolist() == [False]
    assert trades.exit_price[0] == pytest.approx(20.0)


@pytest.mark.parametrize("seed", range(20))
def test_net_profit_of_all_trades_is_what_the_account_made(seed: int) -> None:
    rng = np.random.default_rng(seed)
    prices = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.05, (80, 2)), axis=0))
    weights = np.repeat(rng.choice([-0.5, -0.2, 0.0, 0.3, 0.5], (20, 2)), 4, axis=0)
    trades, ledger = trips(prices.tolist(), prices.tolist(), weights.tolist(), **COSTS)
    made = ledger.equity[-1] - ledger.initial_capital
    assert trades.pnl_net.sum() == pytest.approx(made, rel=1e-9, abs=1e-9 * ledger.initial_capital)
    costs = ledger.fills.commission.sum() + ledger.fills.slippage.sum()
    assert trades.pnl_gross.sum() - trades.pnl_net.sum() == pytest.approx(costs)
    assert trades.entry_bar.tolist() == sorted(trades.entry_bar)


@pytest.mark.parametrize(("weight", "best", "worst"), [(0.5, 4.0, -3.0), (-0.5, 3.0, -4.0)])
def test_excursions_run_from_the_entry_bar_to_the_exit_price(weight: float, best: float, worst: float) -> None:
    market = bars(flat(10.0, 5), flat(10.0, 5))
    high, low = market.high.copy(), market.low.copy()
    high[[0, 3]], low[[0, 3]] = 99.0, 1.0  # before the entry, and after the exit at the open
    high[1], low[2] = 14.0, 7.0
    market = dataclasses.replace(market, high=high, low=low)
    ledger = account(market, [[weight], [weight], [0.0], [0.0], [0.0]])
    trades = round_trips(ledger, market)
    assert trades.mfe.tolist() == [best * 50.0]
    assert trades.mae.tolist() == [worst * 50.0]


def test_no_fills_no_trades() -> None:
    trades, _ = trips(flat(10.0, 3), flat(10.0, 3), [[0.0]] * 3)
    assert len(trades) == 0

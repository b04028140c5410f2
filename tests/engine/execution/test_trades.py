import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from engine.execution import Commission, Execution, round_trips, simulate
from engine.results import Ledger, Targets, Trades
from tests.engine.execution.test_fills import FREE, Table, account, bars, flat

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


BOTH_WAYS = pytest.mark.parametrize("side", [1.0, -1.0])


def holding(
    units: list[float], path: Sequence[tuple[float, ...]], side: float = 1.0, **rules: Any
) -> tuple[Trades, Ledger]:
    """Trades of an account that holds ``units`` from each bar's next fill on, with 1000 and no costs.

    ``path`` are (open, close) of bars with no more range, or (open, high, low, close). A short holds the opposite
    while prices are mirrored at 20: what it makes is the same.
    """
    opened, high, low, closed = np.array([(p[0], max(p), min(p), p[-1]) for p in path]).T[:, :, None]
    held = side * np.array(units)[:, None]
    if side < 0.0:
        opened, high, low, closed = 40.0 - opened, 40.0 - low, 40.0 - high, 40.0 - closed
    market = dataclasses.replace(bars(opened.tolist(), closed.tolist()), high=high, low=low)
    wanted = Targets(held * closed, np.diff(held, axis=0, prepend=0.0) != 0.0, held, notional=True)
    ledger = simulate(market, wanted, Execution(**{**FREE, "allow_leverage": True, **rules}), 1000.0)
    return round_trips(ledger, market), ledger


@BOTH_WAYS
def test_an_add_on_a_rising_price_leaves_the_bars_before_it_as_they_were(side: float) -> None:
    """20 at 10 fall to 9 before 10 more come at 20: at worst -20, where equity stood at 980."""
    path = [(10.0, 10.0), (10.0, 9.0), (20.0, 20.0), (20.0, 18.0), (19.0, 19.0)]
    trades, ledger = holding([20.0, 20.0, 30.0, 0.0, 0.0], path, side)
    assert ledger.fills.quantity.tolist() == [side * q for q in (20.0, 10.0, -30.0)]
    assert trades.mae.tolist() == pytest.approx([-20.0])
    assert trades.mfe.tolist() == pytest.approx([200.0])
    assert float(ledger.equity.min()) == pytest.approx(980.0)
    assert float(ledger.equity.max()) == pytest.approx(1200.0)
    assert trades.pnl_gross.tolist() == pytest.approx([170.0])


@BOTH_WAYS
def test_after_a_reduction_only_what_is_left_moves_beside_what_was_realised(side: float) -> None:
    """30 at 10 fall to 8: -60. 20 go at 20 for 200, and 10 rise to 26: 160 more. They leave at 3: 70 less than 200."""
    path = [(10.0, 10.0), (10.0, 8.0), (20.0, 20.0), (20.0, 26.0), (26.0, 4.0), (3.0, 3.0)]
    trades, _ = holding([30.0, 30.0, 10.0, 10.0, 0.0, 0.0], path, side)
    assert (trades.mfe.tolist(), trades.mae.tolist()) == (pytest.approx([360.0]), pytest.approx([-60.0]))
    assert trades.pnl_gross.tolist() == pytest.approx([130.0])


@BOTH_WAYS
def test_an_add_after_a_reduction_averages_only_what_is_held(side: float) -> None:
    """20 at 10; 10 go at 16 for 60; 10 come at 20: 20 at 15. There they stand at 160, and at 4 at 60 - 220."""
    path = [(10.0, 10.0), (10.0, 14.0), (16.0, 16.0), (20.0, 4.0), (4.0, 5.0)]
    trades, ledger = holding([20.0, 10.0, 20.0, 20.0, 20.0], path, side)
    assert trades.closed.tolist() == [False]
    assert (trades.mfe.tolist(), trades.mae.tolist()) == (pytest.approx([160.0]), pytest.approx([-160.0]))
    assert float(ledger.equity.min()) == pytest.approx(840.0)


@BOTH_WAYS
def test_a_flip_parts_the_excursions_of_two_trades(side: float) -> None:
    """20 from 10 to 9, then out at 15. 10 the other way from 15 to 20: -50; 5 more at 18; at 6 they make 90 + 60."""
    path = [(10.0, 10.0), (10.0, 9.0), (12.0, 12.0), (15.0, 20.0), (18.0, 6.0), (14.0, 30.0)]
    trades, _ = holding([20.0, 20.0, -10.0, -15.0, 0.0, 0.0], path, side)
    assert trades.side.tolist() == [side, -side]
    assert trades.mfe.tolist() == pytest.approx([100.0, 150.0])
    assert trades.mae.tolist() == pytest.approx([-20.0, -50.0])


@BOTH_WAYS
def test_in_the_bar_of_a_fill_inside_it_the_smaller_holding_counts(side: float) -> None:
    """20 come at the close of bar 1, 20 at that of bar 2: 20 * 10 there, and 40 at 12. 30 go at 11: -30.

    The 10 left went with them from 5 to 30: -100 and 150. The ranges of the first bar and of the last are not seen.
    """
    path = [
        (10.0, 10.0), (10.0, 35.0, 2.0, 10.0), (10.0, 20.0, 9.0, 14.0), (14.0, 14.0),
        (14.0, 30.0, 5.0, 11.0), (11.0, 35.0, 1.0, 12.0), (12.0, 39.0, 1.0, 12.0),
    ]  # fmt: skip
    trades, _ = holding([20.0, 40.0, 40.0, 10.0, 0.0, 0.0, 0.0], path, side, fill_price="close")
    assert trades.exit_bar.tolist() == [5]
    assert trades.mfe.tolist() == pytest.approx([200.0])
    assert trades.mae.tolist() == pytest.approx([-100.0])


def test_no_fills_no_trades() -> None:
    trades, _ = trips(flat(10.0, 3), flat(10.0, 3), [[0.0]] * 3)
    assert len(trades) == 0

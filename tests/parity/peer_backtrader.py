"""backtrader on a case: cheat-on-open, so that an order decided at a close is sized and filled at the next open.

A stop and a target are orders of their own beside the entry, each cancelling the other; the one placed first is tried
first. As children of a bracket
(``bracket=True``) they would wake one bar after the entry.
"""

import warnings
from typing import Any

import numpy as np
import pandas as pd

from tests.parity.cases import CAPITAL, Case, Outcome, Trade, peer

backtrader = peer("backtrader")
Strategy: Any = backtrader.Strategy

ROUNDING = 1e-12
"""Less than all the cash, because it refuses an order that rounding makes too dear by a hair."""

DUST = 1e-9
"""A position this small, in units or beside the fill that led to it, is what rounding left of one that was closed."""


def strategy(case: Case, bracket: bool, target_first: bool, fills: list[tuple[int, float, float]]) -> Any:
    """A class for its engine: the signal of the case as orders; every fill as (bar, signed size, price)."""
    rules, signal, changes = case.rules, case.signal, case.changes
    kinds = backtrader.Order

    class Replay(Strategy):  # type: ignore[misc]
        def next_open(self) -> None:
            bar = len(self.data) - 2  # the one that has closed
            if bar < 0 or not changes[bar]:
                return
            for order in list(self.broker.get_orders_open()):
                self.cancel(order)
            side, held, opened = signal[bar], self.position.size, self.data.open[0]
            if side == 0.0:
                if abs(held) > DUST:
                    self.close()
                return
            price = opened * (1.0 + side * rules.slippage)
            cash = self.broker.get_cash() + held * price - abs(held) * price * rules.commission
            quantity = cash / (price * (1.0 + rules.commission)) * (1.0 - ROUNDING)
            self._enter(side, abs(held) + quantity, quantity, price)

        def _enter(self, side: float, size: float, quantity: float, price: float) -> None:
            act, undo = (self.buy, self.sell) if side > 0.0 else (self.sell, self.buy)
            wanted: list[dict[str, Any]] = []
            if rules.stop is not None:
                wanted.append({"exectype": kinds.Stop, "price": price * (1.0 - side * rules.stop)})
            if rules.trail is not None:
                wanted.append({"exectype": kinds.StopTrail, "trailpercent": rules.trail})
            if rules.target is not None:
                wanted.append({"exectype": kinds.Limit, "price": price * (1.0 + side * rules.target)})
            if target_first:
                wanted.reverse()
            entry = act(size=size, transmit=not (bracket and wanted))
            first = None
            for number, exit_order in enumerate(wanted, 1):
                tied = {"parent": entry, "transmit": number == len(wanted)} if bracket else {"oco": first}
                order = undo(size=quantity, **exit_order, **tied)
                first = first or order

        def notify_order(self, order: Any) -> None:
            if order.status == order.Completed:
                fills.append((len(self.data) - 1, float(order.executed.size), float(order.executed.price)))
            elif order.status in (order.Margin, order.Rejected):
                raise RuntimeError(f"refused: {order}")

    return Replay


def run_backtrader(case: Case, *, bracket: bool = False, target_first: bool = False) -> Outcome:
    market, rules = case.market, case.rules
    columns = {"open": market.open, "high": market.high, "low": market.low, "close": market.close}
    frame = pd.DataFrame(columns | {"volume": market.volume}, index=pd.to_datetime(market.time))
    fills: list[tuple[int, float, float]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cerebro = backtrader.Cerebro(cheat_on_open=True, stdstats=False)
        cerebro.adddata(backtrader.feeds.PandasData(dataname=frame))
        cerebro.addstrategy(strategy(case, bracket, target_first, fills))
        broker = cerebro.broker
        broker.set_cash(CAPITAL)
        broker.setcommission(commission=rules.commission)
        broker.set_checksubmit(False)
        broker.set_slippage_perc(rules.slippage, slip_open=True, slip_match=True, slip_out=True)
        cerebro.run()
    return Outcome(_round_trips(fills), float(broker.getvalue()))


def _round_trips(fills: list[tuple[int, float, float]]) -> list[Trade]:
    """Its orders cross zero in one fill; a trade ends where the position does."""
    trades: list[Trade] = []
    held = 0.0
    for bar, size, price in fills:
        if held:
            trades[-1] = trades[-1]._replace(exit_bar=bar, exit_price=price)
        left = held + size
        held = 0.0 if abs(left) <= DUST * abs(size) else left
        if held:
            trades.append(Trade(int(np.sign(held)), bar, -1, abs(held), price, np.nan))
    return trades

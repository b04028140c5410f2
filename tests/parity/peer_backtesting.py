"""backtesting.py on a case: ``FractionalBacktest``, an order at every change of the signal, filled at the next open.

What needs help to be ours:

- It slips entries only (``spread``), so the commission function charges the slip of an exit, and the price reported
  here is the one after it.
- A commission function is given a size and a price, so it must know from the order of its calls what it is asked for:
  the estimate of an order sized as a fraction, then the entry, then the exit, then the entry again for the report.
- A trailing stop is moved by the strategy, from the bars before.
"""

import warnings
from typing import Any

import numpy as np
import pandas as pd

from tests.parity.cases import CAPITAL, Case, Outcome, Rules, Trade, peer

Strategy: Any = peer("backtesting").Strategy
FractionalBacktest: Any = peer("backtesting.lib").FractionalBacktest

UNIT = 2.0**-40
"""Of a share: quantities are whole numbers of it, rounded down, and prices are multiplied by it, here exactly."""


class Costs:
    """The commission and, at an exit, the slip, as the function the broker calls with size and price."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.entering = False

    def __call__(self, size: float, price: float) -> float:
        slip, rate, side = self.rules.slippage, self.rules.commission, np.sign(size)
        if abs(size) < 1.0:
            self.entering = True
            return float(abs(size) * price * (1.0 + side * slip) * rate)
        if self.entering:
            self.entering = False
            return float(abs(size) * price * rate)
        return float(abs(size) * price * (slip + (1.0 - side * slip) * rate))


def strategy(case: Case) -> Any:
    """A class for its engine: the signal of the case as orders."""
    market, rules, signal, changes = case.market, case.rules, case.signal, case.changes

    class Replay(Strategy):  # type: ignore[misc]
        def init(self) -> None:
            pass

        def next(self) -> None:
            bar = len(self.data) - 1
            if not changes[bar]:
                self._trail()
                self._leave(bar)
                return
            self._leave()
            if signal[bar] != 0.0 and bar + 1 < len(signal):
                self._enter(int(signal[bar]), market.open[bar + 1])

        def _leave(self, bar: int | None = None) -> None:
            """Close at the next open: all, or what has been held long enough by the end of this bar."""
            for trade in self.trades:
                if bar is None or (rules.hold is not None and bar - trade.entry_bar + 1 >= rules.hold):
                    trade.close()

        def _enter(self, side: int, opened: float) -> None:
            entry = opened * (1.0 + side * rules.slippage) * UNIT
            stop = rules.trail if rules.stop is None else rules.stop
            levels = {
                "sl": None if stop is None else entry * (1.0 - side * stop),
                "tp": None if rules.target is None else entry * (1.0 + side * rules.target),
            }
            if side > 0:
                self.buy(**levels)
            else:
                self.sell(**levels)

        def _trail(self) -> None:
            if rules.trail is None:
                return
            for trade in self.trades:
                seen = slice(trade.entry_bar, None)
                if trade.is_long:
                    best = max(trade.entry_price, self.data.High[seen].max())
                    trade.sl = max(trade.sl, best * (1.0 - rules.trail))
                else:
                    best = min(trade.entry_price, self.data.Low[seen].min())
                    trade.sl = min(trade.sl, best * (1.0 + rules.trail))

    return Replay


def run_backtesting(case: Case) -> Outcome:
    market, rules = case.market, case.rules
    columns = {"Open": market.open, "High": market.high, "Low": market.low, "Close": market.close}
    frame = pd.DataFrame(columns | {"Volume": market.volume}, index=pd.to_datetime(market.time))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        test = FractionalBacktest(
            frame,
            strategy(case),
            cash=CAPITAL,
            spread=rules.slippage,
            commission=Costs(rules),
            fractional_unit=UNIT,
        )
        stats = test.run()
    trades = [_closed(rules, row) for row in stats["_trades"].itertuples()]
    trades += [
        Trade(int(np.sign(t.size)), t.entry_bar, -1, abs(t.size) * UNIT, t.entry_price / UNIT, np.nan)
        for t in stats["_strategy"].trades
    ]
    return Outcome(sorted(trades, key=lambda trade: trade.entry_bar), float(stats["_equity_curve"]["Equity"].iloc[-1]))


def _closed(rules: Rules, row: Any) -> Trade:
    side = int(np.sign(row.Size))
    paid = row.ExitPrice * (1.0 - side * rules.slippage)
    return Trade(side, row.EntryBar, row.ExitBar, abs(row.Size), row.EntryPrice, paid)

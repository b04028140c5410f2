"""Round trips (semantics section 6): from flat to flat, or to the flip."""

import math
from dataclasses import dataclass, field

from tests.oracle.account import Account, Fill, priced, sign, valid


@dataclass
class Trade:
    """The fills of a position from flat to flat, in time. ``accrued`` is borrow since the last of them."""

    asset: int
    side: int
    fills: list[Fill] = field(default_factory=list)
    ended: bool = False
    mark: float = 0.0
    accrued: float = 0.0

    @property
    def entries(self) -> list[Fill]:
        return [f for f in self.fills if f.leg == "OPEN"]

    @property
    def exits(self) -> list[Fill]:
        return [f for f in self.fills if f.leg == "CLOSE"]

    @property
    def quantity(self) -> float:
        return sum(abs(f.quantity) for f in self.entries)

    @property
    def entry_price(self) -> float:
        return average_price(self.entries)

    @property
    def exit_price(self) -> float:
        return average_price(self.exits) if self.exits else math.nan

    @property
    def borrow(self) -> float:
        return sum(f.borrow for f in self.fills) + self.accrued

    @property
    def net(self) -> float:
        held = 0.0 if self.ended else sum(f.quantity for f in self.fills)
        return sum(f.cash_flow for f in self.fills) + held * self.mark - self.borrow

    @property
    def gross(self) -> float:
        return self.net + self.borrow + sum(f.commission + f.slippage for f in self.fills)


def average_price(fills: list[Fill]) -> float:
    return sum(abs(f.quantity) * f.price for f in fills) / sum(abs(f.quantity) for f in fills)


def round_trips(account: Account) -> list[Trade]:
    """Every trade, by asset and entry."""
    trades: list[Trade] = []
    running: dict[int, Trade] = {}
    for fill in account.fills:
        asset = fill.order.asset
        if asset not in running:
            running[asset] = Trade(asset, int(sign(fill.quantity)))
            trades.append(running[asset])
        running[asset].fills.append(fill)
        if fill.position == 0.0:
            running.pop(asset).ended = True
    for asset, trade in running.items():
        trade.mark = account.mark[-1][asset]
        trade.accrued = account.positions[asset].borrow
    return sorted(trades, key=lambda trade: trade.asset)


def excursions(account: Account, trade: Trade) -> tuple[tuple[float, float], tuple[float, float]]:
    """The least and the most that best and worst excursion can be.

    A bar between two fills counts whole, with what was held then and what was sold before. Of the bar of a fill inside
    it no more is sure than what both holdings, before and after the fill, would have made of it: nothing, where one of
    them is flat. Possible is what either would have made.
    """
    market, fills = account.market, trade.fills
    last = fills[-1].bar if trade.ended else market.bars - 1
    end = result(fills, math.nan if trade.ended else trade.mark)
    sure_best, sure_worst, best, worst = (max(0.0, end), min(0.0, end)) * 2
    for t in range(fills[0].bar, last + 1):
        if not priced(market, trade.asset, t):
            continue
        before = [f for f in fills if f.bar < t or (f.bar == t and f.moment == "OPEN")]
        after = [f for f in fills if f.bar < t or (f.bar == t and f.moment != "END")]
        high, low = market.high[t][trade.asset], market.low[t][trade.asset]
        made = [[result(done, p) for p in (high, low)] for done in (before, after) if held(done) != 0.0]
        if not made:
            continue
        best = max(best, *(max(of) for of in made))
        worst = min(worst, *(min(of) for of in made))
        if valid(account, trade.asset, t) and held(before) != 0.0 and held(after) != 0.0:
            sure_best = max(sure_best, min(max(of) for of in made))
            sure_worst = min(sure_worst, max(min(of) for of in made))
    return (sure_best, best), (sure_worst, worst)


def held(fills: list[Fill]) -> float:
    """What is held after some of a trade's fills."""
    return fills[-1].position if fills else 0.0


def result(fills: list[Fill], price: float) -> float:
    """What some of a trade's fills brought in, fees apart, and what is held after them at a price."""
    value = held(fills) * price if held(fills) != 0.0 else 0.0
    return math.fsum([value, *(-f.quantity * f.price for f in fills)])

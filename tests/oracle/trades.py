"""Round trips (semantics section 6): from flat to flat, or to the flip."""

import math
from dataclasses import dataclass, field

from tests.oracle.account import Account, Fill, priced, sign, valid


@dataclass
class Trade:
    """The fills that opened a position and those that closed it. ``accrued`` is borrow since the last of them."""

    asset: int
    side: int
    entries: list[Fill] = field(default_factory=list)
    exits: list[Fill] = field(default_factory=list)
    ended: bool = False
    mark: float = 0.0
    accrued: float = 0.0

    @property
    def fills(self) -> list[Fill]:
        return self.entries + self.exits

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
        (running[asset].entries if fill.leg == "OPEN" else running[asset].exits).append(fill)
        if fill.position == 0.0:
            running.pop(asset).ended = True
    for asset, trade in running.items():
        trade.mark = account.mark[-1][asset]
        trade.accrued = account.positions[asset].borrow
    return sorted(trades, key=lambda trade: trade.asset)


def excursions(account: Account, trade: Trade) -> tuple[tuple[float, float], tuple[float, float]]:
    """The least and the most that best and worst excursion can be, for one fill in and at most one out.

    Bars between entry and exit count whole. Of the bar of a fill inside it nothing but its price is known to lie
    within the trade, and nothing outside its range does.
    """
    market, entry = account.market, trade.entries[0]
    last = trade.exits[-1].bar if trade.ended else market.bars - 1
    sure = [trade.exit_price] if trade.ended else [trade.mark]
    possible = list(sure)
    for t in range(entry.bar, last + 1):
        high, low = market.high[t][trade.asset], market.low[t][trade.asset]
        ends_here = trade.ended and t == last
        if not priced(market, trade.asset, t) or (ends_here and trade.exits[-1].moment == "OPEN"):
            continue
        possible += [high, low]
        if not ends_here and valid(account, trade.asset, t) and (t > entry.bar or entry.moment == "OPEN"):
            sure += [high, low]
    gains = [[trade.side * (p - trade.entry_price) * trade.quantity for p in ps] for ps in (sure, possible)]
    best = max(0.0, *gains[0]), max(0.0, *gains[1])
    worst = min(0.0, *gains[0]), min(0.0, *gains[1])
    return best, worst

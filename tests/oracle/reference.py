"""A second engine: naive, slow and meant to be read against semantics sections 2 to 4 and 6.

Plain Python floats, lists and dictionaries; nothing is taken from ``engine``. Every list of a market is indexed
``[bar][asset]``. Where the two engines differ, one of them misreads the contract.
"""

import math
from dataclasses import dataclass, field

Grid = list[list[float]]
Flags = list[list[bool]]

DUST = 1e-9


@dataclass
class Market:
    """Prices by bar and asset, and whether a fill may happen there."""

    open: Grid
    close: Grid
    tradable: Flags

    @property
    def bars(self) -> int:
        return len(self.open)

    @property
    def assets(self) -> int:
        return len(self.open[0])


@dataclass
class Rules:
    """What the contract leaves to the configuration."""

    fill_lag: int = 1
    size_at: str = "decision"
    slippage: float = 0.0
    commission: float = 0.0


@dataclass
class Order:
    """One order from its decision to its end. ``target`` is the quantity to hold afterwards."""

    asset: int
    decided: int
    due: int
    cause: str
    weight: float
    target: float
    asked: float
    outcome: str = ""
    reason: str = "NONE"
    filled_bar: int = -1
    price: float = math.nan
    filled: float = 0.0
    commission: float = 0.0
    slippage: float = 0.0
    scale: float = 1.0

    def lose(self, reason: str) -> None:
        self.outcome = "UNFILLED"
        self.reason = reason


@dataclass
class Fill:
    """One leg of an order. ``quantity`` is signed; ``ends`` says that it leaves the symbol flat."""

    order: Order
    bar: int
    leg: str
    quantity: float
    price: float
    commission: float
    slippage: float
    ends: bool

    @property
    def cash_flow(self) -> float:
        return -self.quantity * self.price - self.commission


@dataclass
class Trade:
    """A round trip: the fills that opened and those that closed it."""

    asset: int
    side: int
    entries: list[Fill] = field(default_factory=list)
    exits: list[Fill] = field(default_factory=list)
    ended: bool = False
    mark: float = 0.0

    @property
    def quantity(self) -> float:
        return sum(abs(f.quantity) for f in self.entries)

    @property
    def entry_price(self) -> float:
        return average_price(self.entries)

    @property
    def exit_price(self) -> float:
        return average_price(self.exits) if self.ended else math.nan

    @property
    def net(self) -> float:
        fills = self.entries + self.exits
        held = sum(f.quantity for f in fills)
        return sum(f.cash_flow for f in fills) + (0.0 if self.ended else held * self.mark)

    @property
    def gross(self) -> float:
        return self.net + sum(f.commission + f.slippage for f in self.entries + self.exits)


@dataclass
class Account:
    """Everything that happened to the money.

    ``dust`` says that somewhere a difference of equal numbers decided: whether anything is left to trade, or
    whether any room is left in a full account. Two correct engines may then differ by an order worth nothing.
    """

    cash: list[float] = field(default_factory=list)
    equity: list[float] = field(default_factory=list)
    held: Grid = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)
    ruined: int = -1
    dust: bool = False


# --- signals -----------------------------------------------------------------------------------------------


def average(values: list[float]) -> float:
    return math.fsum(values) / len(values)


def sma(values: list[float], length: int) -> list[float | None]:
    """The mean of the last ``length`` values of each bar, where there are that many."""
    return [average(values[t + 1 - length : t + 1]) if t + 1 >= length else None for t in range(len(values))]


def lag(values: list[float | None], bars: int) -> list[float | None]:
    """What was known ``bars`` bars ago."""
    return [values[t - bars] if t >= bars else None for t in range(len(values))]


def dual_sma(close: list[float], fast: int, slow: int, feature_lag: int) -> list[float]:
    """+1 while the fast average is above the slow one, -1 below, 0 while equal or not yet known."""
    signal = []
    for quick, calm in zip(lag(sma(close, fast), feature_lag), lag(sma(close, slow), feature_lag), strict=True):
        if quick is None or calm is None or abs(quick - calm) <= 1e-12 * abs(calm):
            signal.append(0.0)
        else:
            signal.append(1.0 if quick > calm else -1.0)
    return signal


def buy_and_hold(close: list[float]) -> list[float]:
    return [1.0 for _ in close]


def decisions(signal: list[float], fraction: float, allow_short: bool) -> tuple[Grid, Flags]:
    """The target weight of each bar, and whether an order leaves: the clipped signal has changed."""
    clipped = [value if allow_short or value > 0.0 else 0.0 for value in signal]
    before = [0.0, *clipped[:-1]]
    return [[value * fraction] for value in clipped], [[a != b] for a, b in zip(before, clipped, strict=True)]


# --- the account -------------------------------------------------------------------------------------------


def ledger(market: Market, weights: Grid, decides: Flags, rules: Rules, capital: float) -> Account:
    """Bar by bar: fill at the open, mark at the close, then decide."""
    account = Account()
    cash = capital
    held = [0.0] * market.assets
    waiting: dict[int, Order] = {}
    for t in range(market.bars):
        cash = fill_bar(t, market, rules, account, waiting, held, cash)
        equity = worth(cash, held, market.close[t])
        account.cash.append(cash)
        account.equity.append(equity)
        account.held.append(list(held))
        if account.ruined < 0 and equity <= 0.0:
            account.ruined = t
            wind_up(t, account, waiting, held)
        elif account.ruined < 0:
            for i in range(market.assets):
                if decides[t][i]:
                    decide(t, i, weights[t][i], equity / market.close[t][i], rules, account, waiting, held)
    for order in waiting.values():
        order.lose("END_OF_DATA")
    return account


def worth(cash: float, held: list[float], prices: list[float]) -> float:
    return cash + sum(q * p for q, p in zip(held, prices, strict=True))


def wind_up(t: int, account: Account, waiting: dict[int, Order], held: list[float]) -> None:
    """Ruin: forget what was waiting and close every position at the next tradable open."""
    for order in waiting.values():
        order.lose("SUPERSEDED")
    waiting.clear()
    for i, q in enumerate(held):
        if q != 0.0:
            order = Order(i, t, t + 1, "RUIN", 0.0, 0.0, -q)
            account.orders.append(order)
            waiting[i] = order


def decide(
    t: int,
    asset: int,
    weight: float,
    units_of_equity: float,
    rules: Rules,
    account: Account,
    waiting: dict[int, Order],
    held: list[float],
) -> None:
    """The newest decision counts, even one with nothing to trade."""
    if asset in waiting:
        waiting.pop(asset).lose("SUPERSEDED")
    target = weight * units_of_equity
    asked = target - held[asset]
    account.dust |= negligible(asked, target)
    if asked != 0.0:
        order = Order(asset, t, t + rules.fill_lag, "SIGNAL", weight, target, asked)
        account.orders.append(order)
        waiting[asset] = order


def fill_bar(
    t: int,
    market: Market,
    rules: Rules,
    account: Account,
    waiting: dict[int, Order],
    held: list[float],
    cash: float,
) -> float:
    """Trade what is due at the open of bar ``t``; returns the cash left."""
    ready = [o for o in waiting.values() if o.due <= t and market.tradable[t][o.asset]]
    if not ready:
        return cash
    prices = [market.open[t][i] if market.tradable[t][i] else market.close[t - 1][i] for i in range(market.assets)]
    worth_now = max(worth(cash, held, prices), 0.0)
    for order in ready:
        del waiting[order.asset]
        raw = prices[order.asset]
        if rules.size_at == "fill":
            order.target = order.weight * worth_now / raw
            order.asked = order.target - held[order.asset]
            account.dust |= negligible(order.asked, order.target)
        order.price = raw * (1.0 + side(order.asked) * rules.slippage)
    raws = {o.asset: prices[o.asset] for o in ready}
    legs = {o.asset: split(held[o.asset], o.target) for o in ready}
    for order in ready:
        closing, opening = legs[order.asset]
        if closing != 0.0:
            ends = closing == -held[order.asset]
            cash += trade(t, order, "CLOSE", closing, raws[order.asset], rules, ends, account)
            held[order.asset] = order.target if opening == 0.0 else 0.0

    for order in ready:
        prices[order.asset] = order.price
    gross = sum(abs(q) * p for q, p in zip(held, prices, strict=True))
    room = worth(cash, held, prices) - gross
    need = sum(abs(legs[o.asset][1]) * o.price for o in ready) * (1.0 + rules.commission)
    account.dust |= need > 0.0 and negligible(room, gross)
    scale = 1.0 if need == 0.0 else min(1.0, max(room, 0.0) / need)

    for order in ready:
        opening = legs[order.asset][1]
        if opening != 0.0:
            order.scale = scale
        if opening * scale != 0.0:
            cash += trade(t, order, "OPEN", opening * scale, raws[order.asset], rules, False, account)
            held[order.asset] += opening * scale
        if order.filled_bar < 0:
            order.price = math.nan
            order.lose("NO_CASH")
    return cash


def trade(
    t: int, order: Order, leg: str, quantity: float, raw: float, rules: Rules, ends: bool, account: Account
) -> float:
    """Book one leg; returns what it does to cash."""
    commission = abs(quantity) * order.price * rules.commission
    slippage = abs(quantity) * abs(order.price - raw)
    fill = Fill(order, t, leg, quantity, order.price, commission, slippage, ends)
    account.fills.append(fill)
    order.outcome = "FILLED"
    order.filled_bar = t
    order.filled += quantity
    order.commission += commission
    order.slippage += slippage
    return fill.cash_flow


def negligible(value: float, of: float) -> bool:
    return of != 0.0 and abs(value) <= DUST * abs(of)


def side(quantity: float) -> float:
    return 1.0 if quantity > 0.0 else -1.0


def split(held: float, target: float) -> tuple[float, float]:
    """What to close and what to open, signed: a trade through zero is both."""
    if held * target <= 0.0:
        return -held, target
    if abs(target) < abs(held):
        return target - held, 0.0
    return 0.0, target - held


# --- what is told about it ---------------------------------------------------------------------------------


def average_price(fills: list[Fill]) -> float:
    return sum(abs(f.quantity) * f.price for f in fills) / sum(abs(f.quantity) for f in fills)


def round_trips(account: Account, market: Market) -> list[Trade]:
    """Flat to flat, or to the flip, by asset and entry."""
    trades: list[Trade] = []
    running: dict[int, Trade] = {}
    for fill in account.fills:
        asset = fill.order.asset
        if asset not in running:
            running[asset] = Trade(asset, int(side(fill.quantity)), mark=market.close[-1][asset])
            trades.append(running[asset])
        (running[asset].entries if fill.leg == "OPEN" else running[asset].exits).append(fill)
        if fill.ends:
            running.pop(asset).ended = True
    return sorted(trades, key=lambda trade: (trade.asset, trade.entries[0].bar))


def funnel(account: Account, decides: Flags) -> dict[str, object]:
    """Decisions, orders, fills, and why orders were lost."""
    filled = [o for o in account.orders if o.outcome == "FILLED"]
    lost = [o.reason for o in account.orders if o.outcome == "UNFILLED"]
    return {
        "decisions": sum(sum(row) for row in decides),
        "orders": len(account.orders),
        "filled": len(filled),
        "scaled": sum(o.scale < 1.0 for o in filled),
        "unfilled": {reason: lost.count(reason) for reason in set(lost)},
        "fills": len(account.fills),
    }

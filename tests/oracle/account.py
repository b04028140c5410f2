"""What the second engine works with: a market, rules, and the account with its orders and fills.

Plain Python floats, lists and dictionaries; nothing is taken from ``engine``. Every grid is ``[bar][asset]``.
"""

import math
from dataclasses import dataclass, field

Grid = list[list[float]]
Flags = list[list[bool]]

DUST = 1e-9
"""Differences below this part of their terms are what 1e-9 of agreement cannot resolve."""
ROUNDING = 1e-12
"""Differences below this part of their terms are rounding errors: the terms are equal."""
NOISE = 1e-14
"""Differences below this part of their terms are equal to any engine."""

YEAR = 365 * 86_400 * 1_000_000_000


@dataclass
class Market:
    """Prices by bar and asset. ``closed_at`` are the ends of the bars in nanoseconds; NaN is no price.

    ``tradable`` says where something was traded; unless given, that is where there is volume, if there is any at all.
    """

    open: Grid
    high: Grid
    low: Grid
    close: Grid
    volume: Grid
    closed_at: list[int]
    vwap: Grid | None = None
    tradable: Flags | None = None

    @property
    def bars(self) -> int:
        return len(self.open)

    @property
    def assets(self) -> int:
        return len(self.open[0])

    def has_volume(self, asset: int) -> bool:
        """Whether the symbol has volume anywhere at all."""
        return any(row[asset] > 0.0 for row in self.volume)

    def trades(self, asset: int, bar: int) -> bool:
        """Whether something was traded in a bar, or nothing is ever known to be."""
        if self.tradable is not None:
            return self.tradable[bar][asset]
        return self.volume[bar][asset] > 0.0 or not self.has_volume(asset)


@dataclass
class Costs:
    """What one symbol costs. ``impact`` is the number of the slippage model: spread, impact or k."""

    model: str = "none"
    impact: float = 0.0
    lookback: int = 20
    slippage: float = 0.0
    commission: float = 0.0
    per_unit: float = 0.0
    per_order: float = 0.0
    minimum: float = 0.0
    borrow_rate: float = 0.0
    step: float = 0.0
    min_notional: float = 0.0
    max_participation: float | None = None


@dataclass
class Rules:
    """What the contract leaves to the configuration. ``costs`` has one entry an asset, or one for all."""

    fill_lag: int = 1
    fill_price: str = "open"
    size_at: str = "decision"
    on_change: bool = True
    band: float = 0.0
    cash_rate: float = 0.0
    allow_short: bool = True
    allow_leverage: bool = False
    untradable: str = "wait"
    stop_loss: float | None = None
    take_profit: float | None = None
    trailing_stop: float | None = None
    max_holding: int | None = None
    bar_path: str = "stop_first"
    end_policy: str = "mark"
    notional: bool = False
    costs: list[Costs] = field(default_factory=lambda: [Costs()])

    def of(self, asset: int) -> Costs:
        return self.costs[asset] if len(self.costs) > 1 else self.costs[0]


@dataclass
class Order:
    """One order from its decision to its end. ``target`` is the quantity to hold afterwards.

    ``wish`` is the weight, or the currency where sizing is in currency. ``traded`` and ``paid`` are the absolute
    quantity, the notional and the commission so far of each leg. In a portfolio ``cut`` is what its rules left of
    the weight, before there was any question of cash; ``factor`` is the share of it that redundancy with the symbol
    ``partner`` left, ``rho`` their correlation.
    """

    asset: int
    decided: int
    due: int
    cause: str
    weight: float
    wish: float
    target: float
    asked: float
    sized: bool = True
    outcome: str = "UNFILLED"
    reason: str = "END_OF_DATA"
    filled_bar: int = -1
    moment: str = ""
    price: float = math.nan
    filled: float = 0.0
    commission: float = 0.0
    slippage: float = 0.0
    scale: float = 1.0
    scale_reason: str = "NONE"
    cut: float = 1.0
    cut_reason: str = "NONE"
    partner: int = -1
    rho: float = math.nan
    factor: float = 1.0
    traded: dict[str, list[float]] = field(default_factory=lambda: {"CLOSE": [0.0] * 3, "OPEN": [0.0] * 3})

    @property
    def side(self) -> float:
        """The sign of the position it is after; where it is sized at the fill that of its weight."""
        return sign(self.target if self.sized else self.wish)

    def end(self, reason: str) -> None:
        """It ends before it is complete."""
        self.outcome = "PARTIAL" if self.filled != 0.0 else "UNFILLED"
        self.reason = reason

    def complete(self) -> None:
        self.outcome, self.reason = "FILLED", "NONE"


@dataclass
class Fill:
    """One leg of an order. ``quantity`` is signed, ``position`` what is held afterwards."""

    order: Order
    bar: int
    moment: str
    leg: str
    quantity: float
    position: float
    price: float
    commission: float
    slippage: float
    borrow: float

    @property
    def cash_flow(self) -> float:
        return -self.quantity * self.price - self.commission


@dataclass
class Position:
    """One asset in the account; what belongs to the entry is set when a position leaves zero.

    ``average`` is the cost of a unit: openings move it, reductions do not.
    """

    held: float = 0.0
    mark: float = math.nan
    entry_bar: int = -1
    average: float = math.nan
    extreme: float = math.nan
    borrow: float = 0.0
    blocked: float = 0.0
    exit: Order | None = None
    waiting: Order | None = None
    used: float = 0.0

    @property
    def side(self) -> float:
        return sign(self.held)


@dataclass
class Account:
    """Everything that happens to the money.

    ``dust`` says that somewhere a difference of equal numbers decided: whether anything is left to trade, or
    whether any room is left in a full account. Two correct engines may then differ by an order worth nothing.
    """

    market: Market
    rules: Rules
    money: float
    positions: list[Position]
    t: int = 0
    cash: list[float] = field(default_factory=list)
    equity: list[float] = field(default_factory=list)
    held: Grid = field(default_factory=list)
    mark: Grid = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)
    ruined: int = -1
    borrow: float = 0.0
    interest: float = 0.0
    ambiguous: int = 0
    dust: bool = False

    def same(self, a: float, b: float) -> bool:
        """Equal but for rounding errors."""
        size = max(abs(a), abs(b))
        self.dust |= NOISE * size < abs(a - b) <= DUST * size
        return abs(a - b) <= ROUNDING * size

    def above(self, a: float, b: float) -> bool:
        """``a > b``; where only rounding errors may say so, that is noted."""
        self.dust |= 0.0 < abs(a - b) <= DUST * max(abs(a), abs(b))
        return a > b

    def worth(self, prices: list[float]) -> float:
        """Cash and positions at these prices, in the order of the assets."""
        total = self.money
        for p, price in zip(self.positions, prices, strict=True):
            total += p.held * price if p.held != 0.0 else 0.0
        return total

    def place(self, asset: int, decided: int, cause: str, target: float, weight: float, wish: float) -> Order:
        """A new row of the order ledger."""
        asked = target - self.positions[asset].held
        order = Order(asset, decided, decided + self.rules.fill_lag, cause, weight, wish, target, asked)
        self.orders.append(order)
        return order


# --- bars ----------------------------------------------------------------------------------------------------


def sign(value: float) -> float:
    return float((value > 0.0) - (value < 0.0))


def positive(price: float) -> bool:
    return math.isfinite(price) and price > 0.0


def priced(market: Market, asset: int, bar: int) -> bool:
    """The four prices of a bar are finite and above zero."""
    return all(positive(grid[bar][asset]) for grid in (market.open, market.high, market.low, market.close))


def valid(account: Account, asset: int, bar: int | None = None) -> bool:
    """So are all prices of a bar (this one unless told) that the run may use."""
    bar = account.t if bar is None else bar
    if account.rules.fill_price == "vwap":
        assert account.market.vwap is not None
        if not positive(account.market.vwap[bar][asset]):
            return False
    return priced(account.market, asset, bar)


def tradable(account: Account, asset: int) -> bool:
    """Valid, and something was traded if the symbol has volume (or zero volume is to be ignored)."""
    if not valid(account, asset):
        return False
    return account.rules.untradable == "fill" or account.market.trades(asset, account.t)


def base_price(account: Account, asset: int) -> float:
    """The price of the bar at which signals' orders fill, before costs."""
    market, t = account.market, account.t
    high, low, close = market.high[t][asset], market.low[t][asset], market.close[t][asset]
    match account.rules.fill_price:
        case "open":
            return market.open[t][asset]
        case "mid":
            return (high + low) / 2.0
        case "typical":
            return (high + low + close) / 3.0
        case "vwap":
            assert market.vwap is not None
            return market.vwap[t][asset]
    return close

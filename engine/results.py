"""The frozen values that pass between the stages of a run.

Arrays are (time, asset) or one-dimensional over orders, fills or trades; docstrings say which. Codes are
small integers inside arrays and become the names of these enumerations where a run leaves the engine.
"""

from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from typing import Any

import numpy as np

from engine.types import Bools, Floats, Ints, Times


class Outcome(IntEnum):
    """How an order ended."""

    FILLED = 0
    UNFILLED = 1
    PARTIAL = 2


class Reason(IntEnum):
    """Why an order did not fill, or filled smaller. ``NONE`` becomes null outside."""

    NONE = 0
    END_OF_DATA = 1
    NO_CASH = 2
    SUPERSEDED = 3
    NO_PRICE = 4
    ZERO_VOLUME = 5
    MIN_NOTIONAL = 6
    LOT_ROUNDED_TO_ZERO = 7
    SHORT_NOT_ALLOWED = 8
    CANCELLED_BY_EXIT = 9
    EXPOSURE_LIMIT = 10
    MAX_POSITIONS = 11
    CORRELATED = 12
    SYMBOL_HALTED = 13
    PORTFOLIO_HALTED = 14


class Cause(IntEnum):
    """What made an order: signal, ruin (equity at or below zero at a close), exit, limit on losses, or end of data."""

    SIGNAL = 0
    RUIN = 1
    STOP_LOSS = 2
    TAKE_PROFIT = 3
    TRAILING_STOP = 4
    TIME = 5
    END = 6
    DAILY_LOSS = 7
    DRAWDOWN = 8
    ENDED = 9


class Happening(IntEnum):
    """What befell a symbol or the account: halted until the next day, stopped for good, or without further data."""

    HALTED = 0
    STOPPED = 1
    INACTIVE = 2


class Moment(IntEnum):
    """When in its bar a fill happens: at the open time, or (inside and at the end) at the close time."""

    OPEN = 0
    INSIDE = 1
    END = 2


class Leg(IntEnum):
    """A fill that crosses zero is two: close, then open."""

    CLOSE = 0
    OPEN = 1


@dataclass(frozen=True)
class Interval:
    """A confidence interval: in a share ``level`` of samples ``low`` and ``high`` hold the true value between them.

    ``method`` names the formula; all of them take the sample's members as independent.
    """

    level: float
    low: float
    high: float
    method: str


@dataclass(frozen=True)
class Metric:
    """A number with its unit, or null (``value is None``) with the reason why it is undefined.

    ``interval`` says how well the number is known, for the metrics whose sampling error has a formula.
    """

    value: float | None
    unit: str
    reason: str | None = None
    interval: Interval | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain form for an artifact: ``value``, ``unit`` and ``reason``; ``interval`` only where there is one."""
        values = {"value": self.value, "unit": self.unit, "reason": self.reason}
        return values if self.interval is None else values | {"interval": vars(self.interval)}


@dataclass(frozen=True)
class Signals:
    """``values`` (T, N) in [-1, 1]; ``warmup`` is the number of bars a strategy needs; until then values are 0."""

    values: Floats
    warmup: int


@dataclass(frozen=True)
class Targets:
    """What sizing asks for: all (T, N).

    ``weights`` are signed notional as a fraction of equity, or currency where ``notional``; ``decides``: an order
    may leave here; ``signals`` after warm-up, for the rules that hang on the sign of a signal.
    """

    weights: Floats
    decides: Bools
    signals: Floats
    notional: bool = False


@dataclass(frozen=True)
class Orders:
    """One entry an order, by decision. ``filled_bar`` is -1 and the prices NaN where nothing filled.

    ``quantity`` is what was asked for, signed (buy positive); ``filled`` what was traded, signed.
    ``price`` is the average, ``filled_bar`` and ``moment`` those of the last fill. ``commission`` and ``slippage``
    are currency, at least 0. ``scale`` is the factor on the opening part, ``scale_reason`` why it is below 1.
    ``partner`` is the symbol it is redundant with or -1, ``rho`` their correlation, ``factor`` what that made of its
    weight.
    """

    asset: Ints
    decided_bar: Ints
    cause: Ints
    weight: Floats
    quantity: Floats
    outcome: Ints
    reason: Ints
    filled_bar: Ints
    moment: Ints
    price: Floats
    filled: Floats
    commission: Floats
    slippage: Floats
    scale: Floats
    scale_reason: Ints
    partner: Ints
    rho: Floats
    factor: Floats

    def __len__(self) -> int:
        return len(self.asset)


@dataclass(frozen=True)
class Fills:
    """One entry a leg, in time order.

    ``quantity`` is signed, ``position`` what is held after it; costs are currency, at least 0. ``borrow`` is what
    the position paid since its fill before. ``stop`` and ``target`` are the levels in force, infinite for none.
    """

    order: Ints
    asset: Ints
    bar: Ints
    moment: Ints
    leg: Ints
    position: Floats
    quantity: Floats
    price: Floats
    commission: Floats
    slippage: Floats
    borrow: Floats
    stop: Floats
    target: Floats

    def __len__(self) -> int:
        return len(self.order)


@dataclass(frozen=True)
class Events:
    """What befell symbols and the account, in time order. ``asset`` is -1 for the account; ``kind`` a Happening."""

    bar: Ints
    asset: Ints
    kind: Ints

    def __len__(self) -> int:
        return len(self.bar)


@dataclass(frozen=True)
class Snapshots:
    """Taken at closes: ``bar`` (S,), ``diversification`` (S,) NaN where there is none, ``observations`` (S,) returns.

    Pairs of symbols in long form: ``pair_bar``, ``first``, ``second``, ``correlation``, each (P,).
    """

    bar: Ints
    diversification: Floats
    observations: Ints
    pair_bar: Ints
    first: Ints
    second: Ints
    correlation: Floats

    def __len__(self) -> int:
        return len(self.bar)


@dataclass(frozen=True)
class Ledger:
    """What the account went through.

    ``path`` (T + 1,) is the initial capital, then equity at each close; ``mark`` (T, N) the prices behind it. What a
    bar without a fill only repeats is not stored: ``cash`` and ``quantity`` follow from the fills.
    """

    path: Floats
    mark: Floats
    orders: Orders
    fills: Fills
    ruined_bar: int
    """The bar at whose close equity was at or below zero, or -1."""
    accrued: Floats
    """(T,) interest less borrow up to each close; empty where nothing accrues."""
    idle: Floats
    """(T + 1,) what one unit of idle cash is worth at the points of ``path``; empty where it earns nothing."""
    borrow: float
    """Paid for shorts, currency."""
    interest: float
    """Earned on idle cash, currency."""
    open_borrow: Floats
    """(N,) borrow of each position since its last fill."""
    ambiguous: int
    """How often stop and target lay inside one bar."""
    events: Events
    snapshots: Snapshots

    def mark_of(self, i: int) -> Floats:
        """(T,) prices behind the equity of one symbol."""
        marks: Floats = self.mark[:, i]
        return marks

    @property
    def initial_capital(self) -> float:
        """Currency."""
        return float(self.path[0])

    @property
    def equity(self) -> Floats:
        """(T,) at each close."""
        return self.path[1:]

    @cached_property
    def cash(self) -> Floats:
        """(T,) at each close."""
        bars, balance = self._balance
        cash: Floats = np.repeat(balance, np.diff(bars, append=len(self.equity)))
        return cash + self.accrued if len(self.accrued) else cash

    @property
    def lowest_cash(self) -> float:
        """The least cash at any close."""
        return float((self.cash if len(self.accrued) else self._balance[1]).min())

    @cached_property
    def _balance(self) -> tuple[Ints, Floats]:
        """The bars at which cash changes by fills, from bar 0 on, and the balance from each of them."""
        fills = self.fills
        flows = -fills.quantity * fills.price - fills.commission
        balance = np.cumsum(np.concatenate(([self.initial_capital], flows)))
        last = np.flatnonzero(np.diff(fills.bar, append=len(self.equity)))
        bars, after = fills.bar[last], balance[1:][last]
        if len(bars) and bars[0] == 0:
            return bars, after
        return np.concatenate((np.zeros(1, dtype=np.int64), bars)), np.concatenate((balance[:1], after))

    @cached_property
    def quantity(self) -> Floats:
        """(T, N) positions at each close."""
        assets = len(self.open_borrow)
        if assets == 1:
            return self.quantity_of(0).reshape(-1, 1)
        return np.column_stack([self.quantity_of(i) for i in range(assets)])

    def quantity_of(self, i: int) -> Floats:
        """(T,) position of one symbol at each close."""
        return self._from_fills(i, self.fills.position[self.fills.asset == i])

    def average_of(self, i: int) -> Floats:
        """(T,) average price of the position of one symbol at each close; 0 where there is none."""
        mine = np.flatnonzero(self.fills.asset == i)
        prices, held, price = [], 0.0, 0.0
        for after, paid in zip(self.fills.position[mine].tolist(), self.fills.price[mine].tolist(), strict=True):
            if abs(after) > abs(held):
                price = (price * abs(held) + paid * (abs(after) - abs(held))) / abs(after)
            held = after
            prices.append(price if after != 0.0 else 0.0)
        return self._from_fills(i, np.array(prices))

    def _from_fills(self, i: int, values: Floats) -> Floats:
        """(T,) of a value that each fill of a symbol sets; 0 before the first."""
        result: Floats = np.zeros(len(self.equity))
        bars = self.fills.bar[self.fills.asset == i]
        last = np.flatnonzero(np.diff(bars, append=len(result)))
        if len(last):
            result[bars[last[0]] :] = np.repeat(values[last], np.diff(bars[last], append=len(result)))
        return result

    @property
    def values(self) -> Floats:
        """(T, N) signed market value of each position at each close."""
        return self.quantity * self.mark


@dataclass(frozen=True)
class Trades:
    """Round trips from flat to flat (or to the flip), in order of entry; average-cost accounting.

    ``side`` is +1 or -1, ``quantity`` the total opened. Prices are average fill prices. An open trade has
    ``exit_bar`` -1, and as ``exit_price`` the average of what was closed so far, NaN if nothing; its P&L is
    marked at the last close. ``pnl_gross`` is before costs, so ``pnl_net = pnl_gross - commissions - slippages -
    borrow_cost``. Levels are those at the last fill, infinite for none. ``mfe`` and ``mae`` are the best and
    worst excursion in currency while the trade was open (at least 0, at most 0): what its reductions realised so far
    plus what it held then, before commission and borrow.
    """

    asset: Ints
    side: Ints
    entry_order: Ints
    exit_order: Ints
    entry_bar: Ints
    exit_bar: Ints
    entry_moment: Ints
    exit_moment: Ints
    entry_price: Floats
    exit_price: Floats
    quantity: Floats
    entry_commission: Floats
    exit_commission: Floats
    entry_slippage: Floats
    exit_slippage: Floats
    borrow_cost: Floats
    stop_level: Floats
    target_level: Floats
    pnl_gross: Floats
    pnl_net: Floats
    mfe: Floats
    mae: Floats

    def __len__(self) -> int:
        return len(self.asset)

    @property
    def closed(self) -> Bools:
        """(K,) True where the trade has ended."""
        ended: Bools = self.exit_bar >= 0
        return ended


@dataclass(frozen=True)
class Curve:
    """Equity by day: ``day_close`` (D,) ns of the last close of each day, ``equity`` (D + 1,) from the capital on.

    ``annual`` is the number of days a year has on the run's calendar, ``idle`` (D,) what idle cash returned on each
    day; empty where it earns nothing.
    """

    day_close: Times
    equity: Floats
    annual: float
    idle: Floats = field(default_factory=lambda: np.empty(0))

    def excess(self, returns: Floats) -> Floats:
        """``returns`` (D,) less those of idle cash."""
        return returns - self.idle if len(self.idle) else returns

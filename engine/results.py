"""The frozen values that pass between the stages of a run.

Arrays are (time, asset) or one-dimensional over orders, fills or trades; docstrings say which. Codes are
small integers inside arrays and become the names of these enumerations where a run leaves the engine.
"""

from dataclasses import dataclass
from enum import IntEnum

from engine.types import Bools, Floats, Ints, Times


class Outcome(IntEnum):
    """How an order ended."""

    FILLED = 0
    UNFILLED = 1


class Reason(IntEnum):
    """Why an order did not fill, or filled smaller. ``NONE`` becomes null outside."""

    NONE = 0
    END_OF_DATA = 1
    NO_CASH = 2
    SUPERSEDED = 3


class Cause(IntEnum):
    """What made an order: the strategy's signal, or ruin (equity at or below zero at a close)."""

    SIGNAL = 0
    RUIN = 1


class Leg(IntEnum):
    """A fill that crosses zero is two: close, then open."""

    CLOSE = 0
    OPEN = 1


@dataclass(frozen=True)
class Metric:
    """A number with its unit, or null (``value is None``) with the reason why it is undefined."""

    value: float | None
    unit: str
    reason: str | None = None


@dataclass(frozen=True)
class Signals:
    """``values`` (T, N) in [-1, 1]; ``warmup`` is the number of bars a strategy needs; until then values are 0."""

    values: Floats
    warmup: int


@dataclass(frozen=True)
class Targets:
    """``weights`` (T, N), signed notional as a fraction of equity; ``decides`` (T, N): an order leaves here."""

    weights: Floats
    decides: Bools


@dataclass(frozen=True)
class Orders:
    """One entry an order, by decision. ``filled_bar`` is -1 and the prices NaN where nothing filled.

    ``quantity`` is what was asked for, signed (buy positive); ``filled`` what was traded, signed.
    ``commission`` and ``slippage`` are currency, at least 0. ``scale`` is the factor on the opening part.
    """

    asset: Ints
    decided_bar: Ints
    cause: Ints
    weight: Floats
    quantity: Floats
    outcome: Ints
    reason: Ints
    filled_bar: Ints
    price: Floats
    filled: Floats
    commission: Floats
    slippage: Floats
    scale: Floats

    def __len__(self) -> int:
        return len(self.asset)


@dataclass(frozen=True)
class Fills:
    """One entry a leg, in time order.

    ``quantity`` is signed, ``position`` what is held after it; costs are currency, at least 0.
    """

    order: Ints
    asset: Ints
    bar: Ints
    leg: Ints
    position: Floats
    quantity: Floats
    price: Floats
    commission: Floats
    slippage: Floats

    def __len__(self) -> int:
        return len(self.order)


@dataclass(frozen=True)
class Ledger:
    """What the account went through. ``cash``, ``equity`` (T,) and ``quantity``, ``mark`` (T, N) at each close."""

    initial_capital: float
    cash: Floats
    equity: Floats
    quantity: Floats
    mark: Floats
    orders: Orders
    fills: Fills
    ruined_bar: int
    """The bar at whose close equity was at or below zero, or -1."""

    @property
    def values(self) -> Floats:
        """(T, N) signed market value of each position at each close."""
        return self.quantity * self.mark


@dataclass(frozen=True)
class Trades:
    """Round trips from flat to flat (or to the flip), in order of entry; average-cost accounting.

    ``side`` is +1 or -1, ``quantity`` the total opened. Prices are average fill prices. An open trade has
    ``exit_bar`` -1, and as ``exit_price`` the average of what was closed so far, NaN if nothing; its P&L is
    marked at the last close. ``pnl_gross`` is before slippage and commission, so ``pnl_net = pnl_gross -
    commissions - slippages``. ``mfe`` and ``mae`` are the best and worst excursion in currency while the trade
    was open (at least 0, at most 0).
    """

    asset: Ints
    side: Ints
    entry_order: Ints
    exit_order: Ints
    entry_bar: Ints
    exit_bar: Ints
    entry_price: Floats
    exit_price: Floats
    quantity: Floats
    entry_commission: Floats
    exit_commission: Floats
    entry_slippage: Floats
    exit_slippage: Floats
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

    ``annual`` is the number of days a year has on the run's calendar.
    """

    day_close: Times
    equity: Floats
    annual: float

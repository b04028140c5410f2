"""The ledger in plain Python: what the kernel in ``fills`` means (semantics sections 2 to 6); never used by a run.

Tests hold the two equal. Sums are taken in the kernel's order: that an order trades nothing hangs on the last bit.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

from engine.execution.fills import ROUNDING, Records
from engine.results import Cause, Leg, Outcome, Reason
from engine.types import Bools, Floats

Prices = Sequence[float]


@dataclass
class Order:
    """A row of the order ledger. Until something happens to it, it ends with the data."""

    asset: int
    decided_bar: int
    cause: Cause
    weight: float
    quantity: float
    outcome: Outcome = Outcome.UNFILLED
    reason: Reason = Reason.END_OF_DATA
    filled_bar: int = -1
    price: float = math.nan
    filled: float = 0.0
    commission: float = 0.0
    slippage: float = 0.0
    scale: float = 1.0


@dataclass(frozen=True)
class Fill:
    """A row of the fill ledger: one leg."""

    order: int
    asset: int
    bar: int
    leg: Leg
    position: float
    quantity: float
    price: float
    commission: float
    slippage: float


@dataclass(frozen=True)
class Waiting:
    """An order that fills from bar ``due`` on; ``wanted`` is a quantity or, sized at the fill, a weight."""

    number: int
    due: int
    wanted: float


class Account:
    """Cash, positions, waiting orders, the two ledgers; ``marks`` are the prices that hold at the moment."""

    def __init__(self, capital: float, marks: Prices, slippage: float, commission: float) -> None:
        self.cash = capital
        self.marks = marks
        self.position = [0.0] * len(marks)
        self.waiting: dict[int, Waiting] = {}
        self.orders: list[Order] = []
        self.fills: list[Fill] = []
        self.slippage = slippage
        self.commission = commission

    def equity(self) -> float:
        """Cash plus the sum of quantity times mark."""
        return in_order(self.cash, (q * p for q, p in zip(self.position, self.marks, strict=True)))

    def decide(self, asset: int, t: int, cause: Cause, weight: float, target: float) -> bool:
        """Supersede the order that waits; a new one leaves unless it would trade nothing."""
        if asset in self.waiting:
            self.orders[self.waiting.pop(asset).number].reason = Reason.SUPERSEDED
        if same_plain(target, self.position[asset]):
            return False
        self.orders.append(Order(asset, t, cause, weight, target - self.position[asset]))
        return True

    def targets(self, due: Sequence[int], size_at_fill: bool) -> dict[int, float]:
        """Target quantities: as decided, or from weights with equity marked at the fill price."""
        if not size_at_fill:
            return {i: self.waiting[i].wanted for i in due}
        equity = max(self.equity(), 0.0)
        targets = {i: self.waiting[i].wanted * equity / self.marks[i] for i in due}
        for i in due:
            if same_plain(targets[i], self.position[i]):
                targets[i] = self.position[i]
            self.orders[self.waiting[i].number].quantity = targets[i] - self.position[i]
        return targets

    def fill(self, t: int, targets: Mapping[int, float]) -> None:
        """Trade target minus position: reductions first, then openings under one factor."""
        price, opening = list(self.marks), [0.0] * len(self.marks)
        for i, target in targets.items():
            side = 1.0 if target > self.position[i] else -1.0
            price[i] = self.marks[i] * (1.0 + side * self.slippage)
            closing, opening[i] = legs(self.position[i], target)
            if closing > 0.0:
                after = target if opening[i] == 0.0 else 0.0
                self.book(i, Leg.CLOSE, t, side * closing, price[i], after)
        scale = self.cash_factor(opening, price)
        for i, target in targets.items():
            order = self.orders[self.waiting[i].number]
            if opening[i] > 0.0:
                order.scale = scale
                signed = math.copysign(opening[i] * scale, target)
                if scale > 0.0:
                    after = target if scale == 1.0 else self.position[i] + signed
                    self.book(i, Leg.OPEN, t, signed, price[i], after)
            if order.outcome == Outcome.UNFILLED:
                order.reason = Reason.NO_CASH
            del self.waiting[i]

    def cash_factor(self, opening: Prices, price: Prices) -> float:
        """The factor on openings that keeps gross exposure within equity, costs paid, at the fill prices."""
        held = zip(self.position, price, strict=True)
        room = in_order(self.cash, (q * p - abs(q) * p for q, p in held))
        gross = in_order(0.0, (abs(q) * p for q, p in zip(self.position, price, strict=True)))
        room = 0.0 if room <= ROUNDING * gross else room
        wants = zip(opening, price, strict=True)
        need = in_order(0.0, (q * p for q, p in wants)) * (1.0 + self.commission)
        return room / need if need > room * (1.0 + ROUNDING) else 1.0

    def book(self, asset: int, leg: Leg, t: int, signed: float, price: float, after: float) -> None:
        """Write one leg. Cash pays for it and for commission; slippage is in the price, noted beside it."""
        self.position[asset] = after
        number, amount = self.waiting[asset].number, abs(signed)
        order = self.orders[number]
        fee, slip = amount * price * self.commission, amount * abs(price - self.marks[asset])
        self.fills.append(Fill(number, asset, t, leg, after, signed, price, fee, slip))
        order.outcome, order.reason, order.filled_bar, order.price = Outcome.FILLED, Reason.NONE, t, price
        order.filled += signed
        order.commission += fee
        order.slippage += slip
        self.cash += -signed * price - fee


def in_order(start: float, terms: Iterable[float]) -> float:
    """A sum from left to right; ``sum`` compensates from Python 3.12 on."""
    return reduce(add, terms, start)


def same_plain(target: float, held: float) -> bool:
    """Twin of :func:`engine.execution.fills.same`."""
    return abs(target - held) <= ROUNDING * max(abs(target), abs(held))


def legs(held: float, target: float) -> tuple[float, float]:
    """What a trade closes and what it opens, absolute. One that crosses zero does both."""
    if held * target <= 0.0:
        return abs(held), abs(target)
    return max(abs(held) - abs(target), 0.0), max(abs(target) - abs(held), 0.0)


def write(records: Records, rows: Sequence[Order] | Sequence[Fill]) -> int:
    """Put ledger rows into the array a kernel would have filled; returns how many."""
    for k, row in enumerate(rows):
        records[k] = tuple(vars(row).values())
    return len(rows)


def ledger_plain(
    opens: Floats,
    closes: Floats,
    tradable: Bools,
    weights: Floats,
    decides: Bools,
    initial_capital: float,
    fill_lag: int,
    slippage: float,
    commission: float,
    size_at_fill: bool,
    orders: Records,
    fills: Records,
    cash_out: Floats,
    equity_out: Floats,
    quantity_out: Floats,
) -> tuple[int, int, int]:
    """Twin of :func:`engine.execution.fills.ledger`."""
    assets = range(closes.shape[1])
    account = Account(initial_capital, opens[0].tolist(), slippage, commission)
    ruined_bar = -1
    for t, (opened, closed) in enumerate(zip(opens.tolist(), closes.tolist(), strict=True)):
        live = tradable[t].tolist()
        due = [i for i in assets if i in account.waiting and t >= account.waiting[i].due and live[i]]
        if due:
            account.marks = [opened[i] if live[i] else account.marks[i] for i in assets]
            account.fill(t, account.targets(due, size_at_fill))
        account.marks = closed
        equity = account.equity()
        cash_out[t], equity_out[t], quantity_out[t] = account.cash, equity, account.position
        if ruined_bar >= 0:
            continue  # no order after ruin
        ruined = equity <= 0.0
        ruined_bar = t if ruined else -1
        for i in (i for i in assets if ruined or decides[t, i]):
            weight = 0.0 if ruined else float(weights[t, i])
            target = weight * equity / closed[i]
            if account.decide(i, t, Cause.RUIN if ruined else Cause.SIGNAL, weight, target):
                lag, wanted = 1 if ruined else fill_lag, weight if size_at_fill else target
                account.waiting[i] = Waiting(len(account.orders) - 1, t + lag, wanted)
    return write(orders, account.orders), write(fills, account.fills), ruined_bar

"""The account of the plain ledger: what is held, what waits, what was written, and what a trade costs.

The state that :mod:`engine.execution.plain` moves from bar to bar (semantics sections 3, 4 and 6).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import NamedTuple

from engine.execution.inputs import Market, Records, Rules
from engine.execution.pricing import ROUNDING, WHOLE
from engine.execution.slippage import LARGEST_IMPACT, PARTICIPATION, SPREAD, SQUARE_ROOT
from engine.results import Cause, Leg, Moment, Outcome, Reason

YEAR_NS = 365 * 86_400 * 10**9


class Terms(NamedTuple):
    """One symbol's costs and quantities, as in ``TERMS``."""

    slippage: int
    amount: float
    slippage_rate: float
    commission_rate: float
    per_unit: float
    per_order: float
    minimum: float
    borrow_rate: float
    step: float
    min_notional: float
    participation: float


class Bar(NamedTuple):
    """One symbol's bar. ``base`` is the price its orders fill at, ``mark`` the last valid close."""

    open: float
    high: float
    low: float
    base: float
    mark: float
    volume: float
    valid: bool
    tradable: bool

    @property
    def value(self) -> float:
        """The price that holds when orders fill: the base price, or the mark where the bar has none."""
        return self.base if self.valid else self.mark


@dataclass
class Order:
    """A row of the order ledger, as in ``ORDER``. Until something happens to it, it ends with the data."""

    asset: int
    decided_bar: int
    cause: Cause
    weight: float
    quantity: float
    outcome: Outcome = Outcome.UNFILLED
    reason: Reason = Reason.END_OF_DATA
    filled_bar: int = -1
    moment: Moment = Moment.OPEN
    price: float = math.nan
    filled: float = 0.0
    commission: float = 0.0
    slippage: float = 0.0
    scale: float = 1.0
    scale_reason: Reason = Reason.NONE
    close_fills: int = 0
    open_fills: int = 0
    close_variable: float = 0.0
    open_variable: float = 0.0
    partner: int = -1
    rho: float = math.nan
    factor: float = 1.0

    @property
    def has_filled(self) -> bool:
        return self.close_fills + self.open_fills > 0

    def charge(self, leg: Leg, variable: float, terms: Terms) -> float:
        """Commission of one more fill of a leg: what is due for all of them less what is paid."""
        if leg == Leg.CLOSE:
            paid = fee_plain(terms, self.close_fills, self.close_variable)
            self.close_fills += 1
            self.close_variable += variable
            return fee_plain(terms, self.close_fills, self.close_variable) - paid
        paid = fee_plain(terms, self.open_fills, self.open_variable)
        self.open_fills += 1
        self.open_variable += variable
        return fee_plain(terms, self.open_fills, self.open_variable) - paid


@dataclass(frozen=True)
class Fill:
    """A row of the fill ledger, as in ``FILL``: one leg."""

    order: int
    asset: int
    bar: int
    moment: Moment
    leg: Leg
    position: float
    quantity: float
    price: float
    commission: float
    slippage: float
    borrow: float
    stop: float
    target: float


@dataclass
class Position:
    """What is held of one symbol, and what its next bars must know.

    ``average`` and ``extreme`` are prices since the entry, ``borrow`` what was paid since the last fill, ``leaving``
    the number of the exit that goes on, ``blocked`` the sign that may not come back, ``used`` this bar's volume.
    """

    quantity: float = 0.0
    average: float = 0.0
    extreme: float = 0.0
    entry_bar: int = -1
    borrow: float = 0.0
    leaving: int | None = None
    blocked: int = 0
    used: float = 0.0
    flow: float = 0.0

    @property
    def side(self) -> int:
        """+1 long, -1 short, 0 flat."""
        return sign(self.quantity)

    def enter(self, t: int, signed: float, price: float) -> None:
        """An opening fill: the average moves, the extreme only at the first."""
        held, amount = abs(self.quantity), abs(signed)
        if held == 0.0:
            self.average, self.extreme, self.entry_bar = price, price, t
        else:
            self.average = (self.average * held + price * amount) / (held + amount)

    def levels(self, rules: Rules) -> tuple[float, float, Cause]:
        """The tighter stop, the target, each infinite where there is none, and the cause a stop would have."""
        side = self.side
        stops = [(-side * math.inf, Cause.STOP_LOSS)]
        if rules.stop_loss:
            stops.append((self.average * (1.0 - side * rules.stop_loss), Cause.STOP_LOSS))
        if rules.trailing_stop:
            stops.append((self.extreme * (1.0 - side * rules.trailing_stop), Cause.TRAILING_STOP))
        stop, cause = max(stops, key=lambda level: side * level[0])
        target = self.average * (1.0 + side * rules.take_profit) if rules.take_profit else side * math.inf
        return stop, target, cause


@dataclass
class Waiting:
    """An order that fills from bar ``due`` on. ``wanted`` is a quantity, or until ``sized`` a weight or notional."""

    number: int
    due: int
    wanted: float
    sized: bool


class Account:
    """Cash, positions, waiting orders, and the two ledgers."""

    def __init__(self, market: Market, terms: Records, rules: Rules, capital: float) -> None:
        self.market, self.rules = market, rules
        self.terms = [Terms(*row) for row in terms.tolist()]
        self.assets = range(len(self.terms))
        self.cash = float(capital)
        self.positions = [Position() for _ in self.assets]
        self.waiting: dict[int, Waiting] = {}
        self.orders: list[Order] = []
        self.fills: list[Fill] = []
        self.borrow = 0.0
        self.interest = 0.0
        self.ambiguous = 0

    def bar(self, t: int, i: int) -> Bar:
        """One symbol's bar; NaN what nothing asks for."""
        m = self.market
        opened, high, low, base, mark, volume = (
            float(p[t, i]) if p.size else math.nan for p in (m.open, m.high, m.low, m.base, m.mark, m.volume)
        )
        return Bar(opened, high, low, base, mark, volume, bool(m.valid[t, i]), bool(m.tradable[t, i]))

    def equity(self, prices: Sequence[float]) -> float:
        """Cash plus the sum of quantity times price, in the order of symbols."""
        held = zip(self.positions, prices, strict=True)
        return in_order(self.cash, (own.quantity * p for own, p in held if own.quantity))

    def accrue(self, t: int) -> None:
        """Borrow on shorts and interest on idle cash between two marks, on what stood at the first; actual/365."""
        years = int(self.market.close_time[t] - self.market.close_time[t - 1]) / YEAR_NS
        interest = self.rules.cash_rate * max(self.cash, 0.0) * years
        borrow = 0.0
        for i, own in enumerate(self.positions):
            if own.side < 0:
                cost = self.terms[i].borrow_rate * -own.quantity * float(self.market.mark[t - 1, i]) * years
                own.borrow += cost
                own.flow -= cost
                borrow += cost
        self.cash += interest - borrow
        self.borrow += borrow
        self.interest += interest

    def place(self, i: int, decided: int, cause: Cause, weight: float, quantity: float) -> int:
        """Write a new order; returns its number."""
        self.orders.append(Order(i, decided, cause, weight, quantity))
        return len(self.orders) - 1

    def end(self, i: int, reason: Reason) -> None:
        """What waits of a symbol ends; where it has filled something it stays partial."""
        self.orders[self.waiting.pop(i).number].reason = reason

    def cap(self, t: int, i: int) -> float:
        """What participation leaves of the bar's volume, in whole lots."""
        terms = self.terms[i]
        if not terms.participation:
            return math.inf
        left = terms.participation * self.bar(t, i).volume - self.positions[i].used
        return to_lot_plain(max(left, 0.0), terms.step)

    def price(self, t: int, i: int, decided: int, base: float, signed: float) -> float:
        """The price of trading a signed quantity, slippage applied; sigma and ADV are those of the decision."""
        sigma, adv = (float(a[decided, i]) if a.size else 0.0 for a in (self.market.sigma, self.market.adv))
        return impacted_plain(self.terms[i], base, sign(signed), abs(signed), self.bar(t, i).volume, sigma, adv)

    def trade(self, number: int, leg: Leg, t: int, moment: Moment, signed: float, base: float, after: float) -> float:
        """Write one leg into both ledgers and pay for it; returns its price.

        Cash pays for it and for commission; slippage is in the price, noted beside it.
        """
        order = self.orders[number]
        i, amount = order.asset, abs(signed)
        own, terms = self.positions[i], self.terms[i]
        bar = order.decided_bar if order.cause == Cause.ENDED else t
        price = base if order.cause == Cause.TAKE_PROFIT else self.price(bar, i, order.decided_bar, base, signed)
        variable = amount * price * terms.commission_rate + amount * terms.per_unit
        fee, slip = order.charge(leg, variable, terms), amount * abs(price - base)
        if leg == Leg.OPEN:
            own.enter(t, signed, price)
            own.quantity = after
        stop, target, _ = own.levels(self.rules)
        own.quantity = after
        self.fills.append(
            Fill(number, i, t, moment, leg, after, signed, price, fee, slip, own.borrow, stop, target)
        )  # fmt: skip
        own.borrow = 0.0
        own.used += amount
        before = abs(order.filled)
        order.price = (order.price * before + price * amount) / (before + amount) if before else price
        order.filled += signed
        order.filled_bar, order.moment = t, moment
        order.commission += fee
        order.slippage += slip
        own.flow -= signed * price + fee
        self.cash += -signed * price - fee
        return price


def sign(value: float) -> int:
    """+1, -1 or 0."""
    return (value > 0.0) - (value < 0.0)


def in_order(start: float, terms: Iterable[float]) -> float:
    """A sum from left to right; ``sum`` compensates from Python 3.12 on."""
    return reduce(add, terms, start)


def same_plain(target: float, held: float) -> bool:
    """Twin of :func:`engine.execution.pricing.same`."""
    return abs(target - held) <= ROUNDING * max(abs(target), abs(held))


def to_lot_plain(quantity: float, step: float) -> float:
    """Twin of :func:`engine.execution.pricing.to_lot`."""
    if step == 0.0:
        return quantity
    lots = math.floor(abs(quantity) / step + WHOLE)
    return sign(quantity) * (lots * step)


def impacted_plain(
    terms: Terms, base: float, side: int, quantity: float, volume: float, sigma: float, adv: float
) -> float:
    """Twin of :func:`engine.execution.pricing.impacted`: the slippage model, then the basis points."""
    impact = 0.0
    if terms.slippage == SPREAD:
        impact = terms.amount
    elif terms.slippage == PARTICIPATION:
        impact = terms.amount * (min(1.0, quantity / volume) if volume > 0.0 else 1.0)
    elif terms.slippage == SQUARE_ROOT and sigma > 0.0:
        law = terms.amount * sigma * math.sqrt(quantity / adv) if adv > 0.0 else math.inf
        impact = min(LARGEST_IMPACT, law)
    return base * (1.0 + side * impact) * (1.0 + side * terms.slippage_rate)


def fee_plain(terms: Terms, fills: int, variable: float) -> float:
    """Twin of :func:`engine.execution.pricing.fee`."""
    return max(variable + terms.per_order, terms.minimum) if fills else 0.0


def cash_factor_plain(
    cash: float, quantity: Sequence[float], price: Sequence[float], opening: Sequence[float], terms: Sequence[Terms]
) -> float:
    """Twin of :func:`engine.execution.pricing.cash_factor`."""
    held = [(q, p) for q, p in zip(quantity, price, strict=True) if q]
    wants = [(q, p, own) for q, p, own in zip(opening, price, terms, strict=True) if q > 0.0]
    room = in_order(cash, (q * p - abs(q) * p for q, p in held))
    room -= in_order(0.0, (max(own.per_order, own.minimum) for _, _, own in wants))
    if room <= ROUNDING * in_order(0.0, (abs(q) * p for q, p in held)):
        room = 0.0
    need = in_order(0.0, (q * (p * (1.0 + own.commission_rate) + own.per_unit) for q, p, own in wants))
    return room / need if need > room * (1.0 + ROUNDING) else 1.0

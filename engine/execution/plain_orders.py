"""Decisions and due orders in plain Python: what the kernels in ``decisions`` and ``due`` mean; never used by a run."""

import math
from dataclasses import dataclass

from engine.execution.plain_account import Account, Waiting, cash_factor_plain, same_plain, sign, to_lot_plain
from engine.results import Cause, Leg, Moment, Outcome, Reason


@dataclass
class Attempt:
    """One try of a due order: what it still opens in this bar, and whether the cap leaves something over."""

    asset: int
    number: int
    target: float
    base: float
    opening: float = 0.0
    capped: bool = False


def fill_due(account: Account, t: int, moment: Moment) -> None:
    """Phase 2 or 4: reductions first, then openings under one factor."""
    bars = [account.bar(t, i) for i in account.assets]
    due = [i for i in account.assets if is_due(account, t, i)]
    if account.rules.skip:
        for i in (i for i in due if not bars[i].tradable):
            account.end(i, Reason.ZERO_VOLUME if bars[i].valid else Reason.NO_PRICE)
    prices = [bar.value for bar in bars]
    equity = account.equity(prices)
    ready = [i for i in due if bars[i].tradable and size(account, t, i, bars[i].base, equity)]
    attempts = [Attempt(i, account.waiting[i].number, account.waiting[i].wanted, bars[i].base) for i in ready]
    for attempt in attempts:
        prices[attempt.asset] = reduce_position(account, t, moment, attempt)
    held = [own.quantity for own in account.positions]
    opening = [0.0 for _ in account.assets]
    for attempt in attempts:
        opening[attempt.asset] = attempt.opening
    factor = 1.0 if account.rules.allow_leverage else cash_factor_plain(
        account.cash, held, prices, opening, account.terms
    )  # fmt: skip
    for attempt in attempts:
        open_position(account, t, moment, attempt, factor)
        settle(account, attempt, factor)


def is_due(account: Account, t: int, i: int) -> bool:
    """Whether an order may fill from this bar on; not while an exit of its symbol goes on."""
    return i in account.waiting and t >= account.waiting[i].due and account.positions[i].leaving is None


def size(account: Account, t: int, i: int, base: float, equity: float) -> bool:
    """Size an order at its first attempt, if sized at the fill; whether there is something to trade."""
    order, held = account.waiting[i], account.positions[i].quantity
    if order.sized:
        return True
    row = account.orders[order.number]
    notional = order.wanted if account.rules.notional else order.wanted * max(equity, 0.0)
    exact = notional / base
    target = to_lot_plain(exact, account.terms[i].step)
    if same_plain(target, held):
        target = held
    order.wanted, order.sized = target, True
    row.quantity = target - held
    if target != held:
        return True
    if row.weight and not notional:
        account.end(i, Reason.NO_CASH)
    elif same_plain(exact, held):
        row.outcome, row.filled_bar = Outcome.FILLED, t
        account.end(i, Reason.NONE)
    else:
        account.end(i, Reason.LOT_ROUNDED_TO_ZERO)
    return False


def legs(held: float, target: float) -> tuple[float, float]:
    """What a trade closes and what it opens, absolute. One that crosses zero does both."""
    if held * target <= 0.0:
        return abs(held), abs(target)
    return max(abs(held) - abs(target), 0.0), max(abs(target) - abs(held), 0.0)


def reduce_position(account: Account, t: int, moment: Moment, attempt: Attempt) -> float:
    """Trade the closing leg as far as the cap lets it, and say what may open.

    Returns the price for the factor: of the opening at its whole quantity, else of the closing, else the base.
    """
    i, base, target = attempt.asset, attempt.base, attempt.target
    own, cap, price = account.positions[i], account.cap(t, i), attempt.base
    closing, opening = legs(own.quantity, target)
    side = sign(target - own.quantity)
    amount = min(closing, cap)
    if amount > 0.0:
        after = own.quantity + side * amount
        if amount == closing:
            after = 0.0 if own.quantity * target <= 0.0 else target
        price = account.trade(attempt.number, Leg.CLOSE, t, moment, side * amount, base, after)
    if amount < closing:
        attempt.capped = True
        return price
    order = account.orders[attempt.number]
    if opening > 0.0 and opening * base < account.terms[i].min_notional:
        order.scale, order.scale_reason = 0.0, Reason.MIN_NOTIONAL
        return price
    attempt.capped = opening > cap - amount
    attempt.opening = min(opening, cap - amount)
    return account.price(t, i, order.decided_bar, base, side * attempt.opening) if attempt.opening > 0.0 else price


def open_position(account: Account, t: int, moment: Moment, attempt: Attempt, factor: float) -> None:
    """Trade the opening leg times the factor, in whole lots."""
    own, terms = account.positions[attempt.asset], account.terms[attempt.asset]
    order, amount = account.orders[attempt.number], attempt.opening
    if amount > 0.0 and factor < 1.0:
        amount = to_lot_plain(amount * factor, terms.step)
        order.scale, order.scale_reason = order.scale * factor, Reason.NO_CASH
        if factor > 0.0 and (amount == 0.0 or amount * attempt.base < terms.min_notional):
            reason = Reason.MIN_NOTIONAL if amount else Reason.LOT_ROUNDED_TO_ZERO
            amount, order.scale, order.scale_reason = 0.0, 0.0, reason
    if amount > 0.0:
        signed = sign(attempt.target) * amount
        whole = factor == 1.0 and not attempt.capped
        after = attempt.target if whole else own.quantity + signed
        account.trade(attempt.number, Leg.OPEN, t, moment, signed, attempt.base, after)


def settle(account: Account, attempt: Attempt, factor: float) -> None:
    """How an attempt leaves its order: it waits for the rest that the cap left over, or ends."""
    order, scaled = account.orders[attempt.number], attempt.opening > 0.0 and factor < 1.0
    if attempt.capped and order.has_filled:
        order.outcome = Outcome.PARTIAL
    if attempt.capped and not scaled:
        return
    reason = order.scale_reason
    if order.has_filled and attempt.capped:
        reason = Reason.NO_CASH
    elif order.has_filled:
        order.outcome, reason = Outcome.FILLED, Reason.NONE
    account.end(attempt.asset, reason)


def decide(account: Account, t: int, i: int, wish: float, turned: bool, equity: float) -> None:
    """Phase 6: a decision supersedes what waits; an order leaves unless nothing is to trade.

    ``wish`` is a weight, or currency under ``notional``; ``turned``: the signal changed at this bar.
    """
    rules, own, mark = account.rules, account.positions[i], account.bar(t, i).mark
    if i in account.waiting:
        account.end(i, Reason.SUPERSEDED)
    notional, weight = (wish, wish / equity) if rules.notional else (wish * equity, wish)
    if math.isnan(mark):  # no bar had a price yet
        refuse(account, i, t, weight, 0.0, Reason.NO_PRICE)
        return
    if notional < 0.0 and not rules.allow_short:
        if turned and not own.quantity:
            refuse(account, i, t, weight, notional / mark, Reason.SHORT_NOT_ALLOWED)
        wish = notional = weight = 0.0
    target = notional / mark
    if own.blocked or same_plain(target, own.quantity):
        return
    if own.leaving is not None and sign(target) != -own.side:
        return
    drift = abs(weight - own.quantity * mark / equity)
    if not rules.on_change and sign(target) == own.side != 0 and drift <= rules.band:
        return
    if not rules.size_at_fill:
        exact, target = target, to_lot_plain(target, account.terms[i].step)
        if same_plain(target, own.quantity):
            refuse(account, i, t, weight, exact - own.quantity, Reason.LOT_ROUNDED_TO_ZERO)
            return
    number = account.place(i, t, Cause.SIGNAL, weight, target - own.quantity)
    wanted = wish if rules.size_at_fill else target
    account.waiting[i] = Waiting(number, t + rules.fill_lag, wanted, sized=not rules.size_at_fill)


def refuse(account: Account, i: int, t: int, weight: float, quantity: float, reason: Reason) -> None:
    """An order that ends where it was decided."""
    account.orders[account.place(i, t, Cause.SIGNAL, weight, quantity)].reason = reason

"""Semantics sections 3 and 4: the orders of a bar fill together, reductions first, openings under one factor."""

from dataclasses import dataclass

from tests.oracle.account import DUST, NOISE, ROUNDING, Account, Order, base_price, sign, tradable, valid
from tests.oracle.costs import book, capacity, round_lot, slipped


@dataclass
class Attempt:
    """What one order may do in this bar. Quantities are signed; ``whole`` is the opening it still wants."""

    order: Order
    base: float
    closing: float = 0.0
    opening: float = 0.0
    capped: bool = False
    refused: str = ""
    factor: float = 1.0


def fill_due(account: Account) -> None:
    """Every order whose time has come, in a bar that can be traded."""
    ready = []
    for asset, position in enumerate(account.positions):
        order = position.waiting
        if order is None or order.due > account.t or position.exit is not None:
            continue
        if tradable(account, asset):
            ready.append(order)
        elif account.rules.untradable == "skip":
            order.end("ZERO_VOLUME" if valid(account, asset) else "NO_PRICE")
            position.waiting = None
    if not ready:
        return
    prices = [base_price(account, i) if valid(account, i) else p.mark for i, p in enumerate(account.positions)]
    equity = max(account.worth(prices), 0.0)
    moment = "OPEN" if account.rules.fill_price == "open" else "INSIDE"
    attempts = [
        Attempt(order, prices[order.asset])
        for order in ready
        if order.sized or size(account, order, equity, prices[order.asset], moment)
    ]
    for attempt in attempts:
        close_first(account, attempt, prices, moment)
    for attempt in attempts:
        want(account, attempt)
    share_the_room(account, attempts, prices)
    for attempt in attempts:
        open_rest(account, attempt, moment)
        conclude(account, attempt)


def size(account: Account, order: Order, equity: float, base: float, moment: str) -> bool:
    """``size_at`` fill, once: the quantity at today's equity and price. False if that leaves nothing to trade."""
    position = account.positions[order.asset]
    order.sized = True
    exact = (order.wish if account.rules.notional else order.wish * equity) / base
    order.target = round_lot(exact, account.rules.of(order.asset).step)
    if not account.same(order.target, position.held):
        order.asked = order.target - position.held
        return True
    order.target, order.asked = position.held, 0.0
    position.waiting = None
    if exact == 0.0 and order.weight != 0.0:
        order.end("NO_CASH")
    elif account.same(exact, position.held):
        order.complete()
        order.filled_bar, order.moment = account.t, moment
    else:
        order.end("LOT_ROUNDED_TO_ZERO")
    return False


def legs(held: float, target: float) -> tuple[float, float]:
    """What to close and what to open, signed: a trade through zero is both."""
    if held * target <= 0.0:
        return -held, target
    if abs(target) < abs(held):
        return target - held, 0.0
    return 0.0, target - held


def close_first(account: Account, attempt: Attempt, prices: list[float], moment: str) -> None:
    """Reductions are never scaled, only capped. What is left is then worth the price they got."""
    order = attempt.order
    position = account.positions[order.asset]
    closing, _ = legs(position.held, order.target)
    if closing == 0.0:
        return
    quantity = min(abs(closing), capacity(account, order.asset))
    attempt.capped = quantity < abs(closing)
    if quantity == 0.0:
        return
    attempt.closing = sign(closing) * quantity
    book(account, order, "CLOSE", attempt.closing, attempt.base, moment)
    if not attempt.capped and sign(order.target) == position.side:
        position.held = order.target
        account.fills[-1].position = order.target
    prices[order.asset] = account.fills[-1].price


def want(account: Account, attempt: Attempt) -> None:
    """What the order would open in this bar if there were money enough."""
    order = attempt.order
    _, opening = legs(account.positions[order.asset].held, order.target)
    if attempt.capped or opening == 0.0:
        return
    if abs(opening) * attempt.base < account.rules.of(order.asset).min_notional:
        attempt.refused = "MIN_NOTIONAL"
        return
    quantity = min(abs(opening), capacity(account, order.asset))
    attempt.capped = quantity < abs(opening)
    attempt.opening = sign(opening) * quantity


def share_the_room(account: Account, attempts: list[Attempt], prices: list[float]) -> None:
    """One factor for all that opens: gross exposure stays within equity at the prices paid."""
    opening = [a for a in attempts if a.opening != 0.0]
    if account.rules.allow_leverage or not opening:
        return
    fixed = need = 0.0
    for a in opening:
        costs = account.rules.of(a.order.asset)
        price = slipped(account, a.order, a.opening, a.base)
        prices[a.order.asset] = price
        fixed += max(costs.per_order, costs.minimum)
        need += abs(a.opening) * (price * (1.0 + costs.commission) + costs.per_unit)
    gross = sum(abs(p.held) * price for p, price in zip(account.positions, prices, strict=True) if p.held != 0.0)
    room = account.worth(prices) - gross
    scale = max(gross, abs(account.money))
    account.dust |= NOISE * scale < abs(room) <= DUST * scale
    factor = 0.0 if room <= ROUNDING * gross else (room - fixed) / need
    account.dust |= NOISE < abs(factor - 1.0) <= DUST or 0.0 < abs(factor) * need <= DUST * scale
    factor = 1.0 if factor >= 1.0 - ROUNDING else max(factor, 0.0)
    for a in opening:
        a.factor = factor


def open_rest(account: Account, attempt: Attempt, moment: str) -> None:
    """Open the share that fits, in whole lots, unless too little is left to be worth sending."""
    order = attempt.order
    costs = account.rules.of(order.asset)
    if attempt.opening != 0.0:
        quantity = attempt.opening * attempt.factor
        if attempt.factor < 1.0:
            quantity = round_lot(quantity, costs.step)
        if attempt.factor == 0.0:
            attempt.refused = "NO_CASH"
        elif quantity == 0.0:
            attempt.refused = "LOT_ROUNDED_TO_ZERO"
        elif attempt.factor < 1.0 and abs(quantity) * attempt.base < costs.min_notional:
            attempt.refused = "MIN_NOTIONAL"
        else:
            order.scale = order.cut * attempt.factor
            order.scale_reason = "NO_CASH" if attempt.factor < 1.0 else order.cut_reason
            book(account, order, "OPEN", quantity, attempt.base, moment)
            if attempt.factor == 1.0 and not attempt.capped:
                account.positions[order.asset].held = order.target
                account.fills[-1].position = order.target
    if attempt.refused:
        order.scale, order.scale_reason = 0.0, attempt.refused


def conclude(account: Account, attempt: Attempt) -> None:
    """A capped order waits for the next bar, unless money was what it lacked."""
    order = attempt.order
    if attempt.capped and attempt.factor == 1.0:
        if order.filled != 0.0:
            order.outcome = "PARTIAL"
        return
    account.positions[order.asset].waiting = None
    if order.filled_bar < 0:
        order.end(attempt.refused)
    elif attempt.capped:
        order.end("NO_CASH")
    else:
        order.complete()

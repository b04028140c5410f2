"""Semantics section 5: stops, targets and time exits; a position leaves at the open of a bar or inside it."""

import math
from typing import NamedTuple

from tests.oracle.account import Account, Order, Position, sign, tradable, valid
from tests.oracle.costs import book, capacity


class Levels(NamedTuple):
    """Prices at which the position leaves; an absent one is out of reach. ``cause`` is that of the stop."""

    stop: float
    target: float
    cause: str


def levels(account: Account, position: Position) -> Levels:
    """From the average entry price, and the best price of previous bars."""
    rules, side = account.rules, position.side
    stop, target, cause = -side * math.inf, side * math.inf, "STOP_LOSS"
    if rules.stop_loss is not None:
        stop = position.average * (1.0 - side * rules.stop_loss)
    if rules.trailing_stop is not None:
        trailing = position.extreme * (1.0 - side * rules.trailing_stop)
        if math.isinf(stop) or (side * trailing > side * stop and not account.same(trailing, stop)):
            stop, cause = trailing, "TRAILING_STOP"
    if rules.take_profit is not None:
        target = position.average * (1.0 + side * rules.take_profit)
    return Levels(stop, target, cause)


def leave_at_the_open(account: Account) -> None:
    """Exits that were under way, then gaps, then positions held long enough."""
    for asset, position in enumerate(account.positions):
        if position.exit is not None:
            go_on(account, asset, position.exit)
        elif position.held != 0.0 and valid(account, asset):
            opened = account.market.open[account.t][asset]
            cause = gap(account, position, opened)
            limit = account.rules.max_holding
            if not cause and limit is not None and account.t - position.entry_bar >= limit:
                cause = "" if new_signal_is_due(account, position) else "TIME"
            if cause:
                leave(account, asset, cause, opened, "OPEN")


def new_signal_is_due(account: Account, position: Position) -> bool:
    """An order that will close or turn the position makes a time exit needless."""
    order = position.waiting
    return order is not None and order.due <= account.t and order.side != position.side


def gap(account: Account, position: Position, opened: float) -> str:
    """The cause if the open is beyond a level."""
    at = levels(account, position)
    if beyond(opened, at.stop, -position.side):
        return at.cause
    return "TAKE_PROFIT" if beyond(opened, at.target, position.side) else ""


def beyond(price: float, level: float, direction: float) -> bool:
    """At the level or past it; touching counts."""
    return direction * price >= direction * level


def leave_inside(account: Account) -> None:
    """Levels inside the bar, for what was held when its range began."""
    for asset, position in enumerate(account.positions):
        if position.held == 0.0 or position.exit is not None or not valid(account, asset):
            continue
        opened = account.market.open[account.t][asset]
        cause = gap(account, position, opened)
        if cause:
            leave(account, asset, cause, opened, "OPEN")
            continue
        at = levels(account, position)
        up, down = account.market.high[account.t][asset], account.market.low[account.t][asset]
        best, worst = (up, down) if position.side > 0.0 else (down, up)
        stopped = beyond(worst, at.stop, -position.side)
        reached = beyond(best, at.target, position.side)
        if stopped and reached:
            account.ambiguous += 1
            first = account.rules.bar_path == "target_first" or (
                account.rules.bar_path == "nearest_open_first" and abs(at.target - opened) < abs(at.stop - opened)
            )
            stopped = not first
        if stopped:
            leave(account, asset, at.cause, at.stop, "INSIDE")
        elif reached:
            leave(account, asset, "TAKE_PROFIT", at.target, "INSIDE")


def leave(account: Account, asset: int, cause: str, base: float, moment: str) -> None:
    """An exit begins: an order of the same signal ends, and the signal is spent until its sign changes."""
    position = account.positions[asset]
    order = account.place(asset, account.t - 1, cause, 0.0, 0.0, 0.0)
    position.exit = order
    position.blocked = position.side
    cancel(position)
    close_out(account, asset, order, base, moment)


def go_on(account: Account, asset: int, order: Order) -> None:
    """An exit that an untradable or capped bar held up."""
    cancel(account.positions[asset])
    close_out(account, asset, order, account.market.open[account.t][asset], "OPEN")


def cancel(position: Position) -> None:
    """Orders that would hold on to the position, or close what is being closed, are pointless now."""
    order = position.waiting
    if order is not None and order.side in (0.0, position.side):
        order.end("CANCELLED_BY_EXIT")
        position.waiting = None


def close_out(account: Account, asset: int, order: Order, base: float, moment: str) -> None:
    """As much as the bar takes; the rest stays under way."""
    position = account.positions[asset]
    if not tradable(account, asset):
        return
    quantity = min(abs(position.held), capacity(account, asset))
    if quantity > 0.0:
        book(account, order, "CLOSE", -position.side * quantity, base, moment)
        order.outcome = "PARTIAL"
    if position.held == 0.0:
        order.complete()
        position.exit = None


def take_in_the_range(account: Account) -> None:
    """The best price since entry; the entry bar's range only came after an entry at the open."""
    for asset, position in enumerate(account.positions):
        if position.held == 0.0 or not valid(account, asset):
            continue
        if position.entry_bar == account.t and account.rules.fill_price != "open":
            continue
        high, low = account.market.high[account.t][asset], account.market.low[account.t][asset]
        position.extreme = max(position.extreme, high) if position.side > 0.0 else min(position.extreme, low)


def ruin(account: Account) -> None:
    """Forget what was waiting; every position closes at the next tradable open."""
    account.ruined = account.t
    for asset, position in enumerate(account.positions):
        if position.waiting is not None:
            position.waiting.end("SUPERSEDED")
            position.waiting = None
        if position.held != 0.0 and position.exit is None:
            position.exit = account.place(asset, account.t, "RUIN", 0.0, 0.0, 0.0)


def close_at_the_end(account: Account) -> None:
    """``end_policy`` close: at the last mark, whatever the last bar was like."""
    for asset, position in enumerate(account.positions):
        if position.held != 0.0:
            order = account.place(asset, account.t, "END", 0.0, 0.0, 0.0)
            book(account, order, "CLOSE", -position.held, position.mark, "END")
            order.complete()


def unblock(position: Position, signal: float) -> None:
    """After an exit the symbol stays flat until the sign of its signal changes."""
    if position.blocked != 0.0 and sign(signal) != position.blocked:
        position.blocked = 0.0

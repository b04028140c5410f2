"""Exits in plain Python: what the kernel in ``exits`` means (semantics section 5); never used by a run."""

import math

from engine.execution.inputs import NEAREST_OPEN_FIRST, TARGET_FIRST
from engine.execution.plain_account import Account, sign
from engine.results import Cause, Leg, Moment, Outcome, Reason


def exits_at_open(account: Account, t: int) -> None:
    """Phase 1: exits that go on from an earlier bar, gaps, and time."""
    for i in account.assets:
        own, bar = account.positions[i], account.bar(t, i)
        if own.leaving is None and own.quantity and bar.valid:
            cause = gap(account, t, i)
            if cause is None and time_is_up(account, t, i):
                cause = Cause.TIME
            if cause is not None:
                trigger(account, t, i, cause)
        if own.leaving is None:
            continue
        cancel(account, i)
        if bar.tradable:
            leave(account, t, i, bar.open, Moment.OPEN, account.cap(t, i))


def exits_inside(account: Account, t: int) -> None:
    """Phase 3: stops and targets inside the bar; first the open beyond a level, for what was entered at it."""
    for i in account.assets:
        own, bar = account.positions[i], account.bar(t, i)
        if own.leaving is not None or not own.quantity or not bar.valid:
            continue
        cause, price, moment = gap(account, t, i), bar.open, Moment.OPEN
        if cause is None:
            (cause, price), moment = reached(account, t, i), Moment.INSIDE
        if cause is None:
            continue
        trigger(account, t, i, cause)
        if bar.tradable:
            leave(account, t, i, price, moment, account.cap(t, i))


def gap(account: Account, t: int, i: int) -> Cause | None:
    """The cause of an exit because the bar opens at or beyond a level."""
    own, price = account.positions[i], account.bar(t, i).open
    stop, target, cause = own.levels(account.rules)
    if own.side * price <= own.side * stop:
        return cause
    return Cause.TAKE_PROFIT if own.side * price >= own.side * target else None


def reached(account: Account, t: int, i: int) -> tuple[Cause | None, float]:
    """The cause and level of an exit inside the bar; where both levels lie in it, the bar path decides."""
    own, bar, path = account.positions[i], account.bar(t, i), account.rules.bar_path
    stop, target, cause = own.levels(account.rules)
    stopped, hit = (bar.low <= stop, bar.high >= target) if own.side > 0 else (bar.high >= stop, bar.low <= target)
    if stopped and hit:
        account.ambiguous += 1
        nearer = abs(target - bar.open) < abs(stop - bar.open)
        if path == TARGET_FIRST or (path == NEAREST_OPEN_FIRST and nearer):
            return Cause.TAKE_PROFIT, target
    if stopped:
        return cause, stop
    return (Cause.TAKE_PROFIT, target) if hit else (None, math.nan)


def time_is_up(account: Account, t: int, i: int) -> bool:
    """Whether the count of bars is reached and no due order of a new signal takes the position over."""
    own, most, order = account.positions[i], account.rules.max_holding_bars, account.waiting.get(i)
    if not most or t - own.entry_bar < most:
        return False
    return order is None or order.due > t or sign(order.wanted) == own.side


def trigger(account: Account, t: int, i: int, cause: Cause) -> None:
    """Place the exit, cancel what the same signal still wants, and keep the symbol flat until its signal turns."""
    own = account.positions[i]
    own.leaving = account.place(i, t - 1, cause, 0.0, -own.quantity)
    own.blocked = own.side
    cancel(account, i)


def cancel(account: Account, i: int) -> None:
    """End the waiting order of the position's own signal, or one that would only close it."""
    if i in account.waiting and sign(account.waiting[i].wanted) != -account.positions[i].side:
        account.end(i, Reason.CANCELLED_BY_EXIT)


def leave(account: Account, t: int, i: int, base: float, moment: Moment, most: float) -> None:
    """Close as much of a leaving position as the cap allows; the rest goes on."""
    own = account.positions[i]
    amount = min(abs(own.quantity), most)
    if own.leaving is None or amount == 0.0:
        return
    order, signed = account.orders[own.leaving], -own.side * amount
    after = 0.0 if amount == abs(own.quantity) else own.quantity + signed
    account.trade(own.leaving, Leg.CLOSE, t, moment, signed, base, after)
    if own.quantity:
        order.outcome = Outcome.PARTIAL
        return
    order.outcome, order.reason = Outcome.FILLED, Reason.NONE
    own.leaving = None


def raise_extremes(account: Account, t: int) -> None:
    """After the bar's fills its range joins the extreme; that of the entry bar only where entries are at the open."""
    for i in account.assets:
        own, bar = account.positions[i], account.bar(t, i)
        if not own.quantity or not bar.valid or (own.entry_bar == t and not account.rules.fill_at_open):
            continue
        own.extreme = max(own.extreme, bar.high) if own.side > 0 else min(own.extreme, bar.low)


def ruin(account: Account, t: int) -> None:
    """Equity is gone at the close of bar t: nothing waits any more, everything leaves at its next tradable open."""
    for i in account.assets:
        own = account.positions[i]
        if i in account.waiting:
            account.end(i, Reason.SUPERSEDED)
        if own.quantity and own.leaving is None:
            own.leaving = account.place(i, t, Cause.RUIN, 0.0, -own.quantity)


def close_all(account: Account, t: int) -> None:
    """``end_policy`` close: every position leaves at its mark, with costs, whatever the bar."""
    for i in account.assets:
        own = account.positions[i]
        if own.quantity:
            own.leaving = account.place(i, t, Cause.END, 0.0, -own.quantity)
            leave(account, t, i, account.bar(t, i).mark, Moment.END, math.inf)

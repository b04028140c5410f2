"""The account as a whole in plain Python: what the kernels in ``portfolio`` mean; never used by a run."""

import math
from dataclasses import dataclass, field

import numpy as np

from engine.execution.plain_account import Account, sign
from engine.execution.plain_exits import leave
from engine.execution.plain_orders import decide, refuse
from engine.execution.portfolio import Plan
from engine.portfolio.correlation import estimate_plain
from engine.portfolio.limits import limit_plain
from engine.portfolio.redundancy import (
    OFF,
    SCALE,
    filter_redundant_plain,
    redistribute_plain,
    scale_redundant_plain,
)
from engine.results import Cause, Happening, Moment, Reason
from engine.types import Bools, Floats


@dataclass
class Wish:
    """What is wanted of a symbol: size times share, what of it the rules may cut, what they leave, and what cut it."""

    asked: float
    uncut: float
    weight: float
    why: Reason = Reason.NONE
    partner: int = -1
    rho: float = math.nan
    factor: float = 1.0


@dataclass
class Whole:
    """What the account as a whole remembers from bar to bar."""

    plan: Plan
    window: int
    highest: float
    day_equity: float
    stopped: bool = False
    halted: set[int] = field(default_factory=set)
    result: dict[int, float] = field(default_factory=dict)
    day_result: dict[int, float] = field(default_factory=dict)
    refused: dict[int, Reason] = field(default_factory=dict)
    events: list[tuple[int, int, Happening]] = field(default_factory=list)


def end_symbols(account: Account, whole: Whole, t: int) -> None:
    """Symbols whose data ended with the bar before leave at their last close."""
    for i in account.assets:
        if whole.plan.last[i] != t - 1:
            continue
        whole.events.append((t, i, Happening.INACTIVE))
        own = account.positions[i]
        if i in account.waiting:
            account.end(i, Reason.END_OF_DATA)
        if own.quantity:
            own.leaving = account.place(i, t - 1, Cause.ENDED, 0.0, -own.quantity)
            leave(account, t, i, account.bar(t, i).mark, Moment.OPEN, math.inf)


def flatten(account: Account, t: int, i: int, cause: Cause, reason: Reason) -> None:
    """What waits for a symbol ends, and its position leaves at the next tradable open."""
    own = account.positions[i]
    if i in account.waiting:
        account.end(i, reason)
    if own.quantity and own.leaving is None:
        own.leaving = account.place(i, t, cause, 0.0, -own.quantity)


def judge(account: Account, whole: Whole, t: int, equity: float, before: float) -> None:
    """Limits on losses at a close: the account's drawdown, then each symbol's day. ``before``: equity a bar ago."""
    plan = whole.plan
    if not whole.stopped and equity <= (1.0 - plan.drawdown) * whole.highest:
        whole.stopped = True
        whole.events.append((t, -1, Happening.STOPPED))
        for i in account.assets:
            flatten(account, t, i, Cause.DRAWDOWN, Reason.PORTFOLIO_HALTED)
    if len(plan.day) and not whole.stopped:
        if t > 0 and plan.day[t] != plan.day[t - 1]:
            whole.day_result, whole.day_equity = dict(whole.result), before
            whole.halted.clear()
        for i, own in enumerate(account.positions):
            value = own.quantity * account.bar(t, i).mark if own.quantity else 0.0
            whole.result[i] = own.flow + value
            loss = whole.day_result.get(i, 0.0) - whole.result[i]
            open_ = i not in whole.halted and t <= plan.last[i]
            if open_ and loss > 0.0 and loss >= plan.daily_loss[i] * whole.day_equity:
                whole.halted.add(i)
                whole.events.append((t, i, Happening.HALTED))
                flatten(account, t, i, Cause.DAILY_LOSS, Reason.SYMBOL_HALTED)


def wishes(account: Account, whole: Whole, t: int, weights: Floats, equity: float) -> list[Wish]:
    """Size times share, as a fraction of equity, before any rule cuts it."""
    plan, rules = whole.plan, account.rules
    shares = plan.shares[plan.share_row[t]].tolist()
    live = [not whole.stopped and i not in whole.halted and t <= plan.last[i] for i in account.assets]
    total = sum(share for share, alive in zip(shares, live, strict=True) if alive)
    made = []
    for i, own in enumerate(account.positions):
        asked = float(weights[t, i]) / (equity if rules.notional else 1.0) * shares[i]
        if live[i] and 0.0 < total < 1.0:
            asked /= total
        silent = t > plan.last[i] or own.blocked or in_its_own_words(account, t, i, asked)
        uncut = 0.0 if silent else asked
        if live[i]:
            made.append(Wish(asked, uncut, uncut))
        else:
            why = Reason.SYMBOL_HALTED if i in whole.halted else Reason.NONE
            made.append(Wish(asked, uncut, 0.0, Reason.PORTFOLIO_HALTED if whole.stopped else why))
    return made


def in_its_own_words(account: Account, t: int, i: int, weight: float) -> bool:
    """Whether a target is refused as for a single symbol: without a price yet, or a short where there are none."""
    return math.isnan(account.bar(t, i).mark) or (weight < 0.0 and not account.rules.allow_short)


def cut(account: Account, whole: Whole, t: int, made: list[Wish], decides: Bools, equity: float) -> None:
    """Redundancy, redistribution and limits, in place."""
    plan, market = whole.plan, account.market
    current = np.array([exposure(account, t, i, bool(decides[i]), equity) for i in account.assets])
    weights = np.where(decides, [wish.weight for wish in made], current)
    if plan.redundancy != OFF:
        rho = estimate_plain(t, market.mark, market.valid, whole.window, plan.minimum)[0]
        if plan.redundancy == SCALE:
            factor, partner = scale_redundant_plain(weights, decides, rho, plan.theta)
        else:
            factor, partner = filter_redundant_plain(weights, current, decides, rho, plan.theta)
        if plan.redistribute:
            factor = redistribute_plain(weights, decides, partner, factor)
        for i, wish in enumerate(made):
            wish.factor, wish.partner = float(factor[i]), int(partner[i])
            wish.rho = float(rho[i, wish.partner]) if wish.partner >= 0 else math.nan
            wish.why = Reason.CORRELATED if wish.factor < 1.0 else wish.why
            weights[i] *= wish.factor
    weights, why = limit_plain(weights, current, decides, plan.bounds)
    for wish, weight, reason in zip(made, weights.tolist(), why.tolist(), strict=True):
        wish.weight = weight
        wish.why = Reason(reason) if reason else wish.why


def exposure(account: Account, t: int, i: int, deciding: bool, equity: float) -> float:
    """What is held of a symbol, or where it does not decide what it waits for, as a fraction of equity."""
    own, mark, waits = account.positions[i], account.bar(t, i).mark, account.waiting.get(i)
    if waits is None or deciding:
        return own.quantity * mark / equity if own.quantity else 0.0
    if waits.sized:
        return waits.wanted * mark / equity
    return waits.wanted / (equity if account.rules.notional else 1.0)


def decide_together(
    account: Account, whole: Whole, t: int, weights: Floats, decides: Bools, signals: Floats, equity: float
) -> None:
    """Every decision at a close under the rules of the account as a whole."""
    for i, own in enumerate(account.positions):
        if sign(float(signals[t, i])) != own.blocked:
            own.blocked = 0
    if not any(decides[t, i] and t <= whole.plan.last[i] for i in account.assets):
        return
    made = wishes(account, whole, t, weights, equity)
    if not whole.stopped:
        cut(account, whole, t, made, decides[t], equity)
    for i, wish in enumerate(made):
        if not decides[t, i] or t > whole.plan.last[i]:
            continue
        turned = float(signals[t, i]) != (float(signals[t - 1, i]) if t else 0.0)
        told = whole.refused.get(i, Reason.NONE)
        whole.refused[i] = wish.why if wish.weight == 0.0 and wish.uncut else Reason.NONE
        count = len(account.orders)
        if wish.weight == 0.0 and wish.why and not account.positions[i].quantity:
            if i in account.waiting:
                account.end(i, Reason.SUPERSEDED)
            if whole.refused[i] and (turned or whole.refused[i] != told):
                refuse(account, i, t, wish.uncut, wish.uncut * equity / account.bar(t, i).mark, wish.why)
        else:
            own_words = not wish.why and in_its_own_words(account, t, i, wish.asked)
            weight = wish.asked if own_words else wish.weight
            decide(account, t, i, weight * (equity if account.rules.notional else 1.0), turned, equity)
        for order in account.orders[count:]:
            order.partner, order.factor, order.rho = wish.partner, wish.factor, wish.rho
            left = abs(wish.weight / wish.uncut) if wish.uncut else 1.0
            if wish.why and left < 1.0:
                order.scale, order.scale_reason = left, wish.why

"""The account as a whole in plain Python: what the kernels in ``portfolio`` mean; never used by a run."""

import math
from dataclasses import dataclass, field

import numpy as np

from engine.execution.plain_account import Account, sign
from engine.execution.plain_exits import leave
from engine.execution.plain_orders import decide
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
    """What is wanted of a symbol: before any rule, after all, and what cut it."""

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
    """Limits on losses at a close: of each symbol's day, and of the account's drawdown. ``before``: the equity then."""
    plan = whole.plan
    if len(plan.day):
        if t > 0 and plan.day[t] != plan.day[t - 1]:
            whole.day_result, whole.day_equity = dict(whole.result), before
            whole.halted.clear()
        for i, own in enumerate(account.positions):
            value = own.quantity * account.bar(t, i).mark if own.quantity else 0.0
            whole.result[i] = own.flow + value
            loss = whole.day_result.get(i, 0.0) - whole.result[i]
            if i not in whole.halted and loss > 0.0 and loss >= plan.daily_loss[i] * whole.day_equity:
                whole.halted.add(i)
                whole.events.append((t, i, Happening.HALTED))
                flatten(account, t, i, Cause.DAILY_LOSS, Reason.SYMBOL_HALTED)
    if not whole.stopped and equity <= (1.0 - plan.drawdown) * whole.highest:
        whole.stopped = True
        whole.events.append((t, -1, Happening.STOPPED))
        for i in account.assets:
            flatten(account, t, i, Cause.DRAWDOWN, Reason.PORTFOLIO_HALTED)


def wishes(account: Account, whole: Whole, t: int, weights: Floats, equity: float) -> list[Wish]:
    """Size times share, as a fraction of equity, before any rule cuts it."""
    plan, rules = whole.plan, account.rules
    shares = plan.shares[plan.share_row[t]].tolist()
    live = [not whole.stopped and i not in whole.halted and t <= plan.last[i] for i in account.assets]
    total = sum(share for share, alive in zip(shares, live, strict=True) if alive)
    made = []
    for i, own in enumerate(account.positions):
        weight = float(weights[t, i]) / (equity if rules.notional else 1.0) * shares[i]
        silent = t > plan.last[i] or math.isnan(account.bar(t, i).mark) or own.blocked
        if silent or (weight < 0.0 and not rules.allow_short):
            weight = 0.0
        if live[i]:
            uncut = weight / total if 0.0 < total < 1.0 else weight
            made.append(Wish(uncut, uncut))
        else:
            why = Reason.SYMBOL_HALTED if i in whole.halted else Reason.NONE
            made.append(Wish(weight, 0.0, Reason.PORTFOLIO_HALTED if whole.stopped else why))
    return made


def cut(account: Account, whole: Whole, t: int, made: list[Wish], decides: Bools, equity: float) -> None:
    """Redundancy, redistribution and limits, in place."""
    plan, market = whole.plan, account.market
    weights = np.array([wish.weight for wish in made])
    held = np.array([own.quantity != 0.0 for own in account.positions])
    if plan.redundancy != OFF:
        rho = estimate_plain(t, market.mark, market.valid, whole.window, plan.minimum)[0]
        if plan.redundancy == SCALE:
            factor, partner = scale_redundant_plain(weights, rho, plan.theta)
        else:
            factor, partner = filter_redundant_plain(weights, held, rho, plan.theta)
        if plan.redistribute:
            factor = redistribute_plain(weights, factor)
        for i, wish in enumerate(made):
            wish.factor, wish.partner = float(factor[i]), int(partner[i])
            wish.rho = float(rho[i, wish.partner]) if wish.partner >= 0 else math.nan
            wish.why = Reason.CORRELATED if wish.factor < 1.0 else wish.why
            weights[i] *= wish.factor
    current = np.array([exposure(account, t, i, bool(decides[i]), equity) for i in account.assets])
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
    if not decides[t].any():
        return
    made = wishes(account, whole, t, weights, equity)
    if not whole.stopped:
        cut(account, whole, t, made, decides[t], equity)
    for i, wish in enumerate(made):
        if not decides[t, i] or t > whole.plan.last[i]:
            continue
        turned = float(signals[t, i]) != (float(signals[t - 1, i]) if t else 0.0)
        if wish.weight == 0.0 and wish.why and not account.positions[i].quantity:
            refuse_cut(account, whole, t, i, wish, turned, equity)
            continue
        whole.refused[i] = Reason.NONE
        own_words = not wish.why and weights[t, i] < 0.0 and not account.rules.allow_short
        asked = float(weights[t, i]) if own_words else wish.weight * (equity if account.rules.notional else 1.0)
        count = len(account.orders)
        decide(account, t, i, asked, turned, equity)
        for order in account.orders[count:]:
            order.partner, order.factor, order.rho = wish.partner, wish.factor, wish.rho
            if wish.why and wish.uncut:
                order.scale, order.scale_reason = min(1.0, abs(wish.weight / wish.uncut)), wish.why


def refuse_cut(account: Account, whole: Whole, t: int, i: int, wish: Wish, turned: bool, equity: float) -> None:
    """A target that a rule took away before anything is held, told once for each reason."""
    if i in account.waiting:
        account.end(i, Reason.SUPERSEDED)
    if not wish.uncut or not (turned or whole.refused.get(i, Reason.NONE) != wish.why):
        return
    whole.refused[i] = wish.why
    mark = account.bar(t, i).mark
    order = account.orders[account.place(i, t, Cause.SIGNAL, wish.uncut, wish.uncut * equity / mark)]
    order.reason = order.scale_reason = wish.why
    order.scale, order.partner = 0.0, wish.partner
    order.rho, order.factor = wish.rho, wish.factor

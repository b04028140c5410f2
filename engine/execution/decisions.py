"""Decisions at a close: from target weights to orders (semantics sections 2 and 3)."""

import numpy as np

from engine.execution.exits import end_waiting, place
from engine.execution.inputs import Market, Records, Rules
from engine.execution.pricing import same, to_lot
from engine.kernels import part
from engine.results import Cause, Reason
from engine.types import Bools, Floats

SIGNAL, RUIN = int(Cause.SIGNAL), int(Cause.RUIN)
SUPERSEDED, NO_PRICE = int(Reason.SUPERSEDED), int(Reason.NO_PRICE)
LOT_ROUNDED_TO_ZERO, SHORT_NOT_ALLOWED = int(Reason.LOT_ROUNDED_TO_ZERO), int(Reason.SHORT_NOT_ALLOWED)


@part
def leave(t: int, i: int, cause: int, reason: int, state: Records, orders: Records, count: int) -> int:
    """What waits for a symbol ends, and its position leaves at the next tradable open."""
    own = state[i]
    if own["waiting"] >= 0:
        end_waiting(orders, state, i, reason)
    if own["quantity"] != 0.0 and own["exiting"] < 0:
        place(orders, count, i, t, cause, 0.0, -own["quantity"])
        own["exiting"] = count
        count += 1
    return count


@part
def leave_all(t: int, cause: int, reason: int, state: Records, orders: Records, count: int) -> int:
    """Nothing waits any more, and every position leaves: equity is gone, or a limit was reached."""
    for i in range(state.shape[0]):
        count = leave(t, i, cause, reason, state, orders, count)
    return count


@part
def decide(
    t: int, i: int, weight: float, changed: bool, equity: float, seen: Market, terms: Records,
    rules: Rules, state: Records, orders: Records, count: int,
) -> int:  # fmt: skip
    """A decision at the close of bar t: supersede what waits, and place an order unless nothing is to trade."""
    own = state[i]
    if own["waiting"] >= 0:
        end_waiting(orders, state, i, SUPERSEDED)
    mark, held = seen.mark[t, i], own["quantity"]
    notional = weight if rules.notional else weight * equity
    share = notional / equity
    if np.isnan(mark):
        place(orders, count, i, t, SIGNAL, share, 0.0)
        orders[count]["reason"] = NO_PRICE
        return count + 1
    if notional < 0.0 and not rules.allow_short:
        if held == 0.0 and changed:
            place(orders, count, i, t, SIGNAL, share, notional / mark)
            orders[count]["reason"] = SHORT_NOT_ALLOWED
            return count + 1
        notional, share, weight = 0.0, 0.0, 0.0
    target = notional / mark
    if own["blocked"] != 0.0 or (own["exiting"] >= 0 and target * held >= 0.0) or same(target, held):
        return count
    if not rules.on_change and target * held > 0.0 and abs(share - held * mark / equity) <= rules.band:
        return count
    if not rules.size_at_fill:
        rounded = to_lot(target, terms[i]["step"])
        if rounded == held or same(rounded, held):
            place(orders, count, i, t, SIGNAL, share, target - held)
            orders[count]["reason"] = LOT_ROUNDED_TO_ZERO
            return count + 1
        target = rounded
    place(orders, count, i, t, SIGNAL, share, target - held)
    own["waiting"] = count
    own["due"] = t + rules.fill_lag
    own["wanted"] = weight if rules.size_at_fill else target
    own["sized"] = not rules.size_at_fill
    return count + 1


@part
def decide_all(
    t: int,
    weights: Floats,
    decides: Bools,
    signals: Floats,
    equity: float,
    seen: Market,
    terms: Records,
    rules: Rules,
    state: Records,
    orders: Records,
    count: int,
) -> int:
    """Every decision at the close of bar t; an asset kept flat after an exit is free once its signal turns."""
    for i in range(state.shape[0]):
        own = state[i]
        if own["blocked"] != 0.0 and np.sign(signals[t, i]) != own["blocked"]:
            own["blocked"] = 0.0
        if decides[t, i]:
            changed = signals[t, i] != (signals[t - 1, i] if t > 0 else 0.0)
            count = decide(t, i, weights[t, i], changed, equity, seen, terms, rules, state, orders, count)
    return count


@part
def exposures(
    t: int, decides: Bools, equity: float, seen: Market, rules: Rules, state: Records, current: Floats
) -> None:
    """Write weights (N,) of what is held, and for a symbol that does not decide of what it waits for instead."""
    for i in range(state.shape[0]):
        own = state[i]
        price = seen.mark[t, i]
        current[i] = own["quantity"] * price / equity if own["quantity"] != 0.0 else 0.0
        if own["waiting"] >= 0 and not decides[i]:
            wanted = own["wanted"]
            if own["sized"]:
                wanted = wanted * price / equity
            elif rules.notional:
                wanted /= equity
            current[i] = wanted

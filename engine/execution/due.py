"""Filling orders that are due: reductions first, then openings under one factor (semantics section 3)."""

from typing import NamedTuple

import numpy as np

from engine.execution.exits import end_waiting, note_fill
from engine.execution.inputs import Market, Records, Rules
from engine.execution.pricing import CLOSE, FILLED, NONE, OPEN, PARTIAL, book, cash_factor, impacted, same, to_lot
from engine.kernels import kernel, part
from engine.results import Reason
from engine.types import Bools, Floats

NO_CASH, MIN_NOTIONAL = int(Reason.NO_CASH), int(Reason.MIN_NOTIONAL)
NO_PRICE, ZERO_VOLUME = int(Reason.NO_PRICE), int(Reason.ZERO_VOLUME)
LOT_ROUNDED_TO_ZERO = int(Reason.LOT_ROUNDED_TO_ZERO)


class Scratch(NamedTuple):
    """Working arrays (N,) of a bar, made once."""

    filling: Bools
    capped: Bools
    price: Floats
    opening: Floats
    room: Floats
    held: Floats


@kernel
def scratch_for(assets: int) -> Scratch:
    """Room for N symbols."""
    return Scratch(
        np.zeros(assets, dtype=np.bool_), np.zeros(assets, dtype=np.bool_),
        np.zeros(assets), np.zeros(assets), np.zeros(assets), np.zeros(assets),
    )  # fmt: skip


@part
def enter(state: Records, i: int, t: int, signed: float, price: float) -> None:
    """Add an opening fill to a position: average price, and for a new one its first extreme and bar."""
    own = state[i]
    held = abs(own["quantity"])
    amount = abs(signed)
    if held == 0.0:
        own["average"] = price
        own["extreme"] = price
        own["entry_bar"] = t
    else:
        own["average"] = (own["average"] * held + price * amount) / (held + amount)


@part
def size_now(
    t: int, i: int, equity: float, seen: Market, terms: Records, rules: Rules, state: Records, orders: Records
) -> bool:
    """Turn a weight into a quantity at the fill; True if there is something to trade (else the order has ended)."""
    own = state[i]
    row = orders[own["waiting"]]
    amount = own["wanted"] if rules.notional else own["wanted"] * max(equity, 0.0)
    raw = amount / seen.base[t, i]
    target = to_lot(raw, terms[i]["step"])
    if same(target, own["quantity"]):
        target = own["quantity"]
    own["wanted"] = target
    own["sized"] = True
    row["quantity"] = target - own["quantity"]
    if target != own["quantity"]:
        return True
    if amount == 0.0 and row["weight"] != 0.0:
        row["reason"] = NO_CASH
    elif same(raw, own["quantity"]):
        row["outcome"], row["reason"], row["filled_bar"] = FILLED, NONE, t
    else:
        row["reason"] = LOT_ROUNDED_TO_ZERO
    own["waiting"] = -1
    return False


@part
def fill_due(  # noqa: PLR0912, PLR0915 - one bar is one thing: every symbol sees the same cash
    t: int,
    moment: int,
    seen: Market,
    terms: Records,
    rules: Rules,
    cash: float,
    state: Records,
    orders: Records,
    fills: Records,
    fill_count: int,
    scratch: Scratch,
) -> tuple[float, int]:
    """Fill every order that is due in a tradable bar: reductions first, then openings under one factor."""
    assets = state.shape[0]
    if rules.skip:
        skip_untradable(t, seen, state, orders)
    filling, capped, price, opening, room, held = scratch
    capped[:], opening[:], room[:] = False, 0.0, np.inf
    equity = cash
    for i in range(assets):
        own = state[i]
        filling[i] = own["waiting"] >= 0 and t >= own["due"] and seen.tradable[t, i] and own["exiting"] < 0
        price[i] = seen.base[t, i] if seen.valid[t, i] else seen.mark[t, i]
        if own["quantity"] != 0.0:
            equity += own["quantity"] * price[i]
    for i in range(assets):
        if not filling[i]:
            continue
        own = state[i]
        if not own["sized"] and not size_now(t, i, equity, seen, terms, rules, state, orders):
            filling[i] = False
            continue
        base, target, before = price[i], own["wanted"], own["quantity"]
        side = 1.0 if target > before else -1.0
        through = before * target <= 0.0
        closing = abs(before) if through else max(abs(before) - abs(target), 0.0)
        opening[i] = abs(target) if through else max(abs(target) - abs(before), 0.0)
        if terms[i]["participation"] > 0.0:
            room[i] = to_lot(max(terms[i]["participation"] * seen.volume[t, i] - own["used"], 0.0), terms[i]["step"])
        if closing > 0.0 and room[i] > 0.0:
            amount = min(closing, room[i])
            cash += book(seen, terms, orders, fills, fill_count, own["waiting"], CLOSE, t, moment, side * amount, base)
            price[i] = fills[fill_count]["price"]
            own["quantity"] = before + side * amount
            if amount == closing:
                own["quantity"] = 0.0 if through else target
            note_fill(state, fills, fill_count, i, rules)
            fill_count += 1
            own["used"] += amount
            room[i] -= amount
            closing -= amount
        if closing > 0.0:
            capped[i], opening[i] = True, 0.0
        elif opening[i] > 0.0 and opening[i] * base < terms[i]["min_notional"]:
            orders[own["waiting"]]["scale"], orders[own["waiting"]]["scale_reason"] = 0.0, MIN_NOTIONAL
            opening[i] = 0.0
        elif opening[i] > room[i]:
            capped[i], opening[i] = True, room[i]
        if opening[i] > 0.0:
            price[i] = impacted(seen, terms, t, i, orders[own["waiting"]]["decided_bar"], base, side, opening[i])
    for i in range(assets):
        held[i] = state[i]["quantity"]
    scale = 1.0 if rules.allow_leverage else cash_factor(cash, held, price, opening, terms)
    for i in range(assets):
        if not filling[i]:
            continue
        own, order = state[i], state[i]["waiting"]
        row = orders[order]
        amount = opening[i] if scale == 1.0 else to_lot(opening[i] * scale, terms[i]["step"])
        if opening[i] > 0.0 and scale < 1.0:
            row["scale"] *= scale
            row["scale_reason"] = NO_CASH
            if scale > 0.0 and (amount == 0.0 or amount * seen.base[t, i] < terms[i]["min_notional"]):
                row["scale_reason"] = LOT_ROUNDED_TO_ZERO if amount == 0.0 else MIN_NOTIONAL
                row["scale"] = 0.0
                amount = 0.0
        if amount > 0.0:
            signed = np.copysign(amount, own["wanted"])
            cash += book(seen, terms, orders, fills, fill_count, order, OPEN, t, moment, signed, seen.base[t, i])
            enter(state, i, t, signed, fills[fill_count]["price"])
            after = own["quantity"] + signed
            own["quantity"] = own["wanted"] if scale == 1.0 and not capped[i] else after
            note_fill(state, fills, fill_count, i, rules)
            fill_count += 1
            own["used"] += amount
        settle(i, capped[i], opening[i] > 0.0 and scale < 1.0, state, orders)
    return cash, fill_count


@part
def settle(i: int, capped: bool, scaled: bool, state: Records, orders: Records) -> None:
    """How an attempt to fill leaves an order: filled, ended with a reason, or waiting for the rest."""
    own = state[i]
    row = orders[own["waiting"]]
    some = row["close_fills"] + row["open_fills"] > 0
    if some and capped and row["outcome"] != PARTIAL:
        row["outcome"] = PARTIAL
    if capped and not scaled:
        return
    if capped and some:
        row["reason"] = NO_CASH
    elif some:
        row["outcome"], row["reason"] = FILLED, NONE
    else:
        row["reason"] = row["scale_reason"] if row["scale_reason"] != NONE else NO_CASH
    own["waiting"] = -1


@part
def skip_untradable(t: int, seen: Market, state: Records, orders: Records) -> None:
    """Under ``untradable_bar`` skip, a due order that meets such a bar ends."""
    for i in range(state.shape[0]):
        own = state[i]
        if own["waiting"] >= 0 and t >= own["due"] and not seen.tradable[t, i] and own["exiting"] < 0:
            end_waiting(orders, state, i, ZERO_VOLUME if seen.valid[t, i] else NO_PRICE)

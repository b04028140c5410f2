"""Exits: at the open (pending, gap, time) and inside a bar (stop, target, trailing) (semantics section 5).

An exit is an order like any other. It closes the whole position; what an untradable bar or the participation cap
leaves over goes on at the next tradable open.
"""

import numpy as np

from engine.execution.inputs import NEAREST_OPEN_FIRST, TARGET_FIRST, Market, Records, Rules
from engine.execution.pricing import (
    CLOSE,
    END_OF_DATA,
    FILLED,
    NONE,
    OPEN,
    PARTIAL,
    TAKE_PROFIT,
    UNFILLED,
    book,
    to_lot,
)
from engine.kernels import part
from engine.results import Cause, Moment, Reason

STOP_LOSS, TRAILING_STOP = int(Cause.STOP_LOSS), int(Cause.TRAILING_STOP)
TIME, END = int(Cause.TIME), int(Cause.END)
AT_OPEN, INSIDE, AT_END = int(Moment.OPEN), int(Moment.INSIDE), int(Moment.END)
CANCELLED_BY_EXIT = int(Reason.CANCELLED_BY_EXIT)


@part
def place(orders: Records, count: int, asset: int, decided: int, cause: int, weight: float, quantity: float) -> None:
    """Write a new order; until something happens to it, it ends with the data."""
    row = orders[count]
    row["asset"] = asset
    row["decided_bar"] = decided
    row["cause"] = cause
    row["weight"] = weight
    row["quantity"] = quantity
    row["outcome"] = UNFILLED
    row["reason"] = END_OF_DATA
    row["filled_bar"] = -1
    row["price"] = np.nan
    row["scale"] = 1.0
    row["partner"], row["rho"], row["factor"] = -1, np.nan, 1.0


@part
def end_waiting(orders: Records, state: Records, i: int, reason: int) -> None:
    """The waiting order of an asset ends; one that has filled something stays partial."""
    row = orders[state[i]["waiting"]]
    row["reason"] = reason
    state[i]["waiting"] = -1


@part
def levels(side: float, average: float, extreme: float, rules: Rules) -> tuple[float, float, int]:
    """Prices of the effective stop and of the target, infinite where there is none, and the stop's cause."""
    stop, cause = -side * np.inf, STOP_LOSS
    if rules.stop_loss > 0.0:
        stop = average * (1.0 - side * rules.stop_loss)
    if rules.trailing_stop > 0.0:
        trail = extreme * (1.0 - side * rules.trailing_stop)
        if side * (trail - stop) > 0.0:
            stop, cause = trail, TRAILING_STOP
    target = side * np.inf
    if rules.take_profit > 0.0:
        target = average * (1.0 + side * rules.take_profit)
    return stop, target, cause


@part
def note_fill(state: Records, fills: Records, count: int, i: int, rules: Rules) -> None:
    """Complete the last fill's row: what is held after it, the borrow since the one before, and the levels."""
    entry = fills[count]
    entry["position"] = state[i]["quantity"]
    entry["borrow"] = state[i]["borrow"]
    state[i]["borrow"] = 0.0
    side = np.copysign(1.0, entry["quantity"]) * (1.0 if entry["leg"] == OPEN else -1.0)
    entry["stop"], entry["target"], _ = levels(side, state[i]["average"], state[i]["extreme"], rules)


@part
def close_position(
    t: int,
    i: int,
    base: float,
    moment: int,
    market: Market,
    terms: Records,
    rules: Rules,
    state: Records,
    orders: Records,
    fills: Records,
    fill_count: int,
    capped: bool,
) -> tuple[float, int]:
    """Fill the exit order of an asset as far as the cap lets it. Returns the change in cash and the fills."""
    own = state[i]
    amount = abs(own["quantity"])
    if capped and terms[i]["participation"] > 0.0:
        most = to_lot(max(terms[i]["participation"] * market.volume[t, i] - own["used"], 0.0), terms[i]["step"])
        amount = min(amount, most)
    if amount == 0.0:
        return 0.0, fill_count
    order = own["exiting"]
    signed = -np.copysign(amount, own["quantity"])
    flow = book(market, terms, orders, fills, fill_count, order, CLOSE, t, moment, signed, base)
    own["used"] += amount
    own["quantity"] = 0.0 if amount == abs(own["quantity"]) else own["quantity"] + signed
    note_fill(state, fills, fill_count, i, rules)
    if own["quantity"] == 0.0:
        own["exiting"] = -1
        orders[order]["outcome"] = FILLED
        orders[order]["reason"] = NONE
    else:
        orders[order]["outcome"] = PARTIAL
    return flow, fill_count + 1


@part
def cancels(state: Records, i: int) -> bool:
    """Whether the waiting order of an asset belongs to the signal of its position, or would only close it."""
    return bool(state[i]["waiting"] >= 0 and state[i]["wanted"] * state[i]["quantity"] >= 0.0)


@part
def trigger(t: int, i: int, cause: int, state: Records, orders: Records, order_count: int) -> None:
    """Place the exit order of an asset, cancel what its signal still wanted, and keep it flat from here."""
    own = state[i]
    place(orders, order_count, i, t - 1, cause, 0.0, -own["quantity"])
    if cancels(state, i):
        end_waiting(orders, state, i, CANCELLED_BY_EXIT)
    own["exiting"] = order_count
    own["blocked"] = np.copysign(1.0, own["quantity"])


@part
def gap(t: int, i: int, market: Market, rules: Rules, state: Records) -> int:
    """Cause of an exit because bar t opens at or beyond a level; -1 for none."""
    own = state[i]
    side = np.copysign(1.0, own["quantity"])
    price = market.open[t, i]
    stop, target, cause = levels(side, own["average"], own["extreme"], rules)
    if side * (price - stop) <= 0.0:
        return cause
    return TAKE_PROFIT if side * (price - target) >= 0.0 else -1


@part
def time_is_up(t: int, i: int, rules: Rules, state: Records) -> bool:
    """Whether a position has been held long enough, and no order of a new signal takes it over at this open."""
    own = state[i]
    if rules.max_holding_bars == 0 or t - own["entry_bar"] < rules.max_holding_bars:
        return False
    return not (own["waiting"] >= 0 and own["due"] <= t and own["wanted"] * own["quantity"] <= 0.0)


@part
def exit_inside(t: int, i: int, market: Market, rules: Rules, state: Records) -> tuple[int, float, bool]:
    """(cause or -1, level, both reached) of an exit inside bar t. A touch is enough."""
    own = state[i]
    side = np.copysign(1.0, own["quantity"])
    stop, target, cause = levels(side, own["average"], own["extreme"], rules)
    best = market.high[t, i] if side > 0.0 else market.low[t, i]
    worst = market.low[t, i] if side > 0.0 else market.high[t, i]
    stopped = side * (worst - stop) <= 0.0
    reached = side * (best - target) >= 0.0
    if stopped and reached:
        price = market.open[t, i]
        nearest = rules.bar_path == NEAREST_OPEN_FIRST and abs(target - price) < abs(stop - price)
        if rules.bar_path == TARGET_FIRST or nearest:
            return TAKE_PROFIT, target, True
        return cause, stop, True
    if stopped:
        return cause, stop, False
    if reached:
        return TAKE_PROFIT, target, False
    return -1, 0.0, False


@part
def exits_open(
    t: int, seen: Market, terms: Records, rules: Rules, state: Records, orders: Records, order_count: int,
    fills: Records, fill_count: int,
) -> tuple[float, int, int]:  # fmt: skip
    """Exits at the open of bar t: those pending, gaps beyond a level, and time."""
    flow = 0.0
    for i in range(state.shape[0]):
        own = state[i]
        if own["quantity"] == 0.0:
            continue
        if own["exiting"] < 0 and rules.exits and seen.valid[t, i]:
            cause = gap(t, i, seen, rules, state)
            if cause < 0 and time_is_up(t, i, rules, state):
                cause = TIME
            if cause >= 0:
                trigger(t, i, cause, state, orders, order_count)
                order_count += 1
        if own["exiting"] >= 0 and cancels(state, i):
            end_waiting(orders, state, i, CANCELLED_BY_EXIT)
        if own["exiting"] >= 0 and seen.tradable[t, i]:
            price = seen.open[t, i]
            change, fill_count = close_position(
                t, i, price, AT_OPEN, seen, terms, rules, state, orders, fills, fill_count, True
            )
            flow += change
    return flow, order_count, fill_count


@part
def exits_inside(
    t: int, seen: Market, terms: Records, rules: Rules, state: Records, orders: Records, order_count: int,
    fills: Records, fill_count: int,
) -> tuple[float, int, int, int]:  # fmt: skip
    """Exits inside bar t, gaps of what was entered at its open included."""
    flow, ambiguous = 0.0, 0
    for i in range(state.shape[0]):
        own = state[i]
        if own["quantity"] == 0.0 or own["exiting"] >= 0 or not seen.valid[t, i]:
            continue
        cause, moment, price = gap(t, i, seen, rules, state), AT_OPEN, seen.open[t, i]
        if cause < 0:
            moment = INSIDE
            cause, price, both = exit_inside(t, i, seen, rules, state)
            ambiguous += 1 if both else 0
        if cause < 0:
            continue
        trigger(t, i, cause, state, orders, order_count)
        order_count += 1
        if seen.tradable[t, i]:
            change, fill_count = close_position(
                t, i, price, moment, seen, terms, rules, state, orders, fills, fill_count, True
            )
            flow += change
    return flow, order_count, fill_count, ambiguous


@part
def raise_extremes(t: int, seen: Market, rules: Rules, state: Records) -> None:
    """Best price since entry, bar t included; the entry bar only where its range came after the entry."""
    for i in range(state.shape[0]):
        own = state[i]
        if own["quantity"] != 0.0 and seen.valid[t, i] and (rules.fill_at_open or own["entry_bar"] < t):
            if own["quantity"] > 0.0:
                own["extreme"] = max(own["extreme"], seen.high[t, i])
            else:
                own["extreme"] = min(own["extreme"], seen.low[t, i])


@part
def close_all(
    t: int, seen: Market, terms: Records, rules: Rules, cash: float, state: Records, orders: Records,
    order_count: int, fills: Records, fill_count: int,
) -> tuple[float, int, int]:  # fmt: skip
    """``end_policy`` close: every position leaves at its last mark, with costs, whatever the bar."""
    for i in range(state.shape[0]):
        own = state[i]
        if own["quantity"] == 0.0:
            continue
        place(orders, order_count, i, t, END, 0.0, -own["quantity"])
        own["exiting"] = order_count
        order_count += 1
        change, fill_count = close_position(
            t, i, seen.mark[t, i], AT_END, seen, terms, rules, state, orders, fills, fill_count, False
        )
        cash += change
    return cash, order_count, fill_count

"""THE fill lag and THE ledger: one kernel for every account the engine ever runs (semantics sections 3 to 6).

A bar goes: fills at its open, marking at its close, decisions at its close. A decision at bar t fills at bar
t + fill_lag at the earliest; an order that meets an untradable bar waits. ``engine.execution.plain`` states
the same in plain Python, and tests hold the two equal.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from engine.data.bars import Bars
from engine.execution.rules import Execution
from engine.kernels import kernel
from engine.results import Cause, Fills, Ledger, Leg, Orders, Outcome, Reason, Targets
from engine.types import Bools, Floats

ORDER = np.dtype(
    [
        ("asset", np.int64),
        ("decided_bar", np.int64),
        ("cause", np.int64),
        ("weight", np.float64),
        ("quantity", np.float64),
        ("outcome", np.int64),
        ("reason", np.int64),
        ("filled_bar", np.int64),
        ("price", np.float64),
        ("filled", np.float64),
        ("commission", np.float64),
        ("slippage", np.float64),
        ("scale", np.float64),
    ]
)
FILL = np.dtype(
    [
        ("order", np.int64),
        ("asset", np.int64),
        ("bar", np.int64),
        ("leg", np.int64),
        ("position", np.float64),
        ("quantity", np.float64),
        ("price", np.float64),
        ("commission", np.float64),
        ("slippage", np.float64),
    ]
)
Records = npt.NDArray[np.void]

# Plain integers, because a kernel cannot hold an enumeration.
FILLED, UNFILLED = int(Outcome.FILLED), int(Outcome.UNFILLED)
NONE, END_OF_DATA = int(Reason.NONE), int(Reason.END_OF_DATA)
NO_CASH, SUPERSEDED = int(Reason.NO_CASH), int(Reason.SUPERSEDED)
SIGNAL, RUIN = int(Cause.SIGNAL), int(Cause.RUIN)
CLOSE, OPEN = int(Leg.CLOSE), int(Leg.OPEN)

ROUNDING = 1e-12
"""A difference this small, relative to its terms, is a rounding error: nothing to trade, no room, or an exact fit."""


def simulate(bars: Bars, targets: Targets, rules: Execution, initial_capital: float) -> Ledger:
    """Run one account over ``bars``. Shapes (T, N); the result's arrays are at each close."""
    rows, assets = bars.close.shape
    orders = np.zeros(int(np.count_nonzero(targets.decides)) + assets, dtype=ORDER)
    fills = np.zeros(2 * len(orders), dtype=FILL)
    cash, equity, quantity = np.empty(rows), np.empty(rows), np.empty((rows, assets))
    order_count, fill_count, ruined_bar = ledger(
        bars.open,
        bars.close,
        bars.tradable,
        targets.weights,
        targets.decides,
        initial_capital,
        rules.fill_lag,
        rules.slippage_rate,
        rules.commission_rate,
        rules.size_at == "fill",
        orders,
        fills,
        cash,
        equity,
        quantity,
    )
    return Ledger(
        initial_capital=initial_capital,
        cash=cash,
        equity=equity,
        quantity=quantity,
        mark=bars.close,
        orders=Orders(**columns(orders[:order_count])),
        fills=Fills(**columns(fills[:fill_count])),
        ruined_bar=ruined_bar,
    )


def columns(records: Records) -> dict[str, npt.NDArray[Any]]:
    """A record array as one contiguous array per field."""
    names = records.dtype.names or ()
    return {name: np.ascontiguousarray(records[name]) for name in names}


@kernel
def same(target: float, held: float) -> bool:
    """Whether a target is what is held already, up to rounding: applying it again trades nothing."""
    return abs(target - held) <= ROUNDING * max(abs(target), abs(held))


@kernel
def book(
    fills: Records,
    count: int,
    order: int,
    leg: int,
    t: int,
    signed: float,
    price: float,
    raw: float,
    rate: float,
    orders: Records,
) -> float:
    """Write one fill into both ledgers and return the change in cash."""  # fmt: skip
    amount = abs(signed)
    fee = amount * price * rate
    slip = amount * abs(price - raw)
    fills[count]["order"] = order
    fills[count]["asset"] = orders[order]["asset"]
    fills[count]["bar"] = t
    fills[count]["leg"] = leg
    fills[count]["quantity"] = signed
    fills[count]["price"] = price
    fills[count]["commission"] = fee
    fills[count]["slippage"] = slip
    orders[order]["outcome"] = FILLED
    orders[order]["reason"] = NONE
    orders[order]["filled_bar"] = t
    orders[order]["price"] = price
    orders[order]["filled"] += signed
    orders[order]["commission"] += fee
    orders[order]["slippage"] += slip
    return -signed * price - fee


@kernel
def cash_factor(cash: float, quantity: Floats, price: Floats, opening: Floats, commission: float) -> float:
    """The factor on openings that keeps gross exposure within equity, costs paid, at the fill prices."""
    need, room, gross = 0.0, cash, 0.0
    for i in range(quantity.shape[0]):
        room += quantity[i] * price[i] - abs(quantity[i]) * price[i]
        gross += abs(quantity[i]) * price[i]
        need += opening[i] * price[i]
    need *= 1.0 + commission
    if room <= ROUNDING * gross:
        room = 0.0
    return room / need if need > room * (1.0 + ROUNDING) else 1.0


@kernel
def fill_bar(  # noqa: PLR0912 - one bar is one thing: every symbol sees the same cash
    t: int,
    opens: Floats,
    last: Floats,
    tradable: Bools,
    due: npt.NDArray[np.int64],
    waiting: npt.NDArray[np.int64],
    wanted: Floats,
    size_at_fill: bool,
    slippage: float,
    commission: float,
    cash: float,
    quantity: Floats,
    orders: Records,
    fills: Records,
    fill_count: int,
) -> tuple[float, int]:
    """Fill every order that is due in a tradable bar: reductions first, then openings under one factor."""
    assets = quantity.shape[0]
    filling = np.zeros(assets, dtype=np.bool_)
    target = np.zeros(assets)
    price = np.empty(assets)
    opening = np.zeros(assets)
    equity = cash
    for i in range(assets):
        filling[i] = waiting[i] >= 0 and t >= due[i] and tradable[i]
        price[i] = opens[i] if tradable[i] else last[i]
        equity += quantity[i] * price[i]
    for i in range(assets):
        if not filling[i]:
            continue
        target[i] = wanted[i]
        if size_at_fill:
            target[i] = wanted[i] * max(equity, 0.0) / opens[i]
            if same(target[i], quantity[i]):
                target[i] = quantity[i]
            orders[waiting[i]]["quantity"] = target[i] - quantity[i]
        side = 1.0 if target[i] > quantity[i] else -1.0
        price[i] = opens[i] * (1.0 + side * slippage)
        held = quantity[i]
        if held * target[i] <= 0.0:
            closing, opening[i] = abs(held), abs(target[i])
        else:
            closing = max(abs(held) - abs(target[i]), 0.0)
            opening[i] = max(abs(target[i]) - abs(held), 0.0)
        if closing > 0.0:
            cash += book(
                fills, fill_count, waiting[i], CLOSE, t, side * closing, price[i], opens[i], commission, orders
            )
            fill_count += 1
            quantity[i] = target[i] if opening[i] == 0.0 else 0.0
            fills[fill_count - 1]["position"] = quantity[i]

    scale = cash_factor(cash, quantity, price, opening, commission)
    for i in range(assets):
        if not filling[i]:
            continue
        order = waiting[i]
        waiting[i] = -1
        if opening[i] > 0.0:
            orders[order]["scale"] = scale
            if scale > 0.0:
                signed = opening[i] * scale * (1.0 if target[i] > 0.0 else -1.0)
                cash += book(fills, fill_count, order, OPEN, t, signed, price[i], opens[i], commission, orders)
                fill_count += 1
                quantity[i] = target[i] if scale == 1.0 else quantity[i] + signed
                fills[fill_count - 1]["position"] = quantity[i]
        if orders[order]["outcome"] != FILLED:
            orders[order]["reason"] = NO_CASH
    return cash, fill_count


@kernel
def place(orders: Records, order: int, asset: int, t: int, cause: int, weight: float, quantity: float) -> None:
    """Write a new order; until something happens to it, it ends with the data."""
    orders[order]["asset"] = asset
    orders[order]["decided_bar"] = t
    orders[order]["cause"] = cause
    orders[order]["weight"] = weight
    orders[order]["quantity"] = quantity
    orders[order]["outcome"] = UNFILLED
    orders[order]["reason"] = END_OF_DATA
    orders[order]["filled_bar"] = -1
    orders[order]["price"] = np.nan
    orders[order]["scale"] = 1.0


@kernel
def ledger(
    opens: Floats,
    closes: Floats,
    tradable: Bools,
    weights: Floats,
    decides: Bools,
    initial_capital: float,
    fill_lag: int,
    slippage: float,
    commission: float,
    size_at_fill: bool,
    orders: Records,
    fills: Records,
    cash_out: Floats,
    equity_out: Floats,
    quantity_out: Floats,
) -> tuple[int, int, int]:
    """The life of an account, bar by bar. Returns the numbers of orders and fills and the bar of ruin or -1."""
    rows, assets = closes.shape
    quantity = np.zeros(assets)
    waiting = np.full(assets, -1)
    due = np.zeros(assets, dtype=np.int64)
    wanted = np.zeros(assets)
    cash = initial_capital
    order_count, fill_count, ruined_bar = 0, 0, -1
    for t in range(rows):
        ready = False
        for i in range(assets):
            if waiting[i] >= 0 and t >= due[i] and tradable[t, i]:
                ready = True
        if ready:
            cash, fill_count = fill_bar(
                t, opens[t], closes[t - 1], tradable[t], due, waiting, wanted, size_at_fill,
                slippage, commission, cash, quantity, orders, fills, fill_count,
            )  # fmt: skip
        equity = cash
        for i in range(assets):
            equity += quantity[i] * closes[t, i]
            quantity_out[t, i] = quantity[i]
        cash_out[t] = cash
        equity_out[t] = equity
        if ruined_bar >= 0:
            continue
        ruined = equity <= 0.0
        for i in range(assets):
            if not (decides[t, i] or ruined):
                continue
            if waiting[i] >= 0:
                orders[waiting[i]]["reason"] = SUPERSEDED
                waiting[i] = -1
            weight = 0.0 if ruined else weights[t, i]
            target = weight * equity / closes[t, i]
            if same(target, quantity[i]):
                continue
            cause = RUIN if ruined else SIGNAL
            place(orders, order_count, i, t, cause, weight, target - quantity[i])
            waiting[i] = order_count
            due[i] = t + (1 if ruined else fill_lag)
            wanted[i] = weight if size_at_fill else target
            order_count += 1
        if ruined:
            ruined_bar = t
    return order_count, fill_count, ruined_bar

"""What a fill costs: price impact, commission, and the factor that keeps openings within equity."""

import numpy as np

from engine.execution.inputs import Market, Records
from engine.execution.slippage import LARGEST_IMPACT, PARTICIPATION, SPREAD, SQUARE_ROOT
from engine.kernels import part
from engine.results import Cause, Leg, Outcome, Reason
from engine.types import Floats

# Plain integers, because a kernel cannot hold an enumeration.
FILLED, UNFILLED, PARTIAL = int(Outcome.FILLED), int(Outcome.UNFILLED), int(Outcome.PARTIAL)
NONE, END_OF_DATA = int(Reason.NONE), int(Reason.END_OF_DATA)
CLOSE, OPEN = int(Leg.CLOSE), int(Leg.OPEN)
TAKE_PROFIT, ENDED = int(Cause.TAKE_PROFIT), int(Cause.ENDED)

ROUNDING = 1e-12
"""A difference this small, relative to its terms, is a rounding error: nothing to trade, no room, or an exact fit."""

WHOLE = 1e-9
"""A quantity this close below a multiple of its lot, in lots, is that multiple."""


@part
def same(target: float, held: float) -> bool:
    """Whether a target is what is held already, up to rounding: applying it again trades nothing."""
    return abs(target - held) <= ROUNDING * max(abs(target), abs(held))


@part
def to_lot(quantity: float, step: float) -> float:
    """A quantity rounded toward zero to a multiple of the lot; ``step`` 0 leaves it."""
    if step == 0.0:
        return quantity
    lots = np.floor(abs(quantity) / step + WHOLE)
    return np.copysign(lots * step, quantity) if lots > 0.0 else 0.0


@part
def impacted(market: Market, terms: Records, t: int, i: int, decided: int, base: float, side: float, q: float) -> float:
    """Price of trading ``q`` units at ``base``, slippage model and bps applied (semantics section 4).

    ``t`` is the bar whose volume takes them, ``decided`` that of the decision.
    """
    kind, amount = terms[i]["slippage"], terms[i]["amount"]
    impact = 0.0
    if kind == SPREAD:
        impact = amount
    elif kind == PARTICIPATION:
        volume = market.volume[t, i]
        impact = amount * (q / volume if q < volume else 1.0)
    elif kind == SQUARE_ROOT and market.sigma[decided, i] > 0.0:
        adv = market.adv[decided, i]
        impact = (
            min(LARGEST_IMPACT, amount * market.sigma[decided, i] * np.sqrt(q / adv)) if adv > 0.0 else LARGEST_IMPACT
        )
    price: float = base * (1.0 + side * impact) * (1.0 + side * terms[i]["slippage_rate"])
    return price


@part
def fee(terms: Records, i: int, fills: int, variable: float) -> float:
    """Commission of an order's leg so far: nothing before its first fill (semantics section 4)."""
    return max(variable + terms[i]["per_order"], terms[i]["minimum"]) if fills > 0 else 0.0


@part
def book(
    market: Market,
    terms: Records,
    orders: Records,
    fills: Records,
    count: int,
    order: int,
    leg: int,
    t: int,
    moment: int,
    signed: float,
    base: float,
) -> float:
    """Write one fill into both ledgers and return the change in cash."""
    row, entry = orders[order], fills[count]
    i, amount = row["asset"], abs(signed)
    price = base
    if row["cause"] != TAKE_PROFIT:
        # A symbol that has ended has no bar now: it leaves in its last one, which its order names.
        bar = row["decided_bar"] if row["cause"] == ENDED else t
        price = impacted(market, terms, bar, i, row["decided_bar"], base, np.copysign(1.0, signed), amount)
    variable = amount * price * terms[i]["commission_rate"] + amount * terms[i]["per_unit"]
    if leg == CLOSE:
        paid = fee(terms, i, row["close_fills"], row["close_variable"])
        row["close_fills"] += 1
        row["close_variable"] += variable
        charge = fee(terms, i, row["close_fills"], row["close_variable"]) - paid
    else:
        paid = fee(terms, i, row["open_fills"], row["open_variable"])
        row["open_fills"] += 1
        row["open_variable"] += variable
        charge = fee(terms, i, row["open_fills"], row["open_variable"]) - paid
    slip = amount * abs(price - base)
    entry["order"] = order
    entry["asset"] = i
    entry["bar"] = t
    entry["moment"] = moment
    entry["leg"] = leg
    entry["quantity"] = signed
    entry["price"] = price
    entry["commission"] = charge
    entry["slippage"] = slip
    before = abs(row["filled"])
    row["price"] = (row["price"] * before + price * amount) / (before + amount) if before > 0.0 else price
    row["filled"] += signed
    row["filled_bar"] = t
    row["moment"] = moment
    row["commission"] += charge
    row["slippage"] += slip
    return -signed * price - charge


@part
def cash_factor(cash: float, quantity: Floats, price: Floats, opening: Floats, terms: Records) -> float:
    """The factor on openings that keeps gross exposure within equity, costs paid, at the fill prices.

    ``price`` is that of the fill at its unscaled quantity, or the mark. Fixed costs are reserved whole.
    """
    need, fixed, room, gross = 0.0, 0.0, cash, 0.0
    for i in range(quantity.shape[0]):
        if quantity[i] != 0.0:
            room += quantity[i] * price[i] - abs(quantity[i]) * price[i]
            gross += abs(quantity[i]) * price[i]
        if opening[i] > 0.0:
            unit = price[i] * (1.0 + terms[i]["commission_rate"]) + terms[i]["per_unit"]
            need += opening[i] * unit
            fixed += max(terms[i]["per_order"], terms[i]["minimum"])
    room -= fixed
    if room <= ROUNDING * gross:
        room = 0.0
    return room / need if need > room * (1.0 + ROUNDING) else 1.0

"""Round trips from fills (semantics section 6)."""

import math
from typing import NamedTuple

import numpy as np

from engine.data.bars import Bars
from engine.data.mapped import forget
from engine.execution.inputs import Records, read_only
from engine.execution.pricing import CLOSE
from engine.execution.records import columns
from engine.kernels import kernel, part
from engine.results import Fills, Ledger, Moment, Trades
from engine.types import Bools, Floats, Ints

AT_OPEN, INSIDE = int(Moment.OPEN), int(Moment.INSIDE)

TRADE = np.dtype(
    [
        ("asset", np.int64),
        ("side", np.int64),
        ("entry_order", np.int64),
        ("exit_order", np.int64),
        ("entry_bar", np.int64),
        ("exit_bar", np.int64),
        ("entry_moment", np.int64),
        ("exit_moment", np.int64),
        ("entry_price", np.float64),
        ("exit_price", np.float64),
        ("quantity", np.float64),
        ("entry_commission", np.float64),
        ("exit_commission", np.float64),
        ("entry_slippage", np.float64),
        ("exit_slippage", np.float64),
        ("borrow_cost", np.float64),
        ("stop_level", np.float64),
        ("target_level", np.float64),
        ("pnl_gross", np.float64),
        ("pnl_net", np.float64),
        ("mfe", np.float64),
        ("mae", np.float64),
    ]
)


def round_trips(ledger: Ledger, bars: Bars) -> Trades:
    """Every trade of the account. An open trade's P&L is marked at the last close."""
    fills = ledger.fills
    trades = np.zeros(len(fills), dtype=TRADE)
    last = np.array([ledger.mark_of(i)[-1] if len(ledger.equity) else 0.0 for i in range(len(ledger.open_borrow))])
    arrays = fill_arrays(fills)
    trades = trades[: pair(arrays, last, ledger.open_borrow, trades)]
    # A symbol at a time: its prices one after the other, and not those of all symbols in between.
    for mine, own in zip(by_asset(trades["asset"]), by_asset(fills.asset), strict=True):
        if len(mine):
            i = int(trades["asset"][mine[0]])
            high, low, valid = (read_only(bars.one(name, i)) for name in ("high", "low", "valid"))
            excursions(trades, mine, arrays, own, high, low, valid, float(last[i]))
            forget(high, low)
    return Trades(**columns(trades, Trades))


def by_asset(asset: Ints) -> list[Ints]:
    """The rows of each asset, in their order; of no rows at all one empty array."""
    order = np.argsort(asset, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(asset[order])) + 1)


class FillArrays(NamedTuple):
    """The fields of fills that make trades, (K,) each."""

    order: Ints
    asset: Ints
    bar: Ints
    moment: Ints
    leg: Ints
    position: Floats
    quantity: Floats
    price: Floats
    commission: Floats
    slippage: Floats
    borrow: Floats
    stop: Floats
    target: Floats


def fill_arrays(fills: Fills) -> FillArrays:
    """The fields of fills as a kernel takes them."""
    return FillArrays(**{name: getattr(fills, name) for name in FillArrays._fields})


@kernel
def begin(fresh: Records, fills: FillArrays, f: int) -> None:
    """A trade begins with an opening fill."""
    fresh["asset"] = fills.asset[f]
    fresh["side"] = 1 if fills.quantity[f] > 0.0 else -1
    fresh["entry_order"] = fills.order[f]
    fresh["entry_bar"] = fills.bar[f]
    fresh["entry_moment"] = fills.moment[f]
    fresh["exit_order"] = -1
    fresh["exit_bar"] = -1
    fresh["exit_price"] = np.nan


@kernel
def pair(fills: FillArrays, last: Floats, open_borrow: Floats, trades: Records) -> int:
    """Fold fills into trades; returns how many. ``pnl_net`` is the sum of a trade's cash flows plus what it holds.

    ``last`` (N,) are the marks at the end, ``open_borrow`` (N,) what open positions paid since their last fill.
    """
    assets = last.shape[0]
    current = np.full(assets, -1)
    held, exited = np.zeros(assets), np.zeros(assets)
    count = 0
    for f in range(fills.order.shape[0]):
        i = fills.asset[f]
        amount, price, commission = abs(fills.quantity[f]), fills.price[f], fills.commission[f]
        if current[i] < 0:
            current[i] = count
            begin(trades[count], fills, f)
            count += 1
            exited[i] = 0.0
        trade = trades[current[i]]
        held[i] = fills.position[f]
        flow = -fills.quantity[f] * price
        trade["pnl_net"] += flow - commission - fills.borrow[f]
        trade["pnl_gross"] += flow + fills.slippage[f]
        trade["borrow_cost"] += fills.borrow[f]
        trade["stop_level"] = fills.stop[f]
        trade["target_level"] = fills.target[f]
        if fills.leg[f] == CLOSE:
            so_far = 0.0 if exited[i] == 0.0 else trade["exit_price"] * exited[i]
            exited[i] += amount
            trade["exit_price"] = (so_far + amount * price) / exited[i]
            trade["exit_commission"] += commission
            trade["exit_slippage"] += fills.slippage[f]
            if held[i] == 0.0:
                trade["exit_order"] = fills.order[f]
                trade["exit_bar"] = fills.bar[f]
                trade["exit_moment"] = fills.moment[f]
                current[i] = -1
        else:
            opened = trade["quantity"]
            trade["entry_price"] = (trade["entry_price"] * opened + amount * price) / (opened + amount)
            trade["quantity"] = opened + amount
            trade["entry_commission"] += commission
            trade["entry_slippage"] += fills.slippage[f]
    for i in range(assets):
        if current[i] >= 0:
            trade = trades[current[i]]
            trade["pnl_net"] += held[i] * last[i] - open_borrow[i]
            trade["pnl_gross"] += held[i] * last[i]
            trade["borrow_cost"] += open_borrow[i]
    return count


def pair_plain(fills: FillArrays, last: Floats, open_borrow: Floats, trades: Records) -> int:
    """Twin of :func:`pair`: sorts fills into trips, then adds each trip up."""
    trips: list[list[int]] = []
    current: dict[int, list[int]] = {}
    for f, i in enumerate(fills.asset.tolist()):
        if i not in current:
            current[i] = []
            trips.append(current[i])
        current[i].append(f)
        if fills.position[f] == 0.0:
            del current[i]
    for trade, trip in zip(trades, trips, strict=False):
        ins = [f for f in trip if fills.leg[f] != CLOSE]
        outs = [f for f in trip if fills.leg[f] == CLOSE]
        begin.py_func(trade, fills, trip[0])
        i, end = int(fills.asset[trip[0]]), trip[-1]
        ended = current.get(i) is not trip
        held = 0.0 if ended else math.fsum(fills.quantity[trip])
        flows = math.fsum(-fills.quantity[trip] * fills.price[trip]) + (0.0 if ended else held * last[i])
        if ended:
            trade["exit_order"], trade["exit_bar"] = fills.order[end], fills.bar[end]
            trade["exit_moment"] = fills.moment[end]
        trade["quantity"] = math.fsum(abs(fills.quantity[ins]))
        for name, some in (("entry", ins), ("exit", outs)):
            amount = abs(fills.quantity[some])
            paid = math.fsum(amount * fills.price[some])
            trade[f"{name}_price"] = paid / math.fsum(amount) if some else math.nan
            trade[f"{name}_commission"] = math.fsum(fills.commission[some])
            trade[f"{name}_slippage"] = math.fsum(fills.slippage[some])
        borrow = math.fsum(fills.borrow[trip]) + (0.0 if ended else float(open_borrow[i]))
        trade["borrow_cost"], trade["stop_level"], trade["target_level"] = borrow, fills.stop[end], fills.target[end]
        trade["pnl_net"] = flows - math.fsum(fills.commission[trip]) - borrow
        trade["pnl_gross"] = flows + math.fsum(fills.slippage[trip])
    return len(trips)


@part
def furthest(
    begin: int, end: int, highs: Floats, lows: Floats, valid: Bools,
    held: float, average: float, realised: float, top: float, bottom: float,
) -> tuple[float, float]:  # fmt: skip
    """``top`` and ``bottom``, or what ``held`` units made beyond them in the bars from ``begin`` to before ``end``."""
    best, worst = -np.inf, np.inf
    for t in range(begin, end):
        if valid[t]:
            best = max(best, highs[t])
            worst = min(worst, lows[t])
    if best > -np.inf:
        top = max(top, realised + (best - average) * held)
        bottom = min(bottom, realised + (worst - average) * held)
    return top, bottom


@kernel
def excursions(
    trades: Records, mine: Ints, fills: FillArrays, own: Ints, highs: Floats, lows: Floats, valid: Bools, last: float
) -> None:
    """Best and worst each of one symbol's trades ever stood, in currency; ``mine`` are its trades, ``own`` its fills.

    At a price a trade stands at what its reductions realised, plus what is held times the distance to the average
    price then; the fills' slippage is in it, commission and borrow are not. Looked at are the high and low of each bar
    it is held in, with what a fill at the open left, and its end: the exit, or the mark. In the bar of a fill inside it
    only what is held before and after is held throughout, so the smaller of the two counts: nothing in the bar of such
    an entry or exit. ``valid`` (T,): bars without a price are passed over; ``last`` the mark at the end.
    """
    f = 0
    for k in mine:
        trade = trades[k]
        ended = trade["exit_bar"] >= 0
        # As for a long: what a short makes is the opposite. ``t`` is the first bar not looked at.
        t, held, average, realised, top, bottom = trade["entry_bar"], 0.0, 0.0, 0.0, 0.0, 0.0
        while f < own.shape[0]:
            at = own[f]
            f += 1
            bar, moment = fills.bar[at], fills.moment[at]
            amount, price, closes = abs(fills.quantity[at]), fills.price[at], fills.leg[at] == CLOSE
            whole = bar if moment == AT_OPEN or (moment == INSIDE and closes) else bar + 1
            if held > 0.0:
                top, bottom = furthest(t, whole, highs, lows, valid, held, average, realised, top, bottom)
            t = max(t, whole)
            if closes:
                realised += amount * (price - average)
            else:
                average = (average * held + amount * price) / (held + amount)
            held = abs(fills.position[at])
            if held == 0.0:
                break
            if moment == INSIDE and closes:
                top, bottom = furthest(t, bar + 1, highs, lows, valid, held, average, realised, top, bottom)
                t = max(t, bar + 1)
        if ended:
            final = (trade["exit_price"] - trade["entry_price"]) * trade["quantity"]
        else:
            top, bottom = furthest(t, highs.shape[0], highs, lows, valid, held, average, realised, top, bottom)
            final = realised + (last - average) * held
        top, bottom = max(top, final), min(bottom, final)
        trade["mfe"] = top if trade["side"] > 0 else -bottom
        trade["mae"] = bottom if trade["side"] > 0 else -top


def excursions_plain(
    trades: Records, mine: Ints, fills: FillArrays, own: Ints, highs: Floats, lows: Floats, valid: Bools, last: float
) -> None:
    """Twin of :func:`excursions`: adds up at every bar what all fills so far paid and what they left."""
    for k, trip in zip(mine.tolist(), trips_of(fills, own.tolist()), strict=True):
        trade = trades[k]
        stood = [0.0, stands(fills, trip, math.nan if trade["exit_bar"] >= 0 else last)]
        end = int(trade["exit_bar"]) + 1 if trade["exit_bar"] >= 0 else len(highs)
        for t in range(int(trade["entry_bar"]), end):
            early = [f for f in trip if (fills.bar[f], fills.moment[f]) <= (t, AT_OPEN)]
            late = [f for f in trip if (fills.bar[f], fills.moment[f]) <= (t, INSIDE)]
            done = min((early, late), key=lambda some: abs(fills.position[some[-1]]) if some else 0.0)
            if done and valid[t] and fills.position[done[-1]]:
                stood += [stands(fills, done, float(price[t])) for price in (highs, lows)]
        trade["mfe"], trade["mae"] = max(stood), min(stood)


def trips_of(fills: FillArrays, own: list[int]) -> list[list[int]]:
    """One symbol's fills, parted where it is flat."""
    trips: list[list[int]] = []
    flat = True
    for f in own:
        if flat:
            trips.append([])
        trips[-1].append(f)
        flat = fills.position[f] == 0.0
    return trips


def stands(fills: FillArrays, done: list[int], price: float) -> float:
    """What these fills of a trade brought in, and what they left at a price."""
    left = float(fills.position[done[-1]])
    return math.fsum(-fills.quantity[done] * fills.price[done]) + (left * price if left else 0.0)

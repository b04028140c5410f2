"""Round trips from fills (semantics section 6)."""

import math
from typing import NamedTuple

import numpy as np

from engine.data.bars import Bars
from engine.data.mapped import forget
from engine.execution.inputs import Records, read_only
from engine.execution.pricing import CLOSE
from engine.execution.records import columns
from engine.kernels import kernel
from engine.results import Fills, Ledger, Moment, Trades
from engine.types import Bools, Floats, Ints

AT_OPEN, AT_END = int(Moment.OPEN), int(Moment.END)

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
    last = np.ascontiguousarray(ledger.mark[-1] if len(ledger.mark) else ledger.open_borrow)
    trades = trades[: pair(fill_arrays(fills), last, ledger.open_borrow, trades)]
    # A symbol at a time: its prices one after the other, and not those of all symbols in between.
    order = np.argsort(trades["asset"], kind="stable")
    for mine in np.split(order, np.flatnonzero(np.diff(trades["asset"][order])) + 1):
        if len(mine):
            i = int(trades["asset"][mine[0]])
            high, low, valid = (read_only(bars.one(name, i)) for name in ("high", "low", "valid"))
            excursions(trades, mine, high, low, valid, float(last[i]))
            forget(high, low)
    return Trades(**columns(trades, Trades))


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


@kernel
def excursions(trades: Records, mine: Ints, highs: Floats, lows: Floats, valid: Bools, last: float) -> None:
    """Best and worst each of one symbol's trades ever stood, in currency; ``mine`` is which of the trades these are.

    Its bars from the entry (the one after, where the entry was not at the open) to the one before the exit (that
    of the exit, where it was at the close), and the exit itself, or the mark at the end. ``valid`` (T,): bars without
    a price are passed over; ``last`` the mark at the end.
    """
    for k in mine:
        trade = trades[k]
        ended = trade["exit_bar"] >= 0
        begin_bar = trade["entry_bar"] + (0 if trade["entry_moment"] == AT_OPEN else 1)
        end = highs.shape[0]
        if ended:
            end = trade["exit_bar"] + (1 if trade["exit_moment"] == AT_END else 0)
        top = trade["entry_price"]
        bottom = trade["entry_price"]
        for t in range(begin_bar, end):
            if valid[t]:
                top = max(top, highs[t])
                bottom = min(bottom, lows[t])
        left = trade["exit_price"] if ended else last
        top = max(top, left)
        bottom = min(bottom, left)
        up = (top - trade["entry_price"]) * trade["quantity"]
        down = (bottom - trade["entry_price"]) * trade["quantity"]
        trade["mfe"] = up if trade["side"] > 0 else -down
        trade["mae"] = down if trade["side"] > 0 else -up


def excursions_plain(trades: Records, mine: Ints, highs: Floats, lows: Floats, valid: Bools, last: float) -> None:
    """Twin of :func:`excursions`."""
    for k in mine.tolist():
        trade = trades[k]
        entry, ended = float(trade["entry_price"]), trade["exit_bar"] >= 0
        first = int(trade["entry_bar"]) + int(trade["entry_moment"] != AT_OPEN)
        bars = slice(first, trade["exit_bar"] + int(trade["exit_moment"] == AT_END) if ended else None)
        after = float(trade["exit_price"]) if ended else last
        seen = [*highs[bars][valid[bars]].tolist(), *lows[bars][valid[bars]].tolist()]
        prices = [entry, *seen, after]
        best, worst = (max(prices), min(prices)) if trade["side"] > 0 else (min(prices), max(prices))
        trade["mfe"] = trade["side"] * (best - entry) * trade["quantity"]
        trade["mae"] = trade["side"] * (worst - entry) * trade["quantity"]

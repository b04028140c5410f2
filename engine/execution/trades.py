"""Round trips from fills (semantics section 6)."""

import math

import numpy as np

from engine.data.bars import Bars
from engine.execution.fills import CLOSE, Records, columns
from engine.kernels import kernel
from engine.results import Fills, Ledger, Trades
from engine.types import Floats, Ints

TRADE = np.dtype(
    [
        ("asset", np.int64),
        ("side", np.int64),
        ("entry_order", np.int64),
        ("exit_order", np.int64),
        ("entry_bar", np.int64),
        ("exit_bar", np.int64),
        ("entry_price", np.float64),
        ("exit_price", np.float64),
        ("quantity", np.float64),
        ("entry_commission", np.float64),
        ("exit_commission", np.float64),
        ("entry_slippage", np.float64),
        ("exit_slippage", np.float64),
        ("pnl_gross", np.float64),
        ("pnl_net", np.float64),
        ("mfe", np.float64),
        ("mae", np.float64),
    ]
)


def round_trips(ledger: Ledger, bars: Bars) -> Trades:
    """Every trade of the account. An open trade's P&L is marked at the last close."""
    fills: Fills = ledger.fills
    trades = np.zeros(len(fills), dtype=TRADE)
    count = pair(
        fills.order, fills.asset, fills.bar, fills.leg, fills.position, fills.quantity, fills.price, fills.commission,
        fills.slippage, ledger.mark, trades,
    )  # fmt: skip
    excursions(trades[:count], bars.high, bars.low)
    return Trades(**columns(trades[:count]))


@kernel
def pair(
    order: Ints,
    asset: Ints,
    bar: Ints,
    leg: Ints,
    position: Floats,
    quantity: Floats,
    price: Floats,
    commission: Floats,
    slippage: Floats,
    marks: Floats,
    trades: Records,
) -> int:
    """Fold fills into trades; returns how many. ``pnl_net`` is the sum of a trade's cash flows plus what it holds."""
    assets = marks.shape[1]
    current = np.full(assets, -1)
    held = np.zeros(assets)
    exited = np.zeros(assets)
    count = 0
    for f in range(order.shape[0]):
        i = asset[f]
        amount = abs(quantity[f])
        if current[i] < 0:
            current[i] = count
            count += 1
            fresh = trades[current[i]]
            fresh["asset"] = i
            fresh["side"] = 1 if quantity[f] > 0.0 else -1
            fresh["entry_order"] = order[f]
            fresh["entry_bar"] = bar[f]
            fresh["exit_order"] = -1
            fresh["exit_bar"] = -1
            fresh["exit_price"] = np.nan
            exited[i] = 0.0
        trade = trades[current[i]]
        held[i] = position[f]
        costs = commission[f] + slippage[f]
        trade["pnl_net"] += -quantity[f] * price[f] - commission[f]
        trade["pnl_gross"] += -quantity[f] * price[f] - commission[f] + costs
        if leg[f] == CLOSE:
            so_far = 0.0 if exited[i] == 0.0 else trade["exit_price"] * exited[i]
            exited[i] += amount
            trade["exit_price"] = (so_far + amount * price[f]) / exited[i]
            trade["exit_commission"] += commission[f]
            trade["exit_slippage"] += slippage[f]
            if position[f] == 0.0:
                trade["exit_order"] = order[f]
                trade["exit_bar"] = bar[f]
                current[i] = -1
        else:
            opened = trade["quantity"]
            trade["entry_price"] = (trade["entry_price"] * opened + amount * price[f]) / (opened + amount)
            trade["quantity"] = opened + amount
            trade["entry_commission"] += commission[f]
            trade["entry_slippage"] += slippage[f]
    for i in range(assets):
        if current[i] >= 0:
            trade = trades[current[i]]
            value = held[i] * marks[marks.shape[0] - 1, i]
            trade["pnl_net"] += value
            trade["pnl_gross"] += value
    return count


def pair_plain(
    order: Ints,
    asset: Ints,
    bar: Ints,
    leg: Ints,
    position: Floats,
    quantity: Floats,
    price: Floats,
    commission: Floats,
    slippage: Floats,
    marks: Floats,
    trades: Records,
) -> int:
    """Twin of :func:`pair`: sorts fills into trips, then adds each trip up."""
    trips: list[list[int]] = []
    current: dict[int, list[int]] = {}
    for f, i in enumerate(asset.tolist()):
        if i not in current:
            current[i] = []
            trips.append(current[i])
        current[i].append(f)
        if position[f] == 0.0:
            del current[i]
    for trade, trip in zip(trades, trips, strict=False):
        ins = [f for f in trip if leg[f] != CLOSE]
        outs = [f for f in trip if leg[f] == CLOSE]
        first, last = trip[0], trip[-1]
        ended = current.get(asset[first]) is not trip
        held = 0.0 if ended else math.fsum(quantity[trip])
        flows = math.fsum(-quantity[trip] * price[trip]) + held * marks[-1, asset[first]]
        trade["asset"], trade["side"] = asset[first], 1 if quantity[first] > 0.0 else -1
        trade["entry_order"], trade["entry_bar"] = order[first], bar[first]
        trade["exit_order"], trade["exit_bar"] = (order[last], bar[last]) if ended else (-1, -1)
        trade["quantity"] = math.fsum(abs(quantity[ins]))
        for name, some in (("entry", ins), ("exit", outs)):
            amount = abs(quantity[some])
            trade[f"{name}_price"] = math.fsum(amount * price[some]) / math.fsum(amount) if some else math.nan
            trade[f"{name}_commission"] = math.fsum(commission[some])
            trade[f"{name}_slippage"] = math.fsum(slippage[some])
        trade["pnl_net"] = flows - math.fsum(commission[trip])
        trade["pnl_gross"] = flows + math.fsum(slippage[trip])
    return len(trips)


@kernel
def excursions(trades: Records, highs: Floats, lows: Floats) -> None:
    """Best and worst a trade ever stood, in currency: its bars from entry to the one before the exit, and the exit."""
    for k in range(trades.shape[0]):
        trade = trades[k]
        i = trade["asset"]
        ended = trade["exit_bar"] >= 0
        end = trade["exit_bar"] if ended else highs.shape[0]
        top = trade["entry_price"]
        bottom = trade["entry_price"]
        for t in range(trade["entry_bar"], end):
            top = max(top, highs[t, i])
            bottom = min(bottom, lows[t, i])
        if ended:
            top = max(top, trade["exit_price"])
            bottom = min(bottom, trade["exit_price"])
        up = (top - trade["entry_price"]) * trade["quantity"]
        down = (bottom - trade["entry_price"]) * trade["quantity"]
        trade["mfe"] = up if trade["side"] > 0 else -down
        trade["mae"] = down if trade["side"] > 0 else -up


def excursions_plain(trades: Records, highs: Floats, lows: Floats) -> None:
    """Twin of :func:`excursions`."""
    for trade in trades:
        entry, ended = float(trade["entry_price"]), trade["exit_bar"] >= 0
        bars = slice(trade["entry_bar"], trade["exit_bar"] if ended else None)
        after = [float(trade["exit_price"])] if ended else []
        top = max([entry, *highs[bars, trade["asset"]].tolist(), *after])
        bottom = min([entry, *lows[bars, trade["asset"]].tolist(), *after])
        best, worst = (top, bottom) if trade["side"] > 0 else (bottom, top)
        trade["mfe"] = trade["side"] * (best - entry) * trade["quantity"]
        trade["mae"] = trade["side"] * (worst - entry) * trade["quantity"]

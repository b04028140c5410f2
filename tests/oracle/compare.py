"""Where the engine and the reference differ, in words; an empty list is agreement to 1e-9 relative."""

import math
from collections.abc import Sequence

from engine.results import Cause, Leg, Moment, Outcome, Reason
from engine.results import Ledger as EngineLedger
from engine.results import Trades as EngineTrades
from tests.oracle.account import Account, Fill, Order
from tests.oracle.trades import excursions, round_trips

RELATIVE = 1e-9
LOOSE = 1000.0
"""Where dust decided, its worth grows or shrinks with the account from then on."""


def close(a: float, b: float, size: float = 0.0) -> bool:
    """Equal to 1e-9 of the larger of the two, or of ``size``: what a difference of large numbers cannot resolve."""
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b)
    return a == b or abs(a - b) <= RELATIVE * max(abs(a), abs(b), size)


def differences(mine: Account, engine: EngineLedger, trades: EngineTrades) -> list[str]:
    """Compare the account bar by bar, then orders, fills and trades (the account only where dust decided)."""
    turned_over = [abs(q * p) for k in range(len(mine.held)) for q, p in zip(mine.held[k], mine.mark[k], strict=True)]
    money = max(abs(x) for x in (*mine.cash, *mine.equity, *turned_over, engine.initial_capital) if not math.isnan(x))
    money *= LOOSE if mine.dust else 1.0
    found = path("cash", mine.cash, engine.cash.tolist(), money)
    found += path("equity", mine.equity, engine.equity.tolist(), money)
    for i in range(engine.quantity.shape[1]):
        held, marks = [row[i] for row in mine.held], [row[i] for row in mine.mark]
        finite = [m for m in marks if not math.isnan(m)]
        size = money / min(finite) if mine.dust and finite else max(map(abs, held))
        found += path(f"quantity[{i}]", held, engine.quantity[:, i].tolist(), size)
        found += path(f"mark[{i}]", marks, engine.mark[:, i].tolist(), 0.0)
    if mine.ruined != engine.ruined_bar:
        found.append(f"ruined {mine.ruined} != {engine.ruined_bar}")
    found += [
        f"{name} {a} != {b}"
        for name, a, b in (("borrow", mine.borrow, engine.borrow), ("interest", mine.interest, engine.interest))
        if not close(a, b, money)
    ]
    if mine.dust:
        return found
    if mine.ambiguous != engine.ambiguous:
        found.append(f"ambiguous {mine.ambiguous} != {engine.ambiguous}")
    rows, missing = matched(mine.orders, engine)
    if missing:
        return found + missing
    found += compare_orders(mine.orders, rows, engine, money)
    found += compare_fills(mine, rows, engine, money)
    return found + compare_trades(mine, rows, engine, trades, money)


def path(name: str, mine: Sequence[float], theirs: Sequence[float], size: float) -> list[str]:
    if len(mine) != len(theirs):
        return [f"{name}: {len(mine)} bars != {len(theirs)}"]
    pairs = enumerate(zip(mine, theirs, strict=True))
    return [f"{name} at {t}: {a} != {b}" for t, (a, b) in pairs if not close(a, b, size)][:3]


def matched(mine: list[Order], engine: EngineLedger) -> tuple[dict[int, int], list[str]]:
    """The engine's row of each of my orders (by ``id``), or what one has and the other has not."""
    theirs = engine.orders
    if theirs.decided_bar.tolist() != sorted(theirs.decided_bar.tolist()):
        return {}, ["orders are not in the order of their decisions"]
    keys = [(int(theirs.decided_bar[k]), int(theirs.asset[k]), Cause(theirs.cause[k]).name) for k in range(len(theirs))]
    ranked = sorted(range(len(keys)), key=lambda k: keys[k])
    ordered = sorted(mine, key=lambda o: (o.decided, o.asset, o.cause))
    my_keys = [(o.decided, o.asset, o.cause) for o in ordered]
    their_keys = [keys[k] for k in ranked]
    if my_keys != their_keys:
        only_mine = [k for k in my_keys if k not in their_keys]
        only_theirs = [k for k in their_keys if k not in my_keys]
        return {}, [f"orders only in the reference {only_mine[:4]}, only in the engine {only_theirs[:4]}"]
    return {id(o): k for o, k in zip(ordered, ranked, strict=True)}, []


def compare_orders(mine: list[Order], rows: dict[int, int], engine: EngineLedger, money: float) -> list[str]:
    theirs = engine.orders
    found = []
    for o in mine:
        k = rows[id(o)]
        names = (Outcome(theirs.outcome[k]).name, Reason(theirs.reason[k]).name, Reason(theirs.scale_reason[k]).name)
        if names != (o.outcome, o.reason, o.scale_reason) or o.filled_bar != theirs.filled_bar[k]:
            my_names = (o.outcome, o.reason, o.scale_reason)
            text = f"{my_names} at {o.filled_bar} != {names} at {theirs.filled_bar[k]}"
            found.append(f"order {k}, asset {o.asset}, {o.cause} of {o.decided}: {text}")
            continue
        if o.filled != 0.0 and Moment(theirs.moment[k]).name != o.moment:
            found.append(f"order {k} of {o.decided}: {o.moment} != {Moment(theirs.moment[k]).name}")
        unit = 0.0 if math.isnan(o.price) or o.price == 0.0 else money / o.price
        found += [
            f"order {k} {o.cause} of {o.decided} {name}: {a} != {b}"
            for name, a, b, size in (
                ("weight", o.weight, theirs.weight[k], 0.0),
                ("quantity", o.asked, theirs.quantity[k], max(unit, abs(o.target))),
                ("price", o.price, theirs.price[k], 0.0),
                ("filled", o.filled, theirs.filled[k], max(unit, abs(o.target))),
                ("commission", o.commission, theirs.commission[k], money),
                ("slippage", o.slippage, theirs.slippage[k], money),
                ("scale", o.scale, theirs.scale[k], 1.0),
            )
            if not close(a, float(b), size)
        ]
    return found


def compare_fills(account: Account, rows: dict[int, int], engine: EngineLedger, money: float) -> list[str]:
    theirs = engine.fills
    if theirs.bar.tolist() != sorted(theirs.bar.tolist()):
        return ["fills are not in time order"]
    legs = [(int(theirs.bar[k]), int(theirs.order[k]), Leg(theirs.leg[k]).name) for k in range(len(theirs))]
    my_legs = [(f.bar, rows[id(f.order)], f.leg) for f in account.fills]
    if sorted(legs) != sorted(my_legs) or len(set(legs)) != len(legs):
        return [f"fills {sorted(my_legs)} != {sorted(legs)}"]
    found = []
    for key, f in zip(my_legs, account.fills, strict=True):
        k = legs.index(key)
        units = money / f.price if f.price > 0.0 else abs(f.quantity)
        sizes = {"quantity": units, "position": units, "price": 0.0, "commission": money, "slippage": money}
        sizes["borrow"] = money
        if (f.order.asset, f.moment) != (int(theirs.asset[k]), Moment(theirs.moment[k]).name):
            found.append(f"fill {key}: {f.order.asset} {f.moment} != {theirs.asset[k]} {theirs.moment[k]}")
        found += [
            f"fill {key} {n}: {getattr(f, n)} != {getattr(theirs, n)[k]}"
            for n, size in sizes.items()
            if not close(getattr(f, n), float(getattr(theirs, n)[k]), size)
        ]
        if (f.position == 0.0) != (float(theirs.position[k]) == 0.0):
            found.append(f"fill {key}: position {f.position} and {theirs.position[k]}: one is flat")
    return found


def compare_trades(
    account: Account, rows: dict[int, int], engine: EngineLedger, theirs: EngineTrades, money: float
) -> list[str]:
    if theirs.entry_bar.tolist() != sorted(theirs.entry_bar.tolist()):
        return ["trades are not in order of entry"]
    mine = round_trips(account)
    order = sorted(range(len(theirs)), key=lambda k: theirs.asset[k])
    if len(mine) != len(theirs):
        return [f"{len(mine)} trades != {len(theirs)}"]
    found = []
    for m, k in zip(mine, order, strict=True):
        entry, last = m.entries[0], m.exits[-1] if m.ended else None
        whole = {
            "asset": (m.asset, int(theirs.asset[k])),
            "side": (m.side, int(theirs.side[k])),
            "entry bar": (entry.bar, int(theirs.entry_bar[k])),
            "entry order": (rows[id(entry.order)], int(theirs.entry_order[k])),
            "entry moment": (entry.moment, Moment(theirs.entry_moment[k]).name),
            "exit bar": (last.bar if last else -1, int(theirs.exit_bar[k])),
        }
        if last:
            whole["exit order"] = (rows[id(last.order)], int(theirs.exit_order[k]))
            whole["exit moment"] = (last.moment, Moment(theirs.exit_moment[k]).name)
        found += [f"trade {k} {name}: {a} != {b}" for name, (a, b) in whole.items() if a != b]
        found += [
            f"trade {k} {name}: {a} != {b}"
            for name, a, b, size in (
                ("entry price", m.entry_price, theirs.entry_price[k], 0.0),
                ("exit price", m.exit_price, theirs.exit_price[k], 0.0),
                ("quantity", m.quantity, theirs.quantity[k], money / m.entry_price),
                ("borrow", m.borrow, theirs.borrow_cost[k], money),
                ("gross", m.gross, theirs.pnl_gross[k], money),
                ("net", m.net, theirs.pnl_net[k], money),
                ("entry commission", total(m.entries, "commission"), theirs.entry_commission[k], money),
                ("exit commission", total(m.exits, "commission"), theirs.exit_commission[k], money),
                ("entry slippage", total(m.entries, "slippage"), theirs.entry_slippage[k], money),
                ("exit slippage", total(m.exits, "slippage"), theirs.exit_slippage[k], money),
            )
            if not close(a, float(b), size)
        ]
        best, worst = float(theirs.mfe[k]), float(theirs.mae[k])
        if not best >= 0.0 >= worst:
            found.append(f"trade {k}: excursions {best}, {worst}")
        limits = excursions(account, m)
        fits = between(best, *limits[0], money) and between(-worst, -limits[1][0], -limits[1][1], money)
        found += [] if fits else [f"trade {k}: excursions {best}, {worst} outside {limits}"]
    return found


def between(value: float, low: float, high: float, size: float) -> bool:
    """``low <= value <= high`` but for rounding errors."""
    return (low <= value or close(low, value, size)) and (value <= high or close(value, high, size))


def total(fills: list[Fill], name: str) -> float:
    return float(sum(getattr(f, name) for f in fills))

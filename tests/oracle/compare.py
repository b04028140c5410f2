"""Where the engine and the reference differ, in words; an empty list is agreement to 1e-9 relative."""

import math
from collections.abc import Sequence

from engine.results import Cause, Leg, Outcome, Reason
from engine.results import Ledger as EngineLedger
from engine.results import Trades as EngineTrades
from tests.oracle.reference import Account, Fill, Order, Trade

RELATIVE = 1e-9


def close(a: float, b: float, size: float = 0.0) -> bool:
    """Equal to 1e-9 of the larger of the two, or of ``size``: what a difference of large numbers cannot resolve."""
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b)
    return abs(a - b) <= RELATIVE * max(abs(a), abs(b), size)


def differences(mine: Account, engine: EngineLedger, mine_trades: list[Trade], trades: EngineTrades) -> list[str]:
    """Compare the account bar by bar, then orders, fills and trades (the account only where dust decided)."""
    money = max(abs(x) for x in (*mine.cash, *mine.equity, engine.initial_capital))
    found = path("cash", mine.cash, engine.cash.tolist(), money)
    found += path("equity", mine.equity, engine.equity.tolist(), money)
    for i in range(engine.quantity.shape[1]):
        held = [row[i] for row in mine.held]
        size = money / float(engine.mark[:, i].min()) if mine.dust else max(map(abs, held))
        found += path(f"quantity[{i}]", held, engine.quantity[:, i].tolist(), size)
    if mine.ruined != engine.ruined_bar:
        found.append(f"ruined {mine.ruined} != {engine.ruined_bar}")
    if mine.dust:
        return found
    found += compare_orders(mine.orders, engine, money)
    found += compare_fills(mine.fills, engine, money)
    return found + compare_trades(mine_trades, engine, trades, money)


def path(name: str, mine: Sequence[float], theirs: Sequence[float], size: float) -> list[str]:
    if len(mine) != len(theirs):
        return [f"{name}: {len(mine)} bars != {len(theirs)}"]
    pairs = enumerate(zip(mine, theirs, strict=True))
    return [f"{name} at {t}: {a} != {b}" for t, (a, b) in pairs if not close(a, b, size)][:3]


def compare_orders(mine: list[Order], engine: EngineLedger, money: float) -> list[str]:
    theirs = engine.orders
    keys = list(zip(theirs.decided_bar.tolist(), theirs.asset.tolist(), strict=True))
    ordered = sorted(mine, key=lambda o: (o.decided, o.asset))
    if [(o.decided, o.asset) for o in ordered] != keys:
        return [f"orders {[(o.decided, o.asset) for o in ordered]} != {keys}"]
    found = []
    for k, o in enumerate(ordered):
        names = (Cause(theirs.cause[k]).name, Outcome(theirs.outcome[k]).name, Reason(theirs.reason[k]).name)
        if names != (o.cause, o.outcome, o.reason) or o.filled_bar != theirs.filled_bar[k]:
            found.append(f"order {k}: {o} != {names} at {theirs.filled_bar[k]}")
            continue
        unit = 0.0 if math.isnan(o.price) or o.price == 0.0 else money / o.price
        found += [
            f"order {k} {name}: {a} != {b}"
            for name, a, b, size in (
                ("weight", o.weight, theirs.weight[k], 0.0),
                ("quantity", o.asked, theirs.quantity[k], max(unit, abs(o.target))),
                ("price", o.price, theirs.price[k], 0.0),
                ("filled", o.filled, theirs.filled[k], max(unit, abs(o.target))),
                ("commission", o.commission, theirs.commission[k], money),
                ("slippage", o.slippage, theirs.slippage[k], money),
                ("scale", o.scale, theirs.scale[k], 1.0),
            )
            if not close(a, float(b), size) and not (name == "scale" and o.outcome != "FILLED")
        ]
    return found


def compare_fills(mine: list[Fill], engine: EngineLedger, money: float) -> list[str]:
    theirs, orders = engine.fills, engine.orders
    if theirs.bar.tolist() != sorted(theirs.bar.tolist()):
        return ["fills are not in time order"]
    legs = {(int(theirs.bar[k]), int(theirs.asset[k]), Leg(theirs.leg[k]).name): k for k in range(len(theirs))}
    mine_legs = {(f.bar, f.order.asset, f.leg): f for f in mine}
    if set(legs) != set(mine_legs) or len(legs) != len(theirs):
        return [f"fills {sorted(mine_legs)} != {sorted(legs)}"]
    found = []
    for key, f in mine_legs.items():
        k = legs[key]
        if orders.decided_bar[theirs.order[k]] != f.order.decided or orders.asset[theirs.order[k]] != key[1]:
            found.append(f"fill {key} belongs to another order")
        units = money / f.price if f.price > 0.0 else abs(f.quantity)
        sizes = {"quantity": units, "price": 0.0, "commission": money, "slippage": money}
        found += [
            f"fill {key} {n}: {getattr(f, n)} != {getattr(theirs, n)[k]}"
            for n, size in sizes.items()
            if not close(getattr(f, n), float(getattr(theirs, n)[k]), size)
        ]
    return found


def compare_trades(mine: list[Trade], engine: EngineLedger, theirs: EngineTrades, money: float) -> list[str]:
    decided = engine.orders.decided_bar
    if theirs.entry_bar.tolist() != sorted(theirs.entry_bar.tolist()):
        return ["trades are not in order of entry"]
    order = sorted(range(len(theirs)), key=lambda k: (theirs.asset[k], theirs.entry_bar[k]))
    if len(mine) != len(theirs):
        return [f"{len(mine)} trades != {len(theirs)}"]
    found = []
    for m, k in zip(mine, order, strict=True):
        whole = (
            (m.asset, int(theirs.asset[k])),
            (m.side, int(theirs.side[k])),
            (m.entries[0].bar, int(theirs.entry_bar[k])),
            (m.entries[0].order.decided, int(decided[theirs.entry_order[k]])),
            (m.exits[-1].bar if m.ended else -1, int(theirs.exit_bar[k])),
            (
                m.exits[-1].order.decided if m.ended else -1,
                int(decided[theirs.exit_order[k]]) if theirs.exit_order[k] >= 0 else -1,
            ),
        )
        found += [f"trade {k}: {whole}" for a, b in whole if a != b][:1]
        found += [
            f"trade {k} {name}: {a} != {b}"
            for name, a, b, size in (
                ("entry price", m.entry_price, theirs.entry_price[k], 0.0),
                ("exit price", m.exit_price, theirs.exit_price[k] if m.ended else math.nan, 0.0),
                ("quantity", m.quantity, theirs.quantity[k], 0.0),
                ("gross", m.gross, theirs.pnl_gross[k], money),
                ("net", m.net, theirs.pnl_net[k], money),
                ("entry commission", total(m.entries, "commission"), theirs.entry_commission[k], money),
                ("exit commission", total(m.exits, "commission"), theirs.exit_commission[k], money),
                ("entry slippage", total(m.entries, "slippage"), theirs.entry_slippage[k], money),
                ("exit slippage", total(m.exits, "slippage"), theirs.exit_slippage[k], money),
            )
            if not close(a, float(b), size)
        ]
        if not theirs.mfe[k] >= 0.0 >= theirs.mae[k]:
            found.append(f"trade {k}: excursions {theirs.mfe[k]}, {theirs.mae[k]}")
    return found


def total(fills: list[Fill], name: str) -> float:
    return float(sum(getattr(f, name) for f in fills))

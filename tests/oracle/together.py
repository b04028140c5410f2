"""A portfolio of the second engine, given to the first: the same plain values, and what differs in the end."""

import math

import numpy as np

from engine.data.bars import Bars
from engine.execution import Execution, round_trips, simulate
from engine.portfolio.plan import Portfolio as Configured
from engine.portfolio.plan import Together
from engine.results import Happening, Ledger, Targets
from tests.oracle.compare import RELATIVE, close, differences, matched
from tests.oracle.markets import HOURLY
from tests.oracle.portfolio import Played, Portfolio
from tests.oracle.portfolio_cases import Setting

LIMITS = (
    *("max_gross_exposure", "max_net_exposure", "max_symbol_weight"),
    *("max_positions", "max_symbol_daily_loss", "max_drawdown"),
)


def bars_of(given: Portfolio) -> Bars:
    """The same prices as the engine takes them."""
    return Bars(
        symbols=given.names,
        conventions=HOURLY,
        time=given.close_time - HOURLY.bar_ns,
        ends=given.close_time,
        open=given.open,
        high=given.high,
        low=given.low,
        close=given.close,
        volume=given.volume,
        tradable=given.tradable,
        extra={} if given.vwap is None else {"vwap": given.vwap},
    )


def together_of(given: Portfolio) -> Together:
    """The rules of the account as a whole. A pair of which a symbol is missing has no threshold."""
    rules = given.portfolio
    pairs = {pair: theta for pair, theta in rules.overrides.items() if set(pair.split(":")) <= set(given.names)}
    configured = Configured.model_validate(
        {
            "redundancy": rules.redundancy,
            "redistribute": rules.redistribute,
            "correlation_threshold": rules.threshold,
            "correlation_overrides": pairs,
            "correlation_window": rules.window,
            "correlation_minimum": rules.minimum,
            "limits": {name: getattr(rules, name) for name in LIMITS},
            "snapshot_interval": rules.snapshot_interval,
        }
    )
    rows = np.arange(len(given.shares), dtype=np.int64)
    return Together(configured, given.names, given.shares, rows, given.last, given.days)


def by_the_engine(given: Portfolio, setting: Setting) -> tuple[Bars, Ledger]:
    """What the engine makes of it; the rules of execution are read from the configuration, as the oracle's are."""
    bars = bars_of(given)
    targets = Targets(given.weights, given.decides, given.signals, notional=given.rules.notional)
    rules = Execution.model_validate(setting.case.configuration)
    return bars, simulate(bars, targets, rules, given.capital, together=together_of(given))


def apart(played: Played, bars: Bars, theirs: Ledger) -> list[str]:
    """Everything that differs: the account, what redundancy says of each order, and what befell symbols."""
    found = differences(played.account, theirs, round_trips(theirs, bars))
    if played.dust:
        return found
    rows, missing = matched(played.account.orders, theirs)
    for order in () if missing else played.account.orders:
        k = rows[id(order)]
        if order.partner != theirs.orders.partner[k]:
            found.append(f"order {k} of {order.decided} partner: {order.partner} != {theirs.orders.partner[k]}")
        found += [
            f"order {k} {order.cause} of {order.decided} {name}: {mine} != {other}"
            for name, mine, other in (
                ("rho", order.rho, float(theirs.orders.rho[k])),
                ("factor", order.factor, float(theirs.orders.factor[k])),
            )
            if not close(mine, other, 1.0)
        ]
    mine, others = events_of(played), told(theirs)
    found += [] if mine == others else [f"events {mine} != {others}"]
    return found + compare_snapshots(played, theirs)


def compare_snapshots(played: Played, theirs: Ledger) -> list[str]:
    """Bars, returns behind the correlations, every pair, and what is diversified."""
    found, taken = [], theirs.snapshots
    mine = [(snapshot.bar, snapshot.observations) for snapshot in played.snapshots]
    others = list(zip(taken.bar.tolist(), taken.observations.tolist(), strict=True))
    if mine != others:
        return [f"snapshots {mine} != {others}"]
    pairs = {(s.bar, *pair): rho for s in played.snapshots for pair, rho in s.pairs.items()}
    keys = zip(taken.pair_bar.tolist(), taken.first.tolist(), taken.second.tolist(), strict=True)
    told = dict(zip(keys, taken.correlation.tolist(), strict=True))
    if list(pairs) != list(told):
        return [f"pairs of snapshots {sorted(pairs.keys() ^ told.keys())[:4]}"]
    found += [f"pair {key}: {rho} != {told[key]}" for key, rho in pairs.items() if not close(rho, told[key], 1.0)]
    for snapshot, ratio in zip(played.snapshots, taken.diversification.tolist(), strict=True):
        if not as_diversified(snapshot.ratio, ratio):
            found.append(f"diversification at {snapshot.bar}: {snapshot.ratio} != {ratio}")
    return found


def as_diversified(mine: float, other: float) -> bool:
    """Equal by their squares' inverses, the variance that is left: rounding decides what a perfect hedge leaves."""
    left = [0.0 if math.isnan(ratio) else ratio**-2 for ratio in (mine, other)]
    known = math.isnan(mine) == math.isnan(other) or max(left) < RELATIVE
    return known and abs(left[0] - left[1]) <= RELATIVE


def events_of(played: Played) -> list[tuple[int, int, str]]:
    """Bar, symbol and name of what befell; within a bar in the order of names and symbols."""
    happened = [(t, i, "HALTED") for t, i in played.halts]
    happened += [(t, i, "INACTIVE") for t, i in played.ended]
    happened += [(played.stopped, -1, "STOPPED")] if played.stopped >= 0 else []
    return sorted(happened, key=in_time)


def told(theirs: Ledger) -> list[tuple[int, int, str]]:
    """The same of the engine, which must tell it in time order."""
    events = theirs.events
    rows = list(zip(events.bar.tolist(), events.asset.tolist(), (Happening(k).name for k in events.kind), strict=True))
    assert events.bar.tolist() == sorted(events.bar.tolist()), "events are not in time order"
    return sorted(rows, key=in_time)


def in_time(event: tuple[int, int, str]) -> tuple[int, str, int]:
    return event[0], event[2], event[1]

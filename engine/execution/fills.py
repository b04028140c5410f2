"""THE fill lag and THE ledger: one kernel for every account the engine ever runs (semantics sections 3 to 6).

A bar goes: accruals, exits at the open, orders at the open, exits inside the bar, orders at another price, marking,
decisions. A decision at bar t fills at bar t + fill_lag at the earliest; an order that meets an untradable bar
waits. ``engine.execution.plain`` states the same in plain Python, and tests hold the two equal.
"""

from typing import NamedTuple

import numpy as np

from engine.data.bars import Bars
from engine.execution.decisions import RUIN, SUPERSEDED, decide_all, leave_all
from engine.execution.due import fill_due, scratch_for
from engine.execution.exits import AT_OPEN, INSIDE, close_all, exits_inside, exits_open, raise_extremes
from engine.execution.inputs import (
    EVENT,
    FILL,
    ORDER,
    PAIR,
    SNAPSHOT,
    STATE,
    Market,
    Records,
    Rules,
    market,
    read_only,
    rules_of,
    terms_of,
)
from engine.execution.portfolio import Plan, decide_together, end_symbols, judge, next_snapshot, plan_of, room_for, take
from engine.execution.records import columns
from engine.execution.rules import Execution
from engine.kernels import kernel, part
from engine.portfolio.correlation import Estimates, estimates
from engine.portfolio.plan import Together
from engine.results import Events, Fills, Ledger, Orders, Snapshots, Targets
from engine.types import Bools, Floats, Times

YEAR_NS = 365.0 * 86_400e9


def simulate(
    bars: Bars,
    targets: Targets,
    rules: Execution,
    initial_capital: float,
    *,
    costs: float = 1.0,
    together: Together | None = None,
) -> Ledger:
    """Run one account over ``bars``. Shapes (T, N); the result's arrays are at each close.

    ``costs`` multiplies every slippage and commission; ``together`` are the rules of the account as a whole.
    """
    seen = market(bars, rules)
    plan = plan_of(bars, together)
    # numpy asks for huge pages and a kernel does not: the first touch of its arrays costs more than the account.
    account = rules_of(rules, notional=targets.notional)
    path, accrued = np.empty(len(bars) + 1), np.empty(len(bars) if account.accrues else 0)
    path[0] = initial_capital
    room = int(np.count_nonzero(targets.decides)) + 4 * len(bars.symbols)
    records, told = ledger(
        seen,
        terms_of(rules, bars.symbols, costs),
        account,
        plan,
        read_only(targets.weights),
        read_only(targets.decides),
        read_only(targets.signals),
        initial_capital,
        path[1:],
        accrued,
        np.zeros(room, dtype=ORDER),
        np.zeros(2 * room, dtype=FILL),
        estimates(1 if together is None else together.rules.correlation_window, len(bars.symbols)),
    )
    return made_of(path, seen.mark, records, told, accrued, idle_growth(seen.close_time, rules.cash_rate))


def idle_growth(close_time: Times, rate: float) -> Floats:
    """What one unit of cash that nobody touches becomes by each of ``close_time`` (T,) ns, after the 1 it is before.

    (T + 1,), by the rule of :func:`accrue`; empty without a rate.
    """
    if rate == 0.0:
        return np.empty(0)
    years = np.diff(close_time, prepend=close_time[:1]) / YEAR_NS
    return np.append(1.0, np.cumprod(1.0 + rate * years))


def made_of(path: Floats, mark: Floats, records: "Written", told: "Told", accrued: Floats, idle: Floats) -> Ledger:
    """The ledger of what a kernel wrote."""
    return Ledger(
        path=path,
        mark=mark,
        orders=Orders(**columns(records.orders, Orders)),
        fills=Fills(**columns(records.fills, Fills)),
        events=Events(**columns(records.events, Events)),
        snapshots=Snapshots(**columns(records.snapshots, Snapshots), **columns(records.pairs, Snapshots)),
        accrued=accrued,
        idle=idle,
        **told._asdict(),
    )


@kernel
def grown(records: Records, needed: int) -> Records:
    """A buffer with room for ``needed`` rows, twice as large when it must grow."""
    size = records.shape[0]
    if size >= needed:
        return records
    larger = np.zeros(max(needed, 2 * size), dtype=records.dtype)
    larger[:size] = records
    return larger


@part
def accrue(t: int, seen: Market, terms: Records, rules: Rules, state: Records, cash: float) -> tuple[float, float]:
    """(borrow, interest) between the marks of t - 1 and t, on what was held at t - 1; actual/365."""
    years = (seen.close_time[t] - seen.close_time[t - 1]) / YEAR_NS
    borrow = 0.0
    for i in range(state.shape[0]):
        if state[i]["quantity"] < 0.0:
            cost = terms[i]["borrow_rate"] * -state[i]["quantity"] * seen.mark[t - 1, i] * years
            state[i]["borrow"] += cost
            state[i]["flow"] -= cost
            borrow += cost
    return borrow, rules.cash_rate * max(cash, 0.0) * years


@part
def worth(t: int, cash: float, held: Floats, marks: Floats) -> float:
    """Cash plus positions at the close of bar t, in the order of symbols."""
    value = cash
    for i in range(held.shape[0]):
        if held[i] != 0.0:
            value += held[i] * marks[t, i]
    return value


@part
def coast(t: int, cash: float, held: Floats, marks: Floats, decides: Bools, stop: int, equity_out: Floats) -> int:
    """Mark bars in which nothing can happen; returns the first with a decision or without equity, ``stop``, or T.

    Equity is cash plus positions in the order of symbols. Plain runs over arrays become vector code.
    """
    rows, assets = marks.shape
    decision = t
    while decision < stop and not decides[decision].any():
        decision += 1
    end = min(decision + 1, rows)
    equity_out[t:end] = cash
    for i in range(assets):
        if held[i] != 0.0:
            for k in range(t, end):
                equity_out[k] += held[i] * marks[k, i]
    for k in range(t, end):
        if equity_out[k] <= 0.0:
            return k
    return decision


@part
def is_busy(state: Records, rules: Rules) -> bool:
    """Whether the next bar may hold more than marking: an order waits, an exit goes on, or one may come."""
    for i in range(state.shape[0]):
        own = state[i]
        if own["waiting"] >= 0 or own["exiting"] >= 0 or own["blocked"] != 0.0:
            return True
        if rules.exits and own["quantity"] != 0.0:
            return True
    return False


class Written(NamedTuple):
    """What the ledger wrote down."""

    orders: Records
    fills: Records
    events: Records
    snapshots: Records
    pairs: Records


class Told(NamedTuple):
    """The rest of what became of an account; the names are those of ``Ledger``."""

    ruined_bar: int
    borrow: float
    interest: float
    open_borrow: Floats
    ambiguous: int


@kernel
def ledger(  # noqa: PLR0912, PLR0915 - the phases of a bar, one after the other
    seen: Market, terms: Records, rules: Rules, plan: Plan, weights: Floats, decides: Bools, signals: Floats,
    initial_capital: float, equity_out: Floats, accrued_out: Floats, orders: Records, fills: Records, known: Estimates,
) -> tuple[Written, Told]:  # fmt: skip
    """The life of an account, bar by bar.

    ``orders`` and ``fills`` are room to begin with; they grow. Writes equity (T,) at each close and, where anything
    accrues, interest less borrow so far (T,).
    """
    rows, assets = seen.mark.shape
    state = np.zeros(assets, dtype=STATE)
    state["waiting"][:] = -1
    state["exiting"][:] = -1
    cash, order_count, fill_count, ruined_bar, stopped = initial_capital, 0, 0, -1, False
    borrow_total, interest_total, ambiguous, highest = 0.0, 0.0, 0, initial_capital
    events, event_count, snapped, pair_count = np.zeros(4 + 2 * assets, dtype=EVENT), 0, 0, 0
    snaps, pairs = (
        np.zeros(rows // max(plan.snapshot, 1) if plan.snapshot else 0, dtype=SNAPSHOT),
        np.zeros(0, dtype=PAIR),
    )
    held = np.zeros(assets)
    scratch, room = scratch_for(assets), room_for(assets)
    busy = plan.watches
    t = 0
    while t < rows:
        filled = fill_count
        if busy or rules.accrues:
            orders, fills = grown(orders, order_count + 6 * assets), grown(fills, fill_count + 6 * assets)
            if rules.accrues and t > 0:
                borrow, interest = accrue(t, seen, terms, rules, state, cash)
                cash += interest - borrow
                borrow_total += borrow
                interest_total += interest
            state["used"][:] = 0.0
            if plan.watches:
                events = grown(events, event_count + 2 * assets + 2)
                change, order_count, fill_count, event_count = end_symbols(
                    t, plan, seen, terms, rules, state, orders, order_count, fills, fill_count, events, event_count
                )
                cash += change
            change, order_count, fill_count = exits_open(
                t, seen, terms, rules, state, orders, order_count, fills, fill_count
            )
            cash += change
            if rules.fill_at_open:
                cash, fill_count = fill_due(
                    t, AT_OPEN, seen, terms, rules, cash, state, orders, fills, fill_count, scratch
                )
            if rules.exits:
                change, order_count, fill_count, both = exits_inside(
                    t, seen, terms, rules, state, orders, order_count, fills, fill_count
                )
                cash += change
                ambiguous += both
            if not rules.fill_at_open:
                cash, fill_count = fill_due(
                    t, INSIDE, seen, terms, rules, cash, state, orders, fills, fill_count, scratch
                )
            if rules.exits:
                raise_extremes(t, seen, rules, state)
            held[:] = state["quantity"]
            equity_out[t] = worth(t, cash, held, seen.mark)
            if rules.accrues:
                accrued_out[t] = interest_total - borrow_total
        else:
            stop = min(rows, next_snapshot(t, plan.snapshot, rows))
            t = coast(t, cash, held, seen.mark, decides, stop, equity_out)
            if t == rows:
                break
        orders = grown(orders, order_count + 6 * assets)
        highest = max(highest, equity_out[t])
        if ruined_bar < 0 and equity_out[t] <= 0.0:
            ruined_bar = t
            order_count = leave_all(t, RUIN, SUPERSEDED, state, orders, order_count)
        elif ruined_bar < 0 and plan.together:
            if plan.watches:
                order_count, event_count, stopped = judge(
                    t, plan, seen, state, room, equity_out, initial_capital, highest, stopped, fills, filled,
                    fill_count, orders, order_count, events, event_count,
                )  # fmt: skip
            order_count = decide_together(
                t, plan, weights, decides, signals, equity_out[t], seen, terms, rules, state, orders, order_count, room,
                known, stopped,
            )  # fmt: skip
        elif ruined_bar < 0:
            order_count = decide_all(
                t, weights, decides, signals, equity_out[t], seen, terms, rules, state, orders, order_count
            )
        if plan.snapshot > 0 and (t + 1) % plan.snapshot == 0:
            pairs = grown(pairs, pair_count + assets * (assets - 1) // 2)
            flat = rules.close_at_end and t == rows - 1
            pair_count = take(t, plan, seen, held, flat, known, snaps, snapped, pairs, pair_count)
            snapped += 1
        busy = plan.watches or is_busy(state, rules)
        t += 1
    if rules.close_at_end and rows > 0:
        cash, order_count, fill_count = close_all(
            rows - 1, seen, terms, rules, cash, state, orders, order_count, fills, fill_count
        )
        equity_out[rows - 1] = cash
    return (
        Written(orders[:order_count], fills[:fill_count], events[:event_count], snaps[:snapped], pairs[:pair_count]),
        Told(ruined_bar, borrow_total, interest_total, state["borrow"].copy(), ambiguous),
    )

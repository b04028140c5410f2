"""THE fill lag and THE ledger: one kernel for every account the engine ever runs (semantics sections 3 to 6).

A bar goes: accruals, exits at the open, orders at the open, exits inside the bar, orders at another price, marking,
decisions. A decision at bar t fills at bar t + fill_lag at the earliest; an order that meets an untradable bar
waits. ``engine.execution.plain`` states the same in plain Python, and tests hold the two equal.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from engine.data.bars import Bars
from engine.execution.decisions import decide_all, ruin
from engine.execution.due import Scratch, fill_due
from engine.execution.exits import AT_OPEN, INSIDE, close_all, exits_inside, exits_open, raise_extremes
from engine.execution.inputs import FILL, ORDER, STATE, Market, Records, Rules, market, read_only, rules_of, terms_of
from engine.execution.rules import Execution
from engine.kernels import kernel, part
from engine.results import Fills, Ledger, Orders, Targets
from engine.types import Bools, Floats

YEAR_NS = 365.0 * 86_400e9


def simulate(bars: Bars, targets: Targets, rules: Execution, initial_capital: float, *, costs: float = 1.0) -> Ledger:
    """Run one account over ``bars``. Shapes (T, N); the result's arrays are at each close.

    ``costs`` multiplies every slippage and commission.
    """
    seen = market(bars, rules)
    # numpy asks for huge pages and a kernel does not: the first touch of its arrays costs more than the account.
    account = rules_of(rules, notional=targets.notional)
    path, accrued = np.empty(len(bars) + 1), np.empty(len(bars) if account.accrues else 0)
    path[0] = initial_capital
    room = int(np.count_nonzero(targets.decides)) + 4 * len(bars.symbols)
    orders, fills, ruined_bar, borrow, interest, open_borrow, ambiguous = ledger(
        seen,
        terms_of(rules, bars.symbols, costs),
        account,
        read_only(targets.weights),
        read_only(targets.decides),
        read_only(targets.signals),
        initial_capital,
        path[1:],
        accrued,
        np.zeros(room, dtype=ORDER),
        np.zeros(2 * room, dtype=FILL),
    )
    return Ledger(
        path=path,
        mark=seen.mark,
        orders=Orders(**columns(orders, Orders)),
        fills=Fills(**columns(fills, Fills)),
        ruined_bar=ruined_bar,
        accrued=accrued,
        borrow=borrow,
        interest=interest,
        open_borrow=open_borrow,
        ambiguous=ambiguous,
    )


def columns(records: Records, kind: type[Any]) -> dict[str, npt.NDArray[Any]]:
    """The fields of a frozen value from a record array, one contiguous array each."""
    return {name: np.ascontiguousarray(records[name]) for name in kind.__dataclass_fields__}


@part
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
            borrow += cost
    return borrow, rules.cash_rate * max(cash, 0.0) * years


@part
def coast(t: int, cash: float, held: Floats, marks: Floats, decides: Bools, equity_out: Floats) -> int:
    """Mark bars in which nothing can happen; returns the first with a decision or without equity, or T.

    Equity is cash plus positions in the order of symbols. Plain runs over arrays become vector code.
    """
    rows, assets = marks.shape
    decision = t
    while decision < rows and not decides[decision].any():
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


@kernel
def ledger(  # noqa: PLR0912, PLR0915 - the phases of a bar, one after the other
    seen: Market,
    terms: Records,
    rules: Rules,
    weights: Floats,
    decides: Bools,
    signals: Floats,
    initial_capital: float,
    equity_out: Floats,
    accrued_out: Floats,
    orders: Records,
    fills: Records,
) -> tuple[Records, Records, int, float, float, Floats, int]:
    """The life of an account, bar by bar.

    ``orders`` and ``fills`` are room to begin with; they grow. Writes equity (T,) at each close and, where anything
    accrues, interest less borrow so far (T,). Returns orders, fills, the bar of ruin or -1, total borrow and
    interest, the borrow of each position since its last fill, and how often stop and target lay in one bar.
    """
    rows, assets = seen.mark.shape
    state = np.zeros(assets, dtype=STATE)
    state["waiting"][:] = -1
    state["exiting"][:] = -1
    cash, order_count, fill_count, ruined_bar = initial_capital, 0, 0, -1
    borrow_total, interest_total, ambiguous = 0.0, 0.0, 0
    held = np.zeros(assets)
    scratch = Scratch(
        np.zeros(assets, dtype=np.bool_), np.zeros(assets, dtype=np.bool_),
        np.zeros(assets), np.zeros(assets), np.zeros(assets), np.zeros(assets),
    )  # fmt: skip
    busy = False
    t = 0
    while t < rows:
        if busy or rules.accrues:
            orders, fills = grown(orders, order_count + 4 * assets), grown(fills, fill_count + 4 * assets)
            if rules.accrues and t > 0:
                borrow, interest = accrue(t, seen, terms, rules, state, cash)
                cash += interest - borrow
                borrow_total += borrow
                interest_total += interest
            state["used"][:] = 0.0
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
            equity_out[t] = cash
            for i in range(assets):
                if held[i] != 0.0:
                    equity_out[t] += held[i] * seen.mark[t, i]
            if rules.accrues:
                accrued_out[t] = interest_total - borrow_total
        else:
            t = coast(t, cash, held, seen.mark, decides, equity_out)
            if t == rows:
                break
        if ruined_bar < 0:
            orders = grown(orders, order_count + 4 * assets)
            if equity_out[t] <= 0.0:
                ruined_bar = t
                order_count = ruin(t, state, orders, order_count)
            else:
                order_count = decide_all(
                    t, weights, decides, signals, equity_out[t], seen, terms, rules, state, orders, order_count
                )
        busy = is_busy(state, rules)
        t += 1
    if rules.close_at_end and rows > 0:
        cash, order_count, fill_count = close_all(
            rows - 1, seen, terms, rules, cash, state, orders, order_count, fills, fill_count
        )
        equity_out[rows - 1] = cash
    return (
        orders[:order_count], fills[:fill_count], ruined_bar,
        borrow_total, interest_total, state["borrow"].copy(), ambiguous,
    )  # fmt: skip

"""The ledger in plain Python: what the kernel in ``fills`` means (semantics sections 2 to 6); never used by a run.

Tests hold the two equal. Sums are taken in the kernel's order: that an order trades nothing hangs on the last bit.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from engine.execution.inputs import EVENT, FILL, ORDER, Market, Records, Rules
from engine.execution.plain_account import Account, sign
from engine.execution.plain_exits import close_all, exits_at_open, exits_inside, raise_extremes, ruin
from engine.execution.plain_orders import decide, fill_due
from engine.execution.plain_portfolio import Whole, decide_together, end_symbols, judge
from engine.execution.portfolio import Plan
from engine.results import Moment
from engine.types import Bools, Floats


class PlainLedger(NamedTuple):
    """What became of an account. ``cash`` and ``equity`` are (T,), ``quantity`` (T, N), at each close.

    ``open_borrow`` (N,) is what each position paid since its last fill.
    """

    orders: Records
    fills: Records
    cash: Floats
    equity: Floats
    quantity: Floats
    ruined_bar: int
    borrow: float
    interest: float
    ambiguous: int
    open_borrow: Floats
    events: Records


def ledger_plain(
    market: Market,
    terms: Records,
    rules: Rules,
    plan: Plan,
    weights: Floats,
    decides: Bools,
    signals: Floats,
    initial_capital: float,
    window: int,
) -> PlainLedger:
    """Twin of :func:`engine.execution.fills.ledger`: every bar goes through the same phases, for all symbols."""
    account = Account(market, terms, rules, initial_capital)
    whole = Whole(plan, window, initial_capital, initial_capital)
    rows = len(market.mark)
    cash, equity, quantity = np.empty(rows), np.empty(rows), np.empty(market.mark.shape)
    ruined_bar = -1
    for t in range(rows):
        trade_bar(account, t, whole)
        worth = account.equity(market.mark[t].tolist())
        whole.highest = max(whole.highest, worth)
        if ruined_bar < 0 and worth <= 0.0:
            ruined_bar = t
            record(account, t, cash, equity, quantity)
            ruin(account, t)
            continue
        record(account, t, cash, equity, quantity)
        if ruined_bar < 0 and plan.together:
            if plan.watches:
                judge(account, whole, t, worth, float(equity[t - 1]))
            decide_together(account, whole, t, weights, decides, signals, worth)
        elif ruined_bar < 0:
            decide_all(account, t, weights, decides, signals)
    if rules.close_at_end and rows:
        close_all(account, rows - 1)
        record(account, rows - 1, cash, equity, quantity)
    return PlainLedger(
        np.array([tuple(vars(row).values()) for row in account.orders], dtype=ORDER),
        np.array([tuple(vars(row).values()) for row in account.fills], dtype=FILL),
        cash, equity, quantity, ruined_bar, account.borrow, account.interest, account.ambiguous,
        np.array([own.borrow for own in account.positions]), np.array(whole.events, dtype=EVENT),
    )  # fmt: skip


def trade_bar(account: Account, t: int, whole: Whole) -> None:
    """All of a bar before its close: accruals, exits at the open, due orders, exits inside."""
    if t > 0:
        account.accrue(t)
    for own in account.positions:
        own.used = 0.0
    if whole.plan.watches:
        apart(account, t, lambda acc, now: end_symbols(acc, whole, now))
    apart(account, t, exits_at_open)
    if account.rules.fill_at_open:
        fill_due(account, t, Moment.OPEN)
    apart(account, t, exits_inside)
    if not account.rules.fill_at_open:
        fill_due(account, t, Moment.INSIDE)
    raise_extremes(account, t)


def apart(account: Account, t: int, exits: Callable[[Account, int], None]) -> None:
    """Exits of a bar, their flows summed before they join cash: the kernel's order, down to the last bit."""
    before, account.cash = account.cash, 0.0
    exits(account, t)
    account.cash += before


def record(account: Account, t: int, cash: Floats, equity: Floats, quantity: Floats) -> None:
    """Mark the account at a close."""
    cash[t] = account.cash
    equity[t] = account.equity(account.market.mark[t].tolist())
    quantity[t] = [own.quantity for own in account.positions]


def decide_all(account: Account, t: int, weights: Floats, decides: Bools, signals: Floats) -> None:
    """Phase 6. A symbol kept flat after an exit is free once the sign of its signal turns, order or not."""
    equity = account.equity(account.market.mark[t].tolist())
    for i in account.assets:
        own, signal = account.positions[i], float(signals[t, i])
        if sign(signal) != own.blocked:
            own.blocked = 0
        if decides[t, i]:
            before = float(signals[t - 1, i]) if t else 0.0
            decide(account, t, i, float(weights[t, i]), signal != before, equity)

"""A second engine: naive, slow and meant to be read against semantics sections 2 to 6.

One bar after the other goes through the phases of the contract. Where the two engines differ, one of them misreads
the contract.
"""

import math

from tests.oracle import due, exits
from tests.oracle.account import DUST, YEAR, Account, Flags, Grid, Market, Order, Position, Rules, sign, valid
from tests.oracle.costs import round_lot


def ledger(market: Market, weights: Grid, decides: Flags, signals: Grid, rules: Rules, capital: float) -> Account:
    """Run the account through every bar."""
    account = Account(market, rules, capital, [Position() for _ in range(market.assets)])
    for t in range(market.bars):
        begin(account, t)
        trade(account)
        mark(account)
        equity = account.equity[-1]
        if account.ruined >= 0:
            continue
        if equity <= 0.0:
            exits.ruin(account)
            continue
        before = signals[t - 1] if t > 0 else [0.0] * market.assets
        for i, position in enumerate(account.positions):
            exits.unblock(position, signals[t][i])
            if decides[t][i]:
                decide(account, i, weights[t][i], equity, signals[t][i] != before[i])
    finish(account)
    return account


def begin(account: Account, t: int) -> None:
    """A new bar, and what accrued since the last one."""
    account.t = t
    for position in account.positions:
        position.used = 0.0
    if t > 0:
        accrue(account, account.market.closed_at[t] - account.market.closed_at[t - 1])


def trade(account: Account) -> None:
    """Everything that fills in this bar."""
    exits.leave_at_the_open(account)
    if account.rules.fill_price == "open":
        due.fill_due(account)
    exits.leave_inside(account)
    if account.rules.fill_price != "open":
        due.fill_due(account)
    exits.take_in_the_range(account)


def finish(account: Account) -> None:
    """After the last bar, whose close is valued again if anything is closed there."""
    if account.rules.end_policy == "close":
        exits.close_at_the_end(account)
        for row in (account.cash, account.equity, account.held, account.mark):
            row.pop()
        mark(account)


def accrue(account: Account, elapsed: int) -> None:
    """Shorts pay, and cash earns, for the calendar time since the last close."""
    cash = account.money
    for i, position in enumerate(account.positions):
        if position.held < 0.0:
            rent = account.rules.of(i).borrow_rate * -position.held * position.mark * elapsed / YEAR
            account.money -= rent
            account.borrow += rent
            position.borrow += rent
    if cash > 0.0:
        earned = account.rules.cash_rate * cash * elapsed / YEAR
        account.money += earned
        account.interest += earned


def mark(account: Account) -> None:
    """Value everything at the close, or at the last one there was."""
    for i, position in enumerate(account.positions):
        if valid(account, i):
            position.mark = account.market.close[account.t][i]
    marks = [p.mark for p in account.positions]
    account.cash.append(account.money)
    account.equity.append(account.worth(marks))
    account.held.append([p.held for p in account.positions])
    account.mark.append(marks)


def decide(account: Account, asset: int, wish: float, equity: float, changed: bool) -> None:
    """The newest decision counts, even one with nothing to trade."""
    rules, position = account.rules, account.positions[asset]
    if position.waiting is not None:
        position.waiting.end("SUPERSEDED")
        position.waiting = None
    weight = wish / equity if rules.notional else wish
    if math.isnan(position.mark):
        place(account, asset, weight, wish, 0.0, 0.0).end("NO_PRICE")
        return
    if wish < 0.0 and not rules.allow_short:
        if position.held == 0.0 and changed:
            target = weight * equity / position.mark
            place(account, asset, weight, wish, target, target).end("SHORT_NOT_ALLOWED")
        weight = wish = 0.0
    aim(account, asset, weight, wish, equity)


def aim(account: Account, asset: int, weight: float, wish: float, equity: float) -> None:
    """An order for what is to be held, if anything is left to trade and nothing forbids it."""
    rules, position = account.rules, account.positions[asset]
    target = weight * equity / position.mark
    if position.blocked != 0.0 or (position.exit is not None and sign(target) in (0.0, position.side)):
        return
    if account.same(target, position.held):
        return
    drift = abs(weight - position.held * position.mark / equity)
    if not rules.on_change and sign(target) == position.side != 0.0:
        account.dust |= abs(drift - rules.band) <= DUST
        if drift <= rules.band:
            return
    if rules.size_at == "fill":
        order = place(account, asset, weight, wish, target, target - position.held)
        order.sized = False
        position.waiting = order
        return
    rounded = round_lot(target, rules.of(asset).step)
    if account.same(rounded, position.held):
        place(account, asset, weight, wish, rounded, target - position.held).end("LOT_ROUNDED_TO_ZERO")
        return
    position.waiting = place(account, asset, weight, wish, rounded, rounded - position.held)


def place(account: Account, asset: int, weight: float, wish: float, target: float, asked: float) -> Order:
    """A row of the order ledger at the signal's request."""
    order = account.place(asset, account.t, "SIGNAL", target, weight, wish)
    order.asked = asked
    return order


def funnel(account: Account, decides: Flags) -> dict[str, object]:
    """Decisions, orders, fills, and why orders were lost."""
    lost = [o.reason for o in account.orders if o.outcome == "UNFILLED"]
    cut = [o.reason for o in account.orders if o.outcome == "PARTIAL"]
    return {
        "decisions": sum(sum(row) for row in decides),
        "orders": len(account.orders),
        "filled": sum(o.outcome == "FILLED" for o in account.orders),
        "scaled": sum(o.filled != 0.0 and o.scale < 1.0 for o in account.orders),
        "partial": {reason: cut.count(reason) for reason in set(cut)},
        "unfilled": {reason: lost.count(reason) for reason in set(lost)},
        "fills": len(account.fills),
    }

"""Semantics section 8: what stops a symbol for a day, a portfolio for good, and what becomes of an ended symbol."""

from dataclasses import dataclass, field

from tests.oracle.account import Account, Position
from tests.oracle.aims import PortfolioRules
from tests.oracle.costs import book


@dataclass
class Desk:
    """What a portfolio remembers beside its account.

    ``gains`` are those of each symbol at the last close. ``day_gains`` and ``day_equity`` are those of the last close
    of the day before. ``reasons`` say why the last decision of each symbol left nothing. ``stopped`` is the bar of
    the drawdown, ``halts`` the bars and assets of each halt, ``ended`` those of symbols without further data, and
    ``looked`` the last bar at whose close correlations were looked at.
    """

    account: Account
    rules: PortfolioRules
    gains: list[float]
    day_gains: list[float]
    day_equity: float
    highest: float
    halted: list[bool]
    reasons: list[str]
    stopped: int = -1
    looked: int = -1
    halts: list[tuple[int, int]] = field(default_factory=list)
    ended: list[tuple[int, int]] = field(default_factory=list)


def new_desk(account: Account, rules: PortfolioRules) -> Desk:
    """Before the first bar."""
    assets = account.market.assets
    nothing = [0.0] * assets
    return Desk(
        account=account,
        rules=rules,
        gains=nothing,
        day_gains=nothing,
        day_equity=account.money,
        highest=account.money,
        halted=[False] * assets,
        reasons=["NONE"] * assets,
    )


def end_symbols(desk: Desk, last: list[int]) -> None:
    """The bar after a symbol's last one: what waits ends, and what is held goes at the last close."""
    account = desk.account
    for i, position in enumerate(account.positions):
        if account.t != last[i] + 1:
            continue
        desk.ended.append((account.t, i))
        forget(position, "END_OF_DATA")
        if position.exit is not None:
            position.exit.end("END_OF_DATA")
            position.exit = None
        if position.held != 0.0:
            order = account.place(i, account.t - 1, "ENDED", 0.0, 0.0, 0.0)
            book(account, order, "CLOSE", -position.held, position.mark, "OPEN")
            order.complete()


def forget(position: Position, reason: str) -> None:
    """Whatever waits waits no longer."""
    if position.waiting is not None:
        position.waiting.end(reason)
        position.waiting = None


def flatten(account: Account, asset: int, cause: str, reason: str) -> None:
    """Nothing waits any more; a position leaves at the next tradable open, unless it is leaving already."""
    position = account.positions[asset]
    forget(position, reason)
    if position.held != 0.0 and position.exit is None:
        position.exit = account.place(asset, account.t, cause, 0.0, 0.0, 0.0)


def gain(account: Account, asset: int) -> float:
    """What a symbol has brought in since the beginning: its value and the flows of its fills, less its borrow."""
    position = account.positions[asset]
    fills = [fill for fill in account.fills if fill.order.asset == asset]
    value = position.held * position.mark if position.held != 0.0 else 0.0
    borrow = sum(fill.borrow for fill in fills) + position.borrow
    return value + sum(fill.cash_flow for fill in fills) - borrow


def judge_drawdown(desk: Desk) -> None:
    """The close at which too much of the highest equity is gone."""
    account, limit = desk.account, desk.rules.max_drawdown
    equity = account.equity[-1]
    desk.highest = max(desk.highest, equity)
    if limit is None or account.above(equity, (1.0 - limit) * desk.highest):
        return
    desk.stopped = account.t
    for i in range(account.market.assets):
        flatten(account, i, "DRAWDOWN", "PORTFOLIO_HALTED")


def judge_days(desk: Desk, days: list[int], last: list[int]) -> None:
    """A new day frees everyone; then whoever has lost too much since the day before is halted."""
    account, t, limit = desk.account, desk.account.t, desk.rules.max_symbol_daily_loss
    if t > 0 and days[t] != days[t - 1]:
        desk.halted = [False for _ in desk.halted]
        desk.day_gains, desk.day_equity = desk.gains, account.equity[t - 1]
    desk.gains = [gain(account, i) for i in range(len(desk.halted))]
    if limit is None:
        return
    for i, (before, now) in enumerate(zip(desk.day_gains, desk.gains, strict=True)):
        loss = before - now
        if desk.halted[i] or t > last[i] or loss <= 0.0 or account.above(limit * desk.day_equity, loss):
            continue
        desk.halted[i] = True
        desk.halts.append((t, i))
        flatten(account, i, "DAILY_LOSS", "SYMBOL_HALTED")

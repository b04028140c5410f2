"""A second portfolio: several symbols on one account, naive and meant to be read against semantics section 8.

What fills, what it costs and when positions leave is the account's business (``account``, ``due``, ``exits``,
``costs``). Here are the bars, and at each close the rules in their order: shares, redundancy, limits, orders.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.oracle import exits, halts, reference
from tests.oracle.account import Account, Fill, Grid, Market, Order, Position, Rules, sign
from tests.oracle.aims import Aim, PortfolioRules
from tests.oracle.correlation import correlations, log_returns
from tests.oracle.limits import current, limit
from tests.oracle.redundancy import reduce_redundant
from tests.oracle.snapshots import Snapshot, snapshots

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Portfolio:
    """Everything a run needs, as plain values.

    (T, N): prices (NaN is a hole), ``volume``, ``tradable`` (something was traded; prices are looked at beside it),
    ``weights`` as sized before any sharing (currency where ``rules.notional``), ``shares`` (those of symbols that
    have not ended sum to 1), ``decides`` and ``signals``. (T,): ``close_time`` in nanoseconds, ``days`` any number
    that changes with the day. (N,): ``last``, the last bar of each symbol, and ``names``, which decide between equals.
    """

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    close_time: Ints
    tradable: Bools
    weights: Floats
    shares: Floats
    decides: Bools
    signals: Floats
    days: Ints
    last: Ints
    names: tuple[str, ...]
    rules: Rules
    portfolio: PortfolioRules
    capital: float
    vwap: Floats | None = None

    @property
    def market(self) -> Market:
        """The same prices as lists."""
        return Market(
            open=self.open.tolist(),
            high=self.high.tolist(),
            low=self.low.tolist(),
            close=self.close.tolist(),
            volume=self.volume.tolist(),
            closed_at=self.close_time.tolist(),
            vwap=None if self.vwap is None else self.vwap.tolist(),
            tradable=self.tradable.tolist(),
        )


@dataclass(frozen=True)
class Played:
    """What became of it: (T,) ``equity`` and ``cash``, (T, N) ``positions`` and ``mark``, and rows.

    ``halts`` are the bars and assets of daily losses, ``ended`` those of ended symbols, ``stopped`` the bar of the
    drawdown and ``ruined`` that of ruin, -1 for none. ``dust`` says that rounding errors decided something;
    ``account`` has every detail.
    """

    equity: Floats
    cash: Floats
    positions: Floats
    mark: Floats
    orders: list[dict[str, Any]]
    fills: list[dict[str, Any]]
    halts: list[tuple[int, int]]
    ended: list[tuple[int, int]]
    stopped: int
    ruined: int
    dust: bool
    account: Account
    snapshots: list[Snapshot]


@dataclass(frozen=True)
class Plan:
    """The inputs as lists ``[bar][asset]``, and the returns that correlations are made of."""

    names: tuple[str, ...]
    weights: Grid
    shares: Grid
    decides: list[list[bool]]
    signals: Grid
    days: list[int]
    last: list[int]
    returns: Grid

    def deciding(self, t: int) -> list[bool]:
        """Ended symbols never decide."""
        return [wants and t <= last for wants, last in zip(self.decides[t], self.last, strict=True)]

    def changed(self, t: int, asset: int) -> bool:
        """Whether the signal is another one than at the bar before; before the first it was 0."""
        return self.signals[t][asset] != (self.signals[t - 1][asset] if t > 0 else 0.0)


def simulate(given: Portfolio) -> Played:
    """Run the portfolio through every bar."""
    market = given.market
    account = Account(market, given.rules, given.capital, [Position() for _ in range(market.assets)])
    plan = Plan(
        names=given.names,
        weights=given.weights.tolist(),
        shares=given.shares.tolist(),
        decides=given.decides.tolist(),
        signals=given.signals.tolist(),
        days=given.days.tolist(),
        last=given.last.tolist(),
        returns=log_returns(market),
    )
    desk, looked = halts.new_desk(account, given.portfolio), list[int]()
    for t in range(market.bars):
        reference.begin(account, t)
        halts.end_symbols(desk, plan.last)
        reference.trade(account)
        reference.mark(account)
        close_of_bar(desk, plan)
        looked.append(desk.looked)
    reference.finish(account)
    return played(desk, snapshots(account, plan.returns, looked, plan.last, given.portfolio))


def close_of_bar(desk: halts.Desk, plan: Plan) -> None:
    """Ruin, drawdown, daily losses, and then whoever decides."""
    account, t = desk.account, desk.account.t
    equity = account.equity[-1]
    if account.ruined >= 0:
        return
    if equity <= 0.0:
        exits.ruin(account)
        return
    if desk.stopped < 0:
        halts.judge_drawdown(desk)
    if desk.stopped < 0:
        halts.judge_days(desk, plan.days, plan.last)
    for position, signal in zip(account.positions, plan.signals[t], strict=True):
        exits.unblock(position, signal)
    deciding = plan.deciding(t)
    if not any(deciding):
        return
    aims = aims_of(desk, plan, deciding, equity)
    if desk.stopped < 0:
        desk.looked = t
        rho = correlations(plan.returns, t, desk.rules.window, desk.rules.minimum)
        reduce_redundant(account, aims, rho, desk.rules)
        limit(account, aims, deciding, equity, desk.rules)
    for i, aim in enumerate(aims):
        if deciding[i]:
            decide(desk, i, aim, equity, plan.changed(t, i))


def raw_weight(desk: halts.Desk, plan: Plan, asset: int, equity: float) -> float:
    """Sizing alone, as a fraction of equity."""
    t = desk.account.t
    if t > plan.last[asset]:
        return 0.0
    sized = plan.weights[t][asset]
    return sized / equity if desk.account.rules.notional else sized


def aims_of(desk: halts.Desk, plan: Plan, deciding: list[bool], equity: float) -> list[Aim]:
    """Sizing and weighting. What the halted leave of the capital goes to the others.

    A signal that does not decide moves nothing: its symbol stays at what it holds or waits for.
    """
    account, given = desk.account, plan.shares[desk.account.t]
    total = sum(share for share, halted in zip(given, desk.halted, strict=True) if not halted)
    aims = []
    for i, name in enumerate(plan.names):
        position = account.positions[i]
        wanted = raw_weight(desk, plan, i, equity) * given[i]
        reason = "PORTFOLIO_HALTED" if desk.stopped >= 0 else "SYMBOL_HALTED" if desk.halted[i] else "NONE"
        if reason == "NONE" and any(desk.halted) and total > 0.0:
            wanted /= total
        before = 0.0 if position.blocked != 0.0 or for_one_symbol(account, position, wanted) else wanted
        aims.append(Aim(name, wanted, before, before if reason == "NONE" else 0.0, position.held != 0.0, reason))
        if not deciding[i]:
            there = current(account, i, decides=False, equity=equity)
            aims[i] = Aim(name, there, there, there, there != 0.0, decides=False)
    return aims


def for_one_symbol(account: Account, position: Position, wanted: float) -> bool:
    """What is refused to a single symbol as well is no question of the portfolio."""
    return math.isnan(position.mark) or (wanted < 0.0 and not account.rules.allow_short)


def decide(desk: halts.Desk, asset: int, aim: Aim, equity: float, changed: bool) -> None:
    """The newest decision counts, even one with nothing to trade, and what is refused is said once."""
    account = desk.account
    position, first = account.positions[asset], len(account.orders)
    told, desk.reasons[asset] = desk.reasons[asset], aim.refusal
    if aim.reason != "NONE" and aim.weight == 0.0 and position.held == 0.0:
        halts.forget(position, "SUPERSEDED")
        if aim.refusal != "NONE" and (changed or aim.refusal != told):
            target = aim.before * equity / position.mark
            reference.place(account, asset, aim.before, aim.before, target, target).end(aim.refusal)
    else:
        alone = aim.reason == "NONE" and for_one_symbol(account, position, aim.wanted)
        weight = aim.wanted if alone else aim.weight
        reference.decide(account, asset, weight * equity if account.rules.notional else weight, equity, changed)
    for order in account.orders[first:]:
        aim.stamp(order)


# --- rows ----------------------------------------------------------------------------------------------------


def played(desk: halts.Desk, taken: list[Snapshot]) -> Played:
    account = desk.account
    rows = {id(order): k for k, order in enumerate(account.orders)}
    return Played(
        equity=np.array(account.equity),
        cash=np.array(account.cash),
        positions=np.array(account.held),
        mark=np.array(account.mark),
        orders=[order_row(order) for order in account.orders],
        fills=[fill_row(fill, rows[id(fill.order)]) for fill in account.fills],
        halts=desk.halts,
        ended=desk.ended,
        stopped=desk.stopped,
        ruined=account.ruined,
        dust=account.dust,
        account=account,
        snapshots=taken,
    )


def order_row(order: Order) -> dict[str, Any]:
    """``partner`` is -1 and ``rho`` NaN where redundancy took nothing."""
    return {
        "decided": order.decided,
        "asset": order.asset,
        "cause": order.cause,
        "weight": order.weight,
        "quantity": order.asked,
        "outcome": order.outcome,
        "reason": order.reason,
        "filled_bar": order.filled_bar,
        "moment": order.moment,
        "price": order.price,
        "filled": order.filled,
        "commission": order.commission,
        "slippage": order.slippage,
        "scale": order.scale,
        "scale_reason": order.scale_reason,
        "partner": order.partner,
        "rho": order.rho,
        "factor": order.factor,
    }


def fill_row(fill: Fill, order: int) -> dict[str, Any]:
    """``order`` is the number of its row, ``side`` that of the trade."""
    return {
        "order": order,
        "asset": fill.order.asset,
        "bar": fill.bar,
        "moment": fill.moment,
        "leg": fill.leg,
        "side": sign(fill.quantity),
        "quantity": fill.quantity,
        "position": fill.position,
        "price": fill.price,
        "commission": fill.commission,
        "slippage": fill.slippage,
        "borrow": fill.borrow,
    }

"""Decisions of an account as a whole: shares, redundancy, limits, halts, ended symbols (semantics section 8).

The ledger calls these at the phases they belong to; an account of one symbol without limits never comes here.
"""

from typing import NamedTuple

import numpy as np

from engine.data.bars import Bars
from engine.execution.decisions import SIGNAL, SUPERSEDED, decide, exposures, leave, leave_all
from engine.execution.exits import AT_OPEN, close_position, end_waiting, place
from engine.execution.inputs import Market, Records, Rules, read_only
from engine.execution.pricing import END_OF_DATA, NONE
from engine.kernels import kernel, part
from engine.portfolio.correlation import Estimates, estimate
from engine.portfolio.limits import Bounds, limit
from engine.portfolio.plan import Portfolio, Together, pair_of
from engine.portfolio.redundancy import MODES, OFF, reduce_redundant
from engine.portfolio.snapshots import diversification
from engine.results import Cause, Happening, Reason
from engine.types import Bools, Floats, Ints

DAILY_LOSS, DRAWDOWN, ENDED = int(Cause.DAILY_LOSS), int(Cause.DRAWDOWN), int(Cause.ENDED)
SYMBOL_HALTED, PORTFOLIO_HALTED = int(Reason.SYMBOL_HALTED), int(Reason.PORTFOLIO_HALTED)
CORRELATED = int(Reason.CORRELATED)
ALL_PAIRS = 50
"""Most symbols of which a snapshot keeps every pair, and not only those beyond theta."""

FEWEST = Portfolio().correlation_minimum
HALTED, STOPPED, INACTIVE = int(Happening.HALTED), int(Happening.STOPPED), int(Happening.INACTIVE)


class Plan(NamedTuple):
    """The rules of the account as a whole, as numbers.

    ``together``: whether there is anything here to apply. ``watches``: whether every bar must be looked at.
    ``shares`` (D, N), of which bar t uses row ``share_row[t]``; ``last`` (N,) the last bar of each symbol; ``day`` (T,)
    the day of each bar, empty where no limit asks for it; ``theta`` (N, N). ``snapshot`` is the bars between two
    snapshots, 0 for none; ``every_pair``: snapshots hold every pair of symbols, and not only those beyond theta.
    """

    together: bool
    watches: bool
    shares: Floats
    share_row: Ints
    last: Ints
    day: Ints
    redundancy: int
    redistribute: bool
    theta: Floats
    minimum: int
    bounds: Bounds
    daily_loss: Floats
    drawdown: float
    snapshot: int
    every_pair: bool


class Room(NamedTuple):
    """Working arrays (N,) of a decision: what is wanted and held, what was cut, by which rule and partner.

    ``asked`` is size times share, ``uncut`` what of it the rules may work on. ``refused`` is the reason of the decision
    before, where a rule left nothing.
    """

    weights: Floats
    asked: Floats
    uncut: Floats
    current: Floats
    base: Floats
    factor: Floats
    live: Bools
    held: Bools
    halted: Bools
    partner: Ints
    rank: Ints
    why: Ints
    refused: Ints


@kernel
def room_for(assets: int) -> Room:
    """Room for N symbols."""
    return Room(
        np.zeros(assets), np.zeros(assets), np.zeros(assets), np.zeros(assets), np.zeros(assets), np.ones(assets),
        np.zeros(assets, dtype=np.bool_), np.zeros(assets, dtype=np.bool_), np.zeros(assets, dtype=np.bool_),
        np.full(assets, -1), np.zeros(assets, dtype=np.int64), np.zeros(assets, dtype=np.int64),
        np.zeros(assets, dtype=np.int64),
    )  # fmt: skip


@part
def note(events: Records, count: int, t: int, asset: int, kind: int) -> int:
    """Write down what happened to a symbol or, with asset -1, to the account."""
    events[count]["bar"], events[count]["asset"], events[count]["kind"] = t, asset, kind
    return count + 1


@part
def end_symbols(
    t: int, plan: Plan, seen: Market, terms: Records, rules: Rules, state: Records, orders: Records, order_count: int,
    fills: Records, fill_count: int, events: Records, event_count: int,
) -> tuple[float, int, int, int]:  # fmt: skip
    """Symbols whose data ended with the bar before leave at their last close, with the costs of that bar."""
    flow = 0.0
    for i in range(state.shape[0]):
        if plan.last[i] != t - 1:
            continue
        own = state[i]
        event_count = note(events, event_count, t, i, INACTIVE)
        if own["waiting"] >= 0:
            end_waiting(orders, state, i, END_OF_DATA)
        if own["quantity"] == 0.0:
            continue
        place(orders, order_count, i, t - 1, ENDED, 0.0, -own["quantity"])
        own["exiting"] = order_count
        order_count += 1
        change, fill_count = close_position(
            t, i, seen.mark[t, i], AT_OPEN, seen, terms, rules, state, orders, fills, fill_count, False
        )
        flow += change
    return flow, order_count, fill_count, event_count


@part
def judge_losses(
    t: int, plan: Plan, seen: Market, state: Records, room: Room, equity: Floats, capital: float,
    fills: Records, before: int, after: int, orders: Records, order_count: int, events: Records, event_count: int,
) -> tuple[int, int]:  # fmt: skip
    """Halt symbols whose loss since the day began reached its limit; a new day frees them."""
    for k in range(before, after):
        own = state[fills[k]["asset"]]
        own["flow"] -= fills[k]["quantity"] * fills[k]["price"] + fills[k]["commission"]
    fresh = t > 0 and plan.day[t] != plan.day[t - 1]
    for i in range(state.shape[0]):
        own = state[i]
        if fresh:
            own["day_result"] = own["result"]
            own["day_equity"] = equity[t - 1]
            room.halted[i] = False
        elif t == 0:
            own["day_equity"] = capital
        own["result"] = own["flow"] + (own["quantity"] * seen.mark[t, i] if own["quantity"] != 0.0 else 0.0)
        loss = own["day_result"] - own["result"]
        if room.halted[i] or t > plan.last[i]:
            continue
        if loss > 0.0 and loss >= plan.daily_loss[i] * own["day_equity"]:
            room.halted[i] = True
            event_count = note(events, event_count, t, i, HALTED)
            order_count = leave(t, i, DAILY_LOSS, SYMBOL_HALTED, state, orders, order_count)
    return order_count, event_count


@part
def wish(
    t: int, plan: Plan, weights: Floats, equity: float, seen: Market, rules: Rules, state: Records, room: Room,
    stopped: bool,
) -> None:  # fmt: skip
    """Targets (N,) before any rule cuts them: size times share, as a fraction of equity."""
    shares = plan.shares[plan.share_row[t]]
    total = 0.0
    for i in range(state.shape[0]):
        room.live[i] = not (stopped or room.halted[i]) and t <= plan.last[i]
        total += shares[i] if room.live[i] else 0.0
    for i in range(state.shape[0]):
        own = state[i]
        weight = weights[t, i] / equity if rules.notional else weights[t, i]
        weight *= shares[i]
        if room.live[i] and total > 0.0 and total < 1.0:
            weight /= total
        room.asked[i] = weight
        if t > plan.last[i] or own["blocked"] != 0.0 or in_its_own_words(t, i, weight, seen, rules):
            weight = 0.0
        room.uncut[i] = weight
        room.weights[i] = weight if room.live[i] else 0.0
        room.why[i], room.partner[i], room.factor[i] = NONE, -1, 1.0
        room.held[i] = own["quantity"] != 0.0
        if not room.live[i]:
            room.why[i] = PORTFOLIO_HALTED if stopped else (SYMBOL_HALTED if room.halted[i] else NONE)


@part
def in_its_own_words(t: int, i: int, weight: float, seen: Market, rules: Rules) -> bool:
    """Whether a target is refused as for a single symbol: without a price yet, or a short where there are none."""
    return bool(np.isnan(seen.mark[t, i]) or (weight < 0.0 and not rules.allow_short))


@part
def cut(t: int, plan: Plan, decides: Bools, equity: float, seen: Market, rules: Rules, state: Records, room: Room,
        known: Estimates) -> None:  # fmt: skip
    """Redundancy, redistribution and limits on the targets, in place; ``room`` says what was cut and why."""
    exposures(t, decides[t], equity, seen, rules, state, room.current)
    if plan.redundancy != OFF or plan.snapshot > 0:
        estimate(t, seen.mark, seen.valid, plan.minimum, known)
    if plan.redundancy != OFF:
        reduce_redundant(
            plan.redundancy, plan.redistribute, room.weights, room.current, decides[t], known.correlation, plan.theta,
            room.rank, room.factor, room.partner,
        )  # fmt: skip
        for i in range(state.shape[0]):
            if room.factor[i] < 1.0:
                room.why[i] = CORRELATED
    limit(room.weights, room.current, decides[t], plan.bounds, room.base, room.rank, room.why)


@part
def decide_together(
    t: int, plan: Plan, weights: Floats, decides: Bools, signals: Floats, equity: float, seen: Market,
    terms: Records, rules: Rules, state: Records, orders: Records, count: int, room: Room, known: Estimates,
    stopped: bool,
) -> int:  # fmt: skip
    """Every decision at the close of bar t, under the rules of the account as a whole."""
    some = False
    for i in range(state.shape[0]):
        own = state[i]
        if own["blocked"] != 0.0 and np.sign(signals[t, i]) != own["blocked"]:
            own["blocked"] = 0.0
        some = some or (decides[t, i] and t <= plan.last[i])
    if not some:
        return count
    wish(t, plan, weights, equity, seen, rules, state, room, stopped)
    if not stopped:
        cut(t, plan, decides, equity, seen, rules, state, room, known)
    for i in range(state.shape[0]):
        if not decides[t, i] or t > plan.last[i]:
            continue
        changed = signals[t, i] != (signals[t - 1, i] if t > 0 else 0.0)
        nothing_left = room.weights[i] == 0.0 and room.why[i] != NONE
        told = room.refused[i]
        room.refused[i] = room.why[i] if nothing_left and room.uncut[i] != 0.0 else NONE
        if nothing_left and not room.held[i]:
            if state[i]["waiting"] >= 0:
                end_waiting(orders, state, i, SUPERSEDED)
            if room.refused[i] != NONE and (changed or room.refused[i] != told):
                count = refuse(t, i, equity, seen, orders, count, room, known)
            continue
        weight = room.weights[i]
        if room.why[i] == NONE and in_its_own_words(t, i, room.asked[i], seen, rules):
            weight = room.asked[i]
        if rules.notional:
            weight *= equity
        before = count
        count = decide(t, i, weight, changed, equity, seen, terms, rules, state, orders, count)
        if count > before:
            describe_cut(orders[before], i, room, known)
    return count


@part
def refuse(
    t: int, i: int, equity: float, seen: Market, orders: Records, count: int, room: Room, known: Estimates
) -> int:
    """A target that a rule took away before anything is held: its order ends here."""
    place(orders, count, i, t, SIGNAL, room.uncut[i], room.uncut[i] * equity / seen.mark[t, i])
    orders[count]["reason"] = room.why[i]
    describe_cut(orders[count], i, room, known)
    return count + 1


@part
def describe_cut(row: Records, i: int, room: Room, known: Estimates) -> None:
    """Write into an order what was cut from its target, by which rule, and with whom it moved."""
    row["partner"] = room.partner[i]
    row["factor"] = room.factor[i]
    if room.partner[i] >= 0:
        row["rho"] = known.correlation[i, room.partner[i]]
    if room.why[i] != NONE and abs(room.weights[i]) < abs(room.uncut[i]):
        left = abs(room.weights[i] / room.uncut[i])
        if left < 1.0:
            row["scale"], row["scale_reason"] = left, room.why[i]


@part
def judge(
    t: int, plan: Plan, seen: Market, state: Records, room: Room, equity: Floats, capital: float, highest: float,
    stopped: bool, fills: Records, before: int, after: int, orders: Records, count: int, events: Records,
    event_count: int,
) -> tuple[int, int, bool]:  # fmt: skip
    """Limits on losses at the close of bar t: of the account's drawdown, and until that of each symbol's day."""
    if not stopped and equity[t] <= (1.0 - plan.drawdown) * highest:
        stopped = True
        event_count = note(events, event_count, t, -1, STOPPED)
        count = leave_all(t, DRAWDOWN, PORTFOLIO_HALTED, state, orders, count)
    if plan.day.shape[0] > 0 and not stopped:
        count, event_count = judge_losses(
            t, plan, seen, state, room, equity, capital, fills, before, after, orders, count, events, event_count
        )
    return count, event_count, stopped


@part
def next_snapshot(t: int, interval: int, rows: int) -> int:
    """The first bar from t on that a snapshot is taken at, or T."""
    return min(rows, t + interval - 1 - t % interval) if interval > 0 else rows


@kernel
def take(
    t: int, plan: Plan, seen: Market, held: Floats, flat: bool, known: Estimates, snaps: Records, at: int,
    pairs: Records, count: int,
) -> int:  # fmt: skip
    """Write the snapshot of bar t: diversification of what is held, and the correlations last looked at.

    ``flat``: everything is closed at this very close. Symbols that have ended have left the correlations.
    """
    assets = held.shape[0]
    values = np.zeros(assets)
    for i in range(assets):
        if held[i] != 0.0 and not flat:
            values[i] = held[i] * seen.mark[t, i]
    row = snaps[at]
    row["bar"], row["diversification"], row["observations"] = t, diversification(values, known), known.seen[1]
    for i in range(assets):
        for j in range(i + 1, assets):
            rho = known.correlation[i, j] if t <= min(plan.last[i], plan.last[j]) else np.nan
            if not np.isnan(rho) and (plan.every_pair or abs(rho) > plan.theta[i, j]):
                pair = pairs[count]
                pair["pair_bar"], pair["first"], pair["second"], pair["correlation"] = t, i, j, rho
                count += 1
    return count


def plan_of(bars: Bars, together: Together | None) -> Plan:
    """The rules of the account as a whole as numbers; without any, those of a single symbol with none."""
    assets = len(bars.symbols)
    if together is None:
        return nothing_together(len(bars), assets)
    rules, limits = together.rules, together.rules.limits
    daily = np.array([limits.of(s, "max_symbol_daily_loss") or np.inf for s in bars.symbols])
    ends = bool((together.last < len(bars) - 1).any())
    return Plan(
        together=True,
        watches=ends or limits.max_drawdown is not None or bool(np.isfinite(daily).any()),
        shares=read_only(together.shares),
        share_row=read_only(together.share_row),
        last=read_only(together.last),
        day=read_only(together.day if np.isfinite(daily).any() else together.day[:0]),
        redundancy=MODES[rules.redundancy] if assets > 1 else OFF,
        redistribute=rules.redistribute,
        theta=read_only(thresholds(rules, bars.symbols)),
        minimum=rules.correlation_minimum,
        bounds=Bounds(
            gross=limits.max_gross_exposure or np.inf,
            net=limits.max_net_exposure or np.inf,
            symbol=read_only(np.array([limits.of(s, "max_symbol_weight") or np.inf for s in bars.symbols])),
            positions=float(limits.max_positions or np.inf),
        ),
        daily_loss=read_only(daily),
        drawdown=limits.max_drawdown or np.inf,
        snapshot=rules.snapshot_interval if assets > 1 else 0,
        every_pair=assets <= ALL_PAIRS,
    )


def nothing_together(rows: int, assets: int) -> Plan:
    """The plan of an account whose symbols share nothing but cash."""
    none, empty = read_only(np.full(assets, np.inf)), read_only(np.zeros(0, dtype=np.int64))
    return Plan(
        together=False,
        watches=False,
        shares=read_only(np.ones((1, assets))),
        share_row=empty,
        last=read_only(np.full(assets, rows - 1)),
        day=empty,
        redundancy=OFF,
        redistribute=False,
        theta=read_only(np.ones((assets, assets))),
        minimum=FEWEST,
        bounds=Bounds(np.inf, np.inf, none, np.inf),
        daily_loss=none,
        drawdown=np.inf,
        snapshot=0,
        every_pair=False,
    )


def thresholds(rules: Portfolio, symbols: tuple[str, ...]) -> Floats:
    """(N, N) the correlation above which two symbols are redundant. Raises ``ValueError`` for a pair of others."""
    place = {symbol: i for i, symbol in enumerate(symbols)}
    theta = np.full((len(symbols), len(symbols)), rules.correlation_threshold)
    for pair, value in rules.correlation_overrides.items():
        named = pair_of(pair, symbols)
        if named is None:
            raise ValueError(f"{pair} is no pair of the symbols")
        i, j = place[named[0]], place[named[1]]
        theta[i, j] = theta[j, i] = value
    return theta

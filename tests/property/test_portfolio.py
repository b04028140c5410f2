"""What holds for several symbols on one account, whatever the markets and the signals do (semantics section 8)."""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from engine import attribution
from engine.execution import round_trips
from engine.results import Cause, Ledger, Leg, Outcome, Reason
from engine.types import Bools, Floats
from tests.oracle.portfolio_cases import rough_setting
from tests.property.portfolios import PROPERTY, SEEDS, TOLERANCE, Case, case_of, made_of, size_of

# --- limits ----------------------------------------------------------------------------------------------------


def watched(seed: int) -> Case:
    """Orders that wait for tradable bars, and nothing that ends them but a fill or another decision."""
    random = np.random.default_rng(seed)
    rules: dict[str, Any] = {
        "allow_leverage": True,
        "size_at": str(random.choice(("decision", "fill"))),
        "allow_short": bool(random.random() < 0.8),
        "rebalance": {"name": str(random.choice(("on_change", "every_bar", "daily")))},
        "fill_lag": int(random.choice((1, 2, 3))),
    }
    setting = rough_setting(seed)
    keep = {k: v for k, v in setting.portfolio.items() if k not in ("max_symbol_daily_loss", "max_drawdown")}
    limits: dict[str, Any] = {
        "max_gross_exposure": float(random.uniform(0.2, 1.5)),
        "max_net_exposure": float(random.uniform(0.1, 0.8)),
        "max_symbol_weight": float(random.uniform(0.05, 0.5)),
        "max_positions": int(random.integers(1, 4)),
    }
    limits = {name: value for name, value in limits.items() if random.random() < 0.7}
    case = replace(setting.case, rules=rules, own={}, notional=False)
    return made_of(replace(setting, case=case, portfolio=keep | dict.fromkeys(limits) | limits))


@dataclass(frozen=True)
class Decided:
    """(N,) weights after a decision, and the part of each that adds no exposure to what was there."""

    weight: Floats
    base: Floats
    decides: Bools
    there: Floats


def pending(case: Case, ledger: Ledger, t: int, i: int) -> float:
    """Weight at the close of bar t of a symbol that does not decide: what its order waits for, else what it holds."""
    orders, mark, equity = ledger.orders, ledger.mark[t, i], ledger.equity[t]
    held = float(ledger.quantity[t, i] * mark / equity) if ledger.quantity[t, i] != 0.0 else 0.0
    mine = np.flatnonzero((orders.asset == i) & (orders.cause == Cause.SIGNAL) & (orders.decided_bar < t))
    if not len(mine):
        return held
    k, ends = int(mine[-1]), (Reason.NONE, Reason.SUPERSEDED, Reason.END_OF_DATA)
    decided = int(orders.decided_bar[k])
    replaced = case.targets.decides[decided + 1 : t, i].any() or t > case.together.last[i]
    over = orders.filled_bar[k] if orders.outcome[k] == Outcome.FILLED else len(case.bars)
    if replaced or over <= t or orders.reason[k] not in ends:
        return held
    if case.rules.size_at == "fill":
        return float(orders.weight[k])
    return float((ledger.quantity[decided, i] + orders.quantity[k]) * mark / equity)


def decided_at(case: Case, ledger: Ledger, t: int) -> Decided:
    """The targets after a decision, as the orders and positions tell them; without an order it is what is held."""
    orders, assets = ledger.orders, len(case.bars.symbols)
    decides = case.targets.decides[t] & (t <= case.together.last)
    there = np.array([pending(case, ledger, t, i) for i in range(assets)])
    held = np.where(ledger.quantity[t] != 0.0, ledger.quantity[t] * ledger.mark[t] / ledger.equity[t], 0.0)
    there = np.where(decides, held, there)
    weight = there.copy()
    for k in np.flatnonzero((orders.decided_bar == t) & (orders.cause == Cause.SIGNAL)).tolist():
        at_once = orders.reason[k] in (Reason.NO_PRICE, Reason.SHORT_NOT_ALLOWED) or orders.scale[k] == 0.0
        weight[orders.asset[k]] = 0.0 if at_once else orders.weight[k]
    same_side = weight * there > 0.0
    smaller = np.where(np.abs(weight) < np.abs(there), weight, there)
    return Decided(weight, np.where(decides, np.where(same_side, smaller, 0.0), there), decides, there)


def broken_limits(limits: Any, found: Decided) -> tuple[list[str], list[str]]:
    """Limits that do not hold at a decision, and those that are met with equality: they were at work.

    A limit holds if it is not exceeded, or if nothing that was decided adds to what exceeds it.
    """
    weight, base, more = found.weight, found.base, found.weight - found.base
    count = int(np.count_nonzero(np.where(found.decides, weight, found.there)))
    net = float(weight.sum())
    beyond = {
        "max_gross_exposure": (float(np.abs(weight).sum()), float(np.abs(more).max())),
        "max_net_exposure": (abs(net), float((np.sign(net) * more).max())),
        "max_positions": (count, float(np.abs(weight[found.decides & (found.there == 0.0)]).max(initial=0.0))),
    }
    broken, met = [], []
    for name, (value, added) in beyond.items():
        limit = getattr(limits, name)
        if limit is not None:
            broken += [name] if value > limit + TOLERANCE and added > TOLERANCE else []
            met += [name] if abs(value - limit) <= TOLERANCE and added > TOLERANCE else []
    largest = limits.max_symbol_weight
    if largest is not None:
        allowed = np.maximum(largest, np.abs(base))
        broken += ["max_symbol_weight"] if (found.decides & (np.abs(weight) > allowed + TOLERANCE)).any() else []
        met += ["max_symbol_weight"] if (found.decides & (np.abs(np.abs(weight) - largest) <= TOLERANCE)).any() else []
    return broken, met


def test_limits_hold_at_every_decision() -> None:
    """They count what is held and what waits. And they were at work: a limit out of reach proves nothing."""
    seen: Counter[str] = Counter()

    @PROPERTY
    @given(seed=SEEDS)
    def check(seed: int) -> None:
        case = watched(seed)
        ledger = case.ledger()
        end = ledger.ruined_bar if ledger.ruined_bar >= 0 else len(case.bars)
        for t in np.flatnonzero(case.targets.decides.any(axis=1)).tolist():
            if t < end:
                found = decided_at(case, ledger, t)
                broken, met = broken_limits(case.together.rules.limits, found)
                assert not broken, (t, broken, found)
                seen.update(met)
                seen["decisions"] += 1
                seen["waiting"] += bool((found.there != 0.0)[~found.decides & (ledger.quantity[t] == 0.0)].any())

    check()
    assert seen["decisions"] > 5000
    names = ("max_gross_exposure", "max_net_exposure", "max_symbol_weight", "max_positions", "waiting")
    assert {name: seen[name] for name in names if seen[name] < 100} == {}


# --- accounting ------------------------------------------------------------------------------------------------


@PROPERTY
@given(seed=SEEDS)
def test_cash_and_value_are_equity_and_symbols_add_up(seed: int) -> None:
    """From the fills alone, and from the attribution: what symbols earned, and interest, is what the account earned."""
    case = case_of(seed)
    ledger = case.ledger()
    limit = TOLERANCE * size_of(ledger)
    fills, shape = ledger.fills, ledger.quantity.shape
    held, flows = np.zeros(shape), np.zeros(shape[0])
    np.add.at(held, (fills.bar, fills.asset), fills.quantity)
    np.add.at(flows, fills.bar, -fills.quantity * fills.price - fills.commission)
    held = np.cumsum(held, axis=0)
    accrued = ledger.accrued if len(ledger.accrued) else np.zeros(shape[0])
    cash = case.capital + np.cumsum(flows) + accrued
    value = np.where(ledger.quantity != 0.0, ledger.quantity * ledger.mark, 0.0)
    assert np.isfinite(ledger.equity).all()
    assert np.all(np.abs(ledger.cash - cash) <= limit)
    assert np.all(np.abs(ledger.cash + value.sum(axis=1) - ledger.equity) <= limit)
    assert np.all(np.abs(np.nan_to_num((ledger.quantity - held) * ledger.mark)).sum(axis=1) <= limit)
    table = attribution.symbols_table(case.bars, ledger, round_trips(ledger, case.bars))
    earned = float(ledger.equity[-1]) - case.capital
    assert abs(table["pnl_net"].to_numpy().sum() + ledger.interest - earned) <= limit[-1]
    total = table["return_contribution"].to_numpy().sum() + ledger.interest / case.capital
    assert abs(total - earned / case.capital) <= limit[-1] / case.capital


@PROPERTY
@given(seed=SEEDS)
def test_snapshots_tell_the_account_of_their_bar(seed: int) -> None:
    case = case_of(seed)
    ledger = case.ledger()
    lines = attribution.snapshots(case.bars, ledger, case.together)
    interval = case.together.rules.snapshot_interval
    assert len(lines) == len(case.bars) // interval
    for line, t in zip(lines, range(interval - 1, len(case.bars), interval), strict=True):
        held = {case.bars.symbols[i]: float(ledger.quantity[t, i]) for i in np.flatnonzero(ledger.quantity[t])}
        assert line["positions"] == held
        assert line["portfolio_pnl"] == float(ledger.equity[t]) - case.capital
        ratio = line["diversification_ratio"]
        assert ratio is None or ratio >= 1.0
        assert (ratio is None) or held
        if ledger.equity[t] > 0.0:
            weights = np.where(ledger.quantity[t] != 0.0, ledger.values[t], 0.0) / ledger.equity[t]
            assert line["exposure"]["gross"] == pytest.approx(np.abs(weights).sum(), rel=TOLERANCE)
            assert line["exposure"]["net"] == pytest.approx(weights.sum(), rel=TOLERANCE, abs=TOLERANCE)


@PROPERTY
@given(seed=SEEDS)
def test_a_buyer_never_owes_money(seed: int) -> None:
    """Several orders of one bar, exits and rules on all of them: without leverage cash is not overdrawn."""
    rules = {k: v for k, v in rough_setting(seed).case.rules.items() if k not in ("allow_leverage", "allow_short")}
    ledger = case_of(seed, rules=rules | {"allow_short": False, "commission": {"bps": 10.0}}, own={}).ledger()
    assert np.all(ledger.cash >= -TOLERANCE * size_of(ledger))
    assert np.all(ledger.quantity >= 0.0)


@PROPERTY
@given(seed=SEEDS)
def test_no_leverage_after_a_bar_that_opens(seed: int) -> None:
    """Rules that leave inside a bar move positions after the openings, and accruals move cash: none of them here."""
    rules = {"commission": {"bps": 10.0}, "slippage_bps": 20.0}
    case = case_of(seed, rules=rules, own={}, fraction=3.0)
    ledger = case.ledger()
    fills, size = ledger.fills, size_of(ledger)
    for t in np.unique(fills.bar[fills.leg == Leg.OPEN]):
        price = np.where(case.bars.valid[t], case.bars.open[t], ledger.mark[t])
        here = fills.bar == t
        price[fills.asset[here]] = fills.price[here]
        values = np.where(ledger.quantity[t] != 0.0, ledger.quantity[t] * price, 0.0)
        assert np.abs(values).sum() <= ledger.cash[t] + values.sum() + TOLERANCE * size[t]

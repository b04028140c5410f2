"""The engine against the reference on rough random markets: one of the two is wrong wherever they differ."""

from collections import Counter
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, event, given, settings, target

import engine
from engine.data.bars import Dataset
from engine.execution import Execution, simulate
from engine.results import Cause
from tests.oracle import reference, signals
from tests.oracle.account import Account
from tests.oracle.cases import (
    CASES,
    RULES,
    Case,
    both,
    inputs,
    market_of,
    rough_case,
    rules_of,
    seen,
    simulate_reference,
)
from tests.oracle.compare import differences
from tests.oracle.markets import SYMBOL, Columns, Kind, bars_of, columns, dataset_of
from tests.oracle.play import play

FRACTION = 0.9


def run_both(case: Case) -> tuple[list[str], Counter[str]]:
    """One symbol through the whole pipeline: signals, decisions and the funnel are compared as well."""
    market = columns(case.seed, case.bars, 1, case.kind)
    rules = case.configuration
    data = dataset_of(market)
    result = engine.run(configuration(rules, case.capital), data)
    signal = signals.dual_sma(market.close[:, 0].tolist(), 2, 5, 1)
    schedule = rules.get("rebalance", {"name": "on_change"})["name"]
    grid = [[s] for s in signal]
    scheduled = (
        [[d] for d in signals.first_bars(result.bars.time.tolist(), schedule)] if schedule != "on_change" else []
    )
    decides = scheduled or signals.changes(grid)
    account = reference.ledger(
        market_of(market, result.bars),
        [[s * FRACTION] for s in signal],
        decides,
        grid,
        rules_of(rules, (SYMBOL,)),
        case.capital,
    )
    found = differences(account, result.ledger, result.trades)
    if result.signals.values[:, 0].tolist() != signal:
        found.append("signals differ")
    return found + compare_funnels(account, decides, dict(result.funnel)), seen(account)


def configuration(rules: dict[str, Any], capital: float) -> dict[str, Any]:
    return {
        "dataset": "memory",
        "symbols": [SYMBOL],
        "strategy": {"name": "dual_sma", "params": {"fast": 2, "slow": 5}},
        "risk": {"name": "fixed_fraction", "params": {"fraction": FRACTION}},
        "execution": rules,
        "initial_capital": capital,
    }


def compare_funnels(account: Account, decides: list[list[bool]], told: dict[str, Any]) -> list[str]:
    """A scale of one less a rounding is counted by either engine as it comes."""
    expected = reference.funnel(account, decides)
    if any(1.0 - 1e-9 < o.scale < 1.0 for o in account.orders):
        told.pop("scaled"), expected.pop("scaled")
    same = told == expected or account.dust
    return [] if same else [f"funnel {expected} != {told}"]


def suits_a_run(case: Case) -> bool:
    """One symbol whose data would pass the checks."""
    return case.assets == 1 and not case.notional and not case.kind.holes and case.rules.get("fill_price") != "vwap"


@settings(deadline=None, max_examples=150, derandomize=True)
@given(case=CASES.filter(suits_a_run))
def test_run_agrees_with_the_reference(case: Case) -> None:
    assume(bool((columns(case.seed, case.bars, 1, case.kind).volume > 0.0).any()))
    found, paths = run_both(case)
    target(float(paths["FILLED NONE"]))
    assert found == []


@settings(deadline=None, max_examples=1500, derandomize=True)
@given(case=CASES)
def test_simulate_agrees_with_the_reference(case: Case) -> None:
    found, paths = both(case)
    target(float(paths["FILLED NONE"]))
    for name in +paths:
        event(name)
    assert found == []


@settings(deadline=None, max_examples=200, derandomize=True)
@given(case=CASES.filter(lambda case: case.assets > 1 and not case.own))
def test_t26_the_order_of_the_symbols_decides_nothing(case: Case) -> None:
    """Listed backwards, every symbol holds the same and the account is worth the same."""
    market, bars, targets = inputs(case)
    account = simulate_reference(market, bars, targets, case.configuration, case.capital)
    assume(not account.dust)
    backwards = Columns(*(np.ascontiguousarray(getattr(market, c.name)[:, ::-1]) for c in fields(Columns)))
    turned = replace(targets, **{c: getattr(targets, c)[:, ::-1].copy() for c in ("weights", "decides", "signals")})
    other_bars = bars_of(backwards, bars.tradable[:, ::-1].copy(), bars.time)
    theirs = simulate(other_bars, turned, Execution.model_validate(case.configuration), case.capital)
    money = max(map(abs, (*account.cash, *account.equity, case.capital)))
    np.testing.assert_allclose(theirs.equity, account.equity, rtol=1e-9, atol=1e-9 * money)
    assert [o.cause for o in sorted(account.orders, key=lambda o: (o.decided, o.asset))] == [
        Cause(theirs.orders.cause[k]).name
        for k in sorted(
            range(len(theirs.orders)), key=lambda k: (theirs.orders.decided_bar[k], -theirs.orders.asset[k], k)
        )
    ]


EVERYWHERE = (
    *("FILLED NONE", "PARTIAL CANCELLED_BY_EXIT", "PARTIAL NO_CASH", "PARTIAL SUPERSEDED", "PARTIAL ZERO_VOLUME"),
    *("PARTIAL END_OF_DATA", "PARTIAL NO_PRICE", "UNFILLED CANCELLED_BY_EXIT", "UNFILLED END_OF_DATA"),
    *("UNFILLED LOT_ROUNDED_TO_ZERO", "UNFILLED MIN_NOTIONAL", "UNFILLED NO_CASH", "UNFILLED NO_PRICE"),
    *("UNFILLED SHORT_NOT_ALLOWED", "UNFILLED SUPERSEDED", "UNFILLED ZERO_VOLUME"),
    *("SIGNAL order", "RUIN order", "STOP_LOSS order", "TAKE_PROFIT order", "TRAILING_STOP order", "TIME order"),
    *("END order", "scaled and filled", "scaled by NO_CASH", "scaled by MIN_NOTIONAL"),
    *("scaled by LOT_ROUNDED_TO_ZERO", "flip", "filled in parts", "signal waited for a bar", "exit went on"),
    *("exit at the open", "exit inside", "exit on the entry bar", "reduced", "added to", "open at the end", "long"),
    *("short", "ambiguous", "overdrawn", "ruin", "borrow", "interest"),
)


def test_the_random_markets_reach_every_path_of_the_contract() -> None:
    paths: Counter[str] = Counter()
    wrong = {}
    for seed in range(2000):
        found, one = both(rough_case(seed))
        if found:
            wrong[seed] = found[:2]
        paths += one
    assert wrong == {}
    assert {name: paths[name] for name in EVERYWHERE if paths[name] == 0} == {}
    assert paths["dust"] < 50


@pytest.mark.parametrize("name", [*RULES, "own"])
def test_no_rule_of_the_table_is_without_effect_on_the_reference(name: str) -> None:
    """An oracle that ignored a rule would agree with an engine that ignored it, too."""
    values = [v for v in RULES.get(name, ()) if v is not None]
    needed: dict[str, dict[str, Any]] = {
        "bar_path": {"stop_loss": 0.02, "take_profit": 0.03},
        "borrow_rate": {"rebalance": {"name": "every_bar"}},
    }
    told = set()
    for value in values or [{}, {"slippage_bps": 250.0}]:
        rules = needed.get(name, {}) | ({name: value} if values else {})
        account = reference_of(rules, value if not values else {})
        told.add(repr([(o.cause, o.outcome, o.reason, o.price, o.filled) for o in account.orders] + account.cash))
    assert len(told) > 1


def reference_of(rules: dict[str, Any], own: dict[str, Any]) -> Account:
    """The reference alone on a market with everything in it."""
    kind = Kind(jumps=0.0, dead=0.1, holes=0.05, spikes=0.3, decades=(0.0, 2.0), volumes=(1.0, 1e4))
    market = columns(7, 200, 2, kind)
    bars = bars_of(market)
    random = np.random.default_rng(8)
    signal = np.repeat(random.choice((1.0, -1.0, 0.5, 0.0), (50, 2)), 4, axis=0)
    own_rules = {"per_symbol": {"B": own}} if own else {}
    given_rules = rules_of({"slippage_bps": 0.0, "commission": {}} | rules | own_rules, bars.symbols)
    schedule = rules.get("rebalance", {"name": "on_change"})["name"]
    decides = signals.changes(signal.tolist())
    if schedule != "on_change":
        decides = [[d, d] for d in signals.first_bars(bars.time.tolist(), schedule)]
    weights = (0.5 * signal).tolist()
    return reference.ledger(market_of(market, bars), weights, decides, signal.tolist(), given_rules, 1e5)


@pytest.mark.parametrize("size_at", ["decision", "fill"])
def test_a_short_that_doubles_is_ruined_at_exactly_zero(size_at: str) -> None:
    """Powers of two, no costs: equity is exactly 0 at the close of bar 2, and everything closes at bar 3."""
    rows = [(4.0,) * 4, (4.0,) * 4, (4.0, 8.0, 4.0, 8.0), (16.0,) * 4, (16.0,) * 4]
    account = play(rows, [-1.0] * 5, decides=[True, False, False, True, True], capital=1024.0, size_at=size_at)
    assert account.equity == [1024.0, 1024.0, 0.0, -2048.0, -2048.0]
    assert (account.ruined, [row[0] for row in account.held]) == (2, [0.0, -256.0, -256.0, 0.0, 0.0])


def test_equal_averages_are_flat_even_after_a_spike() -> None:
    """T10 of a running sum: what a spike leaves behind must not look like a trend on a flat price."""
    prices = [1e-4] * 5 + [1e9] + [1e-4] * 30
    flat = np.array(prices).reshape(-1, 1)
    data: Dataset = dataset_of(Columns(flat, flat, flat, flat, np.ones_like(flat)))
    result = engine.run(
        {"dataset": "memory", "symbols": [SYMBOL], "strategy": {"name": "dual_sma", "params": {"fast": 2, "slow": 5}}},
        data,
    )
    assert result.signals.values[:, 0].tolist() == signals.dual_sma(prices, 2, 5, 1)
    assert result.signals.values[12:, 0].tolist() == [0.0] * 24

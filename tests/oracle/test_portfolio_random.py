"""Random portfolios, for the second portfolio alone: what must hold whatever the market and the rules."""

import math
from collections import Counter
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, event, given, settings

from tests.oracle import account as oracle
from tests.oracle.account import Account, Order, Position, Rules
from tests.oracle.aims import Aim, PortfolioRules
from tests.oracle.cases import CASES, Case, inputs, rules_of, simulate_reference
from tests.oracle.correlation import correlations
from tests.oracle.limits import current, limit
from tests.oracle.portfolio import Floats, Played, Portfolio, order_row, simulate
from tests.oracle.portfolio_cases import PORTFOLIO, SETTINGS, Setting, portfolio_of, rough_setting, seen

MONEY = 1e-9


# --- accounting ------------------------------------------------------------------------------------------------


def carried(given: Portfolio) -> Floats:
    """(T, N) the last close of a bar with four prices."""
    mark = given.close.copy()
    for grid in (given.open, given.high, given.low):
        mark[~(np.isfinite(grid) & (grid > 0.0))] = np.nan
    mark[~(np.isfinite(mark) & (mark > 0.0))] = np.nan
    for t in range(1, len(mark)):
        mark[t] = np.where(np.isnan(mark[t]), mark[t - 1], mark[t])
    return mark


def accruals(given: Portfolio, played: Played, value: Floats) -> tuple[Floats, Floats]:
    """Borrow (T, N) and interest (T,) of each bar, from values and cash at the close before."""
    years = np.diff(given.close_time, prepend=given.close_time[0]) / oracle.YEAR
    rates = np.array([given.rules.of(i).borrow_rate for i in range(value.shape[1])])
    before = np.vstack((np.zeros(value.shape[1]), value[:-1]))
    rent = rates * np.maximum(-before, 0.0) * years[:, None]
    cash = np.concatenate(([0.0], played.cash[:-1]))
    return rent, given.rules.cash_rate * np.maximum(cash, 0.0) * years


def check_accounting(given: Portfolio, played: Played) -> None:
    """Every number of the account again, from the fills and the prices alone."""
    bars, assets = given.close.shape
    traded, flows = np.zeros((bars, assets)), np.zeros((bars, assets))
    for f in played.fills:
        traded[f["bar"], f["asset"]] += f["quantity"]
        flows[f["bar"], f["asset"]] -= f["quantity"] * f["price"] + f["commission"]
    mark = carried(given)
    value = np.where(played.positions != 0.0, played.positions * mark, 0.0)
    size = max(given.capital, np.abs(played.cash).max(), np.abs(value).max(), np.abs(flows).max())
    units = np.abs(traded).sum(axis=0).max() if len(played.fills) else 1.0
    np.testing.assert_allclose(played.positions, np.cumsum(traded, axis=0), rtol=MONEY, atol=1e-9 * units)
    np.testing.assert_array_equal(played.mark, mark)
    rent, interest = accruals(given, played, value)
    cash = given.capital + np.cumsum(flows.sum(axis=1) - rent.sum(axis=1) + interest)
    np.testing.assert_allclose(played.cash, cash, rtol=MONEY, atol=MONEY * size)
    np.testing.assert_allclose(played.equity, played.cash + value.sum(axis=1), rtol=MONEY, atol=MONEY * size)
    gains = value + np.cumsum(flows - rent, axis=0)
    total = given.capital + gains.sum(axis=1) + np.cumsum(interest)
    np.testing.assert_allclose(played.equity, total, rtol=MONEY, atol=MONEY * size)


def check_orders(given: Portfolio, played: Played) -> None:
    """Each order against its fills and its own scale."""
    mine: dict[int, list[dict[str, Any]]] = {k: [] for k in range(len(played.orders))}
    for f in played.fills:
        mine[f["order"]].append(f)
    assert [o["decided"] for o in played.orders] == sorted(o["decided"] for o in played.orders)
    for k, o in enumerate(played.orders):
        fills = mine[k]
        assert o["filled"] == pytest.approx(sum(f["quantity"] for f in fills), rel=1e-9, abs=0.0)
        assert o["commission"] == pytest.approx(sum(f["commission"] for f in fills), rel=1e-9, abs=0.0)
        assert all(f["bar"] > o["decided"] or o["cause"] == "END" for f in fills)
        assert (o["reason"] == "NONE") == (o["outcome"] == "FILLED")
        assert (o["scale"] < 1.0) == (o["scale_reason"] != "NONE")
        assert 0.0 <= o["scale"] <= 1.0
        assert (o["factor"] < 1.0) == (o["partner"] >= 0) == (not math.isnan(o["rho"]))
        assert o["filled_bar"] <= given.last[o["asset"]] or o["cause"] in ("ENDED", "END")
        assert o["decided"] <= given.last[o["asset"]] or o["cause"] in ("RUIN", "END", "DRAWDOWN")


@settings(deadline=None, max_examples=150, derandomize=True)
@given(setting=SETTINGS)
def test_the_account_adds_up_at_every_bar(setting: Setting) -> None:
    portfolio = portfolio_of(setting)
    played = simulate(portfolio)
    for name in +seen(played):
        event(name)
    check_accounting(portfolio, played)
    check_orders(portfolio, played)


EVERYWHERE = (
    *("UNFILLED CORRELATED", "UNFILLED EXPOSURE_LIMIT", "UNFILLED MAX_POSITIONS", "UNFILLED SYMBOL_HALTED"),
    *("UNFILLED PORTFOLIO_HALTED", "PARTIAL SYMBOL_HALTED", "PARTIAL PORTFOLIO_HALTED", "UNFILLED SHORT_NOT_ALLOWED"),
    *("UNFILLED NO_PRICE", "UNFILLED NO_CASH", "UNFILLED LOT_ROUNDED_TO_ZERO", "PARTIAL END_OF_DATA"),
    *("DAILY_LOSS order", "DRAWDOWN order", "ENDED order", "RUIN order", "END order", "STOP_LOSS order"),
    *("TIME order", "scaled by CORRELATED", "scaled by EXPOSURE_LIMIT", "scaled by NO_CASH", "cut and short of cash"),
    *("partner", "opposite partner", "ended with costs", "halted in parts", "halts", "stopped", "ruined"),
)


def test_the_random_portfolios_reach_every_rule_and_add_up() -> None:
    paths: Counter[str] = Counter()
    for seed in range(500):
        portfolio = portfolio_of(rough_setting(seed))
        played = simulate(portfolio)
        check_accounting(portfolio, played)
        check_orders(portfolio, played)
        paths += seen(played)
    assert {name: paths[name] for name in EVERYWHERE if paths[name] == 0} == {}
    assert paths["dust"] < 10


@pytest.mark.parametrize("name", sorted(PORTFOLIO))
def test_no_rule_of_a_portfolio_is_without_effect(name: str) -> None:
    """An oracle that ignored a rule would agree with an engine that ignored it, too."""
    needed = {"redistribute": {"threshold": 0.5}, "window": {"threshold": 0.7}}
    base = {"threshold": 0.6} | needed.get(name, {})
    told = set()
    for value in PORTFOLIO[name]:
        at_work = set()
        for seed in range(4, 10):
            setting = replace(rough_setting(seed), portfolio=base | {name: value}, turning=True, late=False)
            setting = replace(setting, case=replace(setting.case, bars=110, assets=5, rules={}))
            at_work.add(repr(simulate(portfolio_of(setting)).orders))
        told.add(repr(sorted(at_work)))
    assert len(told) == len({repr(value) for value in PORTFOLIO[name]})


# --- symbols in another order, and one alone -------------------------------------------------------------------


def turned(given: Portfolio, order: list[int]) -> Portfolio:
    """The same symbols, with their names, in another order."""
    costs = given.rules.costs
    grids = {f.name: getattr(given, f.name) for f in fields(Portfolio)}
    moved: dict[str, Any] = {k: g[:, order].copy() for k, g in grids.items() if getattr(g, "ndim", 0) == 2}
    return replace(
        given,
        **moved,
        last=given.last[order],
        names=tuple(given.names[i] for i in order),
        rules=replace(given.rules, costs=[costs[i] for i in order] if len(costs) > 1 else costs),
    )


def by_name(given: Portfolio, played: Played) -> list[tuple[Any, ...]]:
    """What was decided and how it ended, with names for numbers."""
    rows = []
    for o in played.orders:
        partner = given.names[o["partner"]] if o["partner"] >= 0 else ""
        rows.append((o["decided"], given.names[o["asset"]], o["cause"], o["outcome"], o["reason"], partner))
    return sorted(rows)


@settings(deadline=None, max_examples=100, derandomize=True)
@given(setting=SETTINGS)
def test_symbols_in_another_order_do_the_same(setting: Setting) -> None:
    portfolio = portfolio_of(setting)
    order = np.random.default_rng(setting.case.seed).permutation(setting.case.assets).tolist()
    other = turned(portfolio, order)
    here, there = simulate(portfolio), simulate(other)
    assume(not here.dust and not there.dust)
    money = max(portfolio.capital, np.abs(here.cash).max(), np.abs(here.equity).max())
    np.testing.assert_allclose(there.equity, here.equity, rtol=1e-9, atol=1e-9 * money)
    units = np.abs(here.positions).max()
    np.testing.assert_allclose(there.positions, here.positions[:, order], rtol=1e-9, atol=1e-9 * units)
    assert by_name(other, there) == by_name(portfolio, here)


def without_rules(case: Case, portfolio: PortfolioRules) -> tuple[Portfolio, Account]:
    """A case of several symbols of one share each as a portfolio, and the same with the weights shared beforehand."""
    market, bars, targets = inputs(case)
    length, assets = market.close.shape
    sizes = np.random.default_rng(case.seed).uniform(0.2, 1.0, (1, assets))
    shares = np.repeat(sizes / sizes.sum(), length, axis=0)
    given = Portfolio(
        open=market.open,
        high=market.high,
        low=market.low,
        close=market.close,
        volume=market.volume,
        vwap=market.vwap,
        close_time=bars.close_time,
        tradable=bars.tradable,
        weights=targets.weights,
        shares=shares,
        decides=targets.decides,
        signals=targets.signals,
        days=bars.time // (24 * 3_600_000_000_000),
        last=np.full(assets, length - 1),
        names=bars.symbols,
        rules=rules_of(case.configuration, bars.symbols, case.notional),
        portfolio=portfolio,
        capital=case.capital,
    )
    shared = replace(targets, weights=targets.weights * shares)
    return given, simulate_reference(market, bars, shared, case.configuration, case.capital)


def agree(given: Portfolio, alone: Account) -> None:
    """Bars and orders; a currency rule goes through a fraction of equity and back."""
    played = simulate(given)
    assume(not alone.dust and not played.dust)
    money = max(given.capital, *map(abs, alone.cash), *map(abs, alone.equity))
    np.testing.assert_allclose(played.equity, alone.equity, rtol=1e-12, atol=1e-12 * money)
    np.testing.assert_allclose(played.cash, alone.cash, rtol=1e-12, atol=1e-12 * money)
    units = np.abs(played.positions).max()
    np.testing.assert_allclose(played.positions, np.array(alone.held), rtol=1e-11, atol=1e-11 * units)
    rows = [order_row(order) for order in alone.orders]
    assert len(rows) == len(played.orders)
    for mine, theirs in zip(played.orders, rows, strict=True):
        scale = max(abs(theirs["quantity"]), money / theirs["price"] if theirs["price"] > 0.0 else 0.0)
        for name, value in theirs.items():
            number = isinstance(value, float)
            assert mine[name] == (pytest.approx(value, rel=1e-9, abs=1e-11 * scale, nan_ok=True) if number else value)


@settings(deadline=None, max_examples=200, derandomize=True)
@given(case=CASES.filter(lambda case: case.assets == 1))
def test_one_symbol_is_the_account_of_one_symbol(case: Case) -> None:
    """Redundancy has nothing to work on, and limits out of reach limit nothing."""
    agree(*without_rules(case, PortfolioRules(redundancy="off")))
    agree(*without_rules(case, PortfolioRules(max_gross_exposure=1e12, max_positions=1, max_drawdown=1.0)))


@settings(deadline=None, max_examples=100, derandomize=True)
@given(case=CASES.filter(lambda case: case.assets > 1))
def test_without_rules_several_symbols_are_one_account(case: Case) -> None:
    agree(*without_rules(case, PortfolioRules(redundancy="off")))


# --- rules by themselves ---------------------------------------------------------------------------------------


def test_correlations_are_those_of_the_rows_both_have() -> None:
    """NumPy's over the complete rows of the last forty; of 19 there are none, and none of what does not move."""
    random = np.random.default_rng(5)
    returns = random.standard_normal((80, 4)) @ random.standard_normal((4, 4))
    returns[random.random(returns.shape) < 0.1] = np.nan
    returns[0] = np.nan
    returns[:, 3] = 0.25
    found = np.array(correlations(returns.tolist(), 70, 40, 20))
    rows = returns[31:71]
    for i, j in ((0, 1), (1, 2), (2, 0)):
        pair = rows[:, [i, j]]
        whole = np.corrcoef(pair[~np.isnan(pair).any(axis=1)].T)
        assert found[i, j] == pytest.approx(np.asarray(whole)[0, 1], abs=1e-12)
    assert np.isnan(found[3]).all()
    assert np.isnan(found[:, 3]).all()
    assert np.isnan(correlations(returns.tolist(), 19, 40, 20)).all()
    sparse = np.where(np.arange(80)[:, None] % 4 < 2, returns, np.nan)
    assert np.isnan(correlations(sparse.tolist(), 70, 30, 20)).all()


def books(random: np.random.Generator, assets: int) -> tuple[Account, list[Aim], list[bool]]:
    """Positions, orders that wait, and aims, all at a price of 1 and an equity of 1."""
    one = [[1.0] * assets]
    account = Account(oracle.Market(one, one, one, one, one, closed_at=[0]), Rules(), 1.0, [])
    aims = []
    for i in range(assets):
        held = float(random.choice((0.0, 1.0)) * random.uniform(-0.6, 0.6))
        weight = float(random.choice((0.0, 1.0, 1.0)) * random.uniform(-0.6, 0.6))
        waiting = Order(i, 0, 1, "SIGNAL", 0.1, 0.1, float(random.uniform(-0.4, 0.4)), 0.1)
        account.positions.append(Position(held=held, mark=1.0, waiting=waiting if random.random() < 0.3 else None))
        aims.append(Aim("ABCDE"[i], weight, weight, weight, held != 0.0))
    return account, aims, [bool(random.random() < 0.6) for _ in range(assets)]


@pytest.mark.parametrize("seed", range(300))
def test_limits_hold_and_reductions_go_through(seed: int) -> None:
    """Whatever exceeds a limit afterwards was there before, and nobody's risk is shrunk below what is there."""
    random = np.random.default_rng(seed)
    account, aims, decides = books(random, 5)
    gross, net, each = (float(random.uniform(0.1, 1.2)) for _ in range(3))
    rules = PortfolioRules(max_gross_exposure=gross, max_net_exposure=net, max_symbol_weight=each, max_positions=3)
    there = [current(account, i, decides[i], 1.0) for i in range(5)]
    limit(account, aims, decides, 1.0, rules)
    after = [aim.weight if decided else now for aim, decided, now in zip(aims, decides, there, strict=True)]
    safe = [
        math.copysign(min(abs(now), abs(aim.before)), now) if decided and now * aim.before > 0.0 else 0.0
        for aim, decided, now in zip(aims, decides, there, strict=True)
    ]
    safe = [part if decided else now for part, decided, now in zip(safe, decides, there, strict=True)]
    assert sum(map(abs, after)) <= max(gross, sum(map(abs, safe))) + 1e-12
    assert sum(w != 0.0 for w in after) <= max(3, sum(w != 0.0 for w in there))
    for aim, decided, weight, base in zip(aims, decides, after, safe, strict=True):
        assert not decided or abs(weight) <= max(each, abs(base)) + 1e-12
        assert not decided or abs(base) - 1e-12 <= abs(weight) <= abs(aim.before)
        assert weight * aim.before >= 0.0 or not decided
    still_adding = [
        aim for aim, d, w, b in zip(aims, decides, after, safe, strict=True) if d and (w - b) * sum(after) > 1e-12
    ]
    assert abs(sum(after)) <= net + 1e-12 or not still_adding

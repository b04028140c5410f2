"""Portfolios whose symbols come in another order or under other names, and targets that come twice."""

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import engine
from engine.data.bars import Bars, Conventions, Dataset, Series
from engine.execution import Execution
from engine.outcome import Result
from engine.portfolio import Portfolio, Together
from engine.results import Ledger, Outcome, Reason, Targets
from tests.oracle.markets import HOUR, HOURLY, Kind, columns
from tests.oracle.portfolio_cases import rough_setting
from tests.property.portfolios import PROPERTY, SEEDS, TOLERANCE, Case, made_of, size_of

RUNS = settings(PROPERTY, max_examples=40)

# --- symbols in another order ----------------------------------------------------------------------------------


def permuted(case: Case, order: list[int]) -> Case:
    """The same symbols in another order, each with its name."""
    names = ("open", "high", "low", "close", "volume", "tradable")
    grids: dict[str, Any] = {name: np.ascontiguousarray(getattr(case.bars, name)[:, order]) for name in names}
    symbols = tuple(case.bars.symbols[i] for i in order)
    wanted, whole = case.targets, case.together
    together = replace(whole, symbols=symbols, shares=whole.shares[:, order].copy(), last=whole.last[order])
    targets = replace(
        wanted,
        weights=wanted.weights[:, order].copy(),
        decides=wanted.decides[:, order].copy(),
        signals=wanted.signals[:, order].copy(),
    )
    return replace(case, bars=replace(case.bars, symbols=symbols, **grids), targets=targets, together=together)


def told(case: Case, ledger: Ledger) -> list[tuple[Any, ...]]:
    """What was decided and how it ended, with names for numbers."""
    names, o = (*case.bars.symbols, ""), ledger.orders
    rows = zip(o.decided_bar, o.cause, o.outcome, o.reason, o.scale_reason, o.filled_bar, strict=True)
    who = ((names[i], names[j]) for i, j in zip(o.asset.tolist(), o.partner.tolist(), strict=True))
    return sorted((*row, *pair) for row, pair in zip(rows, who, strict=True))


@PROPERTY
@given(seed=SEEDS, shuffle=st.randoms(use_true_random=False))
def test_the_order_of_symbols_does_not_matter(seed: int, shuffle: Any) -> None:
    """Sums in another order differ by rounding. Equals, which the order of names decides, are left out here."""
    setting = rough_setting(seed | 1)  # sizes differ
    whole = {k: v for k, v in setting.portfolio.items() if k != "max_symbol_weight"}
    case = made_of(replace(setting, shares="uneven", portfolio=whole, case=replace(setting.case, own={})))
    order = list(range(len(case.bars.symbols)))
    shuffle.shuffle(order)
    other = permuted(case, order)
    one, two = case.ledger(), other.ledger()
    limit = TOLERANCE * size_of(one)
    assert np.all(np.abs(one.equity - two.equity) <= limit)
    assert np.all(np.abs(one.cash - two.cash) <= limit)
    moved = np.nan_to_num((one.quantity[:, order] - two.quantity) * two.mark)
    assert np.all(np.abs(moved).sum(axis=1) <= limit)
    assert told(case, one) == told(other, two)
    befell = [
        sorted((t, names[i], kind) for t, i, kind in zip(e.bar, e.asset, e.kind, strict=True))
        for names, e in (((*c.bars.symbols, ""), found.events) for c, found in ((case, one), (other, two)))
    ]
    assert befell[0] == befell[1]


# --- the same targets twice ------------------------------------------------------------------------------------

MOVING, STILL = 30, 8


def frozen(seed: int) -> Case:
    """Prices that stand still after a while, and the same targets, decided at every bar from then on.

    Symbols of a group move as one, so that no further row changes a correlation above the threshold.
    """
    random = np.random.default_rng(seed)
    assets = int(random.integers(2, 6))
    groups, sides = random.integers(0, 3, assets), random.choice((1.0, 1.0, -1.0), assets)
    moves = 0.01 * random.standard_normal((MOVING, 3))[:, groups] * sides
    path = np.exp(np.concatenate((np.cumsum(moves, axis=0), np.zeros((STILL, assets)) + moves.sum(axis=0))))
    close = path * 10.0 ** random.uniform(0.0, 2.0, assets)
    time = HOUR * np.arange(len(close), dtype=np.int64)
    names = tuple("ABCDE"[:assets])
    grids = dict.fromkeys(("open", "high", "low", "close"), close)
    bars = Bars(
        symbols=names,
        conventions=HOURLY,
        time=time,
        ends=time + HOUR,
        volume=np.ones_like(close),
        tradable=np.ones(close.shape, dtype=np.bool_),
        extra={},
        **grids,
    )
    weights = np.zeros_like(close)
    weights[MOVING + 1 :] = random.choice((-1.0, 1.0, 0.5, 0.0), assets) * random.uniform(0.2, 1.0, assets)
    decides = np.repeat((np.arange(len(close)) > MOVING)[:, None], assets, axis=1)
    limits: dict[str, Any] = {
        str(random.choice(("max_gross_exposure", "max_net_exposure"))): float(random.uniform(0.05, 0.6)),
        "max_symbol_weight": float(random.uniform(0.02, 0.4)),
        "max_positions": int(random.integers(1, 4)),
    }
    rules = Portfolio.model_validate(
        {
            "redundancy": str(random.choice(("scale", "filter", "off"))),
            "redistribute": bool(random.random() < 0.5),
            "correlation_threshold": 0.99,
            "limits": {name: value for name, value in limits.items() if random.random() < 0.5},
        }
    )
    size = random.uniform(0.1, 1.0, (1, assets))
    row, last = np.zeros(len(close), dtype=np.int64), np.full(assets, len(close) - 1)
    execution = {"slippage_bps": 0.0, "commission": {}, "size_at": str(random.choice(("decision", "fill")))}
    every_bar = Execution.model_validate(execution | {"rebalance": {"name": "every_bar"}})
    together = Together(rules, names, size / size.sum(), row, last, row)
    return Case(bars, Targets(weights, decides, weights), every_bar, together, 1e5)


def test_the_same_targets_twice_trade_nothing() -> None:
    """Whatever redundancy and limits left of them. Gross and net limits together are another matter: what the second
    takes makes room for the first at the next decision."""
    seen: Counter[str] = Counter()

    @PROPERTY
    @given(seed=SEEDS)
    def check(seed: int) -> None:
        case = frozen(seed)
        ledger = case.ledger()
        assert set(ledger.fills.bar.tolist()) <= {MOVING + 2}
        filled = ledger.orders.outcome == Outcome.FILLED
        assert set(ledger.orders.decided_bar[filled].tolist()) <= {MOVING + 1}
        assert np.array_equal(ledger.quantity[MOVING + 2 :], np.repeat(ledger.quantity[-1:], STILL - 2, axis=0))
        seen.update(Reason(code).name for code in ledger.orders.scale_reason)
        seen["fills"] += len(ledger.fills)

    check()
    names = ("CORRELATED", "EXPOSURE_LIMIT", "MAX_POSITIONS", "fills")
    assert {name: seen[name] for name in names if seen[name] < 50} == {}
    assert seen["NO_CASH"] == 0


# --- whole runs ------------------------------------------------------------------------------------------------

WEIGHTINGS = ("equal", "inverse_volatility", "risk_parity", "hrp", "min_variance", "max_diversification")


def market_of(seed: int, names: tuple[str, ...], *, union: bool) -> Dataset:
    """Symbols with dead bars, and under union with holes, late starts and early ends."""
    random = np.random.default_rng(seed)
    market = columns(seed, 160, len(names), Kind(jumps=0.0, dead=0.05, decades=(0.0, 2.0)))
    found = {}
    for i, name in enumerate(names):
        first, end = (int(random.integers(0, 40)), int(random.integers(120, 161))) if union and i else (0, 160)
        keep = np.flatnonzero(random.random(160) > (0.05 if union else 0.0))
        keep = keep[(keep >= first) & (keep < end)]
        grids = (getattr(market, column)[keep, i].copy() for column in ("open", "high", "low", "close", "volume"))
        found[name] = Series(HOUR * keep.astype(np.int64), *grids)
    return Dataset("made", Conventions(timeframe="1h", calendar="24x7"), found)


def configuration(seed: int, symbols: tuple[str, ...], weighting: str) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    limits = {"max_gross_exposure": 0.8, "max_net_exposure": 0.6, "max_symbol_daily_loss": 0.05, "max_drawdown": 0.5}
    return {
        "dataset": "made",
        "symbols": list(symbols),
        "fraction": 0.9,
        "strategy": {"name": "dual_sma", "params": {"fast": 3, "slow": 8}},
        "execution": {"rebalance": {"name": str(random.choice(("on_change", "every_bar", "daily")))}},
        "portfolio": {
            "weighting": weighting,
            "redundancy": str(random.choice(("scale", "filter", "off"))),
            "correlation_window": 40,
            "align": "union" if random.random() < 0.5 else "intersection",
            "limits": {name: value for name, value in limits.items() if random.random() < 0.5},
            "snapshot_interval": 11,
        },
    }


def run_of(seed: int, names: tuple[str, ...], weighting: str) -> Result:
    plain = configuration(seed, names, weighting)
    return engine.run(plain, market_of(seed, names, union=plain["portfolio"]["align"] == "union"))


@RUNS
@given(seed=SEEDS, weighting=st.sampled_from(WEIGHTINGS))
def test_a_run_adds_up_and_does_not_depend_on_the_order_of_its_symbols(seed: int, weighting: str) -> None:
    """However they are listed it is the same run, to the last bit."""
    names = ("A", "B", "C", "D")
    plain = configuration(seed, names, weighting)
    data = market_of(seed, names, union=plain["portfolio"]["align"] == "union")
    one = engine.run(plain, data)
    turned = replace(data, series=dict(reversed(list(data.series.items()))))
    two = engine.run(plain | {"symbols": ["C", "A", "D", "B"]}, turned)
    assert one.hash == two.hash
    for name in ("path", "quantity", "cash"):
        assert getattr(one.ledger, name).tobytes() == getattr(two.ledger, name).tobytes()
    assert one.snapshots() == two.snapshots()
    earned = one.ledger.equity[-1] - one.ledger.initial_capital
    limit = TOLERANCE * size_of(one.ledger)[-1]
    assert abs(one.tables["symbols"]["pnl_net"].to_numpy().sum() + one.ledger.interest - earned) <= limit
    assert one.weighting is not None
    np.testing.assert_allclose(one.weighting.values.sum(axis=1), 1.0, rtol=TOLERANCE)


@RUNS
@given(seed=SEEDS, weighting=st.sampled_from(WEIGHTINGS))
def test_names_do_not_matter(seed: int, weighting: str) -> None:
    """Under other names symbols come in another order: sums and solvers differ by rounding, 1e-9 of the account."""
    one, two = (run_of(seed, names, weighting) for names in (("A", "B", "C", "D"), ("C", "A", "D", "B")))
    order = [2, 0, 3, 1]
    limit = TOLERANCE * size_of(one.ledger)
    assert np.all(np.abs(one.ledger.equity - two.ledger.equity) <= limit)
    moved = np.nan_to_num((one.ledger.quantity - two.ledger.quantity[:, order]) * one.ledger.mark)
    assert np.all(np.abs(moved).sum(axis=1) <= limit)

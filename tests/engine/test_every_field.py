"""Every field matters: what one configuration shows under a change of each of its leaves."""

import copy
from typing import Any

import numpy as np
import pytest

import engine
from engine.config import RunConfig, parse_config
from engine.data.bars import Series
from engine.outcome import Result
from tests.engine.test_pipeline import dataset, lively


def scored(seed: int) -> Series:
    """A lively market with a column of scores."""
    market = lively(seed)
    scores = np.random.default_rng(seed).uniform(-1.0, 1.0, (2, len(market)))
    extra = {"score": scores[0], "weight": scores[1]}
    rows = (market.open, market.high, market.low, market.close, market.volume)
    return Series(market.time, *rows, extra=extra)


DATA = dataset(A=scored(1), B=scored(2).slice(3, 10**9))
BASE: dict[str, Any] = {
    "dataset": "made",
    "symbols": ["A"],
    "fraction": 0.5,
    "strategy": {"name": "dual_sma", "params": {"fast": 3, "slow": 8}},
    "validation": {"permutation": {"n": 20}, "cost_sensitivity": {}, "break_even": {}},
}
IDENTITY_ONLY = {"/dataset": "other"}


def strategy(name: str, **params: Any) -> dict[str, Any]:
    return {"strategy": {"name": name, "params": params}}


def risk(name: str, **params: Any) -> dict[str, Any]:
    return {"risk": {"name": name, "params": params}}


def execution(**rules: Any) -> dict[str, Any]:
    return {"execution": rules}


def slippage(name: str, **params: Any) -> dict[str, Any]:
    return execution(slippage={"name": name, "params": params})


def validated(**blocks: Any) -> dict[str, Any]:
    return {"validation": blocks, "fraction": 1.0}


GRID = {"fast": [2, 3], "slow": [7, 8, 9]}
FOLDS = {"grid": GRID, "groups": 4, "tests": 2}
SCORES = strategy("signal", column="score", long_above=0.5, short_below=-0.5)
REVERSED = strategy("signal", column="score", long_below=-0.5, short_above=0.5)
VOLATILITY = risk("volatility_target", target_vol=0.5, lookback=5)


def several(*, redundant: bool = True, **rules: Any) -> dict[str, Any]:
    """Both symbols on one account; every correlation above zero counts unless told otherwise."""
    close = {"correlation_threshold": 0.0, "correlation_window": 20, "correlation_minimum": 5} if redundant else {}
    return {"symbols": ["A", "B"], "portfolio": close | {"snapshot_interval": 7} | rules}


def limits(**rules: Any) -> dict[str, Any]:
    return several(limits=rules)


KELLY = risk("kelly_fraction", win_prob=0.6, reward_risk=1.0)

CHANGES: dict[str, tuple[dict[str, Any], Any]] = {
    "/timeframe": ({}, "2h"),
    "/symbols": ({}, ["B"]),
    "/start": ({}, "2020-01-03T00:00:00Z"),
    "/end": ({}, "2020-01-09T00:00:00Z"),
    "/fraction": ({}, 0.4),
    "/portion": ({}, 2),
    "/indicators": ({}, [{"name": "rsi", "params": {"length": 5}, "as": "rsi"}]),
    "/strategy": ({}, strategy("buy_and_hold")["strategy"]),
    "/strategy/params/fast": ({}, 4),
    "/strategy/params/slow": ({}, 9),
    "/strategy/params/signal": (strategy("macd", fast=3, slow=8), 5),
    "/strategy/params/length": (strategy("rsi_reversion"), 5),
    "/strategy/params/lower": (strategy("rsi_reversion", length=3), 10.0),
    "/strategy/params/upper": (strategy("rsi_reversion", length=3), 90.0),
    "/strategy/params/exit": (strategy("zscore_reversion", entry=1.0), 0.5),
    "/strategy/params/entry": (strategy("zscore_reversion", entry=1.0), 1.5),
    "/strategy/params/width": (strategy("bollinger_reversion"), 1.0),
    "/strategy/params/lookback": (strategy("time_series_momentum", lookback=10), 20),
    "/strategy/params/skip": (strategy("time_series_momentum", lookback=10), 5),
    "/strategy/params/column": (SCORES, "weight"),
    "/strategy/params/long_above": (SCORES, 0.9),
    "/strategy/params/short_below": (SCORES, -0.9),
    "/strategy/params/long_below": (REVERSED, -0.9),
    "/strategy/params/short_above": (REVERSED, 0.9),
    "/risk": ({}, KELLY["risk"]),
    "/risk/params/fraction": ({}, 0.5),
    "/risk/params/target_vol": (VOLATILITY, 0.1),
    "/risk/params/lookback": (VOLATILITY, 9),
    "/risk/params/max_leverage": (VOLATILITY, 0.1),
    "/risk/params/win_prob": (KELLY, 0.7),
    "/risk/params/reward_risk": (KELLY, 2.0),
    "/risk/params/base_fraction": (KELLY, 0.5),
    "/risk/params/risk": (risk("risk_per_trade", risk=0.01, stop=0.1), 0.02),
    "/risk/params/stop": (risk("risk_per_trade", risk=0.01, stop=0.1), 0.2),
    "/risk/params/amount": (risk("fixed_notional", amount=1000.0), 2000.0),
    "/execution/feature_lag": ({}, 0),
    "/execution/fill_lag": ({}, 2),
    "/execution/fill_price": ({}, "mid"),
    "/execution/size_at": ({}, "fill"),
    "/execution/slippage": ({}, slippage("spread_pct", spread=0.01)["execution"]["slippage"]),
    "/execution/slippage/params/spread": (slippage("spread_pct", spread=0.01), 0.02),
    "/execution/slippage/params/impact": (slippage("participation_rate", impact=0.1), 0.5),
    "/execution/slippage/params/k": (slippage("square_root"), 2.0),
    "/execution/slippage/params/lookback": (slippage("square_root"), 5),
    "/execution/slippage_bps": ({}, 2.0),
    "/execution/commission/bps": ({}, 6.0),
    "/execution/commission/per_unit": ({}, 0.01),
    "/execution/commission/per_order": ({}, 1.0),
    "/execution/commission/minimum": ({}, 200.0),
    "/execution/borrow_rate": ({}, 0.1),
    "/execution/cash_rate": ({}, 0.1),
    "/execution/rebalance/name": ({}, "every_bar"),
    "/execution/rebalance/band": (execution(rebalance={"name": "every_bar"}), 0.5),
    "/execution/allow_short": ({}, False),
    "/execution/allow_leverage": ({}, True),
    "/execution/quantity_step": ({}, 7.0),
    "/execution/min_notional": ({}, 1e6),
    "/execution/max_participation": ({}, 1e-6),
    "/execution/untradable_bar": ({}, "skip"),
    "/execution/stop_loss": ({}, 0.01),
    "/execution/take_profit": ({}, 0.01),
    "/execution/trailing_stop": ({}, 0.01),
    "/execution/max_holding_bars": ({}, 3),
    "/execution/bar_path": (execution(stop_loss=0.001, take_profit=0.001), "target_first"),
    "/execution/end_policy": ({}, "close"),
    "/execution/per_symbol": ({}, {"A": {"slippage_bps": 7.0}}),
    "/portfolio/mode": ({"symbols": ["A", "B"]}, "independent"),
    "/portfolio/weighting": (several(), "inverse_volatility"),
    "/portfolio/weighting/params/shrinkage": (
        several(weighting={"name": "min_variance", "params": {"shrinkage": "constant_correlation"}}),
        {"name": "min_variance", "params": {"shrinkage": "identity"}},
    ),
    "/portfolio/correlation_threshold": (several(), 0.9),
    "/portfolio/correlation_overrides": (several(), {"A:B": 0.9}),
    "/portfolio/correlation_window": (several(), 10),
    "/portfolio/correlation_minimum": (several(), 15),
    "/portfolio/redundancy": (several(), "filter"),
    "/portfolio/redistribute": (several(redundancy="filter"), True),
    "/portfolio/align": (several(), "union"),
    "/portfolio/limits/max_gross_exposure": (several(), 0.4),
    "/portfolio/limits/max_net_exposure": (several(), 0.1),
    "/portfolio/limits/max_symbol_weight": (several(), 0.1),
    "/portfolio/limits/max_positions": (several(), 1),
    "/portfolio/limits/max_symbol_daily_loss": (several(), 0.001),
    "/portfolio/limits/max_drawdown": (several(), 0.01),
    "/portfolio/limits/per_symbol": (several(), {"A": {"max_symbol_weight": 0.1}}),
    "/portfolio/parameters": (several(), {"B": {"fast": 4}}),
    "/portfolio/snapshot_interval": (several(), 9),
    "/initial_capital": ({}, 1000.0),
    "/benchmark": ({}, "B"),
    "/validation/permutation/n": ({}, 30),
    "/validation/cost_sensitivity/multipliers": ({}, [0.0, 2.0]),
    "/validation/permutation/method": ({}, "holding_periods"),
    "/validation/break_even/max_bps": ({}, 1e-3),
    "/validation/bar_permutation/n": (validated(bar_permutation={"n": 5}), 6),
    "/validation/block_bootstrap/n": (validated(block_bootstrap={"n": 100}), 200),
    "/validation/block_bootstrap/method": (validated(block_bootstrap={"block_length": 3.0}), "circular"),
    "/validation/block_bootstrap/block_length": (validated(block_bootstrap={}), 4.0),
    "/validation/block_bootstrap/confidence": (validated(block_bootstrap={}), 0.9),
    "/validation/monte_carlo/n": (validated(monte_carlo={}), 50),
    "/validation/monte_carlo/slippage_bps": (validated(monte_carlo={}), 9.0),
    "/validation/walk_forward/windows": (validated(walk_forward={}), 3),
    "/validation/walk_forward/scheme": (validated(walk_forward={}), "anchored"),
    "/validation/walk_forward/train_share": (validated(walk_forward={}), 0.4),
    "/validation/walk_forward/gap": (validated(walk_forward={}), 1),
    "/validation/walk_forward/metric": (validated(walk_forward={"windows": 2}), "total_return"),
    "/validation/overfitting/blocks": (validated(overfitting={"grid": GRID, "blocks": 2}), 4),
    "/validation/overfitting/n": (validated(overfitting={"grid": GRID, "blocks": 2}), 30),
    "/validation/superiority/n": (validated(superiority={"grid": GRID}), 30),
    "/validation/cross_validation/groups": (validated(cross_validation=FOLDS), 5),
    "/validation/cross_validation/tests": (validated(cross_validation=FOLDS), 1),
    "/validation/cross_validation/purge": (validated(cross_validation=FOLDS), 1),
    "/validation/cross_validation/embargo": (validated(cross_validation=FOLDS), 1),
    "/validation/cross_validation/metric": (validated(cross_validation=FOLDS), "total_return"),
    "/validation/lookahead": ({}, True),
    "/validation/lookahead/cuts": (validated(lookahead={"cuts": 2}), 3),
    "/validation/startup/starts": (validated(startup={}), 3),
    "/validation/plateau/radius": (validated(plateau={"metric": "total_return"}), 0.5),
    "/validation/plateau/points": (validated(plateau={"metric": "total_return"}), 3),
    "/validation/plateau/metric": (validated(plateau={"metric": "total_return"}), "sharpe"),
    "/validation/sharpe/benchmark": (validated(sharpe={}), 1.0),
    "/validation/sharpe/confidence": (validated(sharpe={}), 0.9),
    "/validation/sharpe/trials/number": (validated(sharpe={"trials": {"number": 5, "variance": 1}}), 9.0),
    "/validation/sharpe/trials/variance": (validated(sharpe={"trials": {"number": 5, "variance": 1}}), 2.0),
    "/seed": ({}, 43),
}
"""By field: what else the configuration must say for it to have an effect, and another value."""


def leaves(schema: dict[str, Any], definitions: dict[str, Any], pointer: str = "") -> dict[str, list[Any]]:
    """Every leaf of a JSON schema by pointer, with the schemas it has in the members of unions."""
    if "$ref" in schema:
        return leaves(definitions[schema["$ref"].rsplit("/", 1)[1]], definitions, pointer)
    found: dict[str, list[Any]] = {}
    if "properties" in schema:
        parts = [(f"{pointer}/{name}", part) for name, part in schema["properties"].items()]
    elif "oneOf" in schema or "anyOf" in schema:
        parts = [(pointer, o) for o in (schema.get("oneOf") or schema["anyOf"]) if o.get("type") != "null"]
    else:
        return {} if schema.get("type") == "object" else {pointer: [schema]}
    for where, part in parts:
        for leaf, schemas in leaves(part, definitions, where).items():
            found.setdefault(leaf, []).extend(schemas)
    return found


def all_leaves() -> dict[str, list[Any]]:
    schema = RunConfig.model_json_schema()
    return leaves(schema, schema["$defs"])


def all_names() -> set[str]:
    """Every leaf; for a union its block in place of the name, and maps by their own field."""
    return {name.removesuffix("/name") if name in UNIONS else name for name in all_leaves()} | MAPS


UNIONS = {"/strategy/name", "/risk/name", "/execution/slippage/name", "/portfolio/weighting/name"}
MAPS = {
    "/execution/per_symbol",
    "/portfolio/correlation_overrides",
    "/portfolio/limits/per_symbol",
    "/portfolio/parameters",
}


def base_of(pointer: str) -> dict[str, Any]:
    """The base with every default written out, and what else the field needs to have an effect."""
    return parse_config(BASE | CHANGES.get(pointer, ({}, None))[0]).plain()


def changed(pointer: str, value: Any) -> dict[str, Any]:
    """The base with one field replaced."""
    values = copy.deepcopy(base_of(pointer))
    *steps, last = pointer.removesuffix("/params/shrinkage").split("/")[1:]
    inner = values
    for step in steps:
        inner = inner[step]
    inner[last] = value
    return values


def shown(result: Result) -> dict[str, Any]:
    """What a reader sees of a run, without the configuration itself."""
    reports = [r.as_dict() for r in result.validation]
    return {
        "tables": [t.rows() for t in result.tables.values()],
        "signals": result.signals.values.tolist(),
        "snapshots": result.snapshots(),
        "metrics": {name: metric.as_dict() for name, metric in result.metrics.items()},
        "validation": [
            {k: r[k] for k in ("p_value", "percentiles", "replicates", "details", "reason")} for r in reports
        ],
    }


def test_every_field_is_covered() -> None:
    assert all_names() == set(IDENTITY_ONLY) | set(CHANGES)


@pytest.mark.parametrize("pointer", CHANGES)
def test_every_field_changes_the_result(pointer: str) -> None:
    before = engine.run(base_of(pointer), DATA)
    after = engine.run(changed(pointer, CHANGES[pointer][1]), DATA)
    assert shown(after) != shown(before)
    assert after.hash != before.hash


def test_a_field_changed_to_itself_changes_nothing() -> None:
    before, again = engine.run(BASE, DATA), engine.run(changed("/seed", 42), DATA)
    assert (shown(again), again.hash) == (shown(before), before.hash)


@pytest.mark.parametrize("pointer", IDENTITY_ONLY)
def test_the_name_of_the_dataset_is_part_of_the_identity(pointer: str) -> None:
    after = engine.run(changed(pointer, IDENTITY_ONLY[pointer]), DATA)
    assert after.hash != engine.run(BASE, DATA).hash

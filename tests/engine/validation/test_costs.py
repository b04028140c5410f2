"""Cost curve, break-even and the ambiguity interval: each point is a whole run of the same ledger."""

from typing import Any

import pytest

import engine
from engine.errors import ConfigError
from engine.hooks import Recorder
from engine.outcome import Result
from engine.validation.base import Report
from tests.engine.test_pipeline import config, dataset, lively, series

DATA = dataset(A=lively(1), B=lively(2))


def run(validation: dict[str, Any], **changes: Any) -> Result:
    return engine.run(config(validation=validation, **changes), DATA)


def report(result: Result, name: str) -> Report:
    return next(r for r in result.validation if r.name == name)


def earned(result: Result) -> float:
    value = result.metrics["total_return"].value
    assert value is not None
    return value


def flat_costs(bps: float) -> dict[str, Any]:
    return {"slippage_bps": 0.0, "commission": {"bps": bps}}


def winner() -> dict[str, Any]:
    """A configuration that earns something before costs on one of the symbols."""
    for symbol in ("A", "B"):
        for fast, slow in ((2, 5), (3, 8), (5, 20), (10, 30)):
            strategy = {"name": "dual_sma", "params": {"fast": fast, "slow": slow}}
            changes = {"symbols": [symbol], "strategy": strategy}
            if earned(run({}, execution=flat_costs(0.0), **changes)) > 0.01:
                return changes
    raise AssertionError("no configuration earns anything")


def test_the_curve_is_whole_runs_under_multiplied_costs() -> None:
    fees = {"bps": 4.0, "per_order": 1.0, "minimum": 2.0}
    rules = {"slippage_bps": 3.0, "commission": fees, "slippage": {"name": "spread_pct", "params": {"spread": 1e-3}}}
    result = run({"cost_sensitivity": {"multipliers": [0.0, 1.0, 2.0]}}, execution=rules)
    curve = report(result, "cost_sensitivity").details["curve"]
    twice = {
        "slippage_bps": 6.0,
        "commission": {k: 2 * v for k, v in fees.items()},
        "slippage": {"name": "spread_pct", "params": {"spread": 2e-3}},
    }
    free = {"slippage_bps": 0.0, "commission": {"bps": 0.0}}
    expected = [earned(run({}, execution=e)) for e in (free, rules, twice)]
    assert [p["total_return"] for p in curve] == pytest.approx(expected, rel=1e-12)
    assert [p["multiplier"] for p in curve] == [0.0, 1.0, 2.0]
    assert curve[0]["costs"] == 0.0 < curve[1]["costs"]


def test_at_the_break_even_cost_nothing_is_left() -> None:
    changes = winner()
    found = report(run({"break_even": {"max_bps": 5000.0}}, **changes), "break_even")
    assert found.statistic is not None
    assert earned(run({}, execution=flat_costs(found.statistic), **changes)) == pytest.approx(0.0, abs=1e-9)
    assert earned(run({}, execution=flat_costs(found.statistic * 0.9), **changes)) > 0.0
    assert earned(run({}, execution=flat_costs(found.statistic * 1.1), **changes)) < 0.0


def test_break_even_says_why_there_is_none() -> None:
    still = report(run({"break_even": {"max_bps": 1e-6}}, **winner()), "break_even")
    assert (still.statistic, still.reason) == (None, "the total return is above zero even at 1e-06 bps")
    idle = {"strategy": {"name": "dual_sma", "params": {"fast": 99, "slow": 99_999}}}
    assert report(run({"break_even": {}}, **idle), "break_even").reason == "nothing was traded"
    falling = dataset(A=series([9.0, 8.0, 7.0, 6.0]))
    loses = engine.run(config(strategy={"name": "buy_and_hold"}, validation={"break_even": {}}), falling)
    assert report(loses, "break_even").reason == "the total return is not above zero even without costs"


def test_the_interval_is_the_two_paths() -> None:
    exits = {"stop_loss": 0.002, "take_profit": 0.002}
    result = run({"ambiguity": {}}, execution=exits)
    found = report(result, "ambiguity")
    runs = {p: run({}, execution=exits | {"bar_path": p}) for p in ("stop_first", "target_first")}
    for path, single in runs.items():
        assert found.details[path]["total_return"] == pytest.approx(earned(single), rel=1e-12)
        assert found.details[path]["ambiguous_bars"] == single.ledger.ambiguous
    assert result.ledger.ambiguous > 0
    assert result.summary()["ambiguous_bars"] == result.ledger.ambiguous
    assert found.statistic == pytest.approx(earned(runs["target_first"]) - earned(runs["stop_first"]))
    assert "AMBIGUOUS_BARS" in [w["code"] for w in result.warnings]


def test_an_interval_without_a_stop_and_a_target_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        run({"ambiguity": {}}, execution={"stop_loss": 0.1})
    assert [f.pointer for f in caught.value.fields] == ["/validation/ambiguity"]


def test_multipliers_rise() -> None:
    with pytest.raises(ConfigError) as caught:
        run({"cost_sensitivity": {"multipliers": [1.0, 0.5]}})
    assert [f.pointer for f in caught.value.fields] == ["/validation/cost_sensitivity/multipliers"]


def test_progress_is_told() -> None:
    hooks = Recorder()
    engine.run(config(validation={"cost_sensitivity": {"multipliers": [0.0, 1.0]}}), DATA, hooks)
    told = [value for name, kind, value in hooks.calls if (name, kind) == ("event", "validation_progress")]
    assert told == [{"test": "cost_sensitivity", "done": d, "total": 2} for d in (1, 2)]

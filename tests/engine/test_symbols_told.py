"""What befalls symbols of a run, and that a reader is told."""

from typing import Any

import pytest

import engine
from engine.strategies import Strategy
from tests.engine.test_pipeline import HOLD, config, dataset, lively, series
from tests.engine.test_several_symbols import together


@pytest.mark.parametrize("mode", ["portfolio", "independent"])
@pytest.mark.parametrize("error", [MemoryError, OSError])
def test_what_is_no_fault_of_a_symbol_fails_the_run(
    monkeypatch: pytest.MonkeyPatch, mode: str, error: type[Exception]
) -> None:
    """Another machine would have computed the symbol: the same configuration would have two results."""

    def short(*_: Any) -> Strategy:
        raise error("not here")

    monkeypatch.setattr(engine.config.run.RunConfig, "strategy_of", short)
    with pytest.raises(error, match="not here"):
        together(portfolio={"mode": mode})


def test_a_symbol_that_ends_is_told() -> None:
    result = together(dataset(A=lively(1), B=lively(2).slice(0, 200), C=lively(3)), {"align": "union"})
    told = {w["code"]: w["message"] for w in result.warnings}
    (event,) = [e for e in result.summary()["events"] if e["state"] == "inactive"]
    assert event["symbol"] == "B"
    assert f"B has no bar that closes at {event['t']} or later" in told["SYMBOL_ENDED"]


def test_weights_that_are_equal_for_want_of_estimates_are_told() -> None:
    late = dataset(A=lively(1), B=lively(2), C=lively(3).slice(250, 300))
    told = {w["code"]: w["message"] for w in together(late, {"align": "union", "weighting": "risk_parity"}).warnings}
    assert "weights were equal at " in told["WEIGHTS_EQUAL"]
    assert "WEIGHTS_EQUAL" not in {w["code"] for w in together().warnings}


def test_the_account_of_one_symbol_tells_what_befell_it() -> None:
    falling = dataset(A=series([100.0 - 0.2 * i for i in range(300)]))
    asked = config(strategy=HOLD, portfolio={"limits": {"max_drawdown": 0.1}})
    (event,) = engine.run(asked, falling).summary()["events"]
    assert (event["symbol"], event["reason"]) == (None, "drawdown limit, for good")
    apart = {"mode": "independent", "limits": {"max_drawdown": 0.1}}
    several = dataset(A=falling.series["A"], B=falling.series["A"], C=lively(3))
    assert len(together(several, apart, strategy=HOLD).summary()["events"]) >= 2


def test_trades_of_all_accounts_know_what_was_seen() -> None:
    seen = [{"name": "rsi", "params": {"length": 5}, "as": "rsi"}]
    result = together(portfolio={"mode": "independent"}, indicators=seen)
    every = result.tables["trades"]
    for symbol, part in result.parts.items():
        mine, own = every.filter(every["symbol"] == symbol), part.tables["trades"]
        for column in ("entry_rsi", "exit_rsi", "entry_time", "pnl_net"):
            assert mine[column].to_list() == own[column].to_list()
    assert result.startup == {n: max(p.startup[n] for p in result.parts.values()) for n in result.startup} != {}


def test_one_account_that_is_left_of_several_is_still_told_as_such() -> None:
    scored = dataset(A=lively(1), B=lively(2))
    gone = {"B": scored.series["B"].slice(0, 0)}
    data = engine.Dataset(scored.name, scored.conventions, {**scored.series, **gone})
    summary = together(data, {"mode": "independent"}, symbols=["A", "B"]).summary()
    assert (summary["mode"], list(summary["by_symbol"])) == ("independent", ["A"])

"""What the catalog says there is: all of it described by schema, and all of it something a run may name."""

from typing import Any

import pytest

from engine.features.plugins import indicators
from engine.metrics.core import DEFINITIONS
from engine.validation.suite import TESTS
from tests.app.calls import config
from tests.live import LiveServer

PLUGINS = ("strategies", "indicators", "risk", "slippage", "weightings", "validators")
INDICATORS = sorted(indicators.members())


@pytest.fixture(scope="module")
def catalog(server: LiveServer) -> dict[str, Any]:
    said: dict[str, Any] = server.get("/catalog").json()
    return said


def names(catalog: dict[str, Any], kind: str) -> list[str]:
    return [entry["name"] for entry in catalog[kind]]


@pytest.mark.parametrize("kind", PLUGINS)
def test_everything_is_described_by_schema(catalog: dict[str, Any], kind: str) -> None:
    assert len(set(names(catalog, kind))) == len(catalog[kind]) > 0
    for entry in catalog[kind]:
        assert entry["description"]
        assert entry["source"].startswith("engine.")
        assert entry["parameters"]["type"] == "object"


def test_what_there_is(catalog: dict[str, Any]) -> None:
    assert set(names(catalog, "strategies")) >= {
        *("dual_sma", "ema_cross", "macd", "rsi_reversion", "bollinger_reversion", "donchian_breakout"),
        *("time_series_momentum", "zscore_reversion", "buy_and_hold", "signal", "target_weight"),
    }
    assert names(catalog, "indicators") == INDICATORS
    assert set(names(catalog, "weightings")) == {
        *("equal", "inverse_volatility", "risk_parity", "hrp", "min_variance", "max_diversification", "custom"),
    }
    assert names(catalog, "validators") == list(TESTS)
    assert names(catalog, "metrics") == list(DEFINITIONS)
    assert all(metric[key] for metric in catalog["metrics"] for key in ("name", "unit", "formula", "source"))


def test_indicators_say_what_they_read_and_give(catalog: dict[str, Any]) -> None:
    known = {entry["name"]: entry for entry in catalog["indicators"]}
    macd = known["macd"]
    assert (macd["inputs"], len(macd["outputs"])) == (["close"], 3)
    assert macd["lookback"] > 26
    assert known["atr"]["inputs"] == ["high", "low", "close"]
    for entry in known.values():
        assert entry["outputs"]
        assert entry["lookback"] >= 1
        for field in entry["parameters"].get("properties", {}).values():
            assert {"type", "anyOf", "enum", "$ref", "const"} & field.keys(), "every parameter is typed"


def test_every_indicator_may_be_named_in_a_run(server: LiveServer) -> None:
    for first in range(0, len(INDICATORS), 40):
        chosen = INDICATORS[first : first + 40]
        named = [{"name": name, "params": {}, "as": f"x{i}"} for i, name in enumerate(chosen)]
        run = server.completed(config(indicators=named))
        table = server.get(f"/runs/{run['id']}/artifacts/trades.parquet")
        assert table.status_code == 200
        for i in range(len(chosen)):
            assert f"entry_x{i}".encode() in table.content

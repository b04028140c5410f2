"""What holds for every registered indicator, TA-Lib's and ours, and those of installed packages."""

from importlib import import_module
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from pydantic import ValidationError

from engine.errors import UnknownNameError
from engine.features.base import Feature, startup_error
from engine.features.plugins import indicators
from engine.features.talib import AVERAGES, function_names, talib_feature
from tests.engine.features.markets import bars_of, flat, market, values, with_hole, without

talib: Any = import_module("talib")
abstract: Any = import_module("talib.abstract")

EVERY = sorted(indicators.members())
TALIB = [n for n in EVERY if n in function_names() and n not in {"sma", "donchian"}]
BY_DAY = {"session_vwap"}
"""What depends on the clock is not the same once a bar is taken out."""

WITHOUT_VALUE = {"acos", "asin"}
"""Prices are not in their domain."""

BARS = market()


def features(name: str, **params: Any) -> dict[str, Feature]:
    return indicators.get(name).model_validate({"name": name, "params": params}).features()


def shorter(name: str) -> dict[str, Any]:
    """Another valid value for the first whole-number parameter."""
    fields = indicators.get(name).model_validate({"name": name}).params.model_dump()
    first = next((k for k, v in fields.items() if isinstance(v, int) and not isinstance(v, bool)), None)
    return {} if first is None else {first: fields[first] + 1}


def test_all_of_ta_lib_is_there() -> None:
    assert {name.lower() for name in talib.get_functions()} <= set(EVERY)
    assert {"returns", "realised_volatility", "z_score", "donchian", "rolling_rank", "session_vwap"} <= set(EVERY)


@pytest.mark.parametrize("name", EVERY)
def test_another_future_never_changes_the_past(name: str) -> None:
    other = market(seed=2)
    for params in ({}, shorter(name)):
        for feature in features(name, **params).values():
            before = values(feature, BARS)
            for cut in (1, 97, 250, 399):
                mixed = [np.concatenate((getattr(BARS, c)[:cut], getattr(other, c)[cut:]))[:, 0] for c in COLUMN_NAMES]
                assert_array_equal(values(feature, bars_of(*mixed))[:cut], before[:cut])
                assert_array_equal(values(feature, BARS.slice(0, cut)), before[:cut])


COLUMN_NAMES = ("open", "high", "low", "close", "volume")


@pytest.mark.parametrize("name", EVERY)
def test_the_first_value_comes_when_its_lookback_says(name: str) -> None:
    for params in ({}, shorter(name)):
        for feature in features(name, **params).values():
            got = values(feature, BARS)
            assert np.all(np.isnan(got[: feature.lookback - 1]))
            assert np.isfinite(got).any() == (name not in WITHOUT_VALUE)


@pytest.mark.parametrize("name", TALIB)
def test_values_are_those_of_ta_lib(name: str) -> None:
    function = abstract.Function(name.upper())
    columns = {c: getattr(BARS, c)[:, 0].copy() for c in COLUMN_NAMES} | {"periods": BARS.close[:, 0].copy()}
    inputs: list[str] = []
    for given in function.info["input_names"].values():
        inputs += [given] if isinstance(given, str) else given
    expected = getattr(talib, name.upper())(*(columns[c] for c in inputs))
    expected = expected if isinstance(expected, tuple) else (expected,)
    for (output, feature), column in zip(features(name).items(), expected, strict=True):
        got = values(feature, BARS)
        there = np.isfinite(got)
        assert_array_equal(got[there], np.asarray(column, dtype=np.float64)[there], err_msg=output)


@pytest.mark.parametrize("name", sorted(set(EVERY) - BY_DAY))
def test_a_bar_without_prices_spoils_nothing(name: str) -> None:
    holed, closed = with_hole(BARS, 200), without(BARS, 200)
    for feature in features(name).values():
        got = values(feature, holed)
        assert np.isnan(got[200])
        assert_array_equal(np.delete(got, 200), values(feature, closed))


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize(
    "bars",
    [flat(), flat(1), flat(2), market(rows=1), market(rows=300, level=1e9), market(rows=300, level=1e-6)],
    ids=["flat", "one flat bar", "two flat bars", "one bar", "large prices", "small prices"],
)
def test_nothing_infinite_and_no_crash(name: str, bars: Any) -> None:
    for feature in features(name).values():
        assert not np.any(np.isinf(values(feature, bars)))


@pytest.mark.parametrize("name", EVERY)
def test_bounds_are_those_of_the_library(name: str) -> None:
    """The least value of every whole number is taken, and one less is refused by name."""
    schema = indicators.get(name).model_json_schema()
    params = next(v for k, v in schema["$defs"].items() if k.lower().endswith("params")) if "$defs" in schema else {}
    for field, described in params.get("properties", {}).items():
        if described.get("type") != "integer":
            continue
        least = described["minimum"]
        for feature in features(name, **{field: least}).values():
            assert feature.lookback >= 1
            values(feature, BARS)
        with pytest.raises(ValidationError) as caught:
            features(name, **{field: least - 1})
        assert caught.value.errors()[0]["loc"] == ("params", field)


def test_the_catalog_says_what_each_reads_and_gives() -> None:
    described = {entry["name"]: entry for entry in indicators.describe()}
    assert described["macd"]["outputs"] == ["macd", "macdsignal", "macdhist"]
    assert described["macd"]["lookback"] == 34
    assert described["atr"]["inputs"] == ["high", "low", "close"]
    assert described["beta"]["inputs"] == ["high", "low"]
    assert all(entry["description"] and entry["parameters"] for entry in described.values())


def test_unknown_names_have_a_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'rsi'"):
        indicators.get("rsii")
    with pytest.raises(UnknownNameError, match="Did you mean 'macdhist'"):
        talib_feature("macd", "macdhis")
    with pytest.raises(UnknownNameError, match="Did you mean 'length'"):
        talib_feature("rsi", lenght=5)


def test_averages_go_by_name() -> None:
    assert AVERAGES[1] == "ema"
    by_name = values(features("ma", length=9, matype="ema")["value"], BARS)
    assert_array_equal(by_name, values(features("ema", length=9)["value"], BARS))


def test_an_indicator_reads_the_column_it_is_told() -> None:
    high = values(features("ema", length=9, column="high")["value"], BARS)
    assert_array_equal(high, values(talib_feature("ema", columns=("high",), length=9), BARS))
    assert not np.array_equal(high, values(features("ema", length=9)["value"], BARS), equal_nan=True)


def test_a_start_up_error_is_that_of_a_late_start() -> None:
    """T11: what remembers everything is wrong when it has just begun; what has a window is not."""
    short, long = (startup_error(features("ema", length=n)["value"], market(rows=2000)) for n in (5, 100))
    assert short is not None
    assert long is not None
    assert 0.0 < short < long
    assert startup_error(features("rsi")["value"], market(rows=2000)) > 0.01  # type: ignore[operator]
    assert startup_error(features("wma")["value"], market(rows=2000)) == pytest.approx(0.0, abs=1e-12)
    assert startup_error(features("rsi")["value"], market(rows=20)) is None

"""What holds for every registered strategy: it does what it says, starts when it can, and errors name their field."""

import math
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from pydantic import ValidationError

import engine
from engine.config import parse_config
from engine.errors import ConfigError
from engine.features import feature_matrix
from engine.strategies import signals, strategies
from engine.types import Floats
from tests.engine.portfolio.markets import bars
from tests.engine.strategies import naive
from tests.engine.strategies.cases import OTHER, RECURSIVE, SMALL, STATEFUL, market, plain, strategy
from tests.engine.test_pipeline import config, dataset, series

EVERY = sorted(strategies.members())
OURS = sorted(SMALL)
PRELOAD = 400


def run(name: str, closes: Any, params: dict[str, Any] | None = None, lag: int = 1) -> Any:
    """The signals (T,) of a strategy on a market of one symbol."""
    rule = strategy(name, **(params or {}))
    features = feature_matrix(bars(closes), rule.features(), lag)
    return signals(rule, features).values[:, 0]


def warmup(name: str, lag: int = 1) -> int:
    return feature_matrix(bars([1.0] * 5), strategy(name).features(), lag).warmup


# --- what they say ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lag", [0, 1, 3])
@pytest.mark.parametrize("params", [SMALL, OTHER], ids=["small", "other"])
@pytest.mark.parametrize("name", OURS)
def test_a_naive_restatement_says_the_same(name: str, params: dict[str, dict[str, Any]], lag: int) -> None:
    for seed in (1, 2, 3):
        closes = market(seed, 250)
        prices = naive.Prices(closes.tolist(), closes.tolist(), closes.tolist())
        expected = naive.signals(prices, name, params[name], lag)
        got = run(name, closes, params[name], lag)
        assert len(np.unique(got)) > 1 or name == "buy_and_hold"
        assert_array_equal(got, expected)


@pytest.mark.parametrize("name", EVERY)
def test_symbols_do_not_know_of_each_other(name: str) -> None:
    closes = np.column_stack([market(seed, 200) for seed in (4, 5, 6)])
    rule = strategy(name)
    together = signals(rule, feature_matrix(bars(closes), rule.features(), 1)).values
    for i in range(3):
        assert_array_equal(together[:, i], run(name, closes[:, i]))


# --- start-up (T11) -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lag", [0, 1, 5])
@pytest.mark.parametrize("name", EVERY)
def test_no_signal_until_every_input_is_there(name: str, lag: int) -> None:
    rule = strategy(name)
    closes = market(7, 300)
    features = feature_matrix(bars(closes), rule.features(), lag)
    values = np.column_stack([v[:, 0] for v in features.values.values()] or [np.zeros(len(closes))])
    assert not run(name, closes, lag=lag)[: features.warmup].any()
    assert not np.isnan(values[features.warmup :]).any()
    assert features.warmup == 0 or np.isnan(values[features.warmup - 1]).any()


@pytest.mark.parametrize("name", EVERY)
def test_a_longer_past_changes_no_signal(name: str) -> None:
    """T11: where the past is forgotten at all, exactly, at the end of warm-up; where it fades, after ten times that."""
    closes = market(8, 11 * PRELOAD)
    late = closes[10 * PRELOAD - PRELOAD :]
    short, long = run(name, late), run(name, closes)[-len(late) :]
    settled = warmup(name)
    if name in RECURSIVE or name not in SMALL:
        settled *= 20
    if name in STATEFUL or name not in SMALL:
        settled = first_agreement(short, long, settled)
    assert settled < PRELOAD
    assert_array_equal(short[settled:], long[settled:])


def first_agreement(one: Floats, other: Floats, start: int) -> int:
    """The first bar from ``start`` on where both are in the same trade; a trade is entered and left alike in both."""
    return start + int((one[start:] == other[start:]).argmax())


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("rows", [1, 2, 3])
def test_a_period_too_short_for_anything(name: str, rows: int) -> None:
    got = run(name, [100.0] * rows)
    assert got.tolist() == [0.0] * rows or warmup(name) < rows
    data = dataset(A=series([100.0] * rows))
    result = engine.run(config(strategy=plain(name, SMALL.get(name))), data)
    assert np.isfinite(result.ledger.equity).all()


@pytest.mark.parametrize("name", sorted(set(EVERY) - {"buy_and_hold", "signal", "target_weight"}))
def test_a_price_that_never_moves_is_no_signal(name: str) -> None:
    for price in (0.1, 100.0, 1e-6):
        assert not run(name, [price] * 300).any()


@pytest.mark.parametrize("name", EVERY)
def test_bars_without_a_price(name: str) -> None:
    """Holes give no signal out of nothing, stop no strategy for good, and what was before them stays."""
    closes = market(9, 600)
    holes = closes.copy()
    holes[[200, 201, 202, 260]] = math.nan
    whole, got = run(name, closes), run(name, holes)
    assert_array_equal(got[:201], whole[:201])
    assert np.isfinite(got).all()
    if name != "buy_and_hold":
        assert len(np.unique(got[300:])) > 1


# --- parameters ---------------------------------------------------------------------------------------------------

BAD: list[tuple[str, dict[str, Any], str]] = [
    *((n, {"fast": 9, "slow": slow}, "fast") for n in ("dual_sma", "ema_cross", "macd") for slow in (9, 5)),
    ("dual_sma", {"fast": 0}, "fast"),
    ("dual_sma", {"slow": 100_001}, "slow"),
    ("ema_cross", {"fast": 0}, "fast"),
    ("macd", {"signal": 0}, "signal"),
    ("macd", {"fast": 2.5}, "fast"),
    ("time_series_momentum", {"lookback": 5, "skip": 5}, "skip"),
    ("time_series_momentum", {"lookback": 0}, "lookback"),
    ("time_series_momentum", {"skip": -1}, "skip"),
    ("rsi_reversion", {"length": 1}, "length"),
    ("rsi_reversion", {"lower": -1.0}, "lower"),
    ("rsi_reversion", {"upper": 101.0}, "upper"),
    ("rsi_reversion", {"lower": 70.0, "upper": 70.0, "exit": 70.0}, "exit"),
    ("rsi_reversion", {"exit": 29.0}, "exit"),
    ("rsi_reversion", {"exit": 71.0}, "exit"),
    ("bollinger_reversion", {"length": 1}, "length"),
    ("bollinger_reversion", {"width": 0.0}, "width"),
    ("donchian_breakout", {"entry": 5, "exit": 6}, "exit"),
    ("donchian_breakout", {"exit": 0}, "exit"),
    ("zscore_reversion", {"entry": 1.0, "exit": 1.0}, "exit"),
    ("zscore_reversion", {"entry": 0.0}, "entry"),
    ("zscore_reversion", {"exit": -0.5}, "exit"),
    ("signal", {"column": "close"}, "long_above"),
    ("signal", {"long_above": 1.0}, "column"),
    ("target_weight", {"column": ""}, "column"),
    ("buy_and_hold", {"length": 5}, "length"),
]


@pytest.mark.parametrize(("name", "params", "field"), BAD, ids=str)
def test_errors_name_the_field(name: str, params: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(config(strategy={"name": name, "params": params}))
    assert [f.pointer for f in caught.value.fields] == [f"/strategy/params/{field}"]


@pytest.mark.parametrize("name", EVERY)
def test_every_parameter_is_described_and_bounded(name: str) -> None:
    plugin = strategies.get(name)
    assert plugin.__doc__
    schema = plugin.model_json_schema()
    params = schema["$defs"][schema["properties"]["params"]["$ref"].rsplit("/", 1)[1]]
    for field, described in params.get("properties", {}).items():
        assert described["description"], field
        numeric = described.get("type") in ("integer", "number")
        assert not numeric or {"minimum", "exclusiveMinimum"} & set(described), field
        assert not numeric or {"maximum", "exclusiveMaximum"} & set(described), field


@pytest.mark.parametrize(("name", "param"), [(n, p) for n in OURS for p in OTHER[n]])
def test_every_parameter_changes_the_signals(name: str, param: str) -> None:
    closes = market(10, 400)
    rule = strategy(name, **SMALL[name])
    prices = bars(closes)
    object.__setattr__(prices, "high", prices.close + 1.0)

    def said(params: dict[str, Any]) -> Floats:
        rule = strategy(name, **params)
        return signals(rule, feature_matrix(prices, rule.features(), 1)).values

    assert not np.array_equal(said(rule.params.model_dump(exclude_none=True)), said(changed(name, param)))  # type: ignore[attr-defined]


def changed(name: str, param: str) -> dict[str, Any]:
    """The small parameters with one replaced, and of a threshold that which contradicts it left out."""
    params: dict[str, Any] = SMALL[name] | {param: OTHER[name][param]}
    if param == "short_above":
        del params["long_above"]
    return params


def test_no_parameter_was_forgotten() -> None:
    fields = {n: set(type(strategy(n).params).model_fields) for n in OURS}  # type: ignore[attr-defined]
    fields["signal"] -= {"long_below", "short_above"}  # they contradict those tested here: see test_signals
    assert fields == {name: set(OTHER[name]) for name in OURS}
    assert {name for name in EVERY if strategies.get(name).__module__.startswith("engine.")} == set(OURS)


@pytest.mark.parametrize("name", OURS)
def test_defaults_are_valid_and_stay_themselves(name: str) -> None:
    required = {"signal": {"column": "close", "long_above": 1.0}}.get(name)
    first = parse_config(config(strategy=plain(name, required)))
    assert parse_config(first.plain()) == first


def test_a_strategy_says_whether_it_goes_short() -> None:
    """Over markets that would make it."""
    for name in OURS:
        for params in (SMALL[name], OTHER[name]):
            lowest = min(run(name, market(seed, 400), params).min() for seed in range(3))
            assert (lowest < 0.0) <= strategy(name, **params).goes_short
    assert not strategy("buy_and_hold").goes_short


def test_params_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        strategy("dual_sma").params.fast = 5  # type: ignore[attr-defined]

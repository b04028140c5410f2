import pickle
from typing import Any

import pytest

import engine
from engine.config import parse_config
from engine.errors import ConfigError, DataError, FieldError
from engine.strategies import strategies
from tests.engine.test_pipeline import config, dataset, gappy, lively

DIGESTS = {"A": "0" * 64}
DATA = dataset(A=lively(1), B=lively(2))


def identity(**changes: Any) -> str:
    return parse_config(config(**changes)).resolve(DATA).identity(DIGESTS)


def refusal(**changes: Any) -> FieldError:
    with pytest.raises(ConfigError) as caught:
        parse_config(config(**changes))
    assert len(caught.value.fields) == 1
    return caught.value.fields[0]


def dual_sma(**params: Any) -> dict[str, Any]:
    return {"name": "dual_sma", "params": params}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"seed": 20}, {"seed": 20.0}),
        ({"strategy": dual_sma(fast=20)}, {"strategy": dual_sma(fast=20.0)}),
        ({"initial_capital": 5}, {"initial_capital": 5.0}),
        ({"strategy": dual_sma(fast=3, slow=9)}, {"strategy": dual_sma(slow=9, fast=3)}),
        ({"strategy": {"name": "dual_sma"}}, {"strategy": dual_sma(fast=20, slow=50)}),
        ({}, {"execution": {}, "risk": {"name": "fixed_fraction"}, "validation": {}, "start": None}),
        ({}, {"execution": {"slippage_bps": 1, "commission": {"bps": 5}}, "seed": 42, "portion": 1}),
        ({"execution": {"slippage_bps": 0.0}}, {"execution": {"slippage_bps": -0.0}}),
        ({"start": "2020-01-01T02:00:00+02:00"}, {"start": "2020-01-01T00:00:00Z"}),
        ({"start": "2020-01-01T00:00:00.000Z"}, {"start": "2020-01-01T00:00:00Z"}),
        ({}, {"timeframe": "1h"}),
    ],
)
def test_equal_configurations_have_one_hash(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert identity(**one) == identity(**other)


def test_a_resolved_configuration_fed_back_has_the_same_hash() -> None:
    start = "2020-01-01T00:00:00.5+02:00"
    first = parse_config(config(start=start, fraction=1, validation={"permutation": {}})).resolve(DATA)
    again = parse_config(first.plain()).resolve(DATA)
    assert again == first
    assert again.plain() == first.plain()
    assert again.identity(DIGESTS) == first.identity(DIGESTS)
    assert first.plain()["start"] == "2019-12-31T22:00:00.500000Z"


def test_key_order_does_not_matter() -> None:
    turned = dict(reversed(config().items()))
    assert parse_config(turned).identity(DIGESTS) == parse_config(config()).identity(DIGESTS)


def test_the_rows_are_part_of_the_identity() -> None:
    parsed = parse_config(config())
    assert parsed.identity(DIGESTS) != parsed.identity({"A": "1" * 64})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), True, "20", None, [20], 10**400])
@pytest.mark.parametrize("field", ["initial_capital", "seed"])
def test_only_finite_numbers_are_numbers(field: str, value: Any) -> None:
    assert refusal(**{field: value}).pointer == f"/{field}"


def test_a_fraction_is_no_whole_number() -> None:
    assert refusal(seed=20.5).pointer == "/seed"


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("2020-01-01T00:00:00", "missing_offset"),
        ("2020-01-01", "missing_offset"),
        (1_577_836_800, "invalid_time"),
        (1.5, "invalid_time"),
        (True, "invalid_time"),
        ("1577836800", "invalid_time"),
        ("2020-W01-1T00:00:00Z", "invalid_time"),
        ("20200101T000000Z", "invalid_time"),
        ("2020-02-30T00:00:00Z", "invalid_time"),
        ("2020-01-01T00:00:00.123456789Z", "invalid_time"),
        ("0001-01-01T00:00:00+02:00", "invalid_time"),
        ("9999-12-31T23:59:59-02:00", "invalid_time"),
    ],
)
def test_a_time_is_rfc_3339_with_an_offset(value: Any, code: str) -> None:
    error = refusal(start=value)
    assert (error.pointer, error.code) == ("/start", code)


@pytest.mark.parametrize(
    ("changes", "pointer", "nearest"),
    [
        ({"exection": {}}, "/exection", "execution"),
        ({"strategy": dual_sma(fasst=3)}, "/strategy/params/fasst", "fast"),
        ({"strategy": {"name": "dual_sma", "parms": {}}}, "/strategy/parms", "params"),
        ({"execution": {"slippage_bp": 1}}, "/execution/slippage_bp", "slippage_bps"),
        ({"execution": {"commission": {"bp": 1}}}, "/execution/commission/bp", "bps"),
        ({"risk": {"name": "fixed_fraction", "params": {"fractoin": 1}}}, "/risk/params/fractoin", "fraction"),
        ({"portfolio": {"weighting": {"name": "hrp", "parms": {}}}}, "/portfolio/weighting/parms", "params"),
        ({"validation": {"permutations": {}}}, "/validation/permutations", "permutation"),
        ({"validation": {"permutation": {"metod": "x"}}}, "/validation/permutation/metod", "method"),
    ],
)
def test_an_unknown_field_gets_a_pointer_and_the_nearest_name(
    changes: dict[str, Any], pointer: str, nearest: str
) -> None:
    error = refusal(**changes)
    assert (error.pointer, error.code) == (pointer, "unknown_field")
    assert f"Did you mean '{nearest}'?" in error.message
    assert nearest in error.allowed


def test_an_unknown_field_is_offered_only_what_its_own_strategy_has() -> None:
    error = refusal(strategy={"name": "buy_and_hold", "params": {"fasst": 3}})
    assert (error.pointer, error.allowed) == ("/strategy/params/fasst", ())


def test_pointers_survive_awkward_names() -> None:
    assert refusal(**{"a/b~c": 1}).pointer == "/a~1b~0c"
    assert refusal(strategy={"name": "dual_sma", "dual_sma": 1}).pointer == "/strategy/dual_sma"


def test_an_unknown_strategy_lists_the_known() -> None:
    error = refusal(strategy={"name": "dual_smaa"})
    assert (error.pointer, error.code) == ("/strategy/name", "unknown_name")
    assert error.allowed == tuple(sorted(strategies.members()))
    assert "Did you mean 'dual_sma'?" in error.message
    assert refusal(strategy={}).pointer == "/strategy/name"


@pytest.mark.parametrize(
    ("changes", "pointer", "code"),
    [
        ({"strategy": dual_sma(fast=9, slow=9)}, "/strategy/params/fast", "out_of_order"),
        ({"execution": {"fill_lag": 0}}, "/execution/fill_lag", "greater_than_equal"),
        ({"execution": {"allow_short": "false"}}, "/execution/allow_short", "bool_type"),
        ({"execution": {"allow_short": 0}}, "/execution/allow_short", "bool_type"),
        ({"execution": {"slippage_bps": -1}}, "/execution/slippage_bps", "greater_than_equal"),
        (
            {"start": "2020-01-01T00:00:00Z", "end": "2020-01-01T02:00:00+02:00"},
            "/start",
            "empty_period",
        ),
        ({"fraction": 0.5, "portion": 3}, "/portion", "portion_out_of_range"),
        ({"portion": 2}, "/portion", "portion_out_of_range"),
        ({"fraction": 0.0}, "/fraction", "greater_than"),
        ({"symbols": []}, "/symbols", "too_short"),
        ({"symbols": "A"}, "/symbols", "list_type"),
        ({"symbols": ["A\n"]}, "/symbols/0", "string_pattern_mismatch"),
        (
            {"strategy": {"name": "buy_and_hold"}, "execution": {"feature_lag": 0}},
            "/execution/feature_lag",
            "without_effect",
        ),
        (
            {"strategy": {"name": "buy_and_hold"}, "execution": {"allow_short": False}},
            "/execution/allow_short",
            "without_effect",
        ),
        (
            {"execution": {"per_symbol": {"A": {"borrow_rate": 0.1}}, "allow_short": False}},
            "/execution/per_symbol/A/borrow_rate",
            "without_effect",
        ),
    ],
)
def test_refusals_lead_to_the_field(changes: dict[str, Any], pointer: str, code: str) -> None:
    error = refusal(**changes)
    assert (error.pointer, error.code) == (pointer, code)


def test_defaults_without_effect_may_be_written_out() -> None:
    hold = {"name": "buy_and_hold"}
    written = {"feature_lag": 1, "allow_short": True}
    assert identity(strategy=hold, execution=written) == identity(strategy=hold)


@pytest.mark.parametrize("fraction", [1e-4, 0.1, 0.2, 1 / 3, 0.7, 1.0])
def test_every_whole_slice_is_there_and_no_more(fraction: float) -> None:
    last = int(1.0 / fraction + 1e-9)
    parse_config(config(fraction=fraction, portion=last))
    with pytest.raises(ConfigError):
        parse_config(config(fraction=fraction, portion=last + 1))


def test_a_tiny_fraction_is_a_value_like_another() -> None:
    assert parse_config(config(fraction=5e-324)).fraction == 5e-324


def test_every_wrong_field_is_reported_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config({"symbols": [5], "seed": "x", "strategy": {"name": "y"}})
    assert {f.pointer for f in caught.value.fields} == {"/dataset", "/symbols/0", "/seed", "/strategy/name"}


@pytest.mark.parametrize("value", [None, 5, [], "x"])
def test_a_configuration_is_an_object(value: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(value)
    assert caught.value.fields[0].pointer == ""
    assert "an object is needed" in caught.value.fields[0].message


def test_a_finer_timeframe_names_those_that_are_possible() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(config(timeframe="15m")).resolve(DATA)
    (error,) = caught.value.fields
    assert (error.pointer, error.allowed) == ("/timeframe", ("1h", "2h", "4h", "12h", "1d", "1w"))
    assert "1h" in error.message


def test_errors_keep_their_details_when_they_cross_processes() -> None:
    fields = (FieldError("/a", "code", "message", ("x", "y")),)
    config_error = pickle.loads(pickle.dumps(ConfigError(fields)))
    assert (config_error.fields, config_error.details) == (fields, ConfigError(fields).details)
    data_error = pickle.loads(pickle.dumps(DataError("no", {"report": {"symbols": {}}})))
    assert (str(data_error), data_error.details) == ("no", {"report": {"symbols": {}}})


@pytest.mark.parametrize(
    ("changes", "pointer", "code"),
    [
        ({"execution": {"bar_path": "target_first"}}, "/execution/bar_path", "without_effect"),
        ({"execution": {"rebalance": {"band": 0.1}}}, "/execution/rebalance/band", "without_effect"),
        ({"execution": {"per_symbol": {"Z": {}}}}, "/execution/per_symbol/Z", "without_effect"),
        ({"execution": {"slippage": {"name": "sqare_root"}}}, "/execution/slippage/name", "unknown_name"),
        ({"strategy": {"name": "rsi_reversion", "params": {"lower": 60}}}, "/strategy/params/lower", "out_of_order"),
        ({"indicators": [{"name": "rsii", "as": "a"}]}, "/indicators/0/name", "unknown_name"),
        ({"indicators": [{"name": "rsi", "as": "close"}]}, "/indicators/0/as", "duplicate_name"),
        (
            {"indicators": [{"name": "rsi", "params": {"length": 1}, "as": "a"}]},
            "/indicators/0/params/length",
            "invalid_parameter",
        ),
    ],
)
def test_refusals_of_what_hangs_together(changes: dict[str, Any], pointer: str, code: str) -> None:
    error = refusal(**changes)
    assert (error.pointer, error.code) == (pointer, code)


@pytest.mark.parametrize(
    ("changes", "pointer", "code"),
    [
        ({"execution": {"fill_price": "vwap"}}, "/execution/fill_price", "missing_column"),
        ({"execution": {"max_participation": 0.1}}, "/execution/max_participation", "missing_volume"),
        ({"execution": {"slippage": {"name": "square_root"}}}, "/execution/slippage", "missing_volume"),
        (
            {"strategy": {"name": "signal", "params": {"column": "scor", "long_above": 0}}},
            "/strategy/params/column",
            "missing_column",
        ),
        (
            {"indicators": [{"name": "rsi", "params": {"column": "scor"}, "as": "a"}]},
            "/indicators/0/params/column",
            "missing_column",
        ),
    ],
)
def test_what_the_dataset_lacks_is_refused_by_field(changes: dict[str, Any], pointer: str, code: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(config(**changes)).resolve(dataset(A=gappy()))
    assert [(f.pointer, f.code) for f in caught.value.fields] == [(pointer, code)]


def test_a_strategy_may_look_at_an_indicator_by_its_name() -> None:
    rsi = {"indicators": [{"name": "rsi", "params": {"length": 5}, "as": "strength"}]}
    by_name = {"strategy": {"name": "signal", "params": {"column": "strength", "long_below": 30.0}}}
    result = engine.run(config(**rsi, **by_name), DATA)
    assert len(result.trades) > 0
    entered = result.tables["trades"]["entry_strength"]
    assert entered.null_count() == 0
    assert bool((entered < 30.0).all())
    assert result.summary()["startup_error"]["strength"] > 0.0


def test_a_symbol_of_its_own_parameters_may_be_the_one_that_goes_short() -> None:
    changes = {
        "symbols": ["A", "B"],
        "strategy": {"name": "signal", "params": {"column": "close", "long_above": 9.0}},
        "portfolio": {"parameters": {"B": {"short_below": 5.0}}},
    }
    assert not parse_config(config(**changes, execution={"allow_short": False})).execution.allow_short
    changes |= {"portfolio": {"parameters": {"B": {"long_above": 8.0}}}}
    assert refusal(**changes, execution={"allow_short": False}).pointer == "/execution/allow_short"

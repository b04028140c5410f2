from typing import Any

import pytest
from pydantic import ValidationError

import engine
from engine.config import parse_config
from engine.data.bars import Series
from engine.errors import ConfigError
from engine.hooks import Recorder
from engine.outcome import Result
from engine.validation.suite import TESTS, Validation, whole_runs
from tests.engine.test_pipeline import FREE, HOLD, config, dataset, lively, series

GRID = {"fast": [2, 3], "slow": [7, 8, 9]}
SMALL: dict[str, dict[str, Any]] = {
    "permutation": {"n": 20},
    "cost_sensitivity": {},
    "break_even": {},
    "ambiguity": {},
    "bar_permutation": {"n": 5},
    "block_bootstrap": {"n": 100},
    "monte_carlo": {"n": 50},
    "walk_forward": {"windows": 3, "grid": GRID},
    "overfitting": {"grid": GRID, "blocks": 4, "n": 20},
    "superiority": {"grid": GRID, "n": 50},
    "cross_validation": {"grid": GRID, "groups": 4},
    "multiplicity": {"grid": GRID},
    "lookahead": {"cuts": 5},
    "startup": {"starts": 3},
    "plateau": {"points": 4},
    "sharpe": {},
}
"""Every test, with little to do."""

EXITS = {"stop_loss": 0.05, "take_profit": 0.05}


def run(prices: Series, tests: dict[str, Any], hooks: Recorder | None = None, **changes: Any) -> Result:
    execution = EXITS | changes.pop("execution", {})
    return engine.run(config(validation=tests, execution=execution, **changes), dataset(A=prices), hooks)


def test_there_is_a_test_behind_every_field() -> None:
    assert list(TESTS) == list(Validation.model_fields) == list(SMALL)
    for name, values in SMALL.items():
        assert isinstance(getattr(Validation.model_validate({name: values}), name), TESTS[name])


def test_reports_come_in_the_order_of_the_fields_whatever_was_asked_first() -> None:
    backwards = dict(reversed(SMALL.items()))
    assert [report.name for report in run(lively(1), backwards).validation] == list(SMALL)


def test_progress_rises_over_all_tests_and_each_is_named() -> None:
    hooks = Recorder()
    run(lively(1), SMALL, hooks)
    fractions = [value for kind, name, value in hooks.calls if (kind, name) == ("progress", "validation")]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    told = [value["test"] for kind, name, value in hooks.calls if (kind, name) == ("event", "validation_progress")]
    assert list(dict.fromkeys(told)) == list(SMALL)


def test_lookahead_may_be_a_switch() -> None:
    on, off = Validation.model_validate({"lookahead": True}), Validation.model_validate({"lookahead": False})
    assert on == Validation.model_validate({"lookahead": {}})
    assert off == Validation()
    hashes = {parse_config(config(validation={"lookahead": v})).identity({}) for v in (True, {}, {"cuts": 20})}
    assert len(hashes) == 1
    wrong: Any
    for wrong in (1, "true", []):
        with pytest.raises(ValidationError):
            Validation.model_validate({"lookahead": wrong})


@pytest.mark.parametrize("name", ["walk_forward", "overfitting", "superiority"])
def test_a_grid_over_what_is_no_parameter_is_refused_with_the_nearest(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(config(validation={name: {"grid": {"slwo": [5, 6]}}}))
    (error,) = caught.value.fields
    assert (error.pointer, error.code) == (f"/validation/{name}/grid/slwo", "unknown_parameter")
    assert "Did you mean 'slow'?" in error.message


def test_repeated_runs_are_counted() -> None:
    tests = Validation.model_validate
    assert whole_runs(Validation()) == 0
    assert whole_runs(tests({"bar_permutation": {"n": 7}, "lookahead": {"cuts": 3}, "startup": {"starts": 2}})) == 23
    grids = {"overfitting": {"grid": GRID}, "superiority": {"grid": GRID}, "walk_forward": {"windows": 2, "grid": GRID}}
    assert whole_runs(tests(grids)) == 6 + 12
    assert whole_runs(tests({"plateau": {"points": 9}, "walk_forward": {}})) == 9


ONE, FLAT, QUIET = series([10.0]), series([10.0] * 800), lively(3, 800)
NEVER = {"name": "dual_sma", "params": {"fast": 99, "slow": 99_999}}
FEW = "returns do not vary"
CURVE = "there is no one figure: the curve has the total return at each multiplier"
UNDEFINED: dict[str, tuple[str | None, str | None, str | None]] = {
    "permutation": ("there is never a position", "fewer than 3 bars", "market returns do not vary"),
    "cost_sensitivity": (CURVE, CURVE, CURVE),
    "break_even": (
        "nothing was traded",
        "nothing was traded",
        "the total return is not above zero even without costs",
    ),
    "ambiguity": (None, None, None),
    "bar_permutation": ("nothing was traded", "nothing was traded", "prices do not vary"),
    "block_bootstrap": (FEW, "fewer than two returns", FEW),
    "monte_carlo": ("nothing was traded", "nothing was traded", None),
    "walk_forward": (
        "out of sample: returns do not vary",
        "1 days are too few for 5 windows",
        "out of sample: returns do not vary",
    ),
    "lookahead": ("there is never a signal", "no bar follows the first signal", None),
    "startup": (
        "800 bars are too few for a later start",
        "1 bars are too few for a later start",
        None,
    ),
    "plateau": ("sharpe of the chosen parameters is undefined",) * 3,
    "sharpe": (FEW, "fewer than two returns", FEW),
}
"""Why a test knows nothing where nothing is traded, of one bar, and of a price that never moves; None where it does."""


@pytest.mark.parametrize("name", UNDEFINED)
def test_undefined_is_null_with_a_reason(name: str) -> None:
    runs = (
        run(QUIET, {name: {}}, strategy=NEVER),
        run(ONE, {name: {}}, strategy=HOLD),
        run(FLAT, {name: {}}, strategy=HOLD, execution=FREE),
    )
    assert tuple(result.validation[0].reason for result in runs) == UNDEFINED[name]
    for result in runs:
        report = result.validation[0].as_dict()
        if report["reason"] is not None:
            assert (report["statistic"], report["p_value"]) == (None, None)


@pytest.mark.parametrize(
    ("name", "reasons"),
    [
        ("overfitting", ("fewer than two strategies vary", "fewer than two rows a block")),
        ("superiority", ("no strategy varies against the benchmark", "fewer than 12 rows")),
    ],
)
def test_a_grid_without_trades_is_null_with_a_reason(name: str, reasons: tuple[str, str]) -> None:
    idle = {name: {"grid": {"slow": [99_998, 99_999]}}}
    trading = {name: {"grid": GRID}}
    runs = (run(QUIET, idle), run(ONE, trading), run(FLAT, trading))
    assert tuple(result.validation[0].reason for result in runs) == (*reasons, reasons[0])


def test_a_grid_the_strategy_refuses_throughout_is_null_with_a_reason() -> None:
    refused = {"grid": {"fast": [9, 10], "slow": [3, 4]}}
    result = run(QUIET, {"overfitting": refused, "superiority": refused, "walk_forward": refused})
    reasons = {report.name: report.reason for report in result.validation}
    assert reasons == {
        "overfitting": "fewer than two points of the grid could be run",
        "superiority": "no point of the grid could be run",
        "walk_forward": "out of sample: returns do not vary",
    }
    assert all(report.statistic is None for report in result.validation)

"""The tests of a search over a grid are the statistics of the returns of its points, which other tests prove."""

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from engine.hooks import NoHooks, Recorder
from engine.types import Floats
from engine.validation.days import RUINED, Daily
from engine.validation.grids import DailyOf, Params
from engine.validation.overfitting import probability_of_overfitting
from engine.validation.selection import OverfittingTest, SuperiorityTest
from engine.validation.spa import superiority

NOISE = np.random.default_rng(1).normal(0.0, 0.01, (320, 6))
GRID: dict[str, tuple[bool | int | float | str, ...]] = {"k": (0, 1, 2, 3, 4, 5)}


def columns(values: Floats) -> DailyOf:
    return lambda params: Daily(values[:, int(params["k"])])


def test_overfitting_is_that_of_the_daily_returns() -> None:
    report = OverfittingTest(grid=GRID, blocks=8, n=50).evaluate(columns(NOISE), 3, NoHooks())
    found = probability_of_overfitting(NOISE, 3, blocks=8, replicates=50)
    assert found.band is not None
    assert (report.statistic, report.p_value) == (found.pbo, found.band.p_value.value)
    assert list(report.percentiles.values()) == [found.band.lower, found.band.median, found.band.upper]
    assert (report.details["strategies"], report.details["splits"], report.details["slope"]) == (6, 70, found.slope)


def test_a_true_winner_is_not_overfitted_and_beats_nothing() -> None:
    better = NOISE + 0.004 * (np.arange(6) == 4)
    report = OverfittingTest(grid=GRID, blocks=8, n=50).evaluate(columns(better), 3, NoHooks())
    assert report.statistic == 0.0
    report = SuperiorityTest(grid=GRID, n=999).evaluate(columns(better), 3, NoHooks())
    assert report.p_value == 0.001
    assert report.details["best"] == {"k": 4}
    assert report.details["points"][0]["params"] == {"k": 4}


def test_superiority_is_that_of_the_daily_returns() -> None:
    report = SuperiorityTest(grid=GRID, n=500).evaluate(columns(NOISE), 3, NoHooks())
    found = superiority(NOISE, 3, replicates=500)
    assert found.consistent is not None
    assert found.reality_check is not None
    assert (report.statistic, report.p_value) == (found.statistic, found.consistent.value)
    assert report.details["reality_check"] == found.reality_check.value
    listed = {row["params"]["k"]: (row["statistic"], row["p_value"]) for row in report.details["points"]}
    expected = {k: (s, p.value) for k, (s, p) in enumerate(zip(found.statistics, found.stepdown, strict=True)) if p}
    assert listed == expected
    statistics = [row["statistic"] for row in report.details["points"]]
    assert statistics == sorted(statistics, reverse=True)


def test_progress_rises_to_the_end() -> None:
    for test in (OverfittingTest(grid=GRID, blocks=4, n=20), SuperiorityTest(grid=GRID, n=20)):
        hooks = Recorder()
        test.evaluate(columns(NOISE), 3, hooks)
        fractions = [c[2] for c in hooks.calls if c[0] == "progress"]
        assert fractions[-1] == 1.0
        assert fractions[:6] == [(k + 1) / 12 for k in range(6)]


def ruined(params: Params) -> Daily:
    return Daily(np.empty(0), RUINED)


FLAT, ONE = columns(np.zeros((320, 6))), columns(NOISE[:5])


@pytest.mark.parametrize(
    ("daily_of", "few", "none"),
    [
        (ruined, "fewer than two points of the grid could be run", "no point of the grid could be run"),
        (FLAT, "fewer than two strategies vary", "no strategy varies against the benchmark"),
        (ONE, "fewer than two rows a block", "fewer than 12 rows"),
    ],
)
def test_undefined_is_null_with_a_reason(daily_of: DailyOf, few: str, none: str) -> None:
    for report, reason in (
        (OverfittingTest(grid=GRID).evaluate(daily_of, 1, NoHooks()), few),
        (SuperiorityTest(grid=GRID).evaluate(daily_of, 1, NoHooks()), none),
    ):
        assert (report.statistic, report.p_value, report.reason) == (None, None, reason)
        report.as_dict()


@pytest.mark.parametrize("bad", [{"blocks": 7}, {"blocks": 22}, {"n": 0}, {"grid": {}}, {"grids": {}}])
def test_bad_parameters_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        OverfittingTest.model_validate({"grid": {"k": [1, 2]}} | bad)

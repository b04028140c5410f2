"""The adjustments of a grid are the functions that other tests prove, and they take from luck what luck brought."""

import math

import numpy as np
import pytest

from engine.hooks import NoHooks, Recorder
from engine.types import Floats
from engine.validation.days import RUINED, Daily
from engine.validation.grids import DailyOf, Params
from engine.validation.multiple import benjamini_yekutieli, holm
from engine.validation.multiplicity import Multiplicity
from engine.validation.sharpe import expected_maximum_sharpe, moments, psr

ANNUAL = 252.0
NOISE = np.random.default_rng(4).normal(0.0, 0.01, (500, 20))
GRID: dict[str, tuple[bool | int | float | str, ...]] = {"k": tuple(range(20))}


def columns(values: Floats) -> DailyOf:
    return lambda params: Daily(values[:, int(params["k"])])


def upper_tails(t: Floats) -> list[float]:
    return [0.5 * math.erfc(value / math.sqrt(2.0)) for value in t.tolist()]


def test_every_number_is_that_of_its_own_function() -> None:
    report = Multiplicity(grid=GRID).evaluate(columns(NOISE), ANNUAL, 3, NoHooks())
    daily = NOISE.mean(axis=0) / NOISE.std(axis=0, ddof=1)
    best, single = int(np.argmax(daily)), upper_tails(daily * math.sqrt(500))
    found = report.details
    assert report.statistic == pytest.approx(daily[best] * math.sqrt(ANNUAL), rel=1e-12)
    assert report.p_value == pytest.approx(holm(single).p_values[best], rel=1e-12)
    assert found["best"] == {"k": best}
    listed = {row["params"]["k"]: row for row in found["points"]}
    for name, expected in (("p_value", single), ("holm", holm(single).p_values)):
        assert [listed[k][name] for k in range(20)] == pytest.approx(list(expected), rel=1e-9)
    assert [listed[k]["bhy"] for k in range(20)] == pytest.approx(list(benjamini_yekutieli(single).p_values), rel=1e-9)
    cut = found["haircuts"]["bonferroni"]
    assert cut["p_value"] == pytest.approx(min(1.0, 20 * 2 * single[best]), rel=1e-9)  # two-sided
    both = [2 * min(p, 1 - p) for p in single]
    assert found["haircuts"]["holm"]["p_value"] == pytest.approx(holm(both).p_values[best], rel=1e-9)
    assert 0.0 <= cut["sharpe"] <= report.statistic
    benchmark = expected_maximum_sharpe(20.0, float(np.var(daily, ddof=1)))
    points = found["deflated"]["points"]
    assert points["benchmark"] == pytest.approx(benchmark * math.sqrt(ANNUAL), rel=1e-12)
    assert points["value"] == pytest.approx(psr(moments(NOISE[:, best]), benchmark).value, rel=1e-12)


def test_noise_is_not_significant_and_skill_is() -> None:
    lucky = Multiplicity(grid=GRID).evaluate(columns(NOISE), ANNUAL, 3, NoHooks())
    assert lucky.p_value is not None
    assert lucky.p_value > 0.05
    assert lucky.details["significant"]["holm"] == 0
    better = NOISE + 0.003 * (np.arange(20) == 7)
    skilled = Multiplicity(grid=GRID).evaluate(columns(better), ANNUAL, 3, NoHooks())
    assert skilled.p_value is not None
    assert skilled.p_value < 1e-6
    assert skilled.details["best"] == {"k": 7}
    assert skilled.details["significant"] == {"single": 2, "holm": 1, "bhy": 1}  # one of 19 by luck
    assert skilled.details["haircuts"]["holm"]["fraction"] < 0.2
    assert skilled.details["deflated"]["points"]["value"] > 0.95


def test_losers_are_never_significant() -> None:
    report = Multiplicity(grid=GRID).evaluate(columns(NOISE - 0.01), ANNUAL, 3, NoHooks())
    assert set(report.details["significant"].values()) == {0}
    assert report.details["haircuts"]["reason"] == "the Sharpe ratio is not above zero"
    assert report.p_value is not None
    assert report.p_value > 0.99
    assert min(row[name] for row in report.details["points"] for name in ("p_value", "holm", "bhy")) > 0.99


def test_no_p_value_is_nought() -> None:
    report = Multiplicity(grid=GRID).evaluate(columns(NOISE + 0.1), ANNUAL, 3, NoHooks())
    tiny = float(np.finfo(float).tiny)
    assert report.details["points"][0]["p_value"] == tiny
    assert report.p_value == pytest.approx(20 * tiny, rel=1e-12)


def test_copies_are_one_trial() -> None:
    copies = np.repeat(NOISE[:, :1] + 0.001, 20, axis=1)
    found = Multiplicity(grid=GRID).evaluate(columns(copies), ANNUAL, 3, NoHooks()).details
    assert found["effective_trials"]["by_correlation"] == pytest.approx(1.0)
    assert found["deflated"]["effective"]["value"] == pytest.approx(psr(moments(copies[:, 0])).value, rel=1e-9)


def ruined(_params: Params) -> Daily:
    return Daily(np.empty(0), RUINED)


@pytest.mark.parametrize("daily_of", [ruined, columns(np.zeros((50, 20))), columns(NOISE[:1])])
def test_undefined_is_null_with_a_reason(daily_of: DailyOf) -> None:
    report = Multiplicity(grid=GRID).evaluate(daily_of, ANNUAL, 3, NoHooks())
    assert (report.statistic, report.p_value) == (None, None)
    assert report.reason == "no point of the grid has a Sharpe ratio"


def test_one_point_is_one_test() -> None:
    report = Multiplicity(grid={"k": (3,)}).evaluate(columns(NOISE), ANNUAL, 3, hooks := Recorder())
    assert report.p_value == report.details["points"][0]["p_value"]
    assert report.details["deflated"]["points"]["benchmark"] == 0.0
    assert [call[2] for call in hooks.calls if call[0] == "progress"] == [1.0]

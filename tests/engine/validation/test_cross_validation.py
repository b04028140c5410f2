"""Cross-validation of a grid: every split by hand, what is purged, and winners that are none."""

import math
from itertools import combinations

import numpy as np
import pytest
from pydantic import ValidationError

from engine.hooks import NoHooks, Recorder
from engine.types import Floats
from engine.validation.cross_validation import CrossValidation, best_of
from engine.validation.days import RUINED, Daily, annual_sharpe
from engine.validation.grids import DailyOf, Params

ANNUAL = 252.0
NOISE = np.random.default_rng(8).normal(0.0, 0.01, (120, 5))
GRID: dict[str, tuple[bool | int | float | str, ...]] = {"k": (0, 1, 2, 3, 4)}


def columns(values: Floats) -> DailyOf:
    return lambda params: Daily(values[:, int(params["k"])])


def sharpe(returns: Floats) -> float:
    return float(returns.mean() / returns.std(ddof=1) * math.sqrt(ANNUAL))


def by_hand(returns: Floats, groups: int, tests: int, purge: int, embargo: int) -> list[float]:
    """Sharpe ratios of all paths: group by group, the k-th time a group is tested belongs to the k-th path."""
    days = len(returns)
    group = [max(g for g in range(groups) if days * g // groups <= day) for day in range(days)]
    earned: list[list[Floats]] = [[] for _ in range(groups)]
    for held in combinations(range(groups), tests):
        testing = {day for day in range(days) if group[day] in held}
        last = [min(day + purge, days - 1) for day in range(days)]
        needed = {d for t in testing for d in range(t, last[t] + 1)}
        ends = [last[t] for t in testing if t + 1 not in testing]
        train = [
            day
            for day in range(days)
            if day not in testing
            and needed.isdisjoint(range(day, last[day] + 1))
            and not any(end < day <= end + embargo for end in ends)
        ]
        best = int(np.argmax([sharpe(returns[train, k]) for k in range(returns.shape[1])]))
        for g in held:
            earned[g].append(returns[[day for day in range(days) if group[day] == g], best])
    count = math.comb(groups - 1, tests - 1)
    return [sharpe(np.concatenate([earned[g][path] for g in range(groups)])) for path in range(count)]


@pytest.mark.parametrize(
    ("groups", "tests", "purge", "embargo"), [(4, 1, 0, 0), (4, 2, 0, 0), (5, 2, 3, 0), (5, 2, 3, 4), (6, 3, 0, 5)]
)
def test_every_path_is_that_by_hand(groups: int, tests: int, purge: int, embargo: int) -> None:
    test = CrossValidation(grid=GRID, groups=groups, tests=tests, purge=purge, embargo=embargo)
    report = test.evaluate(columns(NOISE), ANNUAL, 3, NoHooks())
    expected = sorted(by_hand(NOISE, groups, tests, purge, embargo))
    assert report.details["paths"]["values"] == pytest.approx(expected, rel=1e-12)
    assert report.statistic == pytest.approx(np.median(expected), rel=1e-12)
    found = report.details
    assert (found["splits"], found["paths"]["number"]) == (math.comb(groups, tests), len(expected))
    assert sum(row["splits"] for row in found["chosen"]) == found["splits"]
    assert (found["purged"] > 0.0) == (purge + embargo > 0)


def test_the_best_of_noise_is_nothing_out_of_sample() -> None:
    noise = np.random.default_rng(2).normal(0.0, 0.01, (1000, 40))
    test = CrossValidation(grid={"k": tuple(range(40))}, groups=8, tests=2)
    report = test.evaluate(columns(noise), ANNUAL, 3, NoHooks())
    assert report.details["in_sample"] > 1.0
    assert report.statistic is not None
    assert report.statistic < 0.3 * report.details["in_sample"]


def test_a_true_winner_is_chosen_on_every_split() -> None:
    better = NOISE + 0.01 * (np.arange(5) == 3)
    report = CrossValidation(grid=GRID, groups=6).evaluate(columns(better), ANNUAL, 3, NoHooks())
    assert report.details["chosen"] == [{"params": {"k": 3}, "splits": 15}]
    assert report.statistic == pytest.approx(sharpe(better[:, 3]), rel=1e-12)
    assert report.details["paths"]["deviation"] == 0.0
    growth = CrossValidation(grid=GRID, groups=6, metric="total_return")
    report = growth.evaluate(columns(better), ANNUAL, 3, NoHooks())
    assert report.statistic == pytest.approx(np.prod(1.0 + better[:, 3]) - 1.0, rel=1e-12)


def test_what_is_chosen_has_the_largest_metric() -> None:
    flat = np.zeros((120, 1))
    assert best_of("sharpe", flat) is None
    with_flat = np.hstack((flat, -np.abs(NOISE)))
    assert best_of("sharpe", with_flat) != 0
    assert best_of("total_return", with_flat) == 0
    ratios = [annual_sharpe(column, ANNUAL) or 0.0 for column in NOISE.T]
    assert best_of("sharpe", NOISE) == int(np.argmax(ratios))


def test_undefined_is_null_with_a_reason() -> None:
    test = CrossValidation(grid=GRID, groups=10)

    def ruined(_params: Params) -> Daily:
        return Daily(np.empty(0), RUINED)

    for daily_of, words in (
        (ruined, "no point"),
        (columns(NOISE[:19]), "19 days are too few for 10 groups"),
        (columns(np.zeros((120, 5))), "no path has a value"),
    ):
        report = test.evaluate(daily_of, ANNUAL, 3, NoHooks())
        assert report.statistic is None
        assert report.reason is not None
        assert words in report.reason
    wide = CrossValidation(grid=GRID, groups=4, tests=2, purge=100).evaluate(columns(NOISE), ANNUAL, 3, NoHooks())
    assert wide.reason == "purge and embargo leave nothing to train on"


def test_returns_that_differ_by_rounding_are_never_chosen() -> None:
    """Interest on idle cash, and one strategy that trades in some of the groups only."""
    rounded: Floats = NOISE * 0.0 + 0.03 / 365 + 2e-16 * np.random.default_rng(2).integers(-2, 3, (120, 5))
    rounded[:40, 1] = NOISE[:40, 1] + 0.005
    report = CrossValidation(grid=GRID, groups=6, tests=2).evaluate(columns(rounded), ANNUAL, 3, NoHooks())
    assert [row["params"] for row in report.details["chosen"]] == [{"k": 1}]
    assert best_of("sharpe", rounded[40:]) is None
    assert report.statistic is not None
    assert abs(report.statistic) < 10.0
    nothing = CrossValidation(grid=GRID).evaluate(columns(rounded[40:]), ANNUAL, 3, NoHooks())
    assert nothing.reason == "no path has a value"


@pytest.mark.parametrize(
    ("values", "words"), [({"groups": 4, "tests": 4}, "less than the 4"), ({"groups": 40, "tests": 20}, "splits")]
)
def test_impossible_splits_are_refused(values: dict[str, int], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        CrossValidation.model_validate({"grid": GRID} | values)


def test_progress_rises_to_the_end() -> None:
    hooks = Recorder()
    CrossValidation(grid=GRID, groups=6).evaluate(columns(NOISE), ANNUAL, 3, hooks)
    told = [call[2] for call in hooks.calls if call[0] == "progress"]
    assert told == sorted(told)
    assert told[-1] == 1.0

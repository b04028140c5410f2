import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.metrics.drawdown import (
    deepest,
    deepest_plain,
    drawdown_kernel,
    drawdown_plain,
    drawdowns,
    episode_sums,
    episode_sums_plain,
    longest,
    longest_plain,
    max_drawdown,
    max_drawdown_duration,
    underwater,
)
from engine.results import Metric
from engine.types import NANOSECONDS_PER_DAY, Floats, Times


def days(count: int) -> Times:
    return np.arange(count) * NANOSECONDS_PER_DAY


def duration(equity: Floats, times: Times) -> Metric:
    return max_drawdown_duration(equity, int(times[0]), times[1:])


def walk(seed: int, count: int) -> Floats:
    steps = np.random.default_rng(seed).normal(0.0, 0.02, count)
    return np.asarray(100.0 * np.exp(np.cumsum(steps)))


def test_by_hand() -> None:
    equity = np.array([100.0, 120.0, 90.0, 120.0, 60.0, 130.0])
    np.testing.assert_allclose(drawdowns(equity), [0.0, 0.0, -0.25, 0.0, -0.5, 0.0])
    assert max_drawdown(equity) == Metric(-0.5, "fraction")
    assert duration(equity, days(6)) == Metric(2.0, "days")


def test_a_loss_on_the_first_bar_is_a_drawdown() -> None:
    assert max_drawdown(np.array([100.0, 90.0])).value == pytest.approx(-0.1)
    assert duration(np.array([100.0, 90.0]), days(2)).value == 1.0


def test_an_open_episode_counts_to_the_end() -> None:
    equity = np.array([100.0, 90.0, 100.0, 110.0, 105.0, 104.0, 103.0])
    assert duration(equity, days(7)).value == 3.0


def test_duration_goes_by_the_clock() -> None:
    equity = np.array([100.0, 90.0, 100.0, 99.0, 98.0, 101.0])
    times = np.array([0, 5, 10, 11, 12, 13]) * NANOSECONDS_PER_DAY
    assert duration(equity, times).value == 10.0


def test_equity_that_never_falls_has_no_drawdown() -> None:
    for equity in (np.full(5, 100.0), np.arange(100.0, 105.0)):
        assert max_drawdown(equity).value == 0.0
        assert duration(equity, days(5)).value == 0.0


def test_below_zero_is_a_fall_by_more_than_everything() -> None:
    assert max_drawdown(np.array([100.0, -20.0])).value == pytest.approx(-1.2)


@pytest.mark.parametrize("seed", range(20))
def test_kernels_equal_their_twins_and_pandas(seed: int) -> None:
    equity = np.round(walk(seed, 200 + seed), 0)  # whole numbers make returns to the same height common
    times = np.cumsum(np.random.default_rng(seed).integers(1, 9, len(equity)))
    np.testing.assert_array_equal(drawdown_kernel(equity), drawdown_plain(equity))
    assert deepest(equity) == deepest_plain(equity)
    assert longest(equity, times[0], times[1:]) == longest_plain(equity, times[0], times[1:])
    found, plain = (sums(equity, times[0], times[1:]) for sums in (episode_sums, episode_sums_plain))
    assert found == pytest.approx(plain, rel=1e-12)
    assert (found[1], found[4]) == (plain[1], plain[4])
    series = pd.Series(equity)
    np.testing.assert_allclose(drawdowns(equity), series / series.cummax() - 1.0, atol=1e-15)


@pytest.mark.parametrize("seed", range(5))
def test_duration_against_a_search_over_all_pairs(seed: int) -> None:
    equity = np.round(walk(seed, 40), 0)
    best = 0
    for i in range(len(equity)):
        if equity[i] == equity[: i + 1].max():
            after = equity[i + 1 :]
            back = np.flatnonzero(after >= equity[i])
            end = i + 1 + int(back[0]) if len(back) else len(equity) - 1
            if end > i and float(equity[i + 1 : end + 1].min()) < equity[i]:
                best = max(best, end - i)
    assert duration(equity, days(len(equity))).value == best


def test_no_bars_and_no_capital() -> None:
    only = np.array([100.0])
    assert max_drawdown(only).reason == "there are no bars"
    assert duration(only, days(1)).reason == "there are no bars"
    with pytest.raises(ValueError, match="above zero"):
        drawdowns(np.array([0.0, 1.0]))


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", [1, 2])
def test_equity_that_is_not_finite_is_refused(wrong: float, place: int) -> None:
    equity = np.array([100.0, 110.0, 90.0])
    equity[place] = wrong
    for of in (drawdowns, max_drawdown, lambda e: duration(e, days(3)), under):
        with pytest.raises(ValueError, match="must be finite"):
            of(equity)


@pytest.mark.parametrize("count", [2, 4])
def test_times_that_do_not_belong_to_the_points_are_refused(count: int) -> None:
    equity = np.array([100.0, 110.0, 90.0, 95.0])
    for of in (max_drawdown_duration, underwater):
        with pytest.raises(ValueError, match="one entry for each point"):
            of(equity, 0, days(count + 1)[1:])


@pytest.mark.parametrize("kind", [list, tuple, pd.Series, np.float32, np.int64])
def test_whatever_holds_numbers_is_taken(kind: Any) -> None:
    made = kind([100, 120, 90, 60, 130])
    assert drawdowns(made).tolist() == [0.0, 0.0, -0.25, -0.5, 0.0]
    assert max_drawdown(made).value == -0.5
    assert max_drawdown_duration(made, 0, days(5)[1:]).value == 3.0
    assert under(made)["pain_index"] == 0.1875
    with pytest.raises(ValueError, match="one axis"):
        max_drawdown(np.ones((3, 1)))


def under(equity: Floats) -> dict[str, float | None]:
    return {name: m.value for name, m in underwater(equity, 0, days(len(equity))[1:]).items()}


def test_the_mean_of_episodes_is_not_the_mean_of_bars() -> None:
    """Two episodes, to -25 % in two bars and to -50 % in one, and an open one of three bars to -10 %."""
    equity = np.array([100.0, 75.0, 90.0, 100.0, 50.0, 120.0, 114.0, 108.0, 117.0])
    falls = [0.25, 0.1, 0.5, 0.05, 0.1, 0.025]
    assert under(equity) == {
        "average_drawdown": pytest.approx(-(0.25 + 0.5 + 0.1) / 3.0),
        "average_drawdown_duration": pytest.approx((3.0 + 2.0 + 3.0) / 3.0),
        "ulcer_index": pytest.approx(math.sqrt(sum(f * f for f in falls) / 8.0)),
        "pain_index": pytest.approx(sum(falls) / 8.0),
    }


@settings(derandomize=True, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=2, max_size=40), st.integers(-20, 20))
def test_pain_is_below_ulcer_is_below_the_deepest_and_currency_does_not_matter(heights: list[int], power: int) -> None:
    equity = np.array(heights, dtype=np.float64)
    found, deepest_point = under(equity), max_drawdown(equity).value
    assert found["pain_index"] is not None
    assert found["ulcer_index"] is not None
    assert deepest_point is not None
    assert 0.0 <= found["pain_index"] <= found["ulcer_index"] + 1e-15 <= -deepest_point + 2e-15
    if found["average_drawdown"] is not None:
        assert deepest_point <= found["average_drawdown"] < 0.0
    assert under(equity * 2.0**power) == found


def test_without_a_fall_there_is_no_average_and_no_pain() -> None:
    for equity in (np.full(5, 100.0), np.arange(100.0, 105.0)):
        found = underwater(equity, 0, days(5)[1:])
        assert found["ulcer_index"] == found["pain_index"] == Metric(0.0, "fraction")
        assert found["average_drawdown"] == Metric(None, "fraction", "there is no drawdown")
        assert found["average_drawdown_duration"] == Metric(None, "days", "there is no drawdown")
    assert {m.reason for m in underwater(np.array([100.0]), 0, days(0)).values()} == {"there are no bars"}


@pytest.mark.filterwarnings("error")
def test_times_are_numbers_in_a_list_or_an_array() -> None:
    equity, days = [100.0, 90.0, 100.0], [NANOSECONDS_PER_DAY, 2 * NANOSECONDS_PER_DAY]
    assert max_drawdown_duration(equity, 0, days) == max_drawdown_duration(equity, 0, np.array(days))
    assert underwater(equity, 0, days) == underwater(equity, 0, np.array(days))
    assert underwater([100.0], 0, []) == underwater([100.0], 0, np.empty(0, dtype=np.int64))
    for dates in (pd.to_datetime(days), pd.to_datetime(days, utc=True), [0.5, 1.5]):
        for metric in (max_drawdown_duration, underwater):
            with pytest.raises(ValueError, match="whole numbers"):
                metric(equity, 0, dates)

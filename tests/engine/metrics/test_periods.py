import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.metrics.periods import (
    PeriodReturn,
    monthly_returns,
    rolling_moments,
    rolling_moments_plain,
    rolling_sharpe,
    yearly_returns,
)
from engine.metrics.ratios import sharpe
from engine.results import Curve
from engine.types import NANOSECONDS_PER_DAY, Floats


def curve(first_day: str, equity: Floats, hour: int = 0) -> Curve:
    """A point a day, ``hour`` hours after the midnight that begins it; 24 is the midnight that ends it."""
    first = int(np.datetime64(first_day, "D").astype(np.int64))
    days = (first + np.arange(len(equity) - 1)) * NANOSECONDS_PER_DAY
    return Curve(day_close=days + hour * NANOSECONDS_PER_DAY // 24, equity=equity, annual=365.25)


def test_by_hand_over_the_turn_of_a_year() -> None:
    of = curve("2023-12-30", np.array([100.0, 110.0, 120.0, 60.0, 90.0]), hour=24)
    months, years = monthly_returns(of), yearly_returns(of)
    assert [(row.year, row.month, row.days) for row in months] == [(2023, 12, 2), (2024, 1, 2)]
    assert [(row.year, row.month, row.days) for row in years] == [(2023, None, 2), (2024, None, 2)]
    assert [row.value for row in months] == [row.value for row in years] == pytest.approx([0.2, -0.25])


@pytest.mark.parametrize("hour", [1, 21, 24])
def test_against_pandas(hour: int) -> None:
    equity = 100.0 * np.cumprod(1.0 + np.random.default_rng(1).normal(0.0, 0.02, 1500))
    of = curve("1968-11-15", np.array([90.0, *equity]), hour)
    index = pd.date_range("1968-11-15", periods=1500, freq="D")
    for rows, rule in ((monthly_returns(of), "ME"), (yearly_returns(of), "YE")):
        last = pd.Series(equity, index).resample(rule).last()
        expected = last / last.shift(fill_value=90.0) - 1.0
        assert [row.year for row in rows] == [end.year for end in pd.DatetimeIndex(expected.index)]
        if rule == "ME":
            assert [row.month for row in rows] == [end.month for end in pd.DatetimeIndex(expected.index)]
        assert [row.value for row in rows] == pytest.approx(expected.tolist(), rel=1e-12)
        assert [row.days for row in rows] == pd.Series(equity, index).resample(rule).count().tolist()


def test_the_months_make_the_run() -> None:
    equity = np.asarray(100.0 * np.cumprod(1.0 + np.random.default_rng(2).normal(0.0, 0.02, 400)), dtype=np.float64)
    of = curve("2021-05-20", equity)
    for rows in (monthly_returns(of), yearly_returns(of)):
        growth = math.prod(1.0 + (row.value or 0.0) for row in rows)
        assert growth == pytest.approx(equity[-1] / equity[0], rel=1e-12)
        assert sum(row.days for row in rows) == 399


def test_months_without_a_day_are_left_out_and_after_ruin_there_is_no_return() -> None:
    of = curve("2024-01-01", np.array([100.0, 50.0, -5.0, 20.0]))
    months = np.array(["2024-01-15", "2024-02-15", "2024-05-15"], dtype="datetime64[ns]").astype(np.int64)
    rows = monthly_returns(Curve(months, of.equity, of.annual))
    assert rows == (
        PeriodReturn(2024, 1, 1, -0.5),
        PeriodReturn(2024, 2, 1, -1.1),
        PeriodReturn(2024, 5, 1, None, "equity is at or below zero"),
    )
    nothing = Curve(np.empty(0, dtype=np.int64), np.array([100.0]), 365.25)
    assert monthly_returns(nothing) == yearly_returns(nothing) == ()
    large = monthly_returns(curve("2024-01-05", np.array([1e-300, 1e300])))
    assert [(row.value, row.reason) for row in large] == [(None, "the value does not fit a float")]


@settings(derandomize=True, deadline=None)
@given(st.lists(st.integers(-99, 99), max_size=60), st.integers(2, 20))
def test_rolling_moments_equal_the_twin(values: list[int], window: int) -> None:
    returns = np.array(values, dtype=np.float64) / 1000.0
    for got, expected in zip(rolling_moments(returns, window), rolling_moments_plain(returns, window), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-16)


@pytest.mark.parametrize("window", [2, 7, 63, 252, 400])
def test_each_window_has_its_own_sharpe_ratio(window: int) -> None:
    returns = np.random.default_rng(3).normal(0.0005, 0.01, 400)
    values, defined = rolling_sharpe(returns, window, 252.0, risk_free=0.02)
    expected = [sharpe(returns[i : i + window], 252.0, 0.02).value for i in range(400 - window + 1)]
    assert defined.all()
    np.testing.assert_allclose(values, np.array(expected, dtype=np.float64), rtol=1e-9)


def test_a_quiet_stretch_is_undefined_and_a_shock_leaves_no_trace() -> None:
    returns = np.random.default_rng(4).normal(0.0005, 1e-4, 500)
    returns[100:140] = 0.001
    returns[200] = 1e6
    values, defined = rolling_sharpe(returns, 20, 252.0)
    assert np.flatnonzero(~defined).tolist() == list(range(100, 121))
    assert not values[~defined].any()
    expected = [sharpe(returns[i : i + 20], 252.0).value for i in range(201, 481)]
    np.testing.assert_allclose(values[201:], np.array(expected, dtype=np.float64), rtol=1e-9)


def test_too_few_days_and_impossible_windows() -> None:
    values, defined = rolling_sharpe(np.zeros(5), 6, 252.0)
    assert (len(values), len(defined)) == (0, 0)
    with pytest.raises(ValueError, match="two days"):
        rolling_sharpe(np.zeros(5), 1, 252.0)
    with pytest.raises(ValueError, match="finite"):
        rolling_sharpe(np.array([0.0, np.nan]), 2, 252.0)
    values, defined = rolling_sharpe(np.array([1e300, -1e300, 0.0]), 2, 252.0)
    assert np.isfinite(values).all()
    assert not defined.any()


def test_a_window_of_half_a_day_is_refused() -> None:
    with pytest.raises(TypeError, match="integer"):
        rolling_sharpe([0.1, 0.2, 0.3, 0.4], 2.5, 252.0)  # type: ignore[arg-type]

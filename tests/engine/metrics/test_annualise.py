import numpy as np
import pandas as pd
import pytest

from engine.metrics.annualise import curve
from engine.types import NANOSECONDS_PER_DAY


def test_the_last_bar_of_each_day_by_hand() -> None:
    result = curve(
        np.array([3, 3, 5, 6, 6, 6]),
        np.arange(6),
        np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
        initial_capital=0.5,
        annual=252.0,
    )
    assert result.day_close.tolist() == [1, 2, 5]
    assert result.equity.tolist() == [0.5, 2.0, 3.0, 6.0]
    assert result.annual == 252.0


def test_against_pandas_resampling() -> None:
    index = pd.date_range("2024-01-01 01:00", periods=500, freq="h", tz="UTC").as_unit("ns")
    equity = np.random.default_rng(1).normal(100.0, 1.0, 500)
    close = index.as_unit("ns").asi8
    day = (close - 1) // NANOSECONDS_PER_DAY
    result = curve(day, close, equity, 100.0, 365.25)
    expected = pd.Series(equity, index).resample("D", closed="right").last().dropna()
    np.testing.assert_array_equal(result.equity[1:], expected.to_numpy())


def test_no_bars_leave_the_capital() -> None:
    none = np.empty(0, dtype=np.int64)
    result = curve(none, none, np.empty(0), 100.0, 252.0)
    assert (result.day_close.tolist(), result.equity.tolist()) == ([], [100.0])


def test_a_day_that_comes_back_and_unequal_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="come back"):
        curve(np.array([1, 2, 1]), np.arange(3), np.ones(3), 1.0, 252.0)
    with pytest.raises(ValueError, match="one length"):
        curve(np.array([1, 2]), np.arange(3), np.ones(3), 1.0, 252.0)

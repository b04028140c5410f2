"""Rolling kernels equal their twins, and a spike leaves nothing behind."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from engine.features.base import all_finite, all_finite_plain
from engine.features.indicators import BandPosition, Donchian, RealisedVolatility, Returns, SessionVwap, ZScore
from engine.features.rolling import (
    mean_kernel,
    moments,
    moments_plain,
    rolling_max,
    rolling_max_plain,
    rolling_mean,
    rolling_mean_plain,
    rolling_min,
    rolling_min_plain,
    rolling_rank,
    rolling_rank_plain,
    rolling_std,
    session_sums,
    session_sums_plain,
)
from tests.engine.features.markets import bars_of, flat, market, values

LINES = st.lists(st.sampled_from([0.1, 1.0, 1.5, 2.0, 1e9, 1e-6]), min_size=0, max_size=30)
PROPERTY = settings(deadline=None, derandomize=True, max_examples=200)


@PROPERTY
@given(line=LINES, length=st.integers(2, 9))
def test_kernels_equal_their_twins(line: list[float], length: int) -> None:
    x: Any = np.array(line, dtype=np.float64)
    assert_allclose(rolling_mean(x, length), rolling_mean_plain(x, length), rtol=1e-12)
    for got, expected in zip(moments(x, length), moments_plain(x, length), strict=True):
        assert_allclose(got, expected, rtol=1e-9, atol=1e-12 * float(np.square(x).max(initial=0.0)))
    assert_array_equal(rolling_max(x, length), rolling_max_plain(x, length))
    assert_array_equal(rolling_min(x, length), rolling_min_plain(x, length))
    assert_array_equal(rolling_rank(x, length), rolling_rank_plain(x, length))


@PROPERTY
@given(rows=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 5), st.integers(0, 2)), max_size=20))
def test_sums_of_a_day_equal_their_twin(rows: list[tuple[int, int, int]]) -> None:
    rows.sort(key=lambda row: row[0])
    day, amount, volume = (np.array([r[k] for r in rows], dtype=np.float64) for k in range(3))
    assert_allclose(session_sums(day, amount, volume), session_sums_plain(day, amount, volume), rtol=1e-12)


@pytest.mark.parametrize("length", [2, 5, 20, 33])
def test_once_a_spike_has_left_the_window_it_is_as_if_it_had_never_been(length: int) -> None:
    x = market(rows=300).close[:, 0].copy()
    calm = x.copy()
    x[100] = 1e12
    assert_allclose(rolling_std(x, length, 1)[100 + length :], rolling_std(calm, length, 1)[100 + length :], rtol=1e-9)
    assert_allclose(rolling_mean(x, length)[100 + length :], rolling_mean(calm, length)[100 + length :], rtol=1e-12)


def test_a_price_that_does_not_move_has_no_deviation() -> None:
    assert set(rolling_std(np.full(50, 0.1), 7, 1)[6:].tolist()) == {0.0}
    assert np.isnan(values(ZScore(5), flat())).all()
    assert set(values(BandPosition(5, 2.0), flat())[4:].tolist()) == {0.0}


def test_large_prices_keep_their_deviation() -> None:
    x = 1e9 + np.array([0.0, 1.0, 2.0, 3.0, 4.0])
    assert rolling_std(x, 5, 1)[4] == pytest.approx(math.sqrt(2.5), rel=1e-9)


def test_own_indicators_by_hand() -> None:
    close = np.array([1.0, 2.0, 4.0, 2.0])
    bars = bars_of(close, close + 1.0, close - 0.5, close, np.array([0.0, 1.0, 3.0, 2.0]))
    nan = math.nan
    assert_allclose(values(Returns(1), bars), [nan, 1.0, 1.0, -0.5])
    assert_allclose(values(Returns(2, "log"), bars), [nan, nan, math.log(4.0), 0.0], atol=1e-15)
    assert_allclose(values(Returns(2, skip=1), bars), [nan, nan, 1.0, 1.0])
    assert_allclose(values(Donchian(2), bars), [nan, 3.0, 5.0, 5.0])
    assert_allclose(values(Donchian(2, "lower"), bars), [nan, 0.5, 1.5, 1.5])
    assert_allclose(values(Donchian(2, "middle"), bars), [nan, 1.75, 3.25, 3.25])
    assert_allclose(values(Donchian(2, "upper", before=1), bars), [nan, nan, 3.0, 5.0])
    typical = close + 0.5 / 3.0
    expected = [nan, typical[1], (typical[1] + 3 * typical[2]) / 4, (typical[1] + 3 * typical[2] + 2 * typical[3]) / 6]
    assert_allclose(values(SessionVwap(), bars), expected)
    logs = np.diff(np.log(close))
    assert_allclose(values(RealisedVolatility(3, annualise=False), bars)[3], np.std(logs, ddof=1))
    yearly = math.sqrt(365.25 * 24)
    assert_allclose(values(RealisedVolatility(3), bars)[3], np.std(logs, ddof=1) * yearly)


@pytest.mark.parametrize("length", [1, 2, 7, 64, 300, 301, 1000])
def test_extremes_of_long_windows_equal_their_twins(length: int) -> None:
    x = np.round(np.random.default_rng(length).normal(size=300), 1)
    assert_array_equal(rolling_max(x, length), rolling_max_plain(x, length))
    assert_array_equal(rolling_min(x, length), rolling_min_plain(x, length))


def test_of_equal_extremes_the_newest_counts() -> None:
    zeros = np.array([0.0, -0.0, -0.0, 0.0, 0.0, -0.0])
    for made in (rolling_max(zeros, 3), rolling_min(zeros, 3)):
        assert np.signbit(made[2:]).tolist() == np.signbit(zeros[2:]).tolist()


@PROPERTY
@given(line=st.lists(st.sampled_from([1.0, -2.0, 1e300, math.inf, -math.inf, math.nan]), max_size=12))
def test_a_mean_knows_whether_all_its_values_are_finite(line: list[float]) -> None:
    x = np.array(line, dtype=np.float64)
    assert mean_kernel(x, 3, np.empty(len(x))) == all_finite(x) == all_finite_plain(x)

import math
import statistics
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.metrics.inference import (
    aggregation_factor,
    autocovariances,
    autocovariances_plain,
    error_variance,
    lag_rule,
    probabilistic_sharpe,
    standard_error,
    track_record_length,
)
from engine.types import Floats

RATIOS = st.floats(-2.0, 2.0)
FUND = 1.585 / math.sqrt(12.0)
"""The hedge fund of Bailey & Lopez de Prado (2012): 24 months, an annual Sharpe ratio of 1.585."""


def number(value: float | None) -> float:
    assert value is not None
    return value


@pytest.mark.parametrize(
    ("ratio", "count", "printed"),
    [(0.5, 12, 0.306), (0.5, 60, 0.137), (1.0, 24, 0.25), (1.0, 500, 0.055), (1.5, 36, 0.243), (3.0, 12, 0.677)],
)
def test_lo_2002_standard_errors_of_independent_normal_returns(ratio: float, count: int, printed: float) -> None:
    assert round(standard_error(ratio, count), 3) == printed


def test_bailey_and_lopez_de_prado_2012_probabilistic_sharpe() -> None:
    assert round(number(probabilistic_sharpe(FUND, 24)), 3) == 0.982
    assert round(number(probabilistic_sharpe(FUND, 24, -2.448, 10.164)), 3) == 0.913


@pytest.mark.parametrize(("a_year", "printed"), [(252.0, 2.73), (52.0, 2.83)])
def test_bailey_and_lopez_de_prado_2012_track_record(a_year: float, printed: float) -> None:
    root = math.sqrt(a_year)
    assert round(number(track_record_length(2.0 / root, benchmark=1.0 / root)) / a_year, 2) == printed


@given(RATIOS, st.integers(2, 5000), RATIOS)
def test_probabilistic_sharpe_is_a_half_at_itself_and_falls_with_the_benchmark(
    ratio: float, count: int, benchmark: float
) -> None:
    assert probabilistic_sharpe(ratio, count, benchmark=ratio) == 0.5
    lower, higher = (number(probabilistic_sharpe(ratio, count, benchmark=b)) for b in (benchmark, benchmark + 0.1))
    assert higher <= lower
    assert lower + number(probabilistic_sharpe(-ratio, count, benchmark=-benchmark)) == pytest.approx(1.0)


@given(st.floats(0.01, 2.0), st.floats(-1.0, 1.0), st.floats(3.0, 9.0), st.floats(0.6, 0.99))
def test_after_the_track_record_the_probability_is_the_confidence(
    ratio: float, skewness: float, kurtosis: float, confidence: float
) -> None:
    length = number(track_record_length(ratio, skewness, kurtosis, confidence=confidence))
    variance = error_variance(ratio, skewness, kurtosis)
    assert statistics.NormalDist().cdf(ratio * math.sqrt((length - 1.0) / variance)) == pytest.approx(confidence)
    shorter = number(track_record_length(ratio, skewness, kurtosis, confidence=confidence - 0.05))
    assert shorter <= length


def test_a_ratio_below_the_benchmark_never_gets_there_and_two_values_leave_no_error() -> None:
    assert track_record_length(0.1, benchmark=0.1) is None
    assert track_record_length(-0.1) is None
    # Returns of 3 and -1 with equal chance have g3 = 0, g4 = 1; a win in 1 of 5 has g3 = 1.5, g4 = 3.25.
    assert error_variance(5.0, 0.0, 1.0) == 1.0
    assert error_variance(2.0 / 1.5, 1.5, 3.25) == 0.0
    assert track_record_length(2.0 / 1.5, 1.5, 3.25) is None
    assert probabilistic_sharpe(2.0, 10, 1.0, 2.0) is None


def test_mertens_variance_is_the_mean_square_influence_of_the_ratio() -> None:
    """The influence of one return: what a little more weight on it does to mean over deviation, by difference."""
    returns = np.random.default_rng(5).standard_t(6, 400) * 0.01 + 0.002

    def ratio(weights: Floats) -> float:
        mean = float(weights @ returns)
        return mean / math.sqrt(float(weights @ (returns - mean) ** 2))

    even, step = np.full(400, 1.0 / 400), 1e-5
    influence = [(ratio((1 - step) * even + step * unit) - ratio(even)) / step for unit in np.eye(400)]
    z = (returns - returns.mean()) / returns.std()
    expected = float(np.mean(np.square(influence)))
    assert error_variance(ratio(even), float(np.mean(z**3)), float(np.mean(z**4))) == pytest.approx(expected, rel=1e-3)


def scale_factor(rho: float, q: int) -> float:
    """Lo 2002, for AR(1) returns in closed form."""
    return math.sqrt(q) / math.sqrt(1.0 + 2.0 * rho / (1.0 - rho) * (1.0 - (1.0 - rho**q) / (q * (1.0 - rho))))


@pytest.mark.parametrize("rho", [-0.9, -0.2, 0.0, 0.2, 0.5, 0.9])
@pytest.mark.parametrize("q", [2, 12, 252])
def test_aggregation_of_ar1_returns_against_its_closed_form(rho: float, q: int) -> None:
    correlations = rho ** np.arange(1.0, q)
    assert aggregation_factor(correlations, q) == pytest.approx(scale_factor(rho, q), rel=1e-9)


def test_aggregation_is_the_root_of_time_without_correlation_and_time_with_a_perfect_one() -> None:
    assert aggregation_factor(np.zeros(11), 12.0) == pytest.approx(math.sqrt(12.0))
    assert aggregation_factor(np.empty(0), 365.25) == pytest.approx(math.sqrt(365.25))
    assert aggregation_factor(np.ones(11), 12) == pytest.approx(1.0)
    assert aggregation_factor(np.array([-0.6]), 12) is None
    with pytest.raises(ValueError, match="fewer"):
        aggregation_factor(np.zeros(12), 12)


@settings(derandomize=True, deadline=None)
@given(st.lists(st.integers(-50, 50), max_size=40), st.integers(0, 12))
def test_autocovariances_equal_the_twin_and_plain_sums(values: list[int], lags: int) -> None:
    series = np.array(values, dtype=np.float64)
    exact = [sum(a * b for a, b in zip(values, values[k:], strict=False)) for k in range(lags + 1)]
    assert autocovariances(series, lags).tolist() == exact
    assert autocovariances_plain(series, lags).tolist() == exact


def test_the_number_of_lags_grows_slowly() -> None:
    assert [lag_rule(count) for count in (2, 100, 252, 1260, 1_000_000)] == [1, 4, 4, 7, 30]


def test_what_is_no_ratio_is_refused_and_what_fits_no_float_is_undefined() -> None:
    for ratio in (math.nan, math.inf, 1e200):
        with pytest.raises(ValueError, match="finite"):
            probabilistic_sharpe(ratio, 10)
    for count in (0, 1):
        with pytest.raises(ValueError, match="two returns"):
            standard_error(0.1, count)
    with pytest.raises(ValueError, match="one half"):
        track_record_length(0.1, confidence=0.3)
    assert track_record_length(1e-200) is None


@pytest.mark.parametrize(("count", "lags"), [(100, 4), (51_200, 16), (1_968_300, 36)])
def test_the_lag_rule_is_exact_where_its_power_is_whole(count: int, lags: int) -> None:
    """4 (T / 100)^(2/9) is a square for T = 100 (root / 2)^9."""
    assert (lag_rule(count), lag_rule(count - 1)) == (lags, lags - 1)


@pytest.mark.parametrize("place", range(4))
def test_a_moment_or_benchmark_that_is_no_number_is_refused_wherever_it_stands(place: int) -> None:
    ratio, skewness, kurtosis, benchmark = (math.nan if i == place else value for i, value in enumerate((0.1, 0, 3, 0)))
    with pytest.raises(ValueError, match="must be finite"):
        probabilistic_sharpe(ratio, 100, skewness, kurtosis, benchmark)
    with pytest.raises(ValueError, match="must be finite"):
        track_record_length(ratio, skewness, kurtosis, benchmark)


@pytest.mark.filterwarnings("error")
def test_narrow_floats_are_taken_as_they_are() -> None:
    half: Any = np.float32(0.5)
    assert standard_error(half, 100) == standard_error(0.5, 100)
    assert probabilistic_sharpe(0.75, 100, benchmark=half) == probabilistic_sharpe(0.75, 100, benchmark=0.5)

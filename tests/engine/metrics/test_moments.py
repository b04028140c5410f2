import math
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.metrics.moments import (
    moments,
    path_moments,
    path_powers,
    path_powers_plain,
    path_sum,
    path_sum_plain,
    power_sums,
    power_sums_plain,
)

RETURNS = st.lists(st.integers(-900, 900), min_size=2, max_size=30).filter(lambda v: min(v) < max(v))


@settings(derandomize=True, deadline=None)
@given(RETURNS)
def test_against_fractions(thousandths: list[int]) -> None:
    exact = [Fraction(v, 1000) for v in thousandths]
    count = len(exact)
    mean = sum(exact) / count
    central = [sum((r - mean) ** k for r in exact) / count for k in range(5)]
    of = moments(np.array([float(r) for r in exact]))

    def close(value: float) -> object:
        return pytest.approx(value, rel=1e-9, abs=1e-12)

    assert of.mean == close(float(mean))
    assert of.deviation == close(math.sqrt(central[2] * count / (count - 1)))
    assert of.skewness == close(float(central[3]) / float(central[2]) ** 1.5)
    assert of.kurtosis == close(float(central[4] / central[2] ** 2))
    for k, value in enumerate(of.gains, start=1):
        assert value == close(float(sum(max(r, Fraction()) ** k for r in exact) / count))
    for k, value in enumerate(of.losses, start=1):
        assert value == close(float(sum(min(r, Fraction()) ** k for r in exact) / count))
    assert (of.count, of.missing, of.unvarying) == (count, None, None)


@pytest.mark.parametrize("seed", range(5))
def test_the_kernel_equals_its_twin(seed: int) -> None:
    returns = np.random.default_rng(seed).standard_t(4, 1000) * 0.01
    assert power_sums(returns, 0.001, 70.0) == pytest.approx(power_sums_plain(returns, 0.001, 70.0), rel=1e-11)


@pytest.mark.parametrize("count", [2, 20, 1000])
@pytest.mark.parametrize("value", [0.0, 0.001, -0.001, 0.1, 1.0 / 3.0])
def test_a_constant_series_does_not_vary(value: float, count: int) -> None:
    of = moments(np.full(count, value), "bar returns")
    assert (of.missing, of.unvarying) == (None, "bar returns do not vary")
    assert (of.deviation, of.skewness, of.kurtosis) == (0.0, 0.0, 0.0)
    assert of.gains[0] + of.losses[0] == pytest.approx(value)


def test_too_few_and_too_large() -> None:
    for count in (0, 1):
        assert moments(np.zeros(count)).missing == "fewer than two daily returns"
    for large in ([1e300, -1e300, 0.0], [np.inf, 0.0], [np.inf, -np.inf]):
        assert moments(np.array(large)).missing == "daily returns are too large for a float"
    assert moments(np.array([np.nan, 0.0])).missing == "daily returns are not all numbers"


@pytest.mark.parametrize("kind", [list, pd.Series, np.float32])
def test_whatever_holds_numbers_is_taken(kind: Any) -> None:
    assert moments(kind([0.5, -0.25, 0.125])) == moments(np.array([0.5, -0.25, 0.125]))
    with pytest.raises(ValueError, match="one axis"):
        moments(np.ones((3, 1)))


@pytest.mark.parametrize("size", [3, 1024, 1025, 5000])
def test_a_path_has_the_moments_of_its_returns(size: int) -> None:
    equity = np.asarray(
        100.0 * np.cumprod(1.0 + np.random.default_rng(size).standard_t(5, size) * 0.01), dtype=np.float64
    )
    of, expected = path_moments(equity, "bar returns"), moments(equity[1:] / equity[:-1] - 1.0, "bar returns")
    for name in ("mean", "deviation", "skewness", "kurtosis"):
        assert getattr(of, name) == pytest.approx(getattr(expected, name), rel=1e-9, abs=1e-13)
    assert (of.count, of.missing, of.unvarying) == (expected.count, None, None)
    assert path_sum(equity) == pytest.approx(path_sum_plain(equity), rel=1e-9, abs=1e-13)
    assert path_powers(equity, 1e-3, 9.0) == pytest.approx(path_powers_plain(equity, 1e-3, 9.0), rel=1e-10)


def test_a_path_without_moments_says_why() -> None:
    assert path_moments(np.array([1.0, 2.0]), "bar returns").missing == "fewer than two bar returns"
    assert path_moments(np.full(50, 7.0), "bar returns").unvarying == "bar returns do not vary"
    growing = path_moments(np.asarray(1.01 ** np.arange(40.0), dtype=np.float64), "bar returns")
    assert (growing.unvarying, growing.deviation) == ("bar returns do not vary", 0.0)
    assert (
        path_moments(np.array([1e-300, 1e300, 1.0]), "bar returns").missing == "bar returns are too large for a float"
    )
    of = path_moments(np.array([1.0, 1e200, 1.0]), "bar returns")
    assert all(math.isfinite(value) for value in (of.mean, of.deviation, of.skewness, of.kurtosis))

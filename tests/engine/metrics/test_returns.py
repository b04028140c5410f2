import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from engine.metrics.ratios import sharpe, volatility
from engine.metrics.returns import (
    cagr,
    calmar,
    martin,
    simple_returns,
    sortino,
    total_return,
)
from engine.results import Metric
from engine.types import Floats

YEAR = 365.25 * 86_400


def floats(*values: float) -> Floats:
    return np.array(values, dtype=np.float64)


def value(metric: Metric) -> float:
    assert metric.value is not None, metric.reason
    assert metric.reason is None
    assert type(metric.value) is float
    return metric.value


@pytest.fixture
def returns() -> Floats:
    return np.random.default_rng(7).normal(0.0005, 0.01, 500)


def test_total_return_by_hand() -> None:
    assert value(total_return(floats(100.0, 90.0, 125.0))) == 0.25
    assert value(total_return(floats(100.0, -10.0))) == pytest.approx(-1.1)


def test_cagr_goes_by_the_clock_and_not_by_bars() -> None:
    assert value(cagr(floats(100.0, 110.0, 121.0), 2 * YEAR)) == pytest.approx(0.10, abs=1e-14)
    assert value(cagr(floats(100.0, 121.0), 2 * YEAR)) == pytest.approx(0.10, abs=1e-14)
    assert value(cagr(floats(100.0, 50.0), YEAR / 2)) == pytest.approx(-0.75)


def test_cagr_below_thirty_days_is_undefined() -> None:
    assert cagr(floats(100.0, 101.0), 30 * 86_400 - 1).value is None
    assert cagr(floats(100.0, 101.0), 30 * 86_400).value is not None


def test_cagr_that_does_not_fit_a_float_is_undefined() -> None:
    metric = cagr(floats(1.0, 1e60), 30 * 86_400)
    assert metric == Metric(None, "fraction per year", "the yearly rate is too large for a float")


def test_sharpe_and_volatility_by_hand() -> None:
    # mean 0.01, deviations 0.01, 0, -0.01: ddof 1 gives a standard deviation of 0.01.
    series = floats(0.02, 0.01, 0.0)
    assert value(sharpe(series, 252.0)) == pytest.approx(math.sqrt(252.0))
    assert value(volatility(series, 252.0)) == pytest.approx(0.01 * math.sqrt(252.0))


def test_sortino_divides_by_all_days_by_hand() -> None:
    # mean 0.01; sum of squared losses 0.0004 over FOUR days: downside 0.01.
    assert value(sortino(floats(0.03, 0.03, -0.02, 0.0), 1.0)) == pytest.approx(1.0)


def test_against_pandas(returns: Floats) -> None:
    series = pd.Series(returns)
    assert value(volatility(returns, 365.25)) == pytest.approx(series.std() * math.sqrt(365.25), rel=1e-12)
    daily = 1.04 ** (1 / 252.0) - 1
    expected = (series - daily).mean() / (series - daily).std() * math.sqrt(252.0)
    assert value(sharpe(returns, 252.0, risk_free=0.04)) == pytest.approx(expected, rel=1e-12)
    downside = math.sqrt((series.clip(upper=0.0) ** 2).sum() / len(series))
    expected = series.mean() / downside * math.sqrt(252.0)
    assert value(sortino(returns, 252.0)) == pytest.approx(expected, rel=1e-12)
    equity = np.concatenate(([100.0], 100.0 * (1.0 + series).cumprod().to_numpy()))
    np.testing.assert_allclose(simple_returns(equity), returns, atol=1e-15)


def test_sharpe_is_scale_free_and_grows_with_the_root_of_the_year(returns: Floats) -> None:
    base = value(sharpe(returns, 252.0))
    assert value(sharpe(returns * 3.0, 252.0)) == pytest.approx(base, rel=1e-12)
    assert value(sharpe(returns, 4 * 252.0)) == pytest.approx(2.0 * base, rel=1e-12)
    assert value(sharpe(-returns, 252.0)) == pytest.approx(-base, rel=1e-12)


def test_a_constant_series_has_no_sharpe_however_its_dust_falls() -> None:
    # 20 x 0.001 has a numpy standard deviation of 2e-19: the ratio over it would be 5e15.
    for series in (np.full(20, 0.001), simple_returns(100.0 * 1.001 ** np.arange(300.0))):
        assert sharpe(series, 252.0).reason == "daily returns do not vary"
        assert volatility(series, 252.0) == Metric(0.0, "fraction per year")
        assert sortino(series, 252.0).reason == "there is no losing day"


@pytest.mark.parametrize("metric", [sharpe, volatility, sortino])
@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_returns_are_too_few(metric: object, count: int) -> None:
    assert callable(metric)
    assert metric(np.full(count, -0.01), 252.0).reason == "fewer than two daily returns"


def test_calmar_by_hand_and_its_inherited_reasons() -> None:
    growth, fall = Metric(0.2, "fraction per year"), Metric(-0.1, "fraction")
    assert value(calmar(growth, fall)) == 2.0
    assert calmar(Metric(None, "fraction per year", "why"), fall) == Metric(None, "ratio", "why")
    assert calmar(growth, Metric(None, "fraction", "why")) == Metric(None, "ratio", "why")
    assert calmar(growth, Metric(0.0, "fraction")).reason == "there is no drawdown"


def test_martin_by_hand_and_its_inherited_reasons() -> None:
    growth, ulcer = Metric(0.2, "fraction per year"), Metric(0.05, "fraction")
    assert value(martin(growth, ulcer)) == pytest.approx(4.0)
    assert martin(Metric(None, "fraction per year", "why"), ulcer) == Metric(None, "ratio", "why")
    assert martin(growth, Metric(None, "fraction", "why")) == Metric(None, "ratio", "why")
    for dust in (0.0, 1e-16):
        assert martin(growth, Metric(dust, "fraction")).reason == "there is no drawdown"


def test_returns_from_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="at or below zero"):
        simple_returns(floats(100.0, 0.0, 5.0))
    assert simple_returns(floats(100.0, 0.0)).tolist() == [-1.0]


@pytest.mark.parametrize("equity", [(100.0, math.nan), (math.nan, 100.0), (100.0, math.inf), (100.0, math.nan, 90.0)])
def test_equity_that_is_not_finite_is_refused(equity: tuple[float, ...]) -> None:
    for of in (total_return, lambda e: cagr(e, YEAR)):
        with pytest.raises(ValueError, match="must"):
            of(floats(*equity))


@pytest.mark.parametrize("capital", [0.0, -100.0])
def test_growth_from_nothing_is_refused(capital: float) -> None:
    for of in (total_return, lambda e: cagr(e, YEAR)):
        with pytest.raises(ValueError, match="above zero"):
            of(floats(capital, 110.0))


def test_a_span_that_is_no_number_is_too_short() -> None:
    assert cagr(floats(100.0, 110.0), math.nan).reason == "the period is shorter than 30 days"


@pytest.mark.parametrize("kind", [list, pd.Series, np.int64])
def test_whatever_holds_numbers_is_taken(kind: Any) -> None:
    equity = kind([100, 50, 200])
    assert simple_returns(equity).tolist() == [-0.5, 3.0]
    assert value(total_return(equity)) == 1.0
    assert value(cagr(equity, YEAR)) == pytest.approx(1.0)
    falling = kind([-1, 1, 2])
    for ratio in (volatility, sharpe, sortino):
        assert ratio(falling, 252.0) == ratio(floats(-1.0, 1.0, 2.0), 252.0)
    with pytest.raises(ValueError, match="one axis"):
        simple_returns(np.ones((3, 1)))


@pytest.mark.parametrize("broken", [math.nan, math.inf])
@pytest.mark.parametrize("place", range(3))
def test_returns_of_equity_that_is_not_finite_are_refused(broken: float, place: int) -> None:
    equity = floats(100.0, 101.0, 102.0)
    equity[place] = broken
    with pytest.raises(ValueError, match="equity must be finite"):
        simple_returns(equity)


def test_what_is_left_of_a_fortune_may_be_too_little_for_a_float() -> None:
    nothing = cagr(np.array([1e15, 5e-324]), 40 * 86_400.0)
    assert (nothing.value, nothing.reason) == (None, "final equity is at or below zero")

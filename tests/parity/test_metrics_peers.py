"""The same returns give empyrical's numbers wherever it means the same, and where it does not, the difference is named.

Its names beside ours. It takes no calendar: years are counted in returns, so the growth rates are compared over a
span of that many.
"""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from engine.metrics import relative
from engine.metrics.distribution import (
    conditional_value_at_risk,
    excess_kurtosis,
    omega,
    skewness,
    tail_ratio,
    tails,
    value_at_risk,
)
from engine.metrics.drawdown import max_drawdown
from engine.metrics.moments import moments
from engine.metrics.periods import monthly_returns, rolling_sharpe, yearly_returns
from engine.metrics.ratios import sharpe, volatility
from engine.metrics.returns import SECONDS_PER_YEAR, cagr, calmar, sortino, total_return
from engine.results import Curve, Metric
from engine.types import Floats
from tests.parity.cases import peer

A = 252
PEER: Any = peer("empyrical")
SCIPY: Any = peer("scipy.stats")
SAMPLES = {"normal": 2520, "heavy tails": 1000, "two months": 41, "losing": 300}


@pytest.fixture(params=SAMPLES)
def returns(request: pytest.FixtureRequest) -> Floats:
    name, count = request.param, SAMPLES[request.param]
    generator = np.random.default_rng(count)
    if name == "heavy tails":
        return generator.standard_t(4, count) * 0.01
    return generator.normal(-0.003 if name == "losing" else 0.0007, 0.012, count)


@pytest.fixture
def benchmark(returns: Floats) -> Floats:
    return 0.4 * returns + np.random.default_rng(1).normal(0.0002, 0.008, len(returns))


def number(metric: Metric) -> float:
    assert metric.value is not None, metric.reason
    return metric.value


def equity(returns: Floats) -> Floats:
    return np.concatenate(([100.0], 100.0 * np.cumprod(1.0 + returns)))


def test_of_equity(returns: Floats) -> None:
    points = equity(returns)
    growth, fall = cagr(points, len(returns) / A * SECONDS_PER_YEAR), max_drawdown(points)
    assert number(total_return(points)) == pytest.approx(PEER.cum_returns_final(returns), rel=1e-10)
    assert number(growth) == pytest.approx(PEER.cagr(returns), rel=1e-10)
    assert number(fall) == pytest.approx(PEER.max_drawdown(returns), rel=1e-10)
    assert number(calmar(growth, fall)) == pytest.approx(PEER.calmar_ratio(returns), rel=1e-10)


def test_of_daily_returns(returns: Floats) -> None:
    of = moments(returns)
    ends = tails(returns)
    pairs = [
        (volatility(returns, A), PEER.annual_volatility(returns)),
        (sharpe(returns, A), PEER.sharpe_ratio(returns)),
        (sharpe(returns, A, 0.03), PEER.sharpe_ratio(returns, risk_free=1.03 ** (1 / A) - 1)),
        (sortino(returns, A), PEER.sortino_ratio(returns)),
        (omega(of), PEER.omega_ratio(returns)),
        (tail_ratio(ends), PEER.tail_ratio(returns)),
        (value_at_risk(ends), PEER.value_at_risk(returns)),
        (conditional_value_at_risk(ends), PEER.conditional_value_at_risk(returns)),
        (skewness(of), SCIPY.skew(returns)),
        (excess_kurtosis(of), SCIPY.kurtosis(returns)),
    ]
    for ours, theirs in pairs:
        assert number(ours) == pytest.approx(float(theirs), rel=1e-10)


def test_beside_a_benchmark(returns: Floats, benchmark: Floats) -> None:
    daily = 1.02 ** (1 / A) - 1
    pairs = [
        (number(relative.beta(returns, benchmark)), PEER.beta(returns, benchmark)),
        (
            number(relative.information_ratio(returns, benchmark, A)),
            math.sqrt(A) * PEER.excess_sharpe(returns, benchmark),
        ),
        (number(relative.tracking_error(returns, benchmark, A)), PEER.annual_volatility(returns - benchmark)),
        # It compounds the daily intercept over a year, where ours is a sum.
        (
            (1.0 + number(relative.alpha(returns, benchmark, A, 0.02)) / A) ** A - 1.0,
            PEER.alpha(returns, benchmark, daily),
        ),
    ]
    for ours, theirs in pairs:
        assert ours == pytest.approx(float(theirs), rel=1e-9)


def test_a_capture_ratio_is_of_years_there_and_of_days_here(returns: Floats, benchmark: Floats) -> None:
    """Only up days in a row make a year of thousands of per cent, so its ratio moves with A; a day's does not."""
    stamped = (pd.Series(r, pd.date_range("2020-01-01", periods=len(r))) for r in (returns, benchmark))
    mine, market = stamped
    for ours, theirs, chosen in (
        (relative.up_capture, PEER.up_capture, benchmark > 0.0),
        (relative.down_capture, PEER.down_capture, benchmark < 0.0),
    ):
        a_day = [math.expm1(float(np.log1p(r[chosen]).mean())) for r in (returns, benchmark)]
        a_year = [(1.0 + mean) ** A - 1.0 for mean in a_day]
        assert number(ours(returns, benchmark)) == pytest.approx(a_day[0] / a_day[1], rel=1e-9)
        assert theirs(mine, market) == pytest.approx(a_year[0] / a_year[1], rel=1e-6)


def test_months_years_and_moving_windows() -> None:
    values = np.random.default_rng(2).normal(0.0005, 0.01, 1000)
    index = pd.date_range("2019-03-05", periods=1000)
    series = pd.Series(values, index)
    curve = Curve(day_close=index.as_unit("ns").asi8, equity=equity(values), annual=A)
    moved = Curve(day_close=curve.day_close + 1, equity=curve.equity, annual=A)  # closes just after midnight
    months, years = PEER.aggregate_returns(series, "monthly"), PEER.aggregate_returns(series, "yearly")
    assert [row.value for row in monthly_returns(moved)] == pytest.approx(months.tolist(), rel=1e-9)
    assert [(row.year, row.month) for row in monthly_returns(moved)] == list(months.index)
    assert [row.value for row in yearly_returns(moved)] == pytest.approx(years.tolist(), rel=1e-9)
    rolled, defined = rolling_sharpe(values, 60, A)
    assert defined.all()
    np.testing.assert_allclose(rolled, PEER.roll_sharpe_ratio(values, 60), rtol=1e-9)


def test_where_it_gives_a_number_or_nothing_without_a_reason() -> None:
    only_up = np.array([0.01, 0.02, 0.03])
    assert np.isinf(PEER.sortino_ratio(only_up))
    assert sortino(only_up, A).reason == "there is no losing day"
    assert PEER.tail_ratio(only_up) > 0.0
    assert tail_ratio(only_up).reason == "the 5% quantile is no loss"
    assert np.isnan(PEER.omega_ratio(only_up))
    assert omega(moments(only_up)).reason == "there is no losing day"

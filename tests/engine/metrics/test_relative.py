import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.metrics.ratios import sharpe, volatility
from engine.metrics.relative import (
    alpha,
    beta,
    correlation,
    down_capture,
    information_ratio,
    tracking_error,
    up_capture,
)
from engine.results import Metric
from engine.types import Floats

A = 252.0
Pair = Callable[[npt.ArrayLike, npt.ArrayLike], Metric]
PAIRS: dict[str, Pair] = {
    "alpha": lambda r, b: alpha(r, b, A),
    "beta": beta,
    "correlation": correlation,
    "tracking error": lambda r, b: tracking_error(r, b, A),
    "information ratio": lambda r, b: information_ratio(r, b, A),
    "up capture": up_capture,
    "down capture": down_capture,
}


def number(metric: Metric) -> float:
    assert metric.value is not None, metric.reason
    return metric.value


@pytest.fixture
def market() -> Floats:
    return np.random.default_rng(1).normal(0.0004, 0.01, 750)


@pytest.fixture
def strategy(market: Floats) -> Floats:
    return 0.0002 + 0.7 * market + np.random.default_rng(2).normal(0.0, 0.004, 750)


def test_the_benchmark_beside_itself(market: Floats) -> None:
    found = {name: pair(market, market) for name, pair in PAIRS.items()}
    assert found.pop("information ratio").reason == "active returns do not vary"
    expected = {"alpha": 0.0, "beta": 1.0, "correlation": 1.0, "tracking error": 0.0}
    for name, metric in found.items():
        assert number(metric) == pytest.approx(expected.get(name, 1.0), abs=1e-12), name


def test_twice_the_benchmark_and_a_bit_more(market: Floats) -> None:
    line = 0.0001 + 2.0 * market
    assert number(beta(line, market)) == pytest.approx(2.0)
    assert number(alpha(line, market, A)) == pytest.approx(0.0001 * A)
    assert number(correlation(line, market)) == pytest.approx(1.0)
    assert number(correlation(-line, market)) == pytest.approx(-1.0)
    # Against a riskless rate f the line is a + 2 b = (a + f) + 2 (b - f) + f, so alpha is a + f by the day.
    daily = 1.03 ** (1.0 / A) - 1.0
    assert number(alpha(line, market, A, risk_free=0.03)) == pytest.approx((0.0001 + daily) * A)


def test_the_line_and_its_errors_against_the_normal_equations(strategy: Floats, market: Floats) -> None:
    design = np.column_stack((np.ones(750), market))
    coefficients, squares, _, _ = np.linalg.lstsq(design, strategy, rcond=None)
    errors = np.sqrt(np.diag(np.linalg.inv(design.T @ design)) * squares[0] / 748)
    for metric, k, unit in ((alpha(strategy, market, A), 0, A), (beta(strategy, market), 1, 1.0)):
        assert number(metric) == pytest.approx(coefficients[k] * unit, rel=1e-9)
        assert metric.interval is not None
        half = 1.959963984540054 * errors[k] * unit
        assert metric.interval.high - number(metric) == pytest.approx(half, rel=1e-9)
        assert number(metric) - metric.interval.low == pytest.approx(half, rel=1e-9)


def test_active_returns_are_judged_like_any_other(strategy: Floats, market: Floats) -> None:
    assert information_ratio(strategy, market, A) == sharpe(strategy - market, A)
    assert tracking_error(strategy, market, A) == volatility(strategy - market, A)
    assert number(correlation(strategy, market)) == pytest.approx(np.corrcoef(strategy, market)[0, 1], rel=1e-12)


def test_the_interval_of_a_correlation_by_fishers_z() -> None:
    # r = 0.6 of 28 days: atanh(0.6) = ln 2, error 1 / 5.
    base = np.array([1.0, -1.0] * 14)
    other = np.array([1.0, 1.0, -1.0, -1.0] * 7)
    metric = correlation(0.6 * base + 0.8 * other, base)
    assert number(metric) == pytest.approx(0.6)
    assert metric.interval is not None
    low, high = (math.tanh(math.log(2.0) + sign * 1.959963984540054 / 5.0) for sign in (-1.0, 1.0))
    assert [metric.interval.low, metric.interval.high] == pytest.approx([low, high])


def test_captures_by_hand() -> None:
    benchmark = np.array([0.10, 0.0, -0.10, 0.21, -0.19])
    returns = np.array([0.21, 0.5, -0.19, 0.10, 0.0])
    up = (math.sqrt(1.21 * 1.10) - 1.0) / (math.sqrt(1.10 * 1.21) - 1.0)
    assert number(up_capture(returns, benchmark)) == pytest.approx(up) == pytest.approx(1.0)
    down = (math.sqrt(0.81) - 1.0) / (math.sqrt(0.9 * 0.81) - 1.0)
    assert number(down_capture(returns, benchmark)) == pytest.approx(down)


@settings(derandomize=True, deadline=None)
@given(st.integers(0, 2**32), st.floats(0.05, 5.0), st.floats(-0.5, 0.5))
def test_scale_of_the_strategy_and_order_of_days(seed: int, factor: float, share: float) -> None:
    generator = np.random.default_rng(seed)
    market = generator.normal(0.0, 0.01, 60)
    strategy = share * market + generator.normal(0.0, 0.01, 60)
    order = generator.permutation(60)
    for name, pair in PAIRS.items():
        moved = number(pair(strategy[order], market[order]))
        assert moved == pytest.approx(number(pair(strategy, market)), rel=1e-8, abs=1e-10), name
    for name, power in (("alpha", 1), ("beta", 1), ("correlation", 0)):
        scaled = number(PAIRS[name](factor * strategy, market))
        assert scaled == pytest.approx(factor**power * number(PAIRS[name](strategy, market)), rel=1e-8, abs=1e-10)


FEW, FLAT = "fewer than two daily returns", "benchmark returns do not vary"
UNDEFINED: dict[str, tuple[list[float], list[float], dict[str, str]]] = {
    "no day": (
        [],
        [],
        {
            **dict.fromkeys(("alpha", "beta", "correlation"), FEW),
            **dict.fromkeys(("tracking error", "information ratio"), "fewer than two active returns"),
            "up capture": "the benchmark never rose",
            "down capture": "the benchmark never fell",
        },
    ),
    "a flat benchmark": (
        [0.01, -0.01, 0.02],
        [0.0] * 3,
        {
            **dict.fromkeys(("alpha", "beta", "correlation"), FLAT),
            "up capture": "the benchmark never rose",
            "down capture": "the benchmark never fell",
        },
    ),
    "a flat strategy": ([0.001] * 3, [0.01, -0.01, 0.02], {"correlation": "daily returns do not vary"}),
    "a total loss": (
        [-1.0, 0.0, -1.0],
        [0.01, 0.02, -0.01],
        dict.fromkeys(("up capture", "down capture"), "a day lost everything"),
    ),
    "beyond floats": (
        [1e200, -1e200, 0.5],
        [-0.5, 0.5, 0.1],
        {
            **dict.fromkeys(("alpha", "beta", "correlation"), "daily returns are too large for a float"),
            **dict.fromkeys(("tracking error", "information ratio"), "active returns are too large for a float"),
            "up capture": "a day lost everything",
        },
    ),
}


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("case", UNDEFINED)
def test_undefined_is_null_with_a_reason(case: str, name: str) -> None:
    returns, benchmark, reasons = UNDEFINED[case]
    metric = PAIRS[name](np.array(returns), np.array(benchmark))
    assert metric.reason == reasons.get(name)
    assert (metric.value is None) == (name in reasons)
    if metric.value is not None:
        assert math.isfinite(metric.value)


@pytest.mark.parametrize("name", PAIRS)
def test_what_does_not_fit_together_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="one length"):
        PAIRS[name](np.zeros(3), np.zeros(2))
    for broken in (np.nan, np.inf):
        with pytest.raises(ValueError, match="finite"):
            PAIRS[name](np.array([0.0, broken]), np.zeros(2))
        with pytest.raises(ValueError, match="finite"):
            PAIRS[name](np.zeros(2), np.array([0.0, broken]))


def test_two_days_are_a_line_without_an_error() -> None:
    returns, benchmark = np.array([0.01, 0.03]), np.array([0.0, 0.01])
    assert number(beta(returns, benchmark)) == pytest.approx(2.0)
    assert number(alpha(returns, benchmark, A)) == pytest.approx(0.01 * A)
    for name in ("alpha", "beta", "correlation"):
        assert PAIRS[name](returns, benchmark).interval is None


def test_the_interval_of_a_capture_is_that_of_weighing_each_day_a_little_more(strategy: Floats, market: Floats) -> None:
    up = market > 0.0
    ours, theirs, count, step = strategy[up], market[up], int(np.count_nonzero(up)), 1e-6

    def capture(weights: Floats) -> float:
        return math.expm1(float(weights @ np.log1p(ours))) / math.expm1(float(weights @ np.log1p(theirs)))

    even = np.full(count, 1.0 / count)
    moved = [(capture((1.0 - step) * even + step * unit) - capture(even)) / step for unit in np.eye(count)]
    error = math.sqrt(float(np.sum(np.square(moved))) / (count - 1) / count)
    found = up_capture(strategy, market).interval
    assert found is not None
    assert (found.high - found.low) / 2.0 == pytest.approx(1.959963984540054 * error, rel=1e-4)
    one = up_capture(np.array([0.02, 0.01]), np.array([0.01, -0.01]))
    assert one.value == pytest.approx(2.0)
    assert one.interval is None
    assert up_capture(np.array([0.02, 0.02]), np.array([0.01, 0.01])).interval is None


def test_intervals_of_captures_hold_the_truth_about_as_often_as_they_say() -> None:
    """The truth is that of a million days; 500 samples of 250 days."""
    generator = np.random.default_rng(5)

    def days(count: int) -> tuple[Floats, Floats]:
        market = generator.normal(0.0004, 0.01, count)
        return 0.0002 + 0.7 * market + generator.normal(0.0, 0.004, count), market

    for capture in (up_capture, down_capture):
        truth = number(capture(*days(1_000_000)))
        found = [capture(*days(250)).interval for _ in range(500)]
        assert 0.92 <= np.mean([i is not None and i.low <= truth <= i.high for i in found]) <= 0.98


@pytest.mark.parametrize("name", PAIRS)
def test_lists_are_taken_for_arrays(name: str, strategy: Floats, market: Floats) -> None:
    assert PAIRS[name](strategy.tolist(), market.tolist()) == PAIRS[name](strategy, market)
    with pytest.raises(ValueError, match="one axis"):
        PAIRS[name](strategy.reshape(-1, 1), market)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("scale", [1e160, 1e-160])
def test_captures_of_any_size_do_not_warn(scale: float, strategy: Floats, market: Floats) -> None:
    returns = np.abs(strategy) * max(scale, 1.0)
    for found in (up_capture(returns, market * min(scale, 1.0)), down_capture(returns, market * min(scale, 1.0))):
        assert found.value is not None
        assert found.interval is None or math.isfinite(found.interval.low)


@pytest.mark.parametrize("name", PAIRS)
def test_series_of_other_days_are_refused(name: str, strategy: Floats, market: Floats) -> None:
    days = pd.date_range("2020-01-01", periods=len(market))
    returns, benchmark = pd.Series(strategy, days), pd.Series(market, days)
    assert PAIRS[name](returns, benchmark) == PAIRS[name](returns, market) == PAIRS[name](strategy, market)
    for other in (benchmark[::-1], benchmark.shift(freq="D")):
        with pytest.raises(ValueError, match="align them"):
            PAIRS[name](returns, other)

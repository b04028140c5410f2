import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.metrics.distribution import omega
from engine.metrics.inference import lag_rule
from engine.metrics.moments import Moments, moments
from engine.metrics.ratios import (
    min_track_record_length,
    per_return,
    psr,
    sharpe,
    sharpe_lo,
    sharpe_standard_error,
    volatility,
)
from engine.metrics.returns import sortino
from engine.results import Metric
from engine.types import Floats

A = 252.0
SERIES = st.lists(st.integers(-90, 90), min_size=3, max_size=40).filter(lambda v: min(v) < 0 < max(v))


def series(thousandths: list[int]) -> Floats:
    return np.array(thousandths) / 1000.0


def number(metric: Metric) -> float:
    assert metric.value is not None, metric.reason
    return metric.value


def ends(metric: Metric) -> tuple[float, float]:
    assert metric.interval is not None
    return metric.interval.low, metric.interval.high


OF_MOMENTS: dict[str, Callable[[Moments], Metric]] = {
    "volatility": lambda of: volatility(of, A),
    "sharpe": lambda of: sharpe(of, A),
    "standard error": lambda of: sharpe_standard_error(of, A),
    "psr": lambda of: psr(of, A),
    "track record": lambda of: min_track_record_length(of, A),
    "omega": omega,
}


@settings(derandomize=True, deadline=None)
@given(SERIES, st.floats(0.01, 10.0), st.integers(0, 2**32))
def test_ratios_know_neither_scale_nor_order(values: list[int], factor: float, seed: int) -> None:
    first = series(values)
    mixed = np.random.default_rng(seed).permutation(first)
    for name, metric in OF_MOMENTS.items():
        base, scaled, moved = (metric(moments(r)) for r in (first, first * factor, mixed))
        if name == "track record" and (base.value is None or base.value > 1e6):
            continue  # a mean of nothing but rounding may lie on either side of 0
        size = factor if name == "volatility" else 1.0
        assert number(scaled) == pytest.approx(size * number(base), rel=1e-6, abs=1e-9), name
        assert number(moved) == pytest.approx(number(base), rel=1e-6, abs=1e-9), name


@settings(derandomize=True, deadline=None)
@given(SERIES)
def test_better_days_are_a_better_ratio(values: list[int]) -> None:
    """A sure gain every day lifts all that reward means and leaves what measures spread."""
    worse, better = moments(series(values)), moments(series(values) + 0.001)
    for name in ("sharpe", "omega"):
        assert OF_MOMENTS[name](worse).value is not None
        if OF_MOMENTS[name](better).value is not None:
            assert number(OF_MOMENTS[name](better)) > number(OF_MOMENTS[name](worse))
    assert number(volatility(better, A)) == pytest.approx(number(volatility(worse, A)), rel=1e-9)


def test_the_risk_free_rate_is_taken_off_by_the_day() -> None:
    returns = np.random.default_rng(1).normal(0.001, 0.01, 300)
    daily = 1.05 ** (1.0 / A) - 1.0
    of = moments(returns)
    assert number(sharpe(of, A, 0.05)) == pytest.approx(number(sharpe(returns - daily, A)), rel=1e-9)
    assert number(sharpe_lo(returns, A, 0.05, of)) == pytest.approx(number(sharpe_lo(returns - daily, A)), rel=1e-9)
    assert per_return(0.0, A) == 0.0
    with pytest.raises(ValueError, match="above -1"):
        per_return(-1.0, A)


def test_the_probability_and_the_track_record_are_those_of_the_interval() -> None:
    """At the lower end of a two-sided interval of 90 % lies the ratio that is exceeded with 95 %."""
    of = moments(np.random.default_rng(2).normal(0.001, 0.01, 1000))
    value, error = number(sharpe(of, A)), number(sharpe_standard_error(of, A))
    expected = [value + sign * 1.959963984540054 * error for sign in (-1.0, 1.0)]
    assert list(ends(sharpe(of, A))) == pytest.approx(expected)
    assert number(psr(of, A, value - 1.6448536269514722 * error)) == pytest.approx(0.95, abs=1e-3)
    assert number(min_track_record_length(of, A, value - 1.6448536269514722 * error)) * A == pytest.approx(1001.0)
    assert min_track_record_length(of, A, value).reason == "the Sharpe ratio is not above the benchmark"


def test_lo_against_a_restatement_with_pandas_like_autocorrelations() -> None:
    draws = np.random.default_rng(3).normal(0.0, 0.01, 801)
    returns = 0.0005 + draws[1:] + 0.3 * draws[:-1]
    middle = sum(returns.tolist()) / 800
    moved = [r - middle for r in returns.tolist()]
    square = sum(d * d for d in moved)
    assert lag_rule(800) == 6
    rho = [sum(a * b for a, b in zip(moved, moved[k:], strict=False)) / square for k in range(1, 7)]
    eta = A / math.sqrt(A + 2.0 * sum((A - k) * rho[k - 1] for k in range(1, 7)))
    of = moments(returns)
    expected = middle / math.sqrt(square / 799) * eta
    assert number(sharpe_lo(returns, A)) == pytest.approx(expected, rel=1e-9)
    assert number(sharpe_lo(returns, A)) < 0.9 * number(sharpe(of, A))


def test_lo_of_a_year_of_one_return_is_the_ratio_itself() -> None:
    returns = np.random.default_rng(4).normal(0.05, 0.1, 30)
    assert number(sharpe_lo(returns, 1.0)) == pytest.approx(number(sharpe(returns, 1.0)))


def influence_error(returns: Floats, statistic: Callable[[Floats], float]) -> float:
    """Standard error by what a little more weight on each return does to a statistic of weights."""
    count, step = len(returns), 1e-6
    even = np.full(count, 1.0 / count)
    moved = [(statistic((1.0 - step) * even + step * unit) - statistic(even)) / step for unit in np.eye(count)]
    return math.sqrt(float(np.mean(np.square(moved))) / count)


def test_intervals_by_the_delta_method_are_those_of_the_influence_of_each_return() -> None:
    returns = np.random.default_rng(6).standard_t(6, 300) * 0.01 + 0.001
    losses, gains = np.minimum(returns, 0.0), np.maximum(returns, 0.0)
    error = influence_error(returns, lambda w: float(w @ returns) / math.sqrt(float(w @ losses**2)))
    low, high = ends(sortino(returns, A))
    assert (high - low) / 2.0 == pytest.approx(1.959963984540054 * error * math.sqrt(A), rel=1e-4)
    error = influence_error(returns, lambda w: math.log(float(w @ gains) / -float(w @ losses)))
    low, high = ends(omega(moments(returns)))
    assert math.log(high / low) / 2.0 == pytest.approx(1.959963984540054 * error, rel=1e-4)


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    """1000 samples of 252 normal returns: 95 % of the intervals, give or take three standard errors and the bias."""
    mean, spread, samples = 0.05, 1.0, 1000
    generator = np.random.default_rng(7)
    # Partial moments of a normal distribution at 0 in closed form.
    density, below = math.exp(-0.5 * mean**2) / math.sqrt(2 * math.pi), 0.5 * math.erfc(mean / math.sqrt(2))
    square = (mean**2 + spread**2) * below - mean * density
    loss = density - mean * below
    truth = {"sharpe": mean, "sortino": mean / math.sqrt(square), "omega": (mean + loss) / loss}
    held = dict.fromkeys(truth, 0)
    for _ in range(samples):
        returns = generator.normal(mean, spread, 252)
        of = moments(returns)
        for name, metric in (("sharpe", sharpe(of, 1.0)), ("sortino", sortino(returns, 1.0)), ("omega", omega(of))):
            low, high = ends(metric)
            held[name] += low <= truth[name] <= high
    assert all(0.92 <= count / samples <= 0.97 for count in held.values()), held


def test_the_interval_of_lo_is_that_of_a_double_sum() -> None:
    """Newey & West by its definition: all pairs of influences, weighed by how far they are apart."""
    generator = np.random.default_rng(8)
    returns = 0.001 + 0.01 * autoregressive(generator.normal(size=250), 0.4)
    metric, lags = sharpe_lo(returns, A), lag_rule(250)
    scores = (returns - returns.mean()) / returns.std(ddof=1)
    ratio = float(returns.mean() / returns.std(ddof=1))
    influence = scores - ratio / 2.0 * (scores**2 - 1.0)
    influence -= influence.mean()
    apart = np.abs(np.subtract.outer(np.arange(250), np.arange(250)))
    weights = np.maximum(0.0, 1.0 - apart / (lags + 1))
    error = math.sqrt(float(influence @ weights @ influence)) / 250
    low, high = ends(metric)
    assert (high - low) / 2.0 == pytest.approx(1.959963984540054 * error * number(metric) / ratio, rel=1e-9)


def autoregressive(shocks: Floats, rho: float) -> Floats:
    """A series (T,) whose neighbours correlate by ``rho``, of variance 1."""
    made = np.empty(len(shocks))
    made[0] = shocks[0]
    for t in range(1, len(shocks)):
        made[t] = rho * made[t - 1] + math.sqrt(1.0 - rho * rho) * shocks[t]
    return made


def test_the_interval_of_lo_holds_where_returns_correlate() -> None:
    """1000 samples of 500 days with rho = 0.2: Mertens holds the truth of a day in 88 %, this one in more than 91 %."""
    mean, rho, samples = 0.05, 0.2, 1000
    generator = np.random.default_rng(9)
    # A year's ratio of such days in closed form: the sum's variance is q + 2 sum (q - k) rho^k.
    year = sum((A - k) * rho**k for k in range(1, int(A)))
    truth = mean * A / math.sqrt(A + 2.0 * year)
    held = 0
    for _ in range(samples):
        returns = mean + autoregressive(generator.normal(size=500), rho)
        low, high = ends(sharpe_lo(returns, A))
        held += low <= truth <= high
    assert 0.91 <= held / samples <= 0.97, held


def test_two_values_that_leave_no_error_have_no_interval() -> None:
    """A win in 1 of 5 has g3 = 1.5 and g4 = 3.25: at a ratio of 2 / g3 the variance of Mertens is zero."""
    loss = 4.0 / 3.0 * math.sqrt(1.25) * 0.4 - 0.2
    returns = np.array([loss] * 4 + [loss + 1.0])
    found = {name: metric(moments(returns)) for name, metric in OF_MOMENTS.items()}
    assert sharpe(returns, A).interval is sharpe_lo(returns, A).interval is None
    for name in ("standard error", "psr", "track record"):
        assert found[name].reason == "the standard error of the Sharpe ratio is zero"


@pytest.mark.parametrize("annual", [0.0, -1.0, math.nan, math.inf])
@pytest.mark.parametrize(
    "metric", [volatility, sharpe, sharpe_standard_error, sharpe_lo, psr, min_track_record_length, sortino]
)
def test_a_year_without_returns_is_refused(metric: Callable[[Floats, float], Metric], annual: float) -> None:
    with pytest.raises(ValueError, match="annual must be above 0"):
        metric(np.array([0.01, -0.02, 0.03]), annual)


@pytest.mark.parametrize("benchmark", [math.nan, math.inf])
def test_a_benchmark_that_is_no_number_is_refused(benchmark: float) -> None:
    for metric in (psr, min_track_record_length):
        with pytest.raises(ValueError, match="must be finite"):
            metric(np.array([0.01, -0.02, 0.03]), A, benchmark)
    with pytest.raises(ValueError, match="yearly rate"):
        sharpe(np.array([0.01, -0.02, 0.03]), A, benchmark)

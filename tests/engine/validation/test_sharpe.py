"""Published examples are per month or day as printed; the papers are named beside them."""

import math
from itertools import product
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from engine.results import Metric
from engine.types import Floats
from engine.validation.sharpe import (
    Moments,
    autocorrelated_shape,
    deflated_sharpe,
    expected_maximum_sharpe,
    haircut_sharpe,
    lo_error,
    lo_scaled_sharpe,
    mertens_error,
    min_track_record_length,
    minimum_backtest_length,
    moments,
    psr,
    psr_null_variance,
)

FUND = (-2.448, 10.164)
"""Skewness and kurtosis of the fund that the papers take as example."""

SHAPES = st.tuples(st.floats(-3, 3), st.floats(0.1, 20)).map(lambda s: (s[0], s[0] ** 2 + 1 + s[1]))


def value(metric: Metric) -> float:
    assert metric.reason is None
    assert type(metric.value) is float
    return metric.value


def test_psr_of_bailey_and_lopez_de_prado_2012() -> None:
    sharpe = 1.585 / math.sqrt(12)
    assert value(psr(Moments(24, sharpe))) == pytest.approx(0.982, abs=5e-4)
    assert value(psr(Moments(24, sharpe, *FUND))) == pytest.approx(0.913, abs=5e-4)


def test_minimum_track_record_of_bailey_and_lopez_de_prado_2012() -> None:
    for periods, years in ((250, 2.73), (52, 2.83)):
        root = math.sqrt(periods)
        found = value(min_track_record_length(Moments(periods, 2 / root), 1 / root))
        assert found / periods == pytest.approx(years, abs=6e-3)
    root = math.sqrt(12)
    found = value(min_track_record_length(Moments(24, 2 / root, -0.72, 5.78), 1 / root))
    assert found == pytest.approx(59.895, abs=2e-3)


def test_revised_psr_of_lopez_de_prado_lipton_and_zoonekynd_2025() -> None:
    fund = Moments(24, 0.036 / 0.079, *FUND)
    assert value(psr_null_variance(fund)) == pytest.approx(0.987, abs=5e-4)
    assert value(psr_null_variance(fund, rho=0.2)) == pytest.approx(0.966, abs=5e-4)
    assert value(psr_null_variance(Moments(24, 1.585 / math.sqrt(12), *FUND))) == pytest.approx(0.9875, abs=5e-5)
    assert value(mertens_error(fund)) == pytest.approx(0.329, abs=5e-4)
    assert value(lo_error(fund)) == pytest.approx(0.214, abs=5e-4)


@pytest.mark.parametrize("rho", [0.0, 0.3, -0.3])
def test_variance_of_a_sharpe_ratio_of_autocorrelated_skewed_returns(rho: float) -> None:
    # AR(1) of exponential innovations: skewness and kurtosis of the sum are known from its cumulants.
    rng = np.random.default_rng(7)
    runs, length, mean = 4000, 800, 0.4
    x = np.zeros(runs)
    values = np.empty((length, runs))
    for t in range(-200, length):
        x = rho * x + rng.exponential(size=runs) - 1.0
        if t >= 0:
            values[t] = x
    deviation = math.sqrt(1 / (1 - rho**2))
    skewness = 2 / (1 - rho**3) / deviation**3
    kurtosis = 3 + 6 / (1 - rho**4) / deviation**4
    returns = values / deviation + mean
    ratios = returns.mean(axis=0) / returns.std(axis=0, ddof=1)
    assert length * ratios.var() == pytest.approx(autocorrelated_shape(mean, skewness, kurtosis, rho), rel=0.08)


def test_expected_maximum_and_deflated_sharpe_of_bailey_and_lopez_de_prado_2014() -> None:
    assert expected_maximum_sharpe(100, 1.0) == pytest.approx(2.5306, abs=5e-5)
    daily = 2.5 / math.sqrt(250)
    odd, normal = Moments(1250, daily, -3.0, 10.0), Moments(1250, daily)
    for of, trials, printed in ((odd, 100, 0.9004), (odd, 46, 0.9505), (normal, 88, 0.9505)):
        found = deflated_sharpe(of, trials, 0.5 / 250)
        assert found.value == pytest.approx(printed, abs=5e-5)
    assert deflated_sharpe(odd, 100, 0.5 / 250).benchmark == pytest.approx(0.1132, abs=5e-5)


def test_one_trial_is_not_deflated() -> None:
    of = Moments(250, 0.1, -0.5, 4.0)
    assert deflated_sharpe(of, 1, 0.01).value == pytest.approx(value(psr(of)), abs=1e-14)
    assert expected_maximum_sharpe(1, 1e6) == 0.0


def test_expected_maximum_is_exact_for_few_trials() -> None:
    root = math.sqrt(math.pi)
    closed = {1: 0.0, 2: 1 / root, 3: 1.5 / root, 4: 3 / root * (0.5 + math.asin(1 / 3) / math.pi)}
    for trials, expected in closed.items():
        assert expected_maximum_sharpe(trials, 4.0) == pytest.approx(2 * expected, abs=1e-13)
    # Five: Jones 1948, by way of arcsines; eight: tables of normal order statistics (Harter 1961).
    assert expected_maximum_sharpe(5, 1.0) == pytest.approx(5 / (4 * root) + 15 / (2 * math.pi**1.5) * math.asin(1 / 3))
    assert expected_maximum_sharpe(8, 1.0) == pytest.approx(1.42360, abs=5e-6)


def test_a_search_over_45_trials_needs_five_years() -> None:
    assert minimum_backtest_length(45) == pytest.approx(5.0, abs=0.03)
    assert minimum_backtest_length(45, 2.0) == pytest.approx(minimum_backtest_length(45) / 4)
    assert minimum_backtest_length(1) == pytest.approx(0.0, abs=1e-20)


def test_haircut_of_harvey_and_liu_2015() -> None:
    # Twenty years of monthly returns, annual ratio 0.75, 200 independent tests: t 3.35, p 0.0008, adjusted 0.15, 0.32.
    found = haircut_sharpe(Moments(240, 0.75 / math.sqrt(12)), 200)
    assert found.sidak is not None
    assert found.bonferroni is not None
    assert found.p_value == pytest.approx(0.0008, abs=5e-5)
    assert found.sidak.p_value == pytest.approx(0.15, abs=5e-3)
    assert found.sidak.sharpe * math.sqrt(12) == pytest.approx(0.32, abs=5e-3)
    assert found.sidak.fraction == pytest.approx(0.57, abs=5e-3)
    assert found.bonferroni.sharpe < found.sidak.sharpe
    assert (found.holm, found.bhy) == (None, None)


def test_haircut_with_the_p_values_of_the_others() -> None:
    of = Moments(100, 0.25)  # t = 2.5
    own = 2 * (1 - NormalDist().cdf(2.5))
    found = haircut_sharpe(of, 4, [0.001, 0.2, 0.5])
    assert found.holm is not None
    assert found.bhy is not None
    assert found.holm.p_value == pytest.approx(3 * own)
    assert found.bhy.p_value == pytest.approx(own * 4 / 2 * (1 + 1 / 2 + 1 / 3 + 1 / 4))
    alone = haircut_sharpe(of, 1, [])
    for cut in (alone.bonferroni, alone.sidak, alone.holm, alone.bhy):
        assert cut is not None
        assert cut.sharpe == pytest.approx(0.25)
        assert cut.fraction == pytest.approx(0.0, abs=1e-12)
    lost = haircut_sharpe(Moments(100, 0.05), 1000).bonferroni
    assert lost is not None
    assert (lost.p_value, lost.sharpe, lost.fraction) == (1.0, 0.0, 1.0)
    assert haircut_sharpe(Moments(100, -0.1), 5).reason == "the Sharpe ratio is not above zero"
    assert haircut_sharpe(Moments(10_000, 9.0), 5).reason == "the p-value is below the smallest number"


def test_moments_by_hand() -> None:
    # Deviations -1, -1, -1, 3 from the mean 2: variance 3, third moment 6, fourth 21.
    found = moments([1.0, 1.0, 1.0, 5.0])
    sharpe, skewness, kurtosis = found.known()
    assert (found.periods, found.reason) == (4, None)
    assert sharpe == pytest.approx(2 / 2)
    assert skewness == pytest.approx(6 / 3**1.5)
    assert kurtosis == pytest.approx(21 / 9)


def test_lo_scaling_by_brute_force() -> None:
    # With all T autocovariances of a circular series, the variance of q-sums over all T starts is exact.
    rng = np.random.default_rng(3)
    returns, q = rng.normal(0.1, 1.0, 400), 12
    padded = np.concatenate((returns - returns.mean(), np.zeros(q)))
    sums = np.array([np.roll(padded, k)[:, None] for k in range(q)]).sum(axis=0)[:, 0]
    variance = float(sums @ sums) / float(padded @ padded)
    expected = returns.mean() / returns.std(ddof=1) * q / math.sqrt(variance)
    assert value(lo_scaled_sharpe(returns, q)) == pytest.approx(expected, rel=1e-12)
    assert value(lo_scaled_sharpe(returns, 1)) == pytest.approx(value(Metric(moments(returns).sharpe, "ratio")))


def test_lo_scaling_of_autocorrelated_returns_approaches_its_closed_form() -> None:
    # Lo 2002, equation 20: the scale of an AR(1) process.
    rng = np.random.default_rng(5)
    rho, q, length = 0.3, 12, 200_000
    shocks = rng.normal(size=length)
    x = np.zeros(length)
    for t in range(1, length):
        x[t] = rho * x[t - 1] + shocks[t]
    returns = x + 0.1
    scale = math.sqrt(q) / math.sqrt(1 + 2 * rho / (1 - rho) * (1 - (1 - rho**q) / (q * (1 - rho))))
    expected = scale * float(returns.mean() / returns.std(ddof=1))
    assert value(lo_scaled_sharpe(returns, q)) == pytest.approx(expected, rel=0.01)


UNDEFINED = {
    "returns do not vary": [0.001] * 20,
    "fewer than two returns": [0.1],
}


@pytest.mark.parametrize("reason", UNDEFINED)
def test_undefined_is_null_with_a_reason(reason: str) -> None:
    of = moments(UNDEFINED[reason])
    assert (of.sharpe, of.skewness, of.kurtosis, of.reason) == (None, None, None, reason)
    for metric in (psr, psr_null_variance, min_track_record_length, lo_error, mertens_error):
        found = metric(of)
        assert (found.value, found.reason) == (None, reason)
    assert (deflated_sharpe(of, 5, 0.1).value, deflated_sharpe(of, 5, 0.1).reason) == (None, reason)
    assert haircut_sharpe(of, 5).reason == reason
    assert lo_scaled_sharpe(UNDEFINED[reason], 2).reason == reason


def test_returns_that_differ_by_rounding_do_not_vary() -> None:
    assert moments([0.1, np.nextafter(0.1, 1.0)] * 5).reason == "returns do not vary"
    assert moments([1e-13, 0.0, 0.0]).reason == "returns do not vary"
    assert moments([1e-12, 0.0, 0.0]).reason is None


@pytest.mark.parametrize("scale", [1.1e-13, 1e-12, 1e-9, 1.0])
@pytest.mark.parametrize("centre", [0.0, 0.03 / 365, 0.5])
def test_a_kurtosis_that_rounding_took_below_its_bound_is_the_bound(scale: float, centre: float) -> None:
    """Two values have a kurtosis of skewness^2 + 1, which is what rounding breaks first."""
    for ones in (1, 3, 50):
        of = moments(centre + scale * (np.arange(100) < ones))
        if of.reason is None:
            _, skewness, kurtosis = of.known()
            assert kurtosis >= skewness * skewness + 1.0
            assert psr(of).value is None or 0.0 <= value(psr(of)) <= 1.0
    stored = Moments(100, 0.1, 2.0, 4.999)
    assert stored.known() == (0.1, 2.0, 5.0)
    assert deflated_sharpe(stored, 3.0, 0.01) == deflated_sharpe(Moments(100, 0.1, 2.0, 5.0), 3.0, 0.01)


def test_other_nulls() -> None:
    assert min_track_record_length(Moments(50, 0.1), 0.1).reason == "the Sharpe ratio is not above the benchmark"
    edge = Moments(100, 2 / 3, 3.0, 10.0)  # 1 - g3 SR + (g4 - 1) / 4 SR^2 = (1 - 3/2 SR)^2
    for metric in (psr(edge), mertens_error(edge), min_track_record_length(edge), psr_null_variance(edge, 2 / 3)):
        assert metric.reason == "the estimated variance of the Sharpe ratio is zero"
    assert min_track_record_length(Moments(50, 1e-200)).reason == "the length is beyond any number"
    assert lo_scaled_sharpe([0.1, -0.1, 0.3], 3).reason == "3 returns are too few for 3 periods"
    # Pairs of an alternating series cancel but at its ends: 2 + 2 rho_1 = 2 / T.
    assert value(lo_scaled_sharpe([1.5, -0.5] * 20, 2)) == pytest.approx(
        0.5 / math.sqrt(40 / 39) * 2 / math.sqrt(2 / 40)
    )


@pytest.mark.parametrize("returns", [[0.1, math.nan], [0.1, math.inf], [[0.1, 0.2]], 0.1])
def test_impossible_returns_are_refused(returns: Floats) -> None:
    with pytest.raises(ValueError, match="returns must"):
        moments(returns)


def test_impossible_arguments_are_refused() -> None:
    of = Moments(10, 0.1)
    with pytest.raises(ValueError, match="finite"):
        Moments(10, math.nan)
    with pytest.raises(ValueError, match="two periods"):
        Moments(1, 0.1)
    with pytest.raises(ValueError, match="all values"):
        Moments(10, None)
    with pytest.raises(ValueError, match="no values"):
        Moments(10, 1.0, reason="none")
    for rho in (1.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="rho"):
            psr_null_variance(of, rho=rho)
    for confidence in (0.0, 1.0, 0.4):
        with pytest.raises(ValueError, match="confidence"):
            min_track_record_length(of, confidence=confidence)
    for trials, variance in product((0.0, math.nan, math.inf, 2.0), (-1.0, math.nan)):
        with pytest.raises(ValueError, match="must be at least"):
            expected_maximum_sharpe(trials, variance)
    for benchmark in (math.nan, math.inf, 1e100):
        for metric in (psr, psr_null_variance, min_track_record_length):
            with pytest.raises(ValueError, match="benchmark must be finite"):
                metric(of, benchmark)
    with pytest.raises(ValueError, match="q must"):
        lo_scaled_sharpe([0.1, 0.2, 0.4], 0)
    with pytest.raises(TypeError, match="integer"):
        lo_scaled_sharpe([0.1, 0.2, 0.4], 2.0)  # type: ignore[arg-type]
    for number in (0, math.nan, math.inf):
        with pytest.raises(ValueError, match="trials"):
            haircut_sharpe(of, number)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="each of the other"):
        haircut_sharpe(of, 3, [0.1])
    with pytest.raises(ValueError, match="target"):
        minimum_backtest_length(5, 0.0)


@given(SHAPES, st.floats(-1, 1), st.floats(-1, 1), st.integers(2, 5000))
def test_psr_is_a_probability_that_falls_with_the_benchmark(
    shape: tuple[float, float], sharpe: float, benchmark: float, periods: int
) -> None:
    of = Moments(periods, sharpe, *shape)
    found = value(psr(of, benchmark))
    assert 0.0 <= found <= 1.0
    assert value(psr(of, benchmark + 0.1)) <= found
    assert value(psr(of, sharpe)) == 0.5


@given(SHAPES, st.floats(0.01, 1), st.floats(0.51, 0.999))
def test_after_the_minimum_track_record_psr_is_the_confidence(
    shape: tuple[float, float], sharpe: float, confidence: float
) -> None:
    length = value(min_track_record_length(Moments(10, sharpe, *shape), confidence=confidence))
    assume(2.0 <= length < 1e9)
    for periods, above in ((math.floor(length), False), (math.ceil(length), True)):
        if periods >= 2 and abs(periods - length) > 1e-6 * length:
            assert (value(psr(Moments(periods, sharpe, *shape))) >= confidence) == above


@given(st.lists(st.floats(-1, 1, width=32), min_size=3, max_size=40), st.floats(0.001, 1000))
def test_moments_do_not_depend_on_the_unit(returns: list[float], factor: float) -> None:
    own, scaled = moments(returns), moments(np.array(returns) * factor)
    assume(own.reason is None and float(np.std(returns)) > 1e-6)
    assert scaled.known() == pytest.approx(own.known(), rel=1e-7, abs=1e-7)
    assert 0.0 <= value(psr_null_variance(own)) <= 1.0


@given(st.floats(1, 1e12), st.floats(1, 100))
def test_more_trials_raise_the_expected_maximum_and_the_years_needed(trials: float, factor: float) -> None:
    # Across ten, where the approximation takes over, it may only jump up.
    assert expected_maximum_sharpe(trials * factor, 1.0) >= expected_maximum_sharpe(trials, 1.0) - 1e-12
    assert minimum_backtest_length(trials * factor) >= minimum_backtest_length(trials) - 1e-12


@pytest.mark.filterwarnings("error")
def test_narrow_floats_are_taken_as_they_are() -> None:
    of = Moments(1250, 0.1)
    many, half = (np.float32(value) for value in (64.0, 0.5))
    narrow: Any = deflated_sharpe
    assert narrow(of, many, half) == deflated_sharpe(of, 64.0, 0.5)
    narrow = psr
    assert narrow(of, half) == psr(of, 0.5)
    narrow = minimum_backtest_length
    assert narrow(many, half) == minimum_backtest_length(64.0, 0.5)

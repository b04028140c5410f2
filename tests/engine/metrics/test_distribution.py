import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.metrics.distribution import (
    Tails,
    conditional_value_at_risk,
    excess_kurtosis,
    expected_shortfall,
    omega,
    skewness,
    tail_ratio,
    tails,
    value_at_risk,
)
from engine.metrics.moments import moments
from engine.results import Metric
from engine.types import Floats

SHARE = Fraction(1, 16)  # exact in binary, so that ranks fall alike here and there
VALUES = st.lists(st.integers(-64, 64), min_size=2, max_size=70)


def both(returns: Floats, share: float = 0.05) -> Tails:
    return tails(returns, share)


def number(metric: Metric) -> float:
    assert metric.value is not None, metric.reason
    return metric.value


def type_7(ranked: list[Fraction], share: Fraction) -> Fraction:
    place = (len(ranked) - 1) * share
    below = place.numerator // place.denominator
    above = min(below + 1, len(ranked) - 1)
    return ranked[below] + (place - below) * (ranked[above] - ranked[below])


@settings(derandomize=True, deadline=None)
@given(VALUES)
def test_tails_against_fractions(sixty_fourths: list[int]) -> None:
    ranked = sorted(Fraction(v, 64) for v in sixty_fourths)
    of = both(np.array(sixty_fourths) / 64.0, float(SHARE))
    low = type_7(ranked, SHARE)
    below = [r for r in ranked if r <= low]
    weight = SHARE * len(ranked)
    whole = weight.numerator // weight.denominator
    shortfall = (sum(ranked[:whole]) + (weight - whole) * ranked[whole]) / weight
    assert number(value_at_risk(of)) == pytest.approx(float(low), abs=1e-15)
    assert number(conditional_value_at_risk(of)) == pytest.approx(float(sum(below) / len(below)), abs=1e-15)
    assert number(expected_shortfall(of)) == pytest.approx(float(shortfall), abs=1e-15)
    if low < 0:
        expected = type_7(ranked, 1 - SHARE) / -low
        assert number(tail_ratio(of)) == pytest.approx(float(expected), rel=1e-12, abs=1e-12)
    else:
        assert tail_ratio(of).reason == "the 6% quantile is no loss"


def test_by_hand() -> None:
    # -10 .. 10 per cent: the 5 % quantile is the second smallest, 5 % of 21 days are 1.05 days.
    of = both(np.arange(-10, 11)[::-1] / 100.0)
    assert number(value_at_risk(of)) == pytest.approx(-0.09)
    assert number(conditional_value_at_risk(of)) == pytest.approx(-0.095)
    assert number(expected_shortfall(of)) == pytest.approx((-0.10 - 0.05 * 0.09) / 1.05)
    assert number(tail_ratio(of)) == pytest.approx(1.0)


def test_quantiles_against_numpy_and_order_changes_nothing() -> None:
    returns = np.random.default_rng(1).standard_t(4, 10_001) * 0.01
    of = both(returns)
    low, high = np.quantile(returns, [0.05, 0.95], method="linear")
    assert number(value_at_risk(of)) == pytest.approx(low, rel=1e-14)
    assert number(tail_ratio(of)) == pytest.approx(high / -low, rel=1e-13)
    assert number(conditional_value_at_risk(of)) == pytest.approx(returns[returns <= low].mean(), rel=1e-13)
    again = both(np.random.default_rng(2).permutation(returns))
    for metric in (value_at_risk, conditional_value_at_risk, expected_shortfall, tail_ratio):
        assert metric(again) == metric(of)


@settings(derandomize=True, deadline=None)
@given(VALUES)
def test_the_tails_are_in_order_and_rise_with_the_share(values: list[int]) -> None:
    returns = np.array(values) / 100.0
    shares = (0.01, 0.05, 0.2, 0.49)
    found = [both(returns, share) for share in shares]
    for of in found:
        shortfall, beyond, risk = (
            number(m(of)) for m in (expected_shortfall, conditional_value_at_risk, value_at_risk)
        )
        assert returns.min() - 1e-15 <= shortfall
        assert beyond <= risk + 1e-15
    for metric in (value_at_risk, expected_shortfall):
        steps = [number(metric(of)) for of in found]
        assert all(a <= b + 1e-15 for a, b in itertools.pairwise(steps))
    assert number(expected_shortfall(found[1])) <= number(conditional_value_at_risk(found[1])) + 1e-12


def test_a_share_outside_the_lower_half_is_refused() -> None:
    for share in (0.0, 0.5, 1.0, math.nan):
        with pytest.raises(ValueError, match="between 0 and one half"):
            both(np.zeros(3), share)


def test_ties_at_the_quantile_all_count() -> None:
    returns = np.array([-0.03, *[-0.01] * 30, *[0.02] * 10])
    assert number(value_at_risk(both(returns))) == -0.01
    assert number(conditional_value_at_risk(both(returns))) == pytest.approx((-0.03 - 0.30) / 31, rel=1e-14)


def test_skewness_and_kurtosis_of_distributions_with_known_moments() -> None:
    one_of_five = np.array([4.0, -1.0, -1.0, -1.0, -1.0])  # Bernoulli 1/5: (1 - 2p) / sqrt(pq), (1 - 6pq) / pq
    assert number(skewness(moments(one_of_five))) == pytest.approx(1.5)
    assert number(excess_kurtosis(moments(one_of_five))) == pytest.approx(0.25)
    even = np.arange(-50.0, 51.0)  # uniform on n points: -6 (n^2 + 1) / (5 (n^2 - 1))
    assert number(skewness(moments(even))) == pytest.approx(0.0, abs=1e-15)
    assert number(excess_kurtosis(moments(even))) == pytest.approx(-1.2 * (101**2 + 1) / (101**2 - 1))


def test_omega_by_hand_and_its_relation_to_the_mean() -> None:
    assert number(omega(moments(np.array([0.03, 0.03, -0.02, 0.0])))) == pytest.approx(3.0)
    assert omega(moments(np.array([0.01, 0.02]))).reason == "there is no losing day"
    assert omega(moments(np.array([-0.01, -0.02]))) == Metric(0.0, "ratio")
    returns = np.random.default_rng(3).normal(0.001, 0.01, 500)
    loss = -np.minimum(returns, 0.0).mean()
    assert number(omega(moments(returns))) == pytest.approx(1.0 + returns.mean() / loss)


def test_the_interval_of_the_tail_ratio_holds_the_truth_about_as_often_as_it_says() -> None:
    """1000 samples of 750 normal days: the truth is in closed form."""
    generator, mean, z = np.random.default_rng(6), 0.05, 1.6448536269514722
    truth, held = (z + mean) / (z - mean), 0
    for _ in range(1000):
        found = tail_ratio(both(generator.normal(mean, 1.0, 750))).interval
        assert found is not None
        held += found.low <= truth <= found.high
    assert 0.925 <= held / 1000 <= 0.97, held


def test_a_tail_ratio_needs_days_beyond_both_quantiles_for_an_interval() -> None:
    days = np.random.default_rng(7).normal(0.0, 0.01, 72)
    assert tail_ratio(both(days)).interval is None
    assert tail_ratio(both(np.append(days, 0.0))).interval is not None
    falling = tail_ratio(both(-0.01 - np.arange(100) / 1e4))
    assert (number(falling) < 0.0, falling.interval) == (True, None)
    few_values = tail_ratio(both(np.repeat([-0.01, 0.0, 0.01], [20, 60, 20])))
    assert (number(few_values), few_values.interval) == (1.0, None)

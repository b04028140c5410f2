import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.types import Floats
from engine.validation.multiple import benjamini_hochberg, benjamini_yekutieli, effective_trials, holm

FIFTEEN = [
    0.0001,
    0.0004,
    0.0019,
    0.0095,
    0.0201,
    0.0278,
    0.0298,
    0.0344,
    0.0459,
    0.324,
    0.4262,
    0.5719,
    0.6528,
    0.759,
    1.0,
]
"""Benjamini & Hochberg 1995, section 3.3: thrombolysis, fifteen tests."""

PROBABILITIES = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def test_benjamini_and_hochberg_1995() -> None:
    # Printed there: Bonferroni and Hochberg reject three, their own procedure four.
    assert holm(FIFTEEN).rejected(0.05) == [0, 1, 2]
    assert benjamini_hochberg(FIFTEEN).rejected(0.05) == [0, 1, 2, 3]
    assert benjamini_hochberg(FIFTEEN).p_values[3] == pytest.approx(15 / 4 * 0.0095)


def test_by_hand() -> None:
    p = [0.03, 0.01, 0.04]
    assert list(holm(p).p_values) == pytest.approx([0.06, 0.03, 0.06])
    assert list(benjamini_hochberg(p).p_values) == pytest.approx([0.04, 0.03, 0.04])
    assert list(benjamini_yekutieli(p).p_values) == pytest.approx([0.04 * 11 / 6, 0.03 * 11 / 6, 0.04 * 11 / 6])
    assert [m([]).p_values.size for m in (holm, benjamini_hochberg, benjamini_yekutieli)] == [0, 0, 0]


@given(PROBABILITIES, st.floats(0.001, 0.999))
def test_rejections_are_those_of_the_procedures_as_published(p: list[float], level: float) -> None:
    # Step by step, as the papers state them, not by adjusted values.
    ordered, n = sorted(p), len(p)
    down = 0
    while down < n and ordered[down] * (n - down) <= level:
        down += 1
    assert len(holm(p).rejected(level)) == down
    for factor, method in ((1.0, benjamini_hochberg), (math.fsum(1 / i for i in range(1, n + 1)), benjamini_yekutieli)):
        up = max((i for i in range(1, n + 1) if ordered[i - 1] * (factor * n / i) <= level), default=0)
        assert len(method(p).rejected(level)) == up


@given(PROBABILITIES)
def test_adjusted_values_are_ordered_bounded_and_follow_their_tests(p: list[float]) -> None:
    own = np.array(p)
    down, hochberg, yekutieli = (m(p).p_values for m in (holm, benjamini_hochberg, benjamini_yekutieli))
    for adjusted in (down, hochberg, yekutieli):
        assert np.all((adjusted >= own) & (adjusted <= 1.0))
        assert np.all(np.diff(adjusted[np.argsort(own)]) >= 0.0)
    assert np.all(hochberg <= yekutieli + 1e-15)
    assert np.all(hochberg <= down + 1e-15)
    assert np.array_equal(holm(p[::-1]).p_values, down[::-1])


@pytest.mark.parametrize("p", [[-0.1], [1.1], [math.nan], [[0.1]]])
def test_impossible_p_values_are_refused(p: list[float]) -> None:
    for method in (holm, benjamini_hochberg, benjamini_yekutieli):
        with pytest.raises(ValueError, match="p-values must"):
            method(p)


def orthogonal(columns: int) -> Floats:
    """Columns without correlation: those of a Hadamard matrix of 16 rows."""
    whole = np.ones((1, 1))
    for _ in range(4):
        whole = np.block([[whole, whole], [whole, -whole]])
    return whole[:, 1 : columns + 1]


def test_effective_trials_of_known_correlations() -> None:
    apart = effective_trials(orthogonal(6) * np.arange(1, 7) + 3.0)
    assert (apart.trials, apart.constant, apart.reason) == (6, 0, None)
    assert apart.average_correlation == pytest.approx(0.0, abs=1e-12)
    assert (apart.by_correlation, apart.by_participation) == pytest.approx((6.0, 6.0))
    same = effective_trials(np.outer(orthogonal(1)[:, 0], np.arange(1.0, 8.0)))
    assert (same.by_correlation, same.by_participation, same.average_correlation) == pytest.approx((1.0, 1.0, 1.0))
    # Two groups of three: correlation 1 in 6 of 15 pairs.
    groups = effective_trials(np.repeat(orthogonal(2), 3, axis=1))
    assert (groups.average_correlation, groups.by_participation) == pytest.approx((0.4, 2.0))
    assert groups.by_correlation == pytest.approx(0.4 + 0.6 * 6)


def test_equal_correlation_has_a_closed_form() -> None:
    share, count = 0.25, 5  # a common factor: every pair has correlation 0.25
    columns = orthogonal(count + 1)
    mixed = math.sqrt(share) * columns[:, :1] + math.sqrt(1 - share) * columns[:, 1:]
    found = effective_trials(mixed)
    assert found.average_correlation == pytest.approx(share)
    assert found.by_participation == pytest.approx(count / (1 + (count - 1) * share**2))


def test_series_that_do_not_vary_and_pairs_that_oppose() -> None:
    columns = orthogonal(3)
    found = effective_trials(np.column_stack((columns, np.full(16, 0.1), np.zeros(16))))
    assert (found.trials, found.constant) == (5, 2)
    assert (found.by_correlation, found.by_participation) == pytest.approx((3.0, 3.0))
    opposed = effective_trials(np.column_stack((columns[:, 0], -columns[:, 0])))
    assert (opposed.average_correlation, opposed.by_correlation) == pytest.approx((-1.0, 2.0))
    one = effective_trials(columns[:, :1])
    assert (one.by_correlation, one.by_participation, one.average_correlation) == (1.0, 1.0, None)
    assert effective_trials(np.ones((5, 2))).reason == "no series of returns varies"
    assert effective_trials(np.ones((2, 2))).reason == "fewer than three returns"
    with pytest.raises(ValueError, match="finite"):
        effective_trials(np.full((5, 2), np.nan))
    with pytest.raises(ValueError, match="axes"):
        effective_trials(np.ones(5))


def test_effective_trials_do_not_depend_on_order_or_unit() -> None:
    returns = np.random.default_rng(1).normal(size=(40, 3)) @ np.array([[1, 0.5, 0], [0, 1, 0.2], [0.3, 0, 1]])
    first = effective_trials(returns)
    for order in permutations(range(3)):
        other = effective_trials(returns[:, order] * np.array([1.0, 10.0, 0.1]))
        assert other.by_participation == pytest.approx(first.by_participation)
        assert other.average_correlation == pytest.approx(first.average_correlation)

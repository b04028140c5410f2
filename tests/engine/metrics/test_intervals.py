import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.metrics.intervals import Z, defined, log_normal, normal, wilson
from engine.results import Interval, Metric


@pytest.mark.parametrize(
    ("successes", "count", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_as_printed_by_newcombe_1998(successes: int, count: int, low: float, high: float) -> None:
    interval = wilson(successes, count)
    assert (round(interval.low, 4), round(interval.high, 4)) == (low, high)


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_share_stays_inside_and_mirrors(drawn: tuple[int, int]) -> None:
    successes, count = drawn
    interval, mirrored = wilson(successes, count), wilson(count - successes, count)
    assert 0.0 <= interval.low <= successes / count <= interval.high <= 1.0
    assert interval.low == pytest.approx(1.0 - mirrored.high, abs=1e-12)
    # Its ends are where the share is Z standard errors of the end away from the end.
    for end in (interval.low, interval.high):
        distance = (successes / count - end) ** 2
        assert distance == pytest.approx(Z * Z * end * (1.0 - end) / count, rel=1e-6, abs=1e-12)


def test_normal_and_its_logarithm() -> None:
    assert normal(1.0, 0.5, "m") == Interval(0.95, 1.0 - 0.5 * Z, 1.0 + 0.5 * Z, "m")
    assert pytest.approx(1.959963984540054) == Z
    interval = log_normal(2.0, (math.log(3.0) / Z) ** 2)
    assert interval is not None
    assert [interval.low, interval.high] == pytest.approx([2.0 / 3.0, 6.0])
    for value, variance in ((0.0, 1.0), (1.0, 1e6), (1.0, math.nan), (math.nan, 1.0)):
        assert log_normal(value, variance) is None


def test_what_is_not_finite_is_null_and_an_interval_that_is_not_is_left_out() -> None:
    wide = Interval(0.95, -math.inf, 1.0, "m")
    assert defined(0.5, "ratio", wide) == Metric(0.5, "ratio")
    for value in (math.nan, math.inf, -math.inf):
        assert defined(value, "ratio", normal(0.0, 1.0, "m")) == Metric(None, "ratio", "the value does not fit a float")

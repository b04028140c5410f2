"""Values that are sure to be finite, and confidence intervals around them.

An interval is two-sided at 95 % and rests on a large sample of independent members, but for that of Lo's ratio: serial
correlation makes the truth wider. Where the formula has no finite answer there is no interval.
"""

import math
from statistics import NormalDist

from engine.results import Interval, Metric

LEVEL = 0.95
Z = NormalDist().inv_cdf((1.0 + LEVEL) / 2.0)
"""Standard errors to each side: 1.96."""

LARGEST_EXPONENT = 700.0
"""exp() of more does not fit a float64."""

UNFIT = "the value does not fit a float"


def defined(value: float, unit: str, interval: Interval | None = None) -> Metric:
    """The metric of that value; null where the value is not finite, and without an interval that is not."""
    if not math.isfinite(value):
        return Metric(None, unit, UNFIT)
    if interval is not None and not (math.isfinite(interval.low) and math.isfinite(interval.high)):
        interval = None
    return Metric(float(value), unit, None, interval)


def normal(value: float, error: float, method: str) -> Interval:
    """``value`` plus and minus ``Z`` standard errors."""
    return Interval(LEVEL, value - Z * error, value + Z * error, method)


def log_normal(value: float, variance: float) -> Interval | None:
    """``value * exp(-+ Z * sqrt(variance))``: the delta method, with ``variance`` that of the logarithm.

    A ratio of two means is bounded below by zero, and its logarithm is nearer to normal than itself. Where no member
    counts in both means, as none both gains and loses, the variance is ``E[g^2] / E[g]^2 + E[l^2] / E[l]^2`` over
    their number, which is ``sum(g^2) / sum(g)^2 + sum(l^2) / sum(l)^2``. None without a value above zero.
    """
    if not (value > 0.0 and 0.0 <= variance <= LARGEST_EXPONENT):
        return None
    factor = math.exp(Z * math.sqrt(variance))
    return Interval(LEVEL, value / factor, value * factor, "delta method of the logarithm")


def wilson(successes: int, count: int) -> Interval:
    """Score interval of a share of members (Wilson 1927); inside [0, 1] and right for few of them.

    Raises ``ValueError`` unless 0 <= ``successes`` <= ``count`` and there is a member.
    """
    if not 0 <= successes <= count or count < 1:
        raise ValueError("successes must be among at least one member")
    share, square = successes / count, Z * Z
    middle = (share + square / (2.0 * count)) / (1.0 + square / count)
    half = Z * math.sqrt(share * (1.0 - share) / count + square / (4.0 * count * count)) / (1.0 + square / count)
    low = 0.0 if successes == 0 else middle - half
    high = 1.0 if successes == count else middle + half
    return Interval(LEVEL, low, high, "Wilson 1927")

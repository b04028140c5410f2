"""What the metrics of a return series are made of: its moments and partial moments, taken once.

Moments are those of the population (division by T), the standard deviation alone has ddof 1. Whether a series
varies is asked of its range: the standard deviation of a constant series is rounding dust, and a ratio over
dust is enormous.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.kernels import kernel
from engine.types import Floats

DUST = 1e-13
"""A return is a ratio of two rounded equities: differences below this are rounding."""


@dataclass(frozen=True)
class Moments:
    """Moments of returns (T,).

    ``deviation`` has ddof 1. ``skewness`` g1 and ``kurtosis`` g2 + 3 (3 for a normal distribution) are those of
    the population, 0 where returns do not vary. ``gains`` are the means of ``max(r, 0)^k`` for k = 1, 2 and
    ``losses`` of ``min(r, 0)^k`` for k = 1..4. ``missing`` says why nothing is known (too few returns, or such
    as do not fit), ``unvarying`` why nothing that divides by the deviation is.
    """

    count: int
    mean: float
    deviation: float
    skewness: float
    kurtosis: float
    gains: tuple[float, float]
    losses: tuple[float, float, float, float]
    missing: str | None
    unvarying: str | None


Sample = Moments | npt.ArrayLike
"""Returns (T,), or what is known of them: who asks for several figures takes the moments once."""


def vector(values: npt.ArrayLike, noun: str) -> Floats:
    """``values`` (T,) as contiguous float64. Raises ``ValueError`` for another rank."""
    if np.ndim(values) != 1:
        raise ValueError(f"{noun} must have one axis")
    return np.ascontiguousarray(values, dtype=np.float64)


def moments(of: Sample, noun: str = "daily returns") -> Moments:
    """Moments of returns (T,), themselves where they are known; ``noun`` is what the reasons call the returns.

    Raises ``ValueError`` for another rank.
    """
    if isinstance(of, Moments):
        return of
    returns = vector(of, noun)
    count = len(returns)
    if count < 2:
        return _unknown(count, f"fewer than two {noun}")
    low, high = float(returns.min()), float(returns.max())
    if math.isnan(low):
        return _unknown(count, f"{noun} are not all numbers")
    with np.errstate(over="ignore", invalid="ignore"):
        mean = float(returns.mean())
        deviation = float(returns.std(ddof=1, mean=np.array([mean])))
    if not all(map(math.isfinite, (low, high, mean, deviation))):
        return _unknown(count, f"{noun} are too large for a float")
    constant = high - low <= DUST * max(1.0, abs(low), abs(high))
    sums = power_sums(returns, mean, 0.0 if constant else 1.0 / deviation)
    second, third, fourth, *partial = (float(value) / count for value in sums)
    return Moments(
        count=count,
        mean=mean,
        deviation=0.0 if constant else deviation,
        skewness=0.0 if constant else third / second**1.5,
        kurtosis=0.0 if constant else fourth / second**2,
        gains=(partial[0], partial[1]),
        losses=(partial[2], partial[3], partial[4], partial[5]),
        missing=None,
        unvarying=f"{noun} do not vary" if constant else None,
    )


def path_moments(equity: Floats, noun: str) -> Moments:
    """Moments of the simple returns of equity (T + 1,) above 0, up to rounding those of :func:`moments`.

    Returns are not kept: of millions of bars they are as large as a column of the data. Their partial moments are 0.
    """
    count = len(equity) - 1
    if count < 2:
        return _unknown(count, f"fewer than two {noun}")
    low, high, total = path_sum(equity)
    mean = total / count
    if not all(map(math.isfinite, (low, high, mean))):
        return _unknown(count, f"{noun} are too large for a float")
    constant = high - low <= DUST * max(1.0, abs(low), abs(high))
    # Over the range a difference to the mean is at most 1: no power of it can overflow.
    second, third, fourth = (0.0,) * 3 if constant else path_powers(equity, mean, 1.0 / (high - low))
    return Moments(
        count=count,
        mean=mean,
        deviation=math.sqrt(second / (count - 1)) * (high - low),
        skewness=0.0 if constant else third / count / (second / count) ** 1.5,
        kurtosis=0.0 if constant else fourth / count / (second / count) ** 2,
        gains=(0.0,) * 2,
        losses=(0.0,) * 4,
        missing=None,
        unvarying=f"{noun} do not vary" if constant else None,
    )


BLOCK = 1024
"""Returns that are added up by themselves, so that rounding does not grow with their number."""


@kernel
def path_sum(equity: Floats) -> tuple[float, float, float]:
    """Least, largest and sum of the simple returns of equity (T + 1,)."""
    low, high, total = np.inf, -np.inf, 0.0
    for first in range(1, len(equity), BLOCK):
        part = 0.0
        for t in range(first, min(first + BLOCK, len(equity))):
            r = equity[t] / equity[t - 1] - 1.0
            part += r
            low, high = min(low, r), max(high, r)
        total += part
    return low, high, total


@kernel
def path_powers(equity: Floats, mean: float, scale: float) -> tuple[float, float, float]:
    """Sums of z^2, z^3 and z^4 with ``z = (r - mean) * scale`` over the simple returns of equity (T + 1,)."""
    second = third = fourth = 0.0
    for first in range(1, len(equity), BLOCK):
        two = three = four = 0.0
        for t in range(first, min(first + BLOCK, len(equity))):
            z = (equity[t] / equity[t - 1] - 1.0 - mean) * scale
            square = z * z
            two += square
            three += square * z
            four += square * square
        second += two
        third += three
        fourth += four
    return second, third, fourth


def path_sum_plain(equity: Floats) -> tuple[float, float, float]:
    """Twin of :func:`path_sum`, up to rounding."""
    returns = equity[1:] / equity[:-1] - 1.0
    return float(returns.min()), float(returns.max()), math.fsum(returns.tolist())


def path_powers_plain(equity: Floats, mean: float, scale: float) -> tuple[float, float, float]:
    """Twin of :func:`path_powers`, up to rounding."""
    z = (equity[1:] / equity[:-1] - 1.0 - mean) * scale
    second, third, fourth = (math.fsum((z**power).tolist()) for power in (2, 3, 4))
    return second, third, fourth


def _unknown(count: int, reason: str) -> Moments:
    return Moments(count, 0.0, 0.0, 0.0, 0.0, (0.0,) * 2, (0.0,) * 4, reason, reason)


@kernel
def power_sums(
    returns: Floats, mean: float, scale: float
) -> tuple[float, float, float, float, float, float, float, float, float]:
    """Sums of z^2, z^3, z^4 with ``z = (r - mean) * scale``, of max(r, 0)^1, ^2, and of min(r, 0)^1, .. ^4."""
    second = third = fourth = 0.0
    up = up_square = 0.0
    down = down_square = down_cube = down_fourth = 0.0
    for t in range(len(returns)):
        r = returns[t]
        z = (r - mean) * scale
        square = z * z
        second += square
        third += square * z
        fourth += square * square
        gain, loss = max(r, 0.0), min(r, 0.0)
        up += gain
        up_square += gain * gain
        square = loss * loss
        down += loss
        down_square += square
        down_cube += square * loss
        down_fourth += square * square
    return second, third, fourth, up, up_square, down, down_square, down_cube, down_fourth


def power_sums_plain(returns: Floats, mean: float, scale: float) -> tuple[float, ...]:
    """Twin of :func:`power_sums`, up to rounding."""
    z = (returns - mean) * scale
    gain, loss = np.maximum(returns, 0.0), np.minimum(returns, 0.0)
    powers = ((z, 2), (z, 3), (z, 4), (gain, 1), (gain, 2), (loss, 1), (loss, 2), (loss, 3), (loss, 4))
    return tuple(math.fsum((base**power).tolist()) for base, power in powers)

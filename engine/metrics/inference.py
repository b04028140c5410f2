"""What is known about a Sharpe ratio from a sample: its standard error, its probability, the record it needs.

Plain functions of numbers. Ratios here are of one return, not annual; ``skewness`` and ``kurtosis`` are those of
the population, kurtosis raw (3 for a normal distribution). With the defaults, 0 and 3, Mertens' standard error is
that of Lo (2002) for independent normal returns. Undefined is None.
"""

import math
from statistics import NormalDist

import numpy as np

from engine.kernels import kernel
from engine.types import Floats

LARGEST = 1e100
"""No ratio and no moment is larger, and the squares of larger numbers would overflow."""

_NORMAL = NormalDist()
_ROUNDING = 1e-12


def normal_probability(z: float) -> float:
    """That a standard normal variable is below ``z``."""
    return 0.5 * math.erfc(-z / math.sqrt(2.0))  # keeps the lower tail, which 1 + erf loses


def error_variance(ratio: float, skewness: float = 0.0, kurtosis: float = 3.0) -> float:
    """Variance of the estimate times T: ``1 - g3 SR + (g4 - 1) / 4 SR^2`` (Mertens 2002).

    0 where it is no more than rounding, which takes returns of two values only. Raises ``ValueError`` for numbers that
    are not below 1e100.
    """
    ratio, skewness, kurtosis = (_finite(value) for value in (ratio, skewness, kurtosis))
    tail = (kurtosis - 1.0) / 4.0 * ratio * ratio
    variance = 1.0 - skewness * ratio + tail
    return variance if variance > _ROUNDING * (1.0 + abs(skewness * ratio) + tail) else 0.0


def _finite(value: float) -> float:
    if not abs(float(value)) < LARGEST:  # as a Python float: a narrow one would take the bound for infinity
        raise ValueError(f"a ratio and its moments must be finite, and below {LARGEST:g}")
    return float(value)


def standard_error(ratio: float, count: int, skewness: float = 0.0, kurtosis: float = 3.0) -> float:
    """``sqrt((1 - g3 SR + (g4 - 1) / 4 SR^2) / T)`` of a ratio from T = ``count`` returns, at least 2."""
    return math.sqrt(error_variance(ratio, skewness, kurtosis) / _enough(count))


def sharpe_score(
    ratio: float, count: int, skewness: float = 0.0, kurtosis: float = 3.0, benchmark: float = 0.0
) -> float | None:
    """What the probabilistic Sharpe ratio is the normal probability of; None where the standard error is zero."""
    variance = error_variance(ratio, skewness, kurtosis)
    distance = (ratio - _finite(benchmark)) * math.sqrt(_enough(count) - 1)
    return distance / math.sqrt(variance) if variance > 0.0 else None


def probabilistic_sharpe(
    ratio: float, count: int, skewness: float = 0.0, kurtosis: float = 3.0, benchmark: float = 0.0
) -> float | None:
    """Probability that the true ratio is above ``benchmark`` (Bailey & Lopez de Prado 2012).

    ``Z[(SR - SR*) sqrt(T - 1) / sqrt(1 - g3 SR + (g4 - 1) / 4 SR^2)]``; None where that root is zero.
    """
    score = sharpe_score(ratio, count, skewness, kurtosis, benchmark)
    return None if score is None else normal_probability(score)


def track_record_length(
    ratio: float, skewness: float = 0.0, kurtosis: float = 3.0, benchmark: float = 0.0, confidence: float = 0.95
) -> float | None:
    """Returns it takes for the probabilistic Sharpe ratio to reach ``confidence`` (Bailey & Lopez de Prado 2012).

    ``1 + (1 - g3 SR + (g4 - 1) / 4 SR^2) (z / (SR - SR*))^2``; None for a ratio that is not above ``benchmark``, for a
    standard error of zero, and where it does not fit a float. Raises ``ValueError`` for a confidence below one half.
    """
    if not 0.5 <= confidence < 1.0:
        raise ValueError("confidence must be at least one half, and below 1")
    variance = error_variance(ratio, skewness, kurtosis)
    if not ratio > _finite(benchmark) or variance == 0.0:
        return None
    needed = _NORMAL.inv_cdf(confidence) / (ratio - benchmark)
    length = 1.0 + variance * needed * needed
    return length if math.isfinite(length) else None


def _enough(count: int) -> int:
    if not 2 <= count < math.inf:
        raise ValueError("a Sharpe ratio needs at least two returns")
    return count


def aggregation_factor(autocorrelations: Floats, periods: float) -> float | None:
    """What the ratio of one return is multiplied by for one of ``periods`` returns (Lo 2002, equation 20).

    ``q / sqrt(q + 2 sum_k (q - k) rho_k)`` with ``autocorrelations`` rho_1.. (K,), K < q, and zero beyond them;
    ``sqrt(q)`` where all are zero. None where the variance of the sum is not above zero. Raises ``ValueError``
    for K >= q.
    """
    if len(autocorrelations) >= periods:
        raise ValueError("there must be fewer autocorrelations than periods")
    spread = periods
    for lag, correlation in enumerate(autocorrelations.tolist(), start=1):
        spread += 2.0 * (periods - lag) * correlation
    return periods / math.sqrt(spread) if spread > 0.0 else None


def ratio_errors(scores: Floats, ratio: float) -> Floats:
    """What each return does to the estimate of a ratio of one return, (T,); ``scores`` are returns standardised.

    The influence of a return on mean over deviation, ``z - SR / 2 (z^2 - 1)``; its mean square is, for independent
    returns, the variance of Mertens (2002).
    """
    influence: Floats = scores - ratio / 2.0 * (scores * scores - 1.0)
    return influence


def newey_west(products: Floats, count: int) -> float:
    """Variance of a sum of T = ``count`` correlated values over T, at least 0 (Newey & West 1987).

    ``products`` are :func:`autocovariances` at lags 0..K; the k-th has the weight ``1 - k / (K + 1)``.
    """
    weights = 1.0 - np.arange(len(products)) / len(products)
    weights[1:] *= 2.0
    return max(float(np.sum(weights * products)) / count, 0.0)


def lag_rule(count: int) -> int:
    """How many autocorrelations T = ``count`` returns can tell from noise: ``floor(4 (T / 100)^(2/9))``.

    The rule of thumb of Newey & West (1994). All ``q - 1`` lags of a year of days would mostly be noise, and their
    sum is biased downwards by about ``q^2 / T``, so the ratio upwards.
    """
    lags = int(4.0 * (count / 100.0) ** (2.0 / 9.0))
    # In whole numbers: the power falls short of 4 for a T of 51200, where it is 16.
    return lags + ((lags + 1) ** 9 * 100**2 <= 4**9 * count**2)


@kernel
def autocovariances(deviations: Floats, lags: int) -> Floats:
    """``sum_t d_t d_(t+k)`` for k = 0..lags, (lags + 1,), of deviations from the mean (T,).

    Four running sums, added in a fixed order: additions need not wait for each other, and bytes are equal.
    """
    result = np.empty(lags + 1, dtype=np.float64)
    for k in range(lags + 1):
        length = max(0, len(deviations) - k)
        body = length - length % 4
        a = b = c = d = 0.0
        for t in range(0, body, 4):
            a += deviations[t] * deviations[t + k]
            b += deviations[t + 1] * deviations[t + k + 1]
            c += deviations[t + 2] * deviations[t + k + 2]
            d += deviations[t + 3] * deviations[t + k + 3]
        total = (a + b) + (c + d)
        for t in range(body, length):
            total += deviations[t] * deviations[t + k]
        result[k] = total
    return result


def autocovariances_plain(deviations: Floats, lags: int) -> Floats:
    """Twin of :func:`autocovariances`, up to rounding."""
    length = len(deviations)
    return np.array([np.sum(deviations[: max(0, length - k)] * deviations[k:]) for k in range(lags + 1)])

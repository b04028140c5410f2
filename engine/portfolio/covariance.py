"""Covariances that can be inverted or clustered: Ledoit-Wolf shrinkage, and the repair of indefinite correlations.

A window of returns may have holes (NaN): every moment is then taken over the rows its pair has in common and divided
by their own number, in the covariance as in its estimation error. On a window without holes this is Ledoit and Wolf's
estimator to the letter, with sums over T divided by T.

Sources: Ledoit & Wolf 2004a, "A well-conditioned estimator for large-dimensional covariance matrices"; 2004b, "Honey,
I shrunk the sample covariance matrix"; Rebonato & Jaeckel 1999 for the spectral repair.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from engine.kernels import kernel
from engine.portfolio.linear import cholesky, eigen, recompose
from engine.types import Floats

Target = Literal["constant_correlation", "identity"]

EIGENVALUE_FLOOR = 1e-5
"""No combination of symbols of unit volatility has a smaller variance per squared weight; what was estimated below is
noise, and would be multiplied by its inverse. Two symbols may correlate up to 0.99999 before it is felt."""

NO_DISTANCE = 1e-24
"""A sample this near its target, squared and relative, is the target but for rounding."""


@dataclass(frozen=True)
class Moments:
    """Sample moments of a window, each (N, N), over the rows a pair has in common.

    ``count`` of rows; ``covariance`` (divided by ``count``); ``spread``: the variance of x_i x_j over rows;
    ``cross`` [i, j]: the covariance of x_i^2 with x_i x_j over rows.
    """

    count: Floats
    covariance: Floats
    spread: Floats
    cross: Floats


@dataclass(frozen=True)
class Shrunk:
    """``matrix`` = (1 - ``intensity``) * sample + ``intensity`` * target, with an intensity in [0, 1]."""

    matrix: Floats
    intensity: float


def moments(returns: Floats) -> Moments:
    """Moments of a window (W, N) with NaN for holes; where a pair has no row in common all are 0.

    Returns are centred by the mean of their own symbol. Raises ``ValueError`` for an empty window and infinite values.
    """
    if returns.ndim != 2 or 0 in returns.shape:
        raise ValueError("returns must be (W, N) with at least one row and one symbol")
    if np.isinf(returns).any():
        raise ValueError("returns must be finite, or NaN where there is none")
    columns = np.ascontiguousarray(returns.T, dtype=np.float64)
    return Moments(*moments_kernel(columns))


@kernel
def moments_kernel(columns: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """The moments of returns (N, W), one symbol a row."""
    n, rows = columns.shape
    x, known = np.zeros((n, rows)), np.zeros((n, rows))
    for i in range(n):
        total, seen = 0.0, 0.0
        for t in range(rows):
            if not math.isnan(columns[i, t]):
                total += columns[i, t]
                seen += 1.0
                known[i, t] = 1.0
        mean = total / seen if seen > 0.0 else 0.0
        for t in range(rows):
            if known[i, t] > 0.0:
                x[i, t] = columns[i, t] - mean
    count, covariance = np.zeros((n, n)), np.zeros((n, n))
    spread, cross = np.zeros((n, n)), np.zeros((n, n))
    for i in range(n):
        for j in range(i + 1):
            seen = product = squares = 0.0
            left = right = left_only = right_only = 0.0
            for t in range(rows):
                a, b = x[i, t], x[j, t]
                both = a * b
                seen += known[i, t] * known[j, t]
                product += both
                squares += both * both
                left += a * a * both
                right += b * b * both
                left_only += a * a * known[j, t]
                right_only += b * b * known[i, t]
            if seen > 0.0:
                s = product / seen
                count[i, j] = count[j, i] = seen
                covariance[i, j] = covariance[j, i] = s
                spread[i, j] = spread[j, i] = max(squares / seen - s * s, 0.0)
                cross[i, j] = (left - s * left_only) / seen
                cross[j, i] = (right - s * right_only) / seen
    return count, covariance, spread, cross


def moments_plain(returns: Floats) -> Moments:
    """Twin of :func:`moments`: one pair at a time."""
    n = returns.shape[1]
    x = np.array([column - column[~np.isnan(column)].mean() for column in returns.T])
    made = Moments(*(np.zeros((n, n)) for _ in range(4)))
    for i in range(n):
        for j in range(n):
            common = ~np.isnan(x[i] * x[j])
            if common.any():
                a, b = x[i, common], x[j, common]
                s = np.mean(a * b)
                made.count[i, j] = len(a)
                made.covariance[i, j] = s
                made.spread[i, j] = np.mean((a * b - s) ** 2)
                made.cross[i, j] = np.mean(a * a * (a * b - s))
    return made


def identity_intensity(found: Moments) -> float:
    """How far to shrink towards the mean variance times the identity. Source: Ledoit & Wolf 2004a, section 3.3."""
    target = np.diag(np.full(len(found.covariance), _mean_variance(found.covariance)))
    return _intensity(found, target, 0.0)


def constant_correlation_intensity(found: Moments) -> float:
    """How far to shrink towards equal correlations. Source: Ledoit & Wolf 2004b, appendix B."""
    deviation = np.sqrt(np.diag(found.covariance))
    if not np.all(deviation > 0.0):
        raise ValueError("a symbol without variance has no correlation")
    mean = _mean_correlation(found)
    target = _equal_correlations(deviation, mean)
    ratio = deviation[None, :] / deviation[:, None]
    along = ratio * found.cross
    joint = 0.5 * mean * _per_row(along + along.T, found.count)
    np.fill_diagonal(joint, np.diag(_per_row(found.spread, found.count)))
    return _intensity(found, target, float(joint.sum()))


def intensity_of(returns: Floats, target: Target) -> float:
    """Ledoit-Wolf intensity of a window (W, N), in [0, 1]. Raises ``ValueError`` as :func:`shrink` does."""
    found = moments(returns)
    return identity_intensity(found) if target == "identity" else constant_correlation_intensity(found)


def shrink(returns: Floats, target: Target = "constant_correlation") -> Shrunk:
    """Shrunken covariance (N, N) of a window (W, N), per bar and divided by the number of rows.

    Raises ``ValueError`` for an empty window, infinite values and, for constant correlation, a constant symbol.
    """
    found = moments(returns)
    sample = found.covariance
    if target == "identity":
        intensity = identity_intensity(found)
        aim = np.diag(np.full(len(sample), _mean_variance(sample)))
    else:
        intensity = constant_correlation_intensity(found)
        aim = _equal_correlations(np.sqrt(np.diag(sample)), _mean_correlation(found))
    return Shrunk((1.0 - intensity) * sample + intensity * aim, intensity)


def shrink_estimates(
    volatility: Floats, correlation: Floats, intensity: float, target: Target
) -> tuple[Floats, Floats]:
    """Volatilities (N,) and correlations (N, N) of the covariance they make, shrunk by a known intensity.

    ``correlation`` may be pairwise complete, its diagonal is taken as 1; what is returned is positive definite.
    """
    n = len(volatility)
    if target == "identity":
        variance = volatility * volatility
        shrunken = np.sqrt((1.0 - intensity) * variance + intensity * variance.mean())
        kept = volatility / shrunken
        mixed = (1.0 - intensity) * correlation * np.outer(kept, kept)
    else:
        shrunken = volatility
        mean = (correlation.sum() - np.trace(correlation)) / (n * (n - 1)) if n > 1 else 0.0
        mixed = (1.0 - intensity) * correlation + intensity * mean
    return shrunken, usable_correlation(mixed)


def usable_correlation(correlation: Floats, floor: float = EIGENVALUE_FLOOR) -> Floats:
    """The correlations (N, N) themselves with a diagonal of 1, or a positive definite matrix near them.

    A pairwise complete matrix can be indefinite. Eigenvalues below ``floor`` are then raised to it, and the matrix
    scaled back to a diagonal of 1. Raises ``ValueError`` for values that are not finite.
    """
    if not np.isfinite(correlation).all():
        raise ValueError("correlations must be finite")
    result = 0.5 * (correlation + correlation.T)
    np.fill_diagonal(result, 1.0)
    trial = result.copy()
    np.fill_diagonal(trial, 1.0 - floor)
    if cholesky(trial, len(trial)):
        return result
    values, vectors = eigen(result)
    result = recompose(np.maximum(values, floor), vectors)
    scale = 1.0 / np.sqrt(np.diag(result))
    result *= np.outer(scale, scale)
    np.fill_diagonal(result, 1.0)
    return result


def _mean_variance(covariance: Floats) -> float:
    return float(np.trace(covariance)) / len(covariance)


def _mean_correlation(found: Moments) -> float:
    """Mean over the pairs that have a row in common."""
    deviation = np.sqrt(np.diag(found.covariance))
    known = found.count > 0.0
    np.fill_diagonal(known, val=False)
    pairs = int(np.count_nonzero(known))
    correlation = found.covariance / np.outer(deviation, deviation)
    return float(correlation[known].sum()) / pairs if pairs else 0.0


def _equal_correlations(deviation: Floats, mean: float) -> Floats:
    made = mean * np.outer(deviation, deviation)
    np.fill_diagonal(made, deviation * deviation)
    return made


def _per_row(values: Floats, count: Floats) -> Floats:
    result = np.zeros_like(values)
    np.divide(values, count, out=result, where=count > 0.0)
    return result


def _intensity(found: Moments, target: Floats, joint: float) -> float:
    """(Estimation error - its part in common with the target) / distance to the target, within [0, 1].

    Pairs without a row in common are unknown: they count neither as error nor as distance.
    """
    off = np.where(found.count > 0.0, found.covariance - target, 0.0)
    distance = float((off * off).sum())
    if distance <= NO_DISTANCE * float((found.covariance * found.covariance).sum()):
        return 0.0
    error = float(_per_row(found.spread, found.count).sum())
    return min(max((error - joint) / distance, 0.0), 1.0)

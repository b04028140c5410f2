"""Many tests at once: adjusted p-values, and how many independent trials a set of strategies amounts to."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from engine.types import Floats
from engine.validation.inputs import table, varying

Method = Literal["holm", "benjamini_hochberg", "benjamini_yekutieli"]


@dataclass(frozen=True)
class Adjusted:
    """Adjusted p-values (N,) in the order of the tests: a test is rejected at level a where its value is at most a.

    Holm bounds the chance of any false rejection, under any dependence; Benjamini & Hochberg the expected share of
    false ones among the rejections, for independent or positively dependent tests; Benjamini & Yekutieli that share
    under any dependence.
    """

    method: Method
    p_values: Floats

    def rejected(self, level: float) -> list[int]:
        """Indices of the tests that are rejected at ``level``."""
        return [int(i) for i in np.flatnonzero(self.p_values <= level)]


def holm(p_values: npt.ArrayLike) -> Adjusted:
    """Step-down: the running maximum of ``min(1, (N - i) p_(i))``, i from 0; Holm 1979.

    ``p_values`` (N,). Raises ``ValueError`` for values outside [0, 1] and for NaN, as all of these do.
    """
    values = _probabilities(p_values)
    order = np.argsort(values, kind="stable")
    factors = np.arange(len(values), 0, -1)
    return Adjusted("holm", _placed(np.maximum.accumulate(values[order] * factors), order))


def benjamini_hochberg(p_values: npt.ArrayLike) -> Adjusted:
    """Step-up: the running minimum, from the largest on, of ``p_(i) N / i``; Benjamini & Hochberg 1995."""
    return _step_up("benjamini_hochberg", p_values, 1.0)


def benjamini_yekutieli(p_values: npt.ArrayLike) -> Adjusted:
    """As :func:`benjamini_hochberg`, times ``1 + 1/2 + ... + 1/N``; Benjamini & Yekutieli 2001 (BHY)."""
    size = len(_probabilities(p_values))
    return _step_up("benjamini_yekutieli", p_values, math.fsum(1.0 / i for i in range(1, size + 1)))


@dataclass(frozen=True)
class EffectiveTrials:
    """How many independent trials ``trials`` correlated ones amount to; None where ``reason`` says why.

    ``constant`` counts the series that do not vary: they have no correlation and are left out of the rest.
    ``average_correlation`` is the mean over pairs of the others. ``by_correlation`` is ``r + (1 - r) N`` with that mean
    r, not below 0 (Bailey & Lopez de Prado 2014, appendix): the number for the deflated Sharpe ratio.
    ``by_participation`` is ``N^2 / sum_ij C_ij^2``, the participation ratio of the eigenvalues: it counts directions,
    at most ``1 / r^2`` of them whatever N is, and would deflate too little.
    """

    trials: int
    constant: int
    average_correlation: float | None = None
    by_correlation: float | None = None
    by_participation: float | None = None
    reason: str | None = None


def effective_trials(returns: npt.ArrayLike) -> EffectiveTrials:
    """Effective numbers of the strategies whose returns are the columns of ``returns`` (T, N).

    None with a reason where no column varies, and for fewer than three rows. Raises ``ValueError`` for another rank and
    values that are not finite.
    """
    values = table(returns)
    rows, columns = values.shape
    kept = values[:, varying(values)]
    count = kept.shape[1]
    if rows < 3:
        return EffectiveTrials(columns, columns - count, reason="fewer than three returns")
    if count == 0:
        return EffectiveTrials(columns, columns, reason="no series of returns varies")
    unit = kept / np.abs(kept).max(axis=0)
    unit = unit - unit.mean(axis=0)
    unit /= np.sqrt(np.sum(unit * unit, axis=0))
    if count == 1:
        return EffectiveTrials(columns, columns - 1, None, 1.0, 1.0)
    gram = unit.T @ unit
    squares = float(np.sum(gram * gram))
    total = unit.sum(axis=1)
    average = min(1.0, max(-1.0, (float(total @ total) - count) / (count * (count - 1))))
    shared = max(0.0, average)
    participation = min(float(count), max(1.0, count * count / squares))
    return EffectiveTrials(columns, columns - count, average, shared + (1.0 - shared) * count, participation)


def _step_up(method: Method, p_values: npt.ArrayLike, factor: float) -> Adjusted:
    values = _probabilities(p_values)
    order = np.argsort(values, kind="stable")
    size = len(values)
    scaled = values[order] * (factor * size / np.arange(1, size + 1))
    return Adjusted(method, _placed(np.minimum.accumulate(scaled[::-1])[::-1], order))


def _placed(ordered: Floats, order: npt.NDArray[np.intp]) -> Floats:
    placed = np.empty(len(ordered))
    placed[order] = np.minimum(ordered, 1.0)
    return placed


def _probabilities(p_values: npt.ArrayLike) -> Floats:
    values = np.asarray(p_values, dtype=np.float64)
    if values.ndim != 1:
        raise ValueError("p-values must have one axis")
    if not np.all((values >= 0.0) & (values <= 1.0)):
        raise ValueError("p-values must be between 0 and 1")
    return values

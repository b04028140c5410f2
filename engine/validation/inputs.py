"""What the tests take and how they say how sure a Monte Carlo p-value is."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.metrics.inference import LARGEST
from engine.metrics.moments import DUST
from engine.types import Bools, Floats

Tick = Callable[[int, int], None]
"""Told ``(done, total)`` between pieces of about 50 ms; what it raises ends the work. Results do not depend on it."""


def no_tick(done: int, total: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class PValue:
    """A Monte Carlo p-value ``(b + 1) / (B + 1)`` (Phipson & Smyth 2010) and its own standard error.

    ``replicates`` is B, how many outcomes were drawn under the null hypothesis.
    """

    value: float
    standard_error: float
    replicates: int


def monte_carlo(at_least: int, replicates: int) -> PValue:
    """The p-value where ``at_least`` of ``replicates`` null outcomes were as extreme as what was seen."""
    p = (at_least + 1) / (replicates + 1)
    return PValue(p, math.sqrt(p * (1.0 - p) / (replicates + 1)), replicates)


def series(values: npt.ArrayLike, name: str = "returns") -> Floats:
    """``values`` (T,) as contiguous float64. Raises ``ValueError`` for another rank and numbers not below 1e100."""
    return _finite(values, 1, name)


def table(values: npt.ArrayLike, name: str = "returns") -> Floats:
    """``values`` (T, N) as contiguous float64. Raises ``ValueError`` for another rank and numbers not below 1e100."""
    return _finite(values, 2, name)


def fraction(value: float, name: str) -> float:
    """``value``, which lies inside (0, 1). Raises ``ValueError`` where it does not."""
    if not 0.0 < value < 1.0:
        raise ValueError(f"{name} must be between 0 and 1")
    return float(value)


def number(value: float, name: str) -> float:
    """``value``, which is finite and below 1e100. Raises ``ValueError`` where it is not."""
    if not abs(float(value)) < LARGEST:  # as a Python float: a narrow one would take the bound for infinity
        raise ValueError(f"{name} must be finite, and below {LARGEST:g}")
    return float(value)


def varying(values: Floats) -> Bools:
    """Which columns of returns (T, N) vary by more than rounding, (N,); of one series (T,) a single answer.

    As for the metrics: a range of at most ``DUST``, relative above 1, is rounding, and a ratio over it enormous. A part
    of a series that varies may not, so this is asked of whatever is judged.
    """
    if len(values) == 0:
        return np.zeros(values.shape[1:], dtype=np.bool_)
    low, high = values.min(axis=0), values.max(axis=0)
    found: Bools = np.asarray(high - low > DUST * np.maximum(1.0, np.maximum(-low, high)))
    return found


def constant(values: Floats) -> bool:
    """Whether ``values`` (T,) do not vary by more than rounding; see :func:`varying`."""
    return not bool(varying(values))


def without_unit(values: Floats) -> Floats:
    """Returns (T,) or (T, N), a column that exceeds 1 over its largest: powers stay finite, rounding what it was."""
    scaled: Floats = values / np.maximum(1.0, np.abs(values).max(axis=0))
    return scaled


def _finite(values: npt.ArrayLike, rank: int, name: str) -> Floats:
    array = np.ascontiguousarray(values, dtype=np.float64)
    if np.ndim(values) != rank:
        raise ValueError(f"{name} must have {rank} axes" if rank > 1 else f"{name} must have one axis")
    if not np.all(np.abs(array) < LARGEST):
        raise ValueError(f"{name} must be finite, and below {LARGEST:g}")
    return array

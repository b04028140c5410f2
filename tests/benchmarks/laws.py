"""What returns are drawn from where tests are calibrated: nothing to find, and something."""

import math
from collections.abc import Callable

import numpy as np

from engine.types import Floats

AR = 0.2
ARCH, GARCH = 0.1, 0.85

Law = Callable[[np.random.Generator, int, int], Floats]
"""Series (rows, columns) of mean nought and variance one, columns independent."""


def normal(rng: np.random.Generator, rows: int, columns: int) -> Floats:
    return rng.normal(size=(rows, columns))


def heavy(rng: np.random.Generator, rows: int, columns: int) -> Floats:
    """Student's t with 8 degrees of freedom."""
    return rng.standard_t(8, (rows, columns)) / math.sqrt(8 / 6)


def skewed(rng: np.random.Generator, rows: int, columns: int) -> Floats:
    """Lognormal, turned over: many small gains and a few large losses."""
    values: Floats = math.exp(0.125) - np.exp(rng.normal(0.0, 0.5, (rows, columns)))
    return values / math.sqrt(math.expm1(0.25) * math.exp(0.25))


def clustered(rng: np.random.Generator, rows: int, columns: int) -> Floats:
    """GARCH(1, 1) of normal innovations, begun at its mean variance: uncorrelated, with clusters and heavy tails."""
    values = rng.normal(size=(rows, columns))
    variance = np.ones(columns)
    for t in range(rows):
        values[t] *= np.sqrt(variance)
        variance = (1.0 - ARCH - GARCH) + ARCH * values[t] ** 2 + GARCH * variance
    return values


def autoregressive(rng: np.random.Generator, rows: int, columns: int) -> Floats:
    """AR(1), stationary from the first row on."""
    values = rng.normal(size=(rows, columns))
    values[1:] *= math.sqrt(1 - AR**2)
    for t in range(1, rows):
        values[t] += AR * values[t - 1]
    return values


def series(law: Law, seed: int, rows: int, mean: float = 0.0) -> Floats:
    """One series (rows,)."""
    values: Floats = law(np.random.default_rng([seed, rows]), rows, 1)[:, 0] + mean
    return values


def strategies(law: Law, seed: int, rows: int, columns: int, shared: float = 0.5) -> Floats:
    """Columns that have ``shared`` of their variance in common."""
    rng = np.random.default_rng([seed, rows, columns])
    values: Floats = math.sqrt(shared) * law(rng, rows, 1) + math.sqrt(1.0 - shared) * law(rng, rows, columns)
    return values


def winner_and_loser(seed: int) -> Floats:
    """A strategy that earns, and one that loses on average and varies twenty times as much."""
    rng = np.random.default_rng(seed)
    return np.column_stack((rng.normal(0.1, 1.0, 500), rng.normal(-2.0, 20.0, 500)))


def holdings(seed: int, rows: int, length: int = 20) -> Floats:
    """Positions (rows,) long, short or flat for ``length`` bars each, drawn without a look at anything."""
    return np.repeat(np.random.default_rng([seed, 1]).choice([-1.0, 0.0, 1.0], rows // length), length)

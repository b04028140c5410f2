"""Looks at a portfolio at regular bars: how diversified it is, and what its symbols have to do with each other."""

import math

import numpy as np

from engine.kernels import part
from engine.portfolio.correlation import Estimates
from engine.types import Floats


@part
def diversification(held: Floats, known: Estimates) -> float:
    """Weighted average volatility over portfolio volatility, of signed values (N,) held; NaN where one is unknown.

    Source: Choueifaty & Coignard 2008. ``engine.portfolio.risk`` states it with its reasons.
    """
    apart, variance = 0.0, 0.0
    for i in range(len(held)):
        if held[i] == 0.0:
            continue
        one = held[i] * known.volatility[i]
        apart += abs(one)
        for j in range(len(held)):
            if held[j] != 0.0:
                rho = 1.0 if i == j else known.correlation[i, j]
                variance += one * held[j] * known.volatility[j] * rho
    # Rounding of what cancels must not pass for diversification without end.
    if not variance > 1e-12 * apart * apart:
        return np.nan
    return max(1.0, apart / math.sqrt(variance))

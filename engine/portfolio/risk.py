"""Where a portfolio's risk comes from, and how much of it is spread.

All functions take signed weights (N,), volatilities (N,) and correlations (N, N); NaN where unknown, the diagonal is
not read. Only symbols with a weight count: an estimate that is missing for another one does no harm. What is undefined
is None with a reason. A correlation matrix under which the variance of the portfolio would be negative (pairwise
complete ones can be indefinite) is refused in the same way: nothing is repaired here.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from engine.portfolio.linear import eigen, recompose, times
from engine.results import Metric
from engine.types import Floats

ROUNDING = 1e-12
"""A portfolio variance this small, relative to that without any diversification, is none but for rounding."""


@dataclass(frozen=True)
class RiskContributions:
    """Euler's contributions to portfolio volatility.

    ``volatility`` in the unit of the symbols' own; ``contributions`` sum to it and ``shares`` to 1, by symbol, 0 for
    one without a weight and negative for one that hedges. None and empty with a ``reason`` where undefined.
    """

    volatility: float | None
    contributions: Mapping[str, float] = field(default_factory=dict)
    shares: Mapping[str, float] = field(default_factory=dict)
    reason: str | None = None


class _Held(NamedTuple):
    """Symbols with a weight: their place, exposure = weight * volatility, correlations, and portfolio volatility."""

    place: list[int]
    exposure: Floats
    correlation: Floats
    pull: Floats
    volatility: float


def diversification_ratio(weights: Floats, volatility: Floats, correlation: Floats) -> Metric:
    """Weighted average of the symbols' volatilities over portfolio volatility; at least 1.

    Weights count by their size: a short has the same volatility as a long, so the ratio is at least 1 for every
    portfolio, and for a long-only one it is that of the source: Choueifaty & Coignard 2008, "Toward maximum
    diversification". Its square is read as a number of independent risk factors (Choueifaty, Froidure & Reynier 2013).
    """
    held = _held(weights, volatility, correlation)
    if isinstance(held, str):
        return Metric(None, "ratio", held)
    # Below 1 only by rounding: the average is the volatility of perfectly correlated symbols.
    return Metric(max(float(np.abs(held.exposure).sum()) / held.volatility, 1.0), "ratio")


def risk_contributions(
    symbols: tuple[str, ...], weights: Floats, volatility: Floats, correlation: Floats
) -> RiskContributions:
    """w_i * (Sigma w)_i / sigma_p for each symbol.

    Source: Maillard, Roncalli & Teiletche 2010, "The properties of equally weighted risk contribution portfolios".
    Raises ``ValueError`` where shapes differ.
    """
    held = _held(weights, volatility, correlation)
    if len(symbols) != len(weights):
        raise ValueError("symbols and weights must be of one length")
    if isinstance(held, str):
        return RiskContributions(None, reason=held)
    each = np.zeros(len(weights))
    each[held.place] = held.exposure * held.pull / held.volatility
    return RiskContributions(
        held.volatility,
        dict(zip(symbols, each.tolist(), strict=True)),
        dict(zip(symbols, (each / held.volatility).tolist(), strict=True)),
    )


def effective_bets(weights: Floats, volatility: Floats, correlation: Floats) -> Metric:
    """Effective number of uncorrelated bets, in 1..N: exp(entropy) of their shares in the portfolio's variance.

    The bets are the uncorrelated factors nearest to the symbols (minimum torsion, with the symbols' volatilities): the
    shares are y_i^2 / y'y with y = R^(1/2) (volatility * weight). Principal portfolios, the first choice of bets, are
    not a function of the data: of N uncorrelated symbols of one volatility every basis is principal. A limit of
    minimum torsion: equal exposures with equal correlations are N bets, however high these are; the diversification
    ratio tells such portfolios apart. Sources: Meucci 2009, "Managing diversification"; Meucci, Santangelo & Deguest
    2015, "Risk budgeting and diversification based on optimized uncorrelated factors".
    """
    held = _held(weights, volatility, correlation)
    if isinstance(held, str):
        return Metric(None, "bets", held)
    values, vectors = eigen(held.correlation)
    bets = times(recompose(np.sqrt(np.maximum(values, 0.0)), vectors), held.exposure) ** 2
    shares = bets[bets > 0.0] / bets.sum()
    entropy = -math.fsum((shares * np.log(shares)).tolist())
    return Metric(min(max(math.exp(entropy), 1.0), float(len(bets))), "bets")


def _held(weights: Floats, volatility: Floats, correlation: Floats) -> _Held | str:
    """What counts, or why nothing can be said. Raises ``ValueError`` for other shapes and infinite values."""
    n = len(weights)
    if weights.shape != (n,) or volatility.shape != (n,) or correlation.shape != (n, n):
        raise ValueError("weights and volatility must be (N,), correlation (N, N)")
    if not np.isfinite(weights).all() or np.isinf(volatility).any() or np.isinf(correlation).any():
        raise ValueError("weights must be finite, estimates finite or NaN")
    place = np.flatnonzero(weights)
    if len(place) == 0:
        return "there is no position"
    exposure = weights[place] * volatility[place]
    if np.isnan(exposure).any():
        return "the volatility of a position is unknown"
    if np.any(volatility[place] < 0.0):
        raise ValueError("volatility must not be negative")
    rho = np.ascontiguousarray(correlation[np.ix_(place, place)])
    np.fill_diagonal(rho, 1.0)
    flat = exposure == 0.0
    rho[flat] = rho[:, flat] = 0.0  # a constant price has no correlation, and needs none
    rho[flat, flat] = 1.0
    if np.isnan(rho).any():
        return "the correlation of two positions is unknown"
    pull = times(rho, exposure)
    variance = math.fsum((exposure * pull).tolist())
    if not variance > ROUNDING * float(np.abs(exposure).sum()) ** 2:
        return "the portfolio has no volatility"
    return _Held(place.tolist(), exposure, rho, pull, math.sqrt(variance))

"""What a weighting is given and answers, and what all weightings have in common (semantics section 8).

A weighting is a pure function of the estimates: symbols are sorted by name before anything is added up, so their
order changes no bit. While an estimate it needs is missing for one active symbol, all get equal weights and the
answer says why: leaving that one out would hold none of a symbol for having no history, and scaling the others
around a guess would make their shares depend on it.
"""

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from engine.errors import DataError
from engine.portfolio.sizing import NO_VOLATILITY
from engine.registry import Plugin, Registry
from engine.types import Bools, Floats, Ints

TOLERANCE = 1e-8
"""Largest relative residual of a solution that is used."""

SAME = 1e-9
"""Correlations that differ by less are equal but for rounding."""


@dataclass(frozen=True)
class Estimates:
    """What is known of N active symbols at a decision.

    ``volatility`` (N,), per bar or per year; NaN where unknown, and unknown where the price is constant (at most
    1e-12). ``correlation`` (N, N), NaN where unknown; its diagonal is not read. ``returns`` (W, N) of the same window,
    NaN for holes: what they say of estimation error is how far Ledoit-Wolf shrinks; without them nothing is shrunk.
    What a weighting does not need may be None.
    """

    symbols: tuple[str, ...]
    volatility: Floats | None = None
    correlation: Floats | None = None
    returns: Floats | None = None


@dataclass(frozen=True)
class Weights:
    """Shares (N,) >= 0 in the order of the symbols, summing to 1.

    ``residual`` is how far the solver is from its conditions, relative; 0 for a formula. ``shrinkage`` is the
    Ledoit-Wolf intensity where one was estimated. ``reason`` says why the rule could not be applied, and ``unknown``
    for want of whose estimates, sorted; the weights are equal then.
    """

    weights: Floats
    residual: float = 0.0
    shrinkage: float | None = None
    reason: str | None = None
    unknown: tuple[str, ...] = ()


class Weighting(Plugin):
    """A rule from estimates to shares."""

    needs_volatility: ClassVar[bool] = False
    needs_correlation: ClassVar[bool] = False
    needs_returns: ClassVar[bool] = False
    """What is to be estimated before the rule is asked."""

    @abstractmethod
    def weights(self, estimates: Estimates) -> Weights:
        """Weights of N >= 1 symbols.

        Raises ``DataError`` where no solution is exact to 1e-8, and ``ValueError`` for impossible estimates: arrays
        of another shape, negative or infinite volatility, a correlation beyond 1.
        """


weightings: Registry[Weighting] = Registry("weighting", "tplusone.weighting")


@dataclass(frozen=True)
class Solution:
    """Shares (N,) up to a factor, of symbols sorted by name."""

    raw: Floats
    residual: float = 0.0
    shrinkage: float | None = None


Solver = Callable[[Floats, Floats, Floats | None], Solution]
"""From volatility (N,), correlation (N, N) and returns (W, N) or None, complete and sorted by name."""


def solve(rule: Weighting, estimates: Estimates, solver: Solver) -> Weights:
    """Weights by a solver that needs volatility and correlation; equal ones, with a reason, where one is unknown."""
    lacking = fallback(rule, estimates)
    if lacking is not None:
        return lacking
    n, order = len(estimates.symbols), by_name(estimates.symbols)
    volatility = shaped(estimates.volatility, (n,), "volatility")
    correlation = shaped(estimates.correlation, (n, n), "correlation").copy()
    np.fill_diagonal(correlation, 1.0)
    returns = estimates.returns if rule.needs_returns else None
    if order is not None:
        volatility, correlation = volatility[order], correlation[order][:, order]
        returns = None if returns is None else returns[:, order]
    found = solver(volatility, correlation, returns)
    if not found.residual <= TOLERANCE:
        name = weightings.name_of(type(rule))
        details = {"weighting": name, "residual": found.residual, "tolerance": TOLERANCE}
        raise DataError(f"{name} has no solution exact to {TOLERANCE:g}: the residual is {found.residual:.3g}", details)
    weights = normalised(found.raw)
    if order is not None:
        unsorted = np.empty(n)
        unsorted[order] = weights
        weights = unsorted
    return Weights(weights, found.residual, found.shrinkage)


def fallback(rule: Weighting, estimates: Estimates) -> Weights | None:
    """Equal weights with a reason where an estimate the rule needs is missing, else None."""
    n = len(estimates.symbols)
    missing, what = np.zeros(n, dtype=np.bool_), ""
    if rule.needs_volatility:
        missing, what = _without_volatility(shaped(estimates.volatility, (n,), "volatility")), "volatility"
    if rule.needs_correlation and not missing.any():
        missing, what = _without_correlation(shaped(estimates.correlation, (n, n), "correlation")), "correlation"
    if rule.needs_returns and estimates.returns is not None and not missing.any():
        returns = shaped(estimates.returns, (len(estimates.returns), n), "returns")
        missing, what = ~(np.fmax.reduce(returns) > np.fmin.reduce(returns)), "returns that vary"
    if not missing.any():
        return None
    unknown = tuple(sorted(estimates.symbols[i] for i in np.flatnonzero(missing).tolist()))
    return Weights(equal(n), reason=f"no {what} of {', '.join(unknown)}: weights are equal", unknown=unknown)


def _without_volatility(volatility: Floats) -> Bools:
    if np.any((volatility < 0.0) | np.isinf(volatility)):
        raise ValueError("volatility must be finite and not negative, or NaN where it is unknown")
    missing: Bools = ~(volatility > NO_VOLATILITY)
    return missing


def _without_correlation(correlation: Floats) -> Bools:
    """The symbols that lack the most pairs: a new one lacks all of its own, each other symbol only that with it."""
    missing = np.isnan(correlation)
    np.fill_diagonal(missing, val=False)
    off = np.abs(correlation) > 1.0 + SAME
    np.fill_diagonal(off, val=False)
    if off.any():
        raise ValueError("correlation must be in [-1, 1], or NaN where it is unknown")
    count = missing.sum(axis=0)
    lacking: Bools = (count > 0) & (count == count.max(initial=0))
    return lacking


def by_name(symbols: Sequence[str]) -> Ints | None:
    """Where the symbols stand in the order of names, (N,); None where they are in that order."""
    order = sorted(range(len(symbols)), key=symbols.__getitem__)
    return None if order == list(range(len(symbols))) else np.array(order, dtype=np.int64)


def shaped(values: Floats | None, shape: tuple[int, ...], name: str) -> Floats:
    """The array, if it has this shape; else ``ValueError``."""
    if values is None or values.shape != shape:
        raise ValueError(f"{name} must be an array of shape {shape}")
    return values


def equal(n: int) -> Floats:
    """The same share for each of n symbols."""
    return np.full(n, 1.0 / n)


def normalised(raw: Floats) -> Floats:
    """Shares (N,) that sum to 1; the sum is exact and so the same in every order."""
    result: Floats = raw / math.fsum(raw.tolist())
    return result

"""Correlations and estimates for tests of weightings."""

from typing import Any

import numpy as np
from pydantic import TypeAdapter

from engine.portfolio import Estimates, Weighting, weightings
from engine.types import Floats

MAILLARD = np.array([[1.0, 0.8, 0.0, 0.0], [0.8, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, -0.5], [0.0, 0.0, -0.5, 1.0]])
"""The correlations of the example of Maillard, Roncalli & Teiletche 2010; volatilities are 10, 20, 30 and 40 %."""


def weighting(name: str, **params: Any) -> Weighting:
    """A weighting from plain values, as a configuration has it."""
    made: Weighting = TypeAdapter(weightings.union()).validate_python({"name": name, "params": params})
    return made


def returns(seed: int, assets: int, rows: int = 60, common: float = 0.5) -> Floats:
    """(W, N) returns with a common factor some symbols have the other way round."""
    draw = np.random.default_rng(seed)
    sides = np.where(draw.random(assets) < 0.2, -1.0, 1.0)
    factor = common * draw.standard_normal((rows, 1)) * sides
    made: Floats = (draw.standard_normal((rows, assets)) + factor) * draw.uniform(0.002, 0.05, assets)
    return made


def correlation(seed: int, assets: int, rows: int = 60, common: float = 0.5) -> Floats:
    """(N, N) of random returns; singular for as many symbols as rows."""
    return np.atleast_2d(np.corrcoef(returns(seed, assets, rows, common).T))


def estimates(seed: int, assets: int, rows: int = 60) -> Estimates:
    """What a window of random returns says."""
    window = returns(seed, assets, rows)
    names = tuple(f"S{i:03d}" for i in range(assets))
    return Estimates(names, window.std(axis=0, ddof=1), np.atleast_2d(np.corrcoef(window.T)), window)


def taken(given: Estimates, order: Any) -> Estimates:
    """The same symbols, or some of them, in another order."""
    return Estimates(
        tuple(given.symbols[i] for i in order),
        None if given.volatility is None else given.volatility[order],
        None if given.correlation is None else given.correlation[np.ix_(order, order)],
        None if given.returns is None else given.returns[:, order],
    )


def of(volatility: Any, matrix: Any) -> Estimates:
    """Estimates without a window, of symbols A, B and so on."""
    names = tuple("ABCDEFGHIJ"[: len(volatility)])
    return Estimates(names, np.array(volatility, dtype=np.float64), np.array(matrix, dtype=np.float64))

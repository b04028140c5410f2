"""How equity is divided over time: the weighting at every decision (semantics section 8)."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from engine.data.bars import Bars
from engine.portfolio.correlation import Estimates as Window
from engine.portfolio.correlation import estimate, estimates
from engine.portfolio.weighting import Estimates, Weighting, Weights
from engine.types import Bools, Floats, Ints

Checkpoint = Callable[[float], None]
"""Told the share of the work that is done; may raise to stop it."""


@dataclass(frozen=True)
class Shares:
    """``values`` (D, N), each row summing to 1 over the symbols that have not ended, 0 for the others.

    ``row`` (T,) is which of them holds at a bar. ``fallbacks`` counts decisions at which the rule could not be applied
    and weights were equal, ``reason`` is why at the first; ``residual`` is the largest of a solver.
    """

    values: Floats
    row: Ints
    evaluations: int
    fallbacks: int
    reason: str | None
    residual: float


def shares(
    weighting: Weighting, bars: Bars, decides: Bools, last: Ints, window: int, minimum: int, told: Checkpoint
) -> Shares:
    """Shares of (T, N) ``bars`` at the bars of which a symbol ``decides`` (T, N); ``last`` (N,) are symbols' last bars.

    A rule that needs estimates is asked at every decision, another where a symbol ends.
    """
    estimated = weighting.needs_volatility or weighting.needs_correlation or weighting.needs_returns
    asked = np.flatnonzero(decides.any(axis=1)) if estimated else np.unique(np.append(last[last >= 0] + 1, 0))
    asked = asked[asked < len(bars)]
    known = estimates(window, len(bars.symbols))
    made, fallbacks, reason, residual = [], 0, None, 0.0
    for done, t in enumerate(asked.tolist()):
        active = np.flatnonzero(last >= t)
        if estimated:
            estimate(t, bars.close, bars.valid, minimum, known)
        found = _weights(weighting, bars.symbols, active, known if estimated else None, t)
        row = np.zeros(len(bars.symbols))
        row[active] = found.weights
        made.append(row)
        residual = max(residual, found.residual)
        if found.reason is not None:
            fallbacks += 1
            reason = reason or found.reason
        if done % 256 == 0:
            told(done / len(asked))
    row_of = np.maximum(np.searchsorted(asked, np.arange(len(bars)), side="right") - 1, 0)
    values = np.array(made) if made else np.zeros((1, len(bars.symbols)))
    return Shares(values, row_of, len(asked), fallbacks, reason, residual)


def _weights(weighting: Weighting, symbols: tuple[str, ...], active: Ints, known: Window | None, t: int) -> Weights:
    names = tuple(symbols[i] for i in active.tolist())
    if not names:
        return Weights(np.zeros(0))
    if known is None:
        return weighting.weights(Estimates(names))
    rows = int(known.seen[1])
    window = len(known.ring)
    returns = known.ring[(t - rows + 1 + np.arange(rows)) % window][:, active] if rows else None
    correlation = known.correlation[np.ix_(active, active)]
    return weighting.weights(Estimates(names, known.volatility[active], correlation, returns))

"""What else could have happened with the same trades, and with somewhat worse fills.

Three different questions. The same trades in another order: only the path varies, and final equity is constant. Trades
drawn with replacement: final equity varies as it would had other trades of the same kind come. Noise on each fill:
what slippage worse than assumed takes away.

Trades are taken one after another, their profit in currency on top of the initial capital: what compounding and
overlap did to their size stays in them.
"""

import math
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from engine.execution.rules import BASIS_POINT
from engine.hooks import Hooks, Mapper
from engine.kernels import kernel
from engine.registry import Frozen, Real, WholeNumber
from engine.results import Ledger, Trades
from engine.streams import (
    replicate_state,
    replicate_state_plain,
    stream,
    uniform_below,
    uniform_below_plain,
)
from engine.types import Floats
from engine.validation.base import Report
from engine.validation.inputs import Tick, monte_carlo
from engine.validation.progress import in_pieces, ticker
from engine.validation.shuffles import normal, normal_plain, shuffle, shuffle_plain

NAME = "monte_carlo"
ORDER, REPLACEMENT, SLIPPAGE = (f"validation/monte_carlo/{part}" for part in ("order", "replacement", "slippage"))
CHUNK = 4_000_000
"""Trades drawn between two calls of the hooks: about 50 ms. Results do not depend on it."""

TIE = 1e-12
_PERCENTS = (5, 25, 50, 75, 95)
_NOTE = (
    "statistic: maximum drawdown of initial capital plus the trades in their order; null: any order is as likely;"
    " p-value: how often another order falls no deeper; percentiles: drawdowns of the orders"
)


class MonteCarlo(Frozen):
    """Distributions of drawdown and final equity over other orders, other draws of trades, and worse fills."""

    n: Annotated[WholeNumber, Field(ge=1, le=1_000_000, description="replicates of each kind")] = 1000
    slippage_bps: Annotated[
        Real, Field(ge=0.0, le=1000.0, description="scale of half-normal extra slippage on each fill, basis points")
    ] = 1.0

    def evaluate(self, ledger: Ledger, trades: Trades, seed: int, hooks: Hooks, mapper: Mapper = map) -> Report:
        """Resample ``trades`` in order of entry, an open one at its marked profit, and the fills of ``ledger``.

        ``details``: ``order`` has the constant ``final_equity``; ``replacement`` percentiles of ``final_equity`` and
        ``max_drawdown`` (fraction, at most 0), and the shares of draws that end with a ``loss`` and that are ``ruined``
        on the way (equity at or below zero); ``slippage`` percentiles of ``final_equity``, of the ledger's own less
        the noise: positions stay as they are. Null with a reason where nothing was traded.
        """
        if len(trades) == 0:
            return self._report(seed, reason="nothing was traded")
        capital, pnl = ledger.initial_capital, np.ascontiguousarray(trades.pnl_net)
        fills = ledger.fills
        notional = np.abs(fills.quantity * fills.price)
        observed = float(fall(pnl / capital)[0])
        ticks = [ticker(hooks, NAME, phase, 3) for phase in range(3)]
        shuffled, _ = _paths(pnl / capital, stream(seed, ORDER), self.n, ticks[0], mapper, replace=False)
        drawn, lowest = _paths(pnl / capital, stream(seed, REPLACEMENT), self.n, ticks[1], mapper, replace=True)
        noise = _noise(notional, stream(seed, SLIPPAGE), self.n, ticks[2], mapper)
        extra = noise * (self.slippage_bps * BASIS_POINT)
        p_value = monte_carlo(int(np.count_nonzero(shuffled[:, 0] >= observed - TIE)), self.n)
        return self._report(
            seed,
            statistic=observed,
            p_value=p_value.value,
            standard_error=p_value.standard_error,
            replicates=3 * self.n,
            percentiles=_percentiles(shuffled[:, 0]),
            details={
                "trades": len(trades),
                "order": {"final_equity": capital + math.fsum(pnl.tolist())},
                "replacement": {
                    "final_equity": _percentiles(capital * (1.0 + drawn[:, 1])),
                    "max_drawdown": _percentiles(drawn[:, 0]),
                    "loss": float(np.mean(drawn[:, 1] < 0.0)),
                    "ruined": float(np.mean(lowest <= -1.0)),
                },
                "slippage": {
                    "final_equity": _percentiles(float(ledger.equity[-1]) - extra),
                    "mean_cost": float(extra.mean()),
                },
            },
        )

    def _report(self, seed: int, **values: Any) -> Report:
        return Report(name=NAME, parameters=self.model_dump(), seed=seed, note=_NOTE, **values)


def _percentiles(values: Floats) -> dict[str, float]:
    return {f"p{q:02d}": float(np.percentile(values, q)) for q in _PERCENTS}


def _paths(
    gains: Floats, key: np.uint64, n: int, tick: Tick, mapper: Mapper, *, replace: bool
) -> tuple[Floats, Floats]:
    """(n, 2) deepest fall and final gain of each replicate, and its lowest point (n,)."""

    def some(first: int, end: int) -> Floats:
        return path_kernel(key, first, end - first, gains, replace)

    found = np.concatenate([part for _, part in in_pieces(some, n, CHUNK // len(gains), tick, mapper)])
    return found[:, :2], found[:, 2]


def _noise(notional: Floats, key: np.uint64, n: int, tick: Tick, mapper: Mapper) -> Floats:
    def some(first: int, end: int) -> Floats:
        return noise_kernel(key, first, end - first, notional)

    size = CHUNK // max(1, len(notional))
    return np.concatenate([part for _, part in in_pieces(some, n, size, tick, mapper)])


@kernel
def fall(gains: Floats) -> tuple[float, float, float]:
    """Of the path 1 + sums of ``gains`` (K,): deepest fall as a fraction of the peak, last gain, lowest gain."""
    total = peak = deepest = lowest = 0.0
    for k in range(len(gains)):
        total += gains[k]
        peak = max(peak, total)
        lowest = min(lowest, total)
        deepest = min(deepest, (total - peak) / (1.0 + peak))
    return deepest, total, lowest


def fall_plain(gains: Floats) -> tuple[float, float, float]:
    """Twin of :func:`fall`, up to rounding."""
    path = np.concatenate(([1.0], 1.0 + np.cumsum(gains)))
    drawdowns = path / np.maximum.accumulate(path) - 1.0
    return float(drawdowns.min()), float(path[-1]) - 1.0, float(path.min()) - 1.0


@kernel
def path_kernel(key: np.uint64, first: int, count: int, gains: Floats, replace: bool) -> Floats:
    """:func:`fall` (count, 3) of each replicate: ``gains`` (K,) drawn K times, with or without replacement."""
    size = len(gains)
    found, drawn = np.empty((count, 3)), np.empty(size)
    order = np.empty(size, dtype=np.int64)
    for i in range(count):
        state = replicate_state(key, np.uint64(first + i))
        order[:] = np.arange(size)
        if replace:
            for k in range(size):
                word, state = uniform_below(state, np.uint64(size))
                order[k] = np.int64(word)
        else:
            shuffle(state, order)
        for k in range(size):
            drawn[k] = gains[order[k]]
        found[i, 0], found[i, 1], found[i, 2] = fall(drawn)
    return found


def path_plain(key: int, first: int, count: int, gains: Floats, *, replace: bool) -> Floats:
    """Twin of :func:`path_kernel`."""
    size, found = len(gains), []
    for i in range(first, first + count):
        state, order = replicate_state_plain(key, i), list(range(size))
        if replace:
            for k in range(size):
                order[k], state = uniform_below_plain(state, size)
        else:
            shuffle_plain(state, order)
        found.append(fall_plain(gains[order]))
    return np.array(found)


@kernel
def noise_kernel(key: np.uint64, first: int, count: int, notional: Floats) -> Floats:
    """Sum (count,) of |z| times ``notional`` (K,) of each replicate, z standard normal for each fill."""
    costs = np.zeros(count)
    for i in range(count):
        state = replicate_state(key, np.uint64(first + i))
        for k in range(len(notional)):
            z, state = normal(state)
            costs[i] += abs(z) * notional[k]
    return costs


def noise_plain(key: int, first: int, count: int, notional: Floats) -> Floats:
    """Twin of :func:`noise_kernel`."""
    costs = []
    for i in range(first, first + count):
        state, total = replicate_state_plain(key, i), 0.0
        for amount in notional.tolist():
            z, state = normal_plain(state)
            total += abs(z) * amount
        costs.append(total)
    return np.array(costs)

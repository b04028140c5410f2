"""Whether the strategy sees the future: another one must not change the past.

At random cuts the bars from there on are cut off, or replaced by noise, and the whole run is repeated: features, lag,
strategy, sizing, ledger. Signals and fills before the cut must stay as they were. A difference proves a look-ahead;
finding none proves nothing beyond the cuts that were tried, so there are many.

What the dataset itself holds cannot be judged: a column that was computed with later rows looks like any other.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from engine.data.bars import Bars
from engine.hooks import Hooks, Mapper, spread
from engine.kernels import kernel
from engine.registry import Frozen, WholeNumber
from engine.results import Cause, Ledger
from engine.streams import replicate_state, replicate_state_plain, stream, uniform_below_plain
from engine.types import Bools, Floats, Ints
from engine.validation.base import Report
from engine.validation.markets import PRICED, PRICES, remade
from engine.validation.progress import ticker
from engine.validation.shuffles import normal, normal_plain, shuffle, shuffle_plain

NAME = "lookahead"
CUTS, NOISE = "validation/lookahead/cuts", "validation/lookahead/noise"
ROUNDING = 1e-9
"""Smaller differences, relative, are the rounding of sums over more or fewer bars."""

SPREAD = 0.2
"""Standard deviation of the logarithm that each later price is moved by: far more than a bar moves."""

_NOTE = "statistic: how many futures changed the past, of two for each cut: none at all, and noise"

SignalsOf = Callable[[Bars], Floats]
Rerun = Callable[[Bars], Ledger]


class Lookahead(Frozen):
    """Repeats the run with the bars after random cuts left out, or replaced by noise: the past must not change."""

    cuts: Annotated[WholeNumber, Field(ge=1, le=10_000, description="random bars at which the future is changed")] = 20

    def evaluate(
        self,
        bars: Bars,
        lag: int,
        signals_of: SignalsOf,
        rerun: Rerun,
        seed: int,
        hooks: Hooks,
        mapper: Mapper = map,
    ) -> Report:
        """Compare signals and fills before each cut with those of the run on all ``bars``.

        Cuts lie between the first signal and the end. A signal sees features ``lag`` bars old: under noise the first
        ``lag`` signals from the cut on may not change either. ``details["failures"]`` lists each failing cut: ``bar``
        (the first that was changed), ``future`` (``truncated`` or ``noise``), and the first bar at which ``signals``
        and ``fills`` differ, null where they do not. Null with a reason where there is never a signal, or none that a
        later bar follows.
        """
        signals, ledger = signals_of(bars), rerun(bars)
        live = np.flatnonzero(signals.any(axis=1))
        if len(live) == 0:
            return self._report(seed, reason="there is never a signal")
        first = max(1, int(live[0]))
        if first >= len(bars):
            return self._report(seed, reason="no bar follows the first signal")
        cuts = draw_cuts(int(stream(seed, CUTS)), self.cuts, first, len(bars))
        failures: list[dict[str, Any]] = []
        tick, key = ticker(hooks, NAME), stream(seed, NOISE)

        def changed(cut: int) -> list[dict[str, Any]]:
            rows = []
            for name, other in {"truncated": bars.slice(0, cut), "noise": with_noise(bars, cut, key)}.items():
                found = {
                    "signals": first_difference(signals[: cut + lag], signals_of(other)[: cut + lag]),
                    "fills": first_fill_difference(ledger, rerun(other), cut),
                }
                if any(bar is not None for bar in found.values()):
                    rows.append({"bar": cut, "future": name, **found})
            return rows

        for done, rows in enumerate(spread(mapper, changed, cuts), 1):
            failures += rows
            tick(done, len(cuts))
        return self._report(
            seed,
            statistic=float(len(failures)),
            replicates=2 * len(cuts),
            details={"failures": failures, "cuts": len(cuts), "first_bar": first},
        )

    def _report(self, seed: int, **values: Any) -> Report:
        return Report(name=NAME, parameters=self.model_dump(), seed=seed, note=_NOTE, **values)


def draw_cuts(key: int, count: int, first: int, end: int) -> list[int]:
    """At most ``count`` different bars in ``first..end-1``, rising; all of them where there are no more."""
    size = end - first
    if count >= size:
        return list(range(first, end))
    taken: set[int] = set()
    state = replicate_state_plain(key, 0)
    while len(taken) < count:
        below, state = uniform_below_plain(state, size)
        taken.add(first + below)
    return sorted(taken)


def with_noise(bars: Bars, cut: int, key: np.uint64) -> Bars:
    """The bars with everything from bar ``cut`` on replaced.

    The prices of a bar are multiplied by one log-normal number, so bars stay coherent, and invalid ones invalid; their
    volumes and the values of each further column, which may be anything, are put into another order.
    """
    numbers, order = draw_noise(key, cut, len(bars) - cut)
    factors = np.exp(SPREAD * numbers).reshape(-1, 1)

    def moved(values: Floats) -> Floats:
        return np.concatenate((values[:cut], values[cut:] * factors))

    return remade(
        bars,
        {name: moved(getattr(bars, name)) for name in PRICES},
        np.concatenate((bars.volume[:cut], bars.volume[cut:][order])),
        np.concatenate((bars.tradable[:cut], bars.tradable[cut:][order])),
        {
            name: moved(values) if name in PRICED else np.concatenate((values[:cut], values[cut:][order]))
            for name, values in bars.extra.items()
        },
    )


@kernel
def draw_noise(key: np.uint64, replicate: int, rows: int) -> tuple[Floats, Ints]:
    """Standard normal numbers (rows,) and a random order (rows,)."""
    state = replicate_state(key, np.uint64(replicate))
    numbers, order = np.empty(rows), np.arange(rows)
    for t in range(rows):
        numbers[t], state = normal(state)
    shuffle(state, order)
    return numbers, order


def draw_noise_plain(key: int, replicate: int, rows: int) -> tuple[list[float], list[int]]:
    """Twin of :func:`draw_noise`."""
    state, numbers, order = replicate_state_plain(key, replicate), list[float](), list(range(rows))
    for _ in range(rows):
        number, state = normal_plain(state)
        numbers.append(number)
    shuffle_plain(state, order)
    return numbers, order


def first_difference(one: Floats, other: Floats) -> int | None:
    """The first row that (T, N) arrays both have and differ in by more than rounding; None where there is none."""
    shared = min(len(one), len(other))
    rows = np.flatnonzero(_differs(one[:shared], other[:shared]).any(axis=1))
    return int(rows[0]) if len(rows) else None


def first_fill_difference(one: Ledger, other: Ledger, end: int) -> int | None:
    """The bar of the first fill before bar ``end`` that the ledgers do not share; None where there is none.

    Fills that are made because the data ends are no decision of the strategy.
    """
    first, second = _fills(one, end), _fills(other, end)
    shared = min(len(first["bar"]), len(second["bar"]))
    differs = np.zeros(shared, dtype=np.bool_)
    for name, values in first.items():
        differs |= _differs(values[:shared], second[name][:shared])
    rows = np.flatnonzero(differs)
    if len(rows):
        return int(min(first["bar"][rows[0]], second["bar"][rows[0]]))
    longer = first if len(first["bar"]) > shared else second
    return int(longer["bar"][shared]) if len(longer["bar"]) > shared else None


def _fills(ledger: Ledger, end: int) -> Mapping[str, Floats]:
    fills = ledger.fills
    ended = np.isin(_causes(ledger), (Cause.END, Cause.ENDED))
    kept = (fills.bar < end) & ~ended
    names = ("bar", "asset", "moment", "leg", "quantity", "price", "commission", "slippage", "position")
    return {name: getattr(fills, name)[kept].astype(np.float64) for name in names}


def _causes(ledger: Ledger) -> Ints:
    causes: Ints = ledger.orders.cause[ledger.fills.order]
    return causes


def _differs(one: Floats, other: Floats) -> Bools:
    differs: Bools = np.abs(one - other) > ROUNDING * np.maximum(1.0, np.maximum(np.abs(one), np.abs(other)))
    return differs

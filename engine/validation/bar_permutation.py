"""Whether the strategy finds something in the order of the bars: the whole run on markets whose bars are shuffled.

The gaps from close to open, and the bars themselves (high, low and close relative to the open), are put into two
independent random orders and laid one after another. The first bar and the last close stay, so a shuffled market has
the same trend and the same distribution of moves, but no pattern in time. Sources: Aronson 2006, "Evidence-Based
Technical Analysis"; Masters 2018, "Permutation and Randomization Tests for Trading System Development".

The null hypothesis is that moves are exchangeable: clusters of volatility, which a shuffle spreads, are part of what is
tested. It judges the parameters as configured; where they were searched for, the search would have to be repeated on
each market.
"""

from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from engine.data.bars import Bars
from engine.hooks import Hooks, Mapper, spread
from engine.kernels import kernel
from engine.registry import Frozen, WholeNumber
from engine.results import Ledger
from engine.streams import replicate_state, replicate_state_plain, stream
from engine.types import Floats, Ints
from engine.validation.base import Report
from engine.validation.costs import NOTHING_TRADED, total_return
from engine.validation.inputs import monte_carlo
from engine.validation.markets import PRICED, PRICES, remade
from engine.validation.progress import ticker
from engine.validation.shuffles import shuffle, shuffle_plain

NAME = "bar_permutation"
STREAM = "validation/bar_permutation"
TIE = 1e-9
"""Returns this close are equal but for the rounding of laid prices."""

_PERCENTS = (5, 25, 50, 75, 95)
_NOTE = "statistic: total return; null: gaps and bars in any other order are as likely; one-sided, upper"


class BarPermutation(Frozen):
    """Repeats the whole run on markets whose bars are shuffled."""

    n: Annotated[WholeNumber, Field(ge=1, le=100_000, description="shuffled markets, a whole run each")] = 100

    def evaluate(
        self,
        bars: Bars,
        ledger: Ledger,
        rerun: Callable[[Bars], Ledger],
        seed: int,
        hooks: Hooks,
        mapper: Mapper = map,
    ) -> Report:
        """Compare the total return of ``ledger`` with that of ``rerun`` on shuffled ``bars``.

        Where there are several symbols all are shuffled alike, which keeps their correlation. The p-value is
        ``(b + 1) / (n + 1)``. ``details["idle"]`` counts the markets on which nothing was traded. Null with a reason
        for fewer than three bars with prices, prices that do not vary, and where nothing was traded.
        """
        reason = _undefined(bars, ledger)
        if reason is not None:
            return self._report(seed, reason=reason)
        observed, key = total_return(ledger), stream(seed, STREAM)
        tick, null, idle = ticker(hooks, NAME), np.empty(self.n), 0

        def shuffled(i: int) -> tuple[float, bool]:
            other = rerun(permuted(bars, key, i))
            return total_return(other), len(other.fills) == 0

        for i, (earned, nothing) in enumerate(spread(mapper, shuffled, range(self.n))):
            null[i] = earned
            idle += nothing
            tick(i + 1, self.n)
        p_value = monte_carlo(int(np.count_nonzero(null >= observed - TIE * max(1.0, abs(observed)))), self.n)
        return self._report(
            seed,
            statistic=observed,
            p_value=p_value.value,
            standard_error=p_value.standard_error,
            replicates=self.n,
            percentiles={f"p{q:02d}": float(np.percentile(null, q)) for q in _PERCENTS},
            details={"idle": idle},
        )

    def _report(self, seed: int, **values: Any) -> Report:
        return Report(name=NAME, parameters=self.model_dump(), seed=seed, note=_NOTE, **values)


def _undefined(bars: Bars, ledger: Ledger) -> str | None:
    if len(ledger.fills) == 0:
        return NOTHING_TRADED
    priced = bars.valid.all(axis=1)
    if np.count_nonzero(priced) < 3:
        return "fewer than 3 bars with prices"
    closes = bars.close[priced]
    if bool((closes.max(axis=0) == closes.min(axis=0)).all()):
        return "prices do not vary"
    return None


def permuted(bars: Bars, key: np.uint64, replicate: int) -> Bars:
    """The market of one replicate.

    Volume, whether a bar can be traded, and further columns go with their bar. Bars in which a symbol has no price take
    no part: they stay where they are, without prices of any symbol.
    """
    priced = bars.valid.all(axis=1)
    rows = np.flatnonzero(priced)
    gaps, moves = draw_orders(key, replicate, len(rows))
    source = np.arange(len(bars))
    source[rows] = rows[moves]
    known = {name: np.ascontiguousarray(getattr(bars, name)[rows]) for name in PRICES}
    opened, closed = laid(known["open"], known["close"], gaps, moves)
    factor = opened / known["open"][moves]
    made = {
        "open": opened,
        "high": opened * (known["high"] / known["open"])[moves],
        "low": opened * (known["low"] / known["open"])[moves],
        "close": closed,
    }
    return remade(
        bars,
        {name: _placed(bars, rows, values) for name, values in made.items()},
        bars.volume[source],
        bars.tradable[source],
        {
            name: _placed(bars, rows, values[source[rows]] * factor) if name in PRICED else values[source]
            for name, values in bars.extra.items()
        },
    )


def _placed(bars: Bars, rows: Ints, values: Floats) -> Floats:
    """(T, N) prices of the shuffled rows; the others have none that would fit."""
    placed = np.full(bars.close.shape, np.nan)
    placed[rows] = values
    return placed


@kernel
def draw_orders(key: np.uint64, replicate: int, rows: int) -> tuple[Ints, Ints]:
    """Which gap comes before each row, and which bar it is: (rows,) each, both 0 at row 0."""
    state = replicate_state(key, np.uint64(replicate))
    gaps, moves = np.arange(rows), np.arange(rows)
    state = shuffle(state, gaps[1:])
    shuffle(state, moves[1:])
    return gaps, moves


def draw_orders_plain(key: int, replicate: int, rows: int) -> tuple[list[int], list[int]]:
    """Twin of :func:`draw_orders`."""
    state = replicate_state_plain(key, replicate)
    gaps, moves = list(range(1, rows)), list(range(1, rows))
    state = shuffle_plain(state, gaps)
    shuffle_plain(state, moves)
    return [0, *gaps], [0, *moves]


@kernel
def laid(opens: Floats, closes: Floats, gaps: Ints, moves: Ints) -> tuple[Floats, Floats]:
    """Opens and closes (T, N) of the bars laid in the order ``moves`` (T,) with the ``gaps`` (T,) between them."""
    opened, closed = np.empty(opens.shape), np.empty(opens.shape)
    for i in range(opens.shape[1]):
        opened[0, i], closed[0, i] = opens[0, i], closes[0, i]
        for t in range(1, len(opens)):
            gap, move = gaps[t], moves[t]
            opened[t, i] = closed[t - 1, i] * (opens[gap, i] / closes[gap - 1, i])
            closed[t, i] = opened[t, i] * (closes[move, i] / opens[move, i])
    return opened, closed


def laid_plain(opens: Floats, closes: Floats, gaps: Ints, moves: Ints) -> tuple[Floats, Floats]:
    """Twin of :func:`laid`, up to rounding: sums of logarithms."""
    gap = np.log(opens[1:] / closes[:-1])[gaps[1:] - 1]
    move = np.log(closes / opens)[moves]
    closed = np.log(opens[0]) + np.cumsum(move, axis=0)
    closed[1:] += np.cumsum(gap, axis=0)
    return np.exp(closed - move), np.exp(closed)

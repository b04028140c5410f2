"""Entry-timing permutation: whether the same positions, held at other times, would have earned as much.

The statistic is the mean over bars of weight times market return. Under the null hypothesis the timing of
positions is unrelated to returns, so the weights may be shifted cyclically against the returns. Holding
periods keep their lengths and returns their autocorrelation; a full shuffle destroys both, and with AR(1) 0.5
returns and 20-bar holds it rejected 16.5 % of true nulls at 5 %. Sources: Aronson 2006, "Evidence-Based
Technical Analysis"; Masters 2018, "Permutation and Randomization Tests for Trading System Development".
``engine.validation.holding`` puts whole holding periods into another order instead.

Positions that hang on the returns before them, as exits and trends make them, move the null by a part that falls as
1/sqrt(T): at 5 % and a volatility of 1 % a bar, with a stop-loss of 1 % it rejects 2.6 % of true nulls over 400 bars
and 5.1 % over 4,000; random entries with a take-profit of 1 % it rejects too often, 7 to 8 % over 400 bars.

This judges one fixed rule. It does not know how many rules were tried before.
"""

import math
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from engine.hooks import Hooks, Mapper
from engine.kernels import kernel
from engine.registry import Frozen, WholeNumber
from engine.streams import replicate_state, replicate_state_plain, stream, uniform_below, uniform_below_plain
from engine.types import Floats, Ints
from engine.validation.base import Report
from engine.validation.holding import draw_period_orders, enumerable, every_order, periods, reordered_means
from engine.validation.inputs import varying
from engine.validation.progress import in_pieces, ticker

NAME = "permutation"
STREAM = "validation/permutation"
PERIODS = "validation/permutation/holding_periods"
TIE = 1e-12
"""Statistics that differ by less than this, relative to their scale, are equal but for rounding."""

PRODUCTS_PER_CHUNK = 100_000_000
"""Multiplications between two calls of the hooks: about 50 ms. Results do not depend on it."""

_PERCENTS = (5, 25, 50, 75, 95)
_NULLS = {"cyclic": "cyclic shifts of the weights", "holding_periods": "holding and flat periods in any order"}
_NOTE = "statistic: mean of weight * market return per bar; null: {}; one-sided, upper"


class Permutation(Frozen):
    """Tests whether entry timing is related to returns, against shifts of the positions or other orders of them."""

    n: Annotated[WholeNumber, Field(ge=1, le=100_000, description="random shifts or orders")] = 1000
    method: Annotated[
        Literal["cyclic", "holding_periods"],
        Field(description="shifts all positions, or puts whole holding and flat periods into another order"),
    ] = "cyclic"

    def evaluate(
        self, weights: npt.ArrayLike, market_returns: npt.ArrayLike, seed: int, hooks: Hooks, mapper: Mapper = map
    ) -> Report:
        """Compare the strategy with its own positions at other times.

        ``weights`` (T,) is the signed share of equity just after the fills at the open of bar t, ``market_returns``
        (T,) the simple return from that open to the next one, ``seed`` the run's root seed. Of several symbols both are
        (T, N), the statistic is the sum over symbols, and all of a bar's positions are moved together.

        The p-value is ``(b + 1) / (B + 1)`` for B = ``n`` uniform shifts in 1..T-1, or orders. Where all T shifts or K!
        orders, the identity included, are no more than ``n + 1``, they are enumerated instead, and it is exact. Null
        with a reason for fewer than 3 bars, no position, or constant returns. Raises ``ValueError`` for unequal
        lengths and for values that are not finite, and what ``hooks`` raise.
        """
        weights, market_returns = (np.asarray(values, dtype=np.float64) for values in (weights, market_returns))
        reason = _undefined(weights, market_returns)
        if reason is not None:
            return self._report(seed, reason=reason)
        if self.method == "cyclic":
            length = len(weights)
            exact = self.n >= length - 1
            shifts = np.arange(length) if exact else draw_shifts(stream(seed, STREAM), self.n, length)
            null = shifted_means(weights, market_returns, shifts, hooks, mapper)
        else:
            null, exact = ordered_means(weights, market_returns, self.n, stream(seed, PERIODS), hooks, mapper)
        observed, tie = _observed(weights, market_returns)
        at_least = int(np.count_nonzero(null >= observed - tie))
        p = at_least / len(null) if exact else (at_least + 1) / (self.n + 1)
        return self._report(
            seed,
            statistic=observed,
            p_value=p,
            standard_error=0.0 if exact else math.sqrt(p * (1.0 - p) / (self.n + 1)),
            replicates=len(null),
            exact=exact,
            percentiles={f"p{q:02d}": float(np.percentile(null, q)) for q in _PERCENTS},
        )

    def _report(self, seed: int, **values: Any) -> Report:
        return Report(
            name=NAME, parameters=self.model_dump(), seed=seed, note=_NOTE.format(_NULLS[self.method]), **values
        )


def _undefined(weights: Floats, returns: Floats) -> str | None:
    if weights.shape != returns.shape:
        raise ValueError("weights and market_returns must be of one length")
    if not (np.all(np.isfinite(weights)) and np.all(np.isfinite(returns))):
        raise ValueError("weights and market_returns must be finite")
    if len(weights) < 3:
        return "fewer than 3 bars"
    if not np.any(weights):
        return "there is never a position"
    if not varying(returns.ravel()):
        return "market returns do not vary"
    return None


def _observed(weights: Floats, returns: Floats) -> tuple[float, float]:
    # The bound on the statistic is the same for every shift, so ties are judged alike.
    unmoved = np.zeros(1, dtype=np.int64)
    observed = sum(float(shift_kernel(_doubled(w), r, unmoved)[0]) for w, r in _each(weights, returns))
    return observed, TIE * weights.size / len(weights) * float(np.abs(weights).max()) * float(np.abs(returns).mean())


def shifted_means(weights: Floats, returns: Floats, shifts: Ints, hooks: Hooks, mapper: Mapper = map) -> Floats:
    """Statistic (K,) of each shift (K,), telling the hooks between chunks of about 50 ms."""
    each = [(_doubled(w), r) for w, r in _each(weights, returns)]

    def means(first: int, end: int) -> Floats:
        return _sum([shift_kernel(twice, market, shifts[first:end]) for twice, market in each])

    result = np.empty(len(shifts))
    size = PRODUCTS_PER_CHUNK // returns.size
    for place, found in in_pieces(means, len(shifts), size, ticker(hooks, NAME), mapper):
        result[place] = found
    return result


def ordered_means(
    weights: Floats, returns: Floats, n: int, key: np.uint64, hooks: Hooks, mapper: Mapper = map
) -> tuple[Floats, bool]:
    """Statistic of every order of the holding periods, or of ``n`` random ones; whether it is every order."""
    each, bounds = _each(weights, returns), periods(weights)
    count = len(bounds) - 1
    exact = enumerable(count, n)
    total = math.factorial(count) if exact else n
    every = every_order(count) if exact else None

    def means(first: int, end: int) -> Floats:
        orders = draw_period_orders(key, first, end - first, count) if every is None else every[first:end]
        return _sum([reordered_means(held, market, bounds, orders) for held, market in each])

    result = np.empty(total)
    size = PRODUCTS_PER_CHUNK // returns.size
    for place, found in in_pieces(means, total, size, ticker(hooks, NAME), mapper):
        result[place] = found
    return result, exact


def _sum(parts: list[Floats]) -> Floats:
    total = np.zeros(len(parts[0]))
    for part in parts:
        total += part
    return total


def _each(weights: Floats, returns: Floats) -> list[tuple[Floats, Floats]]:
    """The weights and returns of each symbol, (T,)."""
    if weights.ndim == 1:
        return [(_contiguous(weights), _contiguous(returns))]
    return [(_contiguous(weights[:, i]), _contiguous(returns[:, i])) for i in range(weights.shape[1])]


def _doubled(weights: Floats) -> Floats:
    # Twice in a row, every cyclic shift is one contiguous run: no modulo in the inner loop.
    return np.concatenate((weights, weights))


def _contiguous(values: Floats) -> Floats:
    # A strided column would make numba compile the kernel a second time.
    return np.ascontiguousarray(values, dtype=np.float64)


@kernel
def draw_shifts(key: np.uint64, n: int, length: int) -> Ints:
    """Shifts (n,), uniform in 1..length-1; each replicate draws from its own child of ``key``."""
    shifts = np.empty(n, dtype=np.int64)
    for i in range(n):
        value, _ = uniform_below(replicate_state(key, np.uint64(i)), np.uint64(length - 1))
        shifts[i] = np.int64(value) + 1
    return shifts


def draw_shifts_plain(key: int, n: int, length: int) -> Ints:
    """Twin of :func:`draw_shifts`."""
    states = (replicate_state_plain(key, i) for i in range(n))
    return np.array([uniform_below_plain(state, length - 1)[0] + 1 for state in states], dtype=np.int64)


@kernel
def shift_kernel(twice: Floats, returns: Floats, shifts: Ints) -> Floats:
    """Mean of shifted weight times return for each shift; ``twice`` (2T,) is the weights two times in a row.

    Four running sums, added in a fixed order: additions need not wait for each other, and bytes are equal.
    """
    length = len(returns)
    body = length - length % 4
    means = np.empty(len(shifts), dtype=np.float64)
    for k in range(len(shifts)):
        offset = length - shifts[k]
        a = b = c = d = 0.0
        for t in range(0, body, 4):
            a += twice[offset + t] * returns[t]
            b += twice[offset + t + 1] * returns[t + 1]
            c += twice[offset + t + 2] * returns[t + 2]
            d += twice[offset + t + 3] * returns[t + 3]
        total = (a + b) + (c + d)
        for t in range(body, length):
            total += twice[offset + t] * returns[t]
        means[k] = total / length
    return means


def shift_plain(weights: Floats, returns: Floats, shifts: Ints) -> Floats:
    """Twin of :func:`shift_kernel`, up to rounding: weights (T,) moved later by each shift."""
    return np.array([np.mean(np.roll(weights, shift) * returns) for shift in shifts.tolist()])

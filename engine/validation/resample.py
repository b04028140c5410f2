"""Which rows a resample of a time series takes: blocks, so that what hangs together in time stays together.

The stationary bootstrap (Politis & Romano 1994, JASA 89) draws blocks of geometric length with mean 1/p, the circular
block bootstrap (Politis & Romano 1992) of one length. Starts are uniform, and rows wrap around the end, so every row is
as likely as every other. Each replicate draws from its own child of the key: results do not depend on how replicates
are split into pieces.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from engine.kernels import kernel, part
from engine.streams import (
    replicate_state,
    replicate_state_plain,
    splitmix64,
    splitmix64_plain,
    uniform_below,
    uniform_below_plain,
)
from engine.types import Floats, Ints
from engine.validation.inputs import constant, series, table

Words = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Blocks:
    """How a resample is cut: ``length`` rows a block, on average where ``method`` is stationary.

    Length 1 is the bootstrap of independent rows. Raises ``ValueError`` for a length below 1, and for one that is not
    whole where all blocks are equal.
    """

    method: Literal["stationary", "circular"] = "stationary"
    length: float = 1.0

    def __post_init__(self) -> None:
        if self.method not in ("stationary", "circular"):
            raise ValueError("method must be stationary or circular")
        if not (math.isfinite(self.length) and self.length >= 1.0):
            raise ValueError("a block must be at least one row long")
        if self.fixed and self.fixed != self.length:
            raise ValueError("a circular block must be of a whole number of rows")

    @property
    def fixed(self) -> int:
        """Rows of every block, 0 where lengths are drawn."""
        return int(self.length) if self.method == "circular" else 0

    def survival(self, rows: int) -> Words:
        """Chances that a block is longer than 0, 1, 2... rows, as 64-bit integers; empty where none is drawn.

        A block of ``s`` rows goes on where a word, drawn once for each block, is below entry ``s``. The table ends with
        a chance of nought, or where a block would fill the whole resample. Integers: the same on every machine.
        """
        if self.fixed:
            return np.empty(0, dtype=np.uint64)
        goes_on = int((1.0 - 1.0 / self.length) * 2.0**64)
        chances = [1 << 64]
        while len(chances) <= rows and chances[-1]:
            chances.append((chances[-1] * goes_on) >> 64)
        chances[0] -= 1  # never asked for; 2^64 itself is no 64-bit integer
        return np.array(chances, dtype=np.uint64)


@part
def draw_block(state: np.uint64, rows: int, survival: Words, fixed: int) -> tuple[np.int64, int, np.uint64]:
    """``(first row, rows, next state)`` of one block."""
    word, state = uniform_below(state, np.uint64(rows))
    start = np.int64(word)
    size = fixed
    if fixed == 0:
        word, state = splitmix64(state)
        size = 1
        while size < len(survival) and word < survival[size]:
            size += 1
    return start, size, state


@kernel
def draw_indices(key: np.uint64, first: int, count: int, rows: int, survival: Words, fixed: int) -> Ints:
    """Rows (count, rows) of the replicates ``first``, ``first + 1``, ..."""
    indices = np.empty((count, rows), dtype=np.int64)
    for i in range(count):
        state = replicate_state(key, np.uint64(first + i))
        filled = 0
        while filled < rows:
            start, size, state = draw_block(state, rows, survival, fixed)
            for j in range(min(size, rows - filled)):
                row = start + j
                indices[i, filled + j] = row if row < rows else row - rows
            filled += size
    return indices


@kernel
def draw_counts(key: np.uint64, first: int, count: int, rows: int, survival: Words, fixed: int) -> Floats:
    """How often each row is in each replicate, (count, rows): weights whose product with the data are sums."""
    counts = np.empty((count, rows), dtype=np.float64)
    change = np.zeros(2 * rows + 1, dtype=np.int64)
    for i in range(count):
        state = replicate_state(key, np.uint64(first + i))
        change[:] = 0
        left, level = rows, np.int64(0)
        while left > 0:
            start, size, state = draw_block(state, rows, survival, fixed)
            size = min(size, left)
            change[start] += 1
            change[start + size] -= 1
            level += start + size >= rows  # covers the last row, and what it has beyond goes on at row 0
            left -= size
        for t in range(rows):
            level += change[t] + change[rows + t]
            counts[i, t] = level
    return counts


def draw_indices_plain(key: int, first: int, count: int, rows: int, blocks: Blocks) -> Ints:
    """Twin of :func:`draw_indices`."""
    survival = [int(chance) for chance in blocks.survival(rows)]
    drawn = []
    for i in range(first, first + count):
        state, taken = replicate_state_plain(key, i), list[int]()
        while len(taken) < rows:
            start, state = uniform_below_plain(state, rows)
            size = blocks.fixed
            if not blocks.fixed:
                word, state = splitmix64_plain(state)
                size = 1 + sum(word < chance for chance in survival[1:])
            taken += [(start + j) % rows for j in range(size)]
        drawn.append(taken[:rows])
    return np.array(drawn, dtype=np.int64).reshape(count, rows)


def long_run_variance(values: npt.ArrayLike, blocks: Blocks) -> Floats:
    """T times the variance of a resample's mean, given the columns of ``values`` (T, N): exact, not simulated.

    ``g_0 + 2 sum_i k_i g_i`` over the autocovariances about the mean, over T. For the stationary bootstrap
    ``k_i = (1 - i/T) (1-p)^i + (i/T) (1-p)^(T-i)``, lemma 1 of Politis & Romano 1994; for circular blocks of b rows
    ``k_i = max(0, 1 - i/b) + max(0, 1 - (T-i)/b)``, which is exact where b divides T. This is also the kernel estimate
    of the long-run variance that Hansen 2005 takes. At least 0; 0 for a column that does not vary.
    """
    data = table(values, "values")
    rows = len(data)
    if rows < 2:
        return np.zeros(data.shape[1])
    lag = np.arange(1, rows)
    if blocks.fixed:
        size = min(blocks.fixed, rows)
        weights = np.maximum(0.0, 1.0 - lag / size) + np.maximum(0.0, 1.0 - (rows - lag) / size)
    else:
        goes_on = 1.0 - 1.0 / blocks.length
        weights = (1.0 - lag / rows) * goes_on**lag + (lag / rows) * goes_on ** (rows - lag)
    result = np.zeros(data.shape[1])
    for i in range(data.shape[1]):
        if not constant(data[:, i]):
            gammas = autocovariances(data[:, i])
            result[i] = max(0.0, float(gammas[0] + 2.0 * np.sum(weights * gammas[1:])))
    return result


def autocovariances(values: Floats) -> Floats:
    """Of ``values`` (T,) about their mean at lags 0..T-1, over T."""
    off = values - values.mean()
    padded = 1 << (2 * len(values) - 1).bit_length()
    spectrum = np.fft.rfft(off, padded)
    product = np.fft.irfft(spectrum.real**2 + spectrum.imag**2, padded)
    gammas: Floats = product[: len(values)] / len(values)
    return gammas


@dataclass(frozen=True)
class BlockLength:
    """Rows a block should have for the mean of a series, at least 1; None where ``reason`` says why.

    ``lag`` is m_hat, after which the autocorrelations are insignificant; None where none was found.
    """

    stationary: float | None = None
    circular: float | None = None
    lag: int | None = None
    reason: str | None = None


def optimal_block_length(values: npt.ArrayLike) -> BlockLength:
    """Automatic block length: Politis & White 2004, with the correction of Patton, Politis & White 2009.

    ``values`` (T,). m_hat is the first lag of a run of ``max(5, log10 T)`` autocorrelations inside
    ``2 sqrt(log10 T / T)``, as in ``arch``. None with a reason for fewer than 12 values and for a series that does not
    vary. Raises ``ValueError`` for another rank and values that are not finite.
    """
    data = series(values, "values")
    rows = len(data)
    if rows < 12:
        return BlockLength(reason="fewer than 12 values")
    if constant(data):
        return BlockLength(reason="values do not vary")
    off = data / np.abs(data).max()
    off = off - off.mean()
    run = max(5, int(math.log10(rows)))
    most = math.ceil(math.sqrt(rows)) + run
    gammas = np.array([float(off[k:] @ off[: rows - k]) / rows for k in range(most + 1)])
    first = _first_insignificant(off, gammas, run)
    lag = min(most, 2 * max(1, first) if first is not None else most)
    k = np.arange(1, lag + 1)
    window = np.minimum(1.0, 2.0 * (1.0 - k / lag)) * gammas[1 : lag + 1]
    slope = 2.0 * float(np.sum(window * k))
    spectrum = float(gammas[0] + 2.0 * np.sum(window))
    longest = longest_block(rows)
    # A spectrum of zero at the origin asks for the longest block there may be.
    ratio = abs(slope / spectrum) if abs(spectrum) > 1e-300 else math.inf
    drawn, equal = ((2.0 * ratio * ratio / c * rows) ** (1.0 / 3.0) for c in (2.0, 4.0 / 3.0))
    return BlockLength(max(1.0, min(drawn, longest)), max(1.0, min(equal, longest)), first)


def longest_block(rows: int) -> int:
    """Rows of the longest block that leaves enough of them: ``min(3 sqrt(T), T / 3)``, Politis & White's bound, up."""
    return math.ceil(min(3.0 * math.sqrt(rows), rows / 3.0))


def _first_insignificant(off: Floats, gammas: Floats, run: int) -> int | None:
    """First lag of the run, from 0 on; None where there is none."""
    rows, inside = len(off), 0
    bound = 2.0 * math.sqrt(math.log10(rows) / rows)
    squares = off * off
    # The norm of either end leaves out one value more than the lag, as in arch and Patton's program.
    before, after = np.cumsum(squares), np.cumsum(squares[::-1])
    for k in range(len(gammas) - 1):
        norm = math.sqrt(float(before[rows - k - 2]) * float(after[rows - k - 2]))
        inside = inside + 1 if abs(gammas[k]) * rows < bound * norm else 0
        if inside == run:
            return k + 1 - run
    return None

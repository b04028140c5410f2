"""Probability of backtest overfitting: how often the best in one half of the data is below the median in the other.

Combinatorially symmetric cross-validation, Bailey, Borwein, Lopez de Prado & Zhu 2017, Journal of Computational Finance
20(4). One data set says little: of pure noise the probability averages a half with a standard deviation of 0.15 to
0.24, so it comes with the band it has where no strategy is better than another.
"""

import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from engine.hooks import Mapper, spread
from engine.streams import stream
from engine.types import Floats, Ints
from engine.validation.inputs import PValue, Tick, constant, monte_carlo, no_tick, table, varying, without_unit
from engine.validation.overfitting_kernels import block_moments, split_kernel
from engine.validation.progress import in_pieces
from engine.validation.resample import Blocks, draw_indices
from engine.validation.spa import common_blocks

STREAM = "validation/overfitting"
CHUNK = 50_000_000
"""Ratios times blocks between two calls of ``tick``: about 50 ms. Results do not depend on it."""

MOST_BLOCKS = 20


@dataclass(frozen=True)
class Band:
    """What the probability of overfitting is where no strategy is better than another.

    Each replicate takes rows of the columns less their means, in stationary ``blocks`` and all columns together: the
    means are nought, what hangs together across strategies and in time stays. (Rows with their means would be a band
    around the winner's luck, not around the truth.) ``lower``, ``median`` and ``upper`` are the 5, 50 and 95 %
    quantiles over ``replicates``, each from ``splits`` evenly spread halvings. ``p_value`` is how often one was as low
    as what was found.
    """

    lower: float
    median: float
    upper: float
    p_value: PValue
    replicates: int
    splits: int
    blocks: Blocks


@dataclass(frozen=True)
class Overfitting:
    """Result of cross-validation over ``splits`` halvings; what is not known is None, ``reason`` says why.

    For each halving the strategy of the largest Sharpe ratio in one half is ranked in the other; ``logits`` are
    ``log(w / (1 - w))`` of the relative ranks w = rank / (N + 1), ties at the mean of their ranks. ``pbo`` is the share
    of logits <= 0, ``pbo_below`` that of logits < 0: they differ for an odd number of strategies. ``slope`` and
    ``intercept`` are those of the least-squares line of the second ratio (per period) on the first, ``slope`` below 0
    meaning that better looks worse; None where the first does not vary. ``loss`` is the share of second ratios below 0.
    ``dropped`` counts the oldest rows, left out to make the ``blocks`` equal. A half in which a strategy does not vary
    counts as a Sharpe ratio of 0. ``excluded`` are strategies that never vary.
    """

    strategies: int
    rows: int
    blocks: int
    splits: int = 0
    pbo: float | None = None
    pbo_below: float | None = None
    logits: tuple[float, ...] = ()
    slope: float | None = None
    intercept: float | None = None
    loss: float | None = None
    dropped: int = 0
    excluded: tuple[int, ...] = ()
    band: Band | None = None
    reason: str | None = None


def probability_of_overfitting(
    returns: npt.ArrayLike,
    seed: int,
    *,
    blocks: int = 16,
    replicates: int = 200,
    band_splits: int = 256,
    cut: Blocks | None = None,
    tick: Tick = no_tick,
    mapper: Mapper = map,
) -> Overfitting:
    """Cross-validate the strategies whose returns are the columns of ``returns`` (T, N), over all halvings of time.

    ``blocks`` S is even: C(S, S/2) halvings. ``replicates`` of the band (0: none) take rows in blocks ``cut``, as long
    as is automatic for the columns, and ``band_splits`` halvings each. Null with a reason for fewer than two strategies
    that vary and fewer than two rows a block. Raises ``ValueError`` for another rank, values that are not finite and
    numbers that make no sense.
    """
    if blocks < 2 or blocks % 2 or blocks > MOST_BLOCKS:
        raise ValueError(f"blocks must be an even number from 2 to {MOST_BLOCKS}")
    if replicates < 0 or band_splits < 2:
        raise ValueError("replicates must be at least 0 and band_splits at least 2")
    values = table(returns)
    rows, count = values.shape
    if rows < 2 * blocks:
        return Overfitting(count, rows, blocks, reason="fewer than two rows a block")
    dropped = rows % blocks
    values = values[dropped:]
    varies = varying(values)
    excluded = tuple(int(i) for i in np.flatnonzero(~varies))
    if np.count_nonzero(varies) < 2:
        reason = "fewer than two strategies vary"
        return Overfitting(count, rows, blocks, dropped=dropped, excluded=excluded, reason=reason)
    kept = np.ascontiguousarray(without_unit(values[:, varies]))
    halves = halvings(blocks)
    found = _split(kept, np.arange(len(kept)), halves, blocks, tick, mapper)
    slope, intercept = _line(found[:, 0], found[:, 1])
    width = kept.shape[1] + 1
    return Overfitting(
        strategies=count,
        rows=rows,
        blocks=blocks,
        splits=len(found),
        pbo=float(np.mean(2.0 * found[:, 2] <= width)),
        pbo_below=float(np.mean(2.0 * found[:, 2] < width)),
        logits=tuple(math.log(rank / (width - rank)) for rank in found[:, 2].tolist()),
        slope=slope,
        intercept=intercept,
        loss=float(np.mean(found[:, 1] < 0.0)),
        dropped=dropped,
        excluded=excluded,
        band=_band(kept, found, blocks, seed, replicates, band_splits, cut, tick, mapper) if replicates else None,
    )


def halvings(blocks: int) -> Ints:
    """Halves that contain block 0, (C(S, S/2) / 2, S/2), in lexicographic order; the others are their complements."""
    chosen = (first for first in combinations(range(blocks), blocks // 2) if first[0] == 0)
    return np.array(list(chosen), dtype=np.int64)


def _split(values: Floats, rows: Ints, halves: Ints, blocks: int, tick: Tick = no_tick, mapper: Mapper = map) -> Floats:
    """Of each half and then its complement: best ratio, the same strategy's in the other half and its rank, (n, 3)."""
    moments = block_moments(values, rows, blocks)

    def some(first: int, end: int) -> Floats:
        return split_kernel(*moments, len(rows) // blocks, halves[first:end])

    size = CHUNK // (values.shape[1] * blocks)
    return np.concatenate([found for _, found in in_pieces(some, len(halves), size, tick, mapper)])


def _line(x: Floats, y: Floats) -> tuple[float | None, float | None]:
    off = x - x.mean()
    spread = float(off @ off)
    if constant(x) or spread <= 0.0:
        return None, None
    slope = float(off @ (y - y.mean())) / spread
    return slope, float(y.mean()) - slope * float(x.mean())


def _band(
    values: Floats,
    found: Floats,
    blocks: int,
    seed: int,
    replicates: int,
    splits: int,
    cut: Blocks | None,
    tick: Tick,
    mapper: Mapper,
) -> Band:
    rows, width = len(values), values.shape[1] + 1
    every = halvings(blocks)
    pairs = min(len(every), splits // 2)
    halves = every[np.arange(pairs) * len(every) // pairs]
    taken = common_blocks(values) if cut is None else cut
    key, survival = stream(seed, STREAM), taken.survival(rows)
    centred = values - values.mean(axis=0)
    null = np.empty(replicates)

    def noise(i: int) -> float:
        drawn = draw_indices(key, i, 1, rows, survival, taken.fixed)[0]
        return float(np.mean(2.0 * _split(centred, drawn, halves, blocks)[:, 2] <= width))

    for i, share in enumerate(spread(mapper, noise, range(replicates))):
        null[i] = share
        tick(i + 1, replicates)
    observed = float(np.mean(2.0 * found[:, 2] <= width))
    lower, median, upper = (float(q) for q in np.quantile(null, [0.05, 0.5, 0.95]))
    p_value = monte_carlo(int(np.count_nonzero(null <= observed)), replicates)
    return Band(lower, median, upper, p_value, replicates, 2 * pairs, taken)

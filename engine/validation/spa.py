"""Whether the best of many strategies beats a benchmark, given that it was searched for.

Hansen's test of superior predictive ability divides each mean by its own standard error. White's Reality Check does
not, so one noisy loser hides a winner: in a case where the first has power 71 %, the second has 0.3 %. Romano & Wolf's
step-down says which strategies are better, not only whether one is. All three come from the same resamples of rows.

A long block makes the test liberal: keep at least 100 blocks in the sample (at 25 it rejected 12 % of true nulls at
5 %).
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.hooks import Mapper
from engine.kernels import kernel
from engine.streams import stream
from engine.types import Floats, Ints
from engine.validation.inputs import PValue, Tick, monte_carlo, no_tick, table, varying
from engine.validation.progress import in_pieces
from engine.validation.resample import (
    Blocks,
    Words,
    draw_counts,
    draw_indices_plain,
    long_run_variance,
    optimal_block_length,
)

STREAM = "validation/spa"
CHUNK = 200_000_000
"""Products between two calls of ``tick``: about 50 ms. Results do not depend on it."""

BATCH, TILE = 32, 64
"""Replicates whose weights are at hand at once, and rows of data that stay in the cache. Results depend on neither."""

FEWEST_ROWS = 12
FEWEST_BLOCKS = 100
NOTHING_VARIES = "no strategy varies against the benchmark"
LIBERAL = "fewer than 100 blocks in the sample: the tests reject too often"


@dataclass(frozen=True)
class Superiority:
    """Tests of k strategies against a benchmark; what is not known is None, ``reason`` says why.

    ``statistics`` (k) are sqrt(T) mean / omega, ``best`` the index of the largest, ``statistic`` that one or 0 where it
    is below. ``lower``, ``consistent`` and ``upper`` are the SPA p-values of the three recentrings: strategies worse
    than the benchmark count as they are, only where they are clearly worse, or as no worse than it. ``reality_check``
    is White's p-value and ``mean`` (per period) the largest mean, which it tests. ``stepdown`` (k) are the p-values of
    Romano & Wolf, adjusted for all k. Strategies that do not vary against the benchmark are in ``excluded``, and have
    None. ``warning`` says what makes the p-values doubtful.
    """

    strategies: int
    rows: int
    replicates: int
    blocks: Blocks
    statistic: float | None = None
    best: int | None = None
    mean: float | None = None
    lower: PValue | None = None
    consistent: PValue | None = None
    upper: PValue | None = None
    reality_check: PValue | None = None
    statistics: tuple[float | None, ...] = ()
    stepdown: tuple[PValue | None, ...] = ()
    excluded: tuple[int, ...] = ()
    warning: str | None = None
    reason: str | None = None


def superiority(
    excess: npt.ArrayLike,
    seed: int,
    *,
    blocks: Blocks | None = None,
    replicates: int = 10_000,
    tick: Tick = no_tick,
    mapper: Mapper = map,
) -> Superiority:
    """SPA (Hansen 2005, JBES 23), Reality Check (White 2000) and step-down (Romano & Wolf 2005) of ``excess`` (T, k).

    A column is the return of a strategy less that of the benchmark, per period. Without ``blocks`` they are stationary,
    and of the mean length that :func:`optimal_block_length` gives the columns. Null with a reason for fewer than 12
    rows and where no column varies. Raises ``ValueError`` for another rank, values that are not finite and
    ``replicates`` below 1.
    """
    if replicates < 1:
        raise ValueError("replicates must be at least 1")
    values = table(excess, "excess")
    rows, count = values.shape
    cut = blocks if blocks is not None else common_blocks(values)
    if rows < FEWEST_ROWS:
        return Superiority(count, rows, replicates, cut, reason=f"fewer than {FEWEST_ROWS} rows")
    omega = np.sqrt(long_run_variance(values, cut))
    varies = varying(values) & (omega > 1e-6 * values.std(axis=0))
    excluded = tuple(int(i) for i in np.flatnonzero(~varies))
    if not varies.any():
        return Superiority(count, rows, replicates, cut, excluded=excluded, reason=NOTHING_VARIES)
    kept = np.flatnonzero(varies)
    studentised = math.sqrt(rows) * values[:, kept].mean(axis=0) / omega[kept]
    order = kept[np.argsort(-studentised, kind="stable")]
    maxima, exceeded = _resampled(values[:, order], omega[order], cut, seed, replicates, tick, mapper)
    statistics: list[float | None] = [None] * count
    stepdown: list[PValue | None] = [None] * count
    for i, most in zip(order, np.maximum.accumulate(exceeded), strict=True):
        statistics[i] = float(math.sqrt(rows) * values[:, i].mean() / omega[i])
        stepdown[i] = monte_carlo(int(most), replicates)
    statistic, mean = max(0.0, statistics[order[0]] or 0.0), float(values[:, kept].mean(axis=0).max())
    seen = (statistic, statistic, statistic, math.sqrt(rows) * mean)
    tests = [monte_carlo(int(np.count_nonzero(maxima[:, j] >= seen[j])), replicates) for j in range(4)]
    return Superiority(
        strategies=count,
        rows=rows,
        replicates=replicates,
        blocks=cut,
        statistic=statistic,
        best=int(order[0]),
        mean=mean,
        lower=tests[0],
        consistent=tests[1],
        upper=tests[2],
        reality_check=tests[3],
        statistics=tuple(statistics),
        stepdown=tuple(stepdown),
        excluded=excluded,
        warning=LIBERAL if rows / cut.length < FEWEST_BLOCKS else None,
    )


def common_blocks(values: Floats) -> Blocks:
    """Stationary blocks of the mean of the automatic lengths of the columns; of one row where there are none."""
    found = (optimal_block_length(values[:, i]).stationary for i in range(values.shape[1]))
    lengths = [length for length in found if length is not None]
    return Blocks("stationary", math.fsum(lengths) / len(lengths) if lengths else 1.0)


def recentred(means: Floats, omega: Floats, rows: int) -> Floats:
    """What each recentring leaves of the studentised means (k,), (3, k): lower, consistent, upper.

    Hansen's g is max(mean, 0), the mean unless it is below ``-omega sqrt(2 log log T / T)``, and the mean.
    """
    near = math.sqrt(rows) * means >= -omega * math.sqrt(2.0 * math.log(math.log(rows)))
    left = np.stack((np.minimum(means, 0.0), np.where(near, 0.0, means), np.zeros(len(means))))
    shifts: Floats = math.sqrt(rows) * left / omega
    return shifts


def _resampled(
    values: Floats, omega: Floats, blocks: Blocks, seed: int, replicates: int, tick: Tick, mapper: Mapper
) -> tuple[Floats, Ints]:
    """Maxima (replicates, 4) and how often (k,) each statistic was reached, by pieces."""
    rows, count = values.shape
    means, key = values.mean(axis=0), stream(seed, STREAM)
    unit = np.ascontiguousarray((values - means) / omega)
    shifts, survival = recentred(means, omega, rows), blocks.survival(rows)
    reached = math.sqrt(rows) * means / omega
    maxima, exceeded = np.empty((replicates, 4)), np.zeros(count, dtype=np.int64)

    def some(first: int, end: int) -> tuple[Floats, Ints]:
        return maxima_kernel(key, first, end - first, unit, omega, shifts, reached, survival, blocks.fixed)

    for place, (found, more) in in_pieces(some, replicates, CHUNK // values.size, tick, mapper):
        maxima[place] = found
        exceeded += more
    return maxima, exceeded


@kernel
def maxima_kernel(
    key: np.uint64,
    first: int,
    count: int,
    unit: Floats,
    omega: Floats,
    shifts: Floats,
    reached: Floats,
    survival: Words,
    fixed: int,
) -> tuple[Floats, Ints]:
    """Largest statistic (count, 4) of each replicate: SPA lower, consistent, upper (all at least 0), Reality Check.

    ``unit`` (T, k) is (value - mean) / omega, columns by falling statistic ``reached`` (k,); ``shifts`` (3, k) as
    :func:`recentred`. The second result (k,) counts the replicates in which the largest of the column and those after
    it is at least ``reached``. Replicates are rows of weights, whose product with the data are their sums.
    """
    columns = unit.shape[1]
    maxima, exceeded = np.empty((count, 4)), np.zeros(columns, dtype=np.int64)
    root = math.sqrt(len(unit))
    for begin in range(0, count, BATCH):
        many = min(BATCH, count - begin)
        counts = draw_counts(key, first + begin, many, len(unit), survival, fixed)
        sums = weighted_sums(counts, unit)
        for i in range(many):
            lower = consistent = upper = 0.0
            check, most = -np.inf, -np.inf
            for j in range(columns - 1, -1, -1):
                value = sums[i, j] / root
                most = max(most, value)
                exceeded[j] += most >= reached[j]
                lower = max(lower, value + shifts[0, j])
                consistent = max(consistent, value + shifts[1, j])
                upper = max(upper, value + shifts[2, j])
                check = max(check, value * omega[j])
            place = maxima[begin + i]
            place[0], place[1], place[2], place[3] = lower, consistent, upper, check
    return maxima, exceeded


@kernel
def weighted_sums(weights: Floats, data: Floats) -> Floats:
    """``weights`` (n, T) times ``data`` (T, k), each sum taken in the order of time whatever n is: not so in BLAS.

    A tile of rows stays in the cache for all n. Rows of weight nought are left out, the others taken four at a time.
    """
    rows, columns = data.shape
    sums = np.zeros((len(weights), columns))
    taken, given = np.zeros(TILE + 3, dtype=np.int64), np.zeros(TILE + 3)
    for top in range(0, rows, TILE):
        bottom = min(top + TILE, rows)
        for i in range(len(weights)):
            used = 0
            for t in range(top, bottom):
                taken[used], given[used] = t, weights[i, t]
                used += weights[i, t] != 0.0
            for u in range(used, used + 3):
                taken[u], given[u] = top, 0.0
            own = sums[i]
            for u in range(0, used, 4):
                a, b, c, d = data[taken[u]], data[taken[u + 1]], data[taken[u + 2]], data[taken[u + 3]]
                p, q, r, s = given[u], given[u + 1], given[u + 2], given[u + 3]
                for j in range(columns):
                    own[j] = own[j] + p * a[j] + q * b[j] + r * c[j] + s * d[j]
    return sums


def resampled_plain(key: int, first: int, count: int, values: Floats, blocks: Blocks) -> Floats:
    """Twin of the sums of :func:`maxima_kernel`: sqrt(T) (mean* - mean) / omega of each column, (count, k)."""
    rows = len(values)
    drawn = values[draw_indices_plain(key, first, count, rows, blocks)].mean(axis=1)
    omega = np.sqrt(long_run_variance(values, blocks))
    studentised: Floats = math.sqrt(rows) * (drawn - values.mean(axis=0)) / omega
    return studentised

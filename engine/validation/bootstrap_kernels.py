"""Sharpe ratios of block resamples, summed up while the blocks are drawn: no resample is ever stored."""

import math

import numpy as np

from engine.kernels import kernel
from engine.streams import replicate_state
from engine.types import Floats
from engine.validation.inputs import varying
from engine.validation.resample import Blocks, Words, draw_block, draw_indices_plain

CANCELLED = 1e-4
"""A variance below this share of the mean square lost digits in one pass, and is computed again in two."""

DUST = 1e-10
"""A squared error below this share of its terms is their rounding: where one block fills a resample it is nought."""


@kernel
def sharpe_kernel(
    key: np.uint64,
    first: int,
    count: int,
    twice: Floats,
    offset: float,
    dust: float,
    survival: Words,
    fixed: int,
    errors: bool,
) -> tuple[Floats, Floats]:
    """Sharpe ratio (count,) of the replicates ``first``, ``first + 1``, ... and its standard error in each.

    ``twice`` (2T,) is ``(r - mean) / deviation`` two times in a row, so that a block is one run, and ``offset`` is
    mean / deviation; a range of ``dust`` in ``twice`` is rounding. The standard error, asked for by ``errors``, is that
    of the delta method with the blocks of the replicate as independent pieces (Goetze & Kuensch 1996; Ledoit & Wolf
    2008), 0 where there is one only. NaN where a resample does not vary.
    """
    rows = len(twice) // 2
    ratios, deviations = np.empty(count), np.empty(count)
    for i in range(count):
        state = replicate_state(key, np.uint64(first + i))
        total, squares = 0.0, 0.0
        ss = sq = sn = qq = qn = nn = 0.0
        left = rows
        while left > 0:
            start, size, state = draw_block(state, rows, survival, fixed)
            size = min(size, left)
            s, q = 0.0, 0.0
            for t in range(start, start + size):
                x = twice[t]
                s += x
                q += x * x
            total += s
            squares += q
            left -= size
            if errors:
                ss, sq, sn = ss + s * s, sq + s * q, sn + s * size
                qq, qn, nn = qq + q * q, qn + q * size, nn + float(size) * size
        mean = total / rows
        variance = squares / rows - mean * mean
        if variance < CANCELLED * (squares / rows) or variance <= dust * dust:
            variance = two_pass_variance(key, first + i, twice, dust, survival, fixed)
        if not variance > 0.0:
            ratios[i], deviations[i] = np.nan, np.nan
            continue
        deviation = math.sqrt(variance)
        ratio = (offset + mean) / deviation
        # The sum of influences over a block is a s + b q + c n.
        a = 1.0 / deviation + ratio * mean / variance
        b = -0.5 * ratio / variance
        c = -mean / deviation - 0.5 * ratio * (mean * mean / variance - 1.0)
        spread = a * (a * ss + 2.0 * b * sq + 2.0 * c * sn) + b * (b * qq + 2.0 * c * qn) + c * c * nn
        if spread <= DUST * (a * a * ss + b * b * qq + c * c * nn):
            spread = 0.0
        small = math.sqrt((rows - 1.0) / rows)
        ratios[i] = ratio * small
        deviations[i] = math.sqrt(spread) / rows * small
    return ratios, deviations


@kernel
def two_pass_variance(key: np.uint64, replicate: int, twice: Floats, dust: float, survival: Words, fixed: int) -> float:
    """Population variance of one replicate, drawn again; 0 where it does not vary."""
    rows = len(twice) // 2
    drawn = np.empty(rows)
    state = replicate_state(key, np.uint64(replicate))
    filled = 0
    while filled < rows:
        start, size, state = draw_block(state, rows, survival, fixed)
        for t in range(start, start + min(size, rows - filled)):
            drawn[filled] = twice[t]
            filled += 1
    if drawn.max() - drawn.min() <= dust:
        return 0.0
    mean = drawn.sum() / rows
    variance = 0.0
    for x in drawn:
        variance += (x - mean) * (x - mean)
    return variance / rows


def sharpe_plain(key: int, first: int, count: int, returns: Floats, blocks: Blocks) -> Floats:
    """Twin of the ratios of :func:`sharpe_kernel`, up to rounding; every resample is laid out."""
    drawn = returns[draw_indices_plain(key, first, count, len(returns), blocks)]
    varies = varying(drawn.T)
    deviation = np.where(varies, drawn.std(axis=1, ddof=1), np.nan)
    ratios: Floats = drawn.mean(axis=1) / deviation
    return ratios

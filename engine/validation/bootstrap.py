"""Block bootstrap of a Sharpe ratio: intervals that hold under autocorrelation and fat tails, and a p-value.

Measured at T = 252 and nominal 95 % with AR(1) 0.2: the studentised interval covers 93.7 %, the percentile interval
91.8 %, Mertens' formula 88.2 %. Ratios are per period of the returns.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from engine.hooks import Mapper
from engine.metrics.moments import DUST
from engine.streams import stream
from engine.types import Floats, Ints
from engine.validation.bootstrap_kernels import CANCELLED, sharpe_kernel
from engine.validation.inputs import PValue, Tick, fraction, monte_carlo, no_tick, number, series, without_unit
from engine.validation.progress import in_pieces
from engine.validation.resample import Blocks, long_run_variance, optimal_block_length
from engine.validation.sharpe import NORMAL, moments

STREAM = "validation/bootstrap"
CHUNK = 1 << 23
"""Rows drawn between two calls of ``tick``: about 20 ms. Results do not depend on it."""

MOST_CONSTANT = 0.01
"""Where more than this share of the resamples do not vary, what is left of them says nothing about the tails."""


@dataclass(frozen=True)
class Interval:
    """``lower`` and ``upper`` bound, both None where ``reason`` says why."""

    lower: float | None
    upper: float | None
    reason: str | None = None


@dataclass(frozen=True)
class SharpeBootstrap:
    """A Sharpe ratio per period and how sure it is; everything is None or has a reason where ``reason`` says why.

    ``bias`` and ``standard_error`` are those of the replicates. ``percentile`` are their quantiles, ``bca`` the same at
    levels corrected for bias and skewness, ``studentised`` those of (SR* - SR) / SE* turned around: the safest under
    autocorrelation. ``p_value`` is one-sided, for SR <= ``benchmark``: how often SR* - SR is at least SR - benchmark.
    ``constant`` counts resamples that do not vary; they have no ratio, count as extreme for the p-value, and above 1 %
    of them there are no intervals. ``blocks`` is how the series was cut.
    """

    sharpe: float | None
    benchmark: float
    confidence: float
    replicates: int
    blocks: Blocks
    constant: int = 0
    bias: float | None = None
    standard_error: float | None = None
    percentile: Interval = Interval(None, None)
    bca: Interval = Interval(None, None)
    studentised: Interval = Interval(None, None)
    p_value: PValue | None = None
    reason: str | None = None


def bootstrap_sharpe(
    returns: npt.ArrayLike,
    seed: int,
    *,
    blocks: Blocks | None = None,
    replicates: int = 10_000,
    confidence: float = 0.95,
    benchmark: float = 0.0,
    tick: Tick = no_tick,
    mapper: Mapper = map,
) -> SharpeBootstrap:
    """Resample ``returns`` (T,) in blocks and compute the Sharpe ratio of each resample.

    Without ``blocks`` they are stationary and as long as :func:`automatic_blocks` says. None with a reason for fewer
    than 12 returns and returns that do not vary. Raises ``ValueError`` for another rank, values that are not finite,
    or a ``benchmark`` that is not, ``replicates`` below 2 and a ``confidence`` outside (0, 1).
    """
    fraction(confidence, "confidence")
    number(benchmark, "benchmark")
    if replicates < 2:
        raise ValueError("replicates must be at least 2")
    values = series(returns)
    found = moments(values)
    reason = found.reason or ("fewer than 12 returns" if len(values) < 12 else None)
    if reason is not None:
        nothing = Interval(None, None, reason)
        least = blocks or Blocks()
        return SharpeBootstrap(
            None, benchmark, confidence, replicates, least, 0, None, None, nothing, nothing, nothing, None, reason
        )
    sharpe = found.known()[0]
    values = without_unit(values)
    cut = automatic_blocks(values) if blocks is None else blocks
    key = stream(seed, STREAM)
    ratios, errors = sharpe_replicates(values, cut, key, replicates, errors=True, tick=tick, mapper=mapper)
    varies = np.isfinite(ratios)
    constant = replicates - int(np.count_nonzero(varies))
    valid = ratios[varies]
    extreme = int(np.count_nonzero(valid - sharpe >= sharpe - benchmark)) + constant
    pivots = _pivots(valid, errors[varies], sharpe)
    percentile, bca, studentised = _intervals(values, valid, pivots, sharpe, cut, confidence, constant)
    return SharpeBootstrap(
        sharpe,
        benchmark,
        confidence,
        replicates,
        cut,
        constant,
        float(valid.mean()) - sharpe if len(valid) > 1 else None,
        float(valid.std(ddof=1)) if len(valid) > 1 else None,
        percentile,
        bca,
        studentised,
        monte_carlo(extreme, replicates),
    )


def automatic_blocks(values: npt.ArrayLike, method: Literal["stationary", "circular"] = "stationary") -> Blocks:
    """Blocks of the length that :func:`optimal_block_length` finds; of one row where it finds none."""
    length = optimal_block_length(values)
    if method == "circular":
        return Blocks(method, float(math.ceil(length.circular or 1.0)))
    return Blocks(method, length.stationary or 1.0)


def sharpe_replicates(
    values: Floats,
    blocks: Blocks,
    key: np.uint64,
    replicates: int,
    *,
    errors: bool,
    tick: Tick = no_tick,
    mapper: Mapper = map,
) -> tuple[Floats, Floats]:
    """Sharpe ratio (replicates,) of each resample and its standard error there (0 where ``errors`` is false).

    ``values`` (T,) vary. NaN where a resample does not: for internal use.
    """
    mean, deviation = float(values.mean()), float(values.std())
    unit = (values - mean) / deviation
    twice, survival = np.concatenate((unit, unit)), blocks.survival(len(values))
    offset, dust = mean / deviation, DUST * max(1.0, float(np.abs(values).max())) / deviation
    ratios, spreads = np.empty(replicates), np.empty(replicates)

    def some(first: int, end: int) -> tuple[Floats, Floats]:
        return sharpe_kernel(key, first, end - first, twice, offset, dust, survival, blocks.fixed, errors)

    for place, found in in_pieces(some, replicates, CHUNK // len(values), tick, mapper):
        ratios[place], spreads[place] = found
    return ratios, spreads


def influence(values: Floats) -> Floats:
    """How much each return moves the Sharpe ratio, (T,), mean 0: ``z - SR / 2 (z^2 - 1)`` with ddof 0."""
    unit = (values - values.mean()) / values.std()
    ratio = float(values.mean() / values.std())
    moved: Floats = unit - 0.5 * ratio * (unit * unit - 1.0)
    return moved


def sharpe_error(values: Floats, blocks: Blocks) -> float:
    """Standard error of the Sharpe ratio of ``values`` (T,) under autocorrelation, by the delta method.

    The long-run variance of the influence with the kernel of ``blocks``; Mertens' formula where a block is one row.
    """
    variance = float(long_run_variance(influence(values)[:, None], blocks)[0])
    return math.sqrt(variance * (len(values) - 1)) / len(values)


def bca_interval(
    estimate: float, replicates: npt.ArrayLike, jackknife: npt.ArrayLike, confidence: float = 0.95
) -> Interval:
    """Bias-corrected and accelerated interval: Efron 1987; Efron & Tibshirani 1993, section 14.3.

    ``replicates`` (B,) are bootstrap values, ``jackknife`` (n,) those with one piece left out each: one row of
    independent data, one block of a time series. Ties with the estimate count half. None where no replicate is on one
    side of the estimate, and where the acceleration has no value.
    """
    drawn, left_out = series(replicates, "replicates"), series(jackknife, "jackknife")
    below = float(np.count_nonzero(drawn < estimate) + 0.5 * np.count_nonzero(drawn == estimate)) / max(1, len(drawn))
    if not 0.0 < below < 1.0:
        return Interval(None, None, "all replicates are on one side of the estimate")
    off = left_out.mean() - left_out if len(left_out) else left_out
    cubes, squares = float(np.sum(off**3)), float(np.sum(off**2))
    if squares <= 0.0:
        return Interval(None, None, "the jackknife does not vary")
    acceleration, bias = cubes / (6.0 * squares**1.5), NORMAL.inv_cdf(below)
    tail = NORMAL.inv_cdf((1.0 - fraction(confidence, "confidence")) / 2.0)
    levels = []
    for z in (bias + tail, bias - tail):
        if acceleration * z >= 1.0:
            return Interval(None, None, "the acceleration is too large")
        levels.append(NORMAL.cdf(bias + z / (1.0 - acceleration * z)))
    lower, upper = np.quantile(drawn, levels)
    return Interval(float(lower), float(upper))


def jackknife_sharpe(values: Floats, block: int) -> Floats:
    """Sharpe ratio without each of the consecutive pieces of ``block`` rows; the last piece may be shorter.

    Pieces without which the rest does not vary are left out.
    """
    rows, mean = len(values), float(values.mean())
    unit = (values - mean) / values.std()
    offset = mean / float(values.std())
    firsts = np.arange(0, rows, block)
    ends = np.minimum(firsts + block, rows)
    # What comes before and what comes after, added up apart: taking a piece off a total would cancel.
    size, total, squares = rows - (ends - firsts), _around(unit, firsts, ends), _around(unit * unit, firsts, ends)
    centre = total / np.maximum(1, size)
    variance = squares / np.maximum(1, size) - centre * centre
    ratios = []
    for i, first in enumerate(firsts):
        if variance[i] * size[i] > CANCELLED * squares[i]:
            deviation = math.sqrt(variance[i] * size[i] / (size[i] - 1)) if size[i] > 1 else math.inf
            ratios.append((offset + centre[i]) / deviation)
        else:
            rest = moments(np.delete(values, slice(first, ends[i])))
            ratios += [rest.sharpe] if rest.sharpe is not None else []
    return np.array(ratios)


def _around(values: Floats, firsts: Ints, ends: Ints) -> Floats:
    before, after = np.concatenate(([0.0], np.cumsum(values))), np.concatenate(([0.0], np.cumsum(values[::-1])))
    around: Floats = before[firsts] + after[len(values) - ends]
    return around


def _pivots(ratios: Floats, errors: Floats, sharpe: float) -> Floats:
    usable = errors > 0.0
    pivots: Floats = (ratios[usable] - sharpe) / errors[usable]
    return pivots


def _intervals(
    values: Floats, ratios: Floats, pivots: Floats, sharpe: float, blocks: Blocks, confidence: float, constant: int
) -> tuple[Interval, Interval, Interval]:
    """Percentile, BCa and studentised interval."""
    total = len(ratios) + constant
    if constant > MOST_CONSTANT * total:
        nothing = Interval(None, None, f"{constant} of {total} resamples do not vary")
        return nothing, nothing, nothing
    tails = [(1.0 - confidence) / 2.0, (1.0 + confidence) / 2.0]
    lower, upper = (float(q) for q in np.quantile(ratios, tails))
    bca = bca_interval(sharpe, ratios, jackknife_sharpe(values, max(1, round(blocks.length))), confidence)
    error = sharpe_error(values, blocks)
    if error <= 0.0 or len(pivots) < (1.0 - MOST_CONSTANT) * total:
        return Interval(lower, upper), bca, Interval(None, None, "the standard error is zero in resamples")
    low, high = (float(q) for q in np.quantile(pivots, tails))
    return Interval(lower, upper), bca, Interval(sharpe - high * error, sharpe - low * error)

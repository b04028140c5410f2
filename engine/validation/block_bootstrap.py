"""How sure the Sharpe ratio and the mean return of a run are: resamples of its daily returns, in blocks.

Blocks keep the autocorrelation of returns, which formulas ignore. Sources: Politis & Romano 1994 (stationary) and 1992
(circular), Politis & White 2004 (length), Efron 1987 (BCa).
"""

import math
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from engine.hooks import Hooks, Mapper
from engine.registry import Frozen, Real, WholeNumber
from engine.streams import stream
from engine.types import Floats
from engine.validation.base import Report
from engine.validation.bootstrap import STREAM, Interval, SharpeBootstrap, automatic_blocks, bootstrap_sharpe
from engine.validation.days import Daily
from engine.validation.inputs import Tick
from engine.validation.progress import in_pieces, ticker
from engine.validation.resample import Blocks, draw_counts, longest_block
from engine.validation.spa import weighted_sums

NAME = "block_bootstrap"
COUNTS = 1 << 20
"""Weights at hand at once: 8 MB. Results do not depend on it."""

FEWEST_DAYS = 12
"""With fewer no Sharpe ratio is resampled."""

_NOTE = (
    "statistic: annual Sharpe ratio of daily returns; null: the Sharpe ratio is not above zero, resamples centred on"
    " the one seen; one-sided, upper"
)


class BlockBootstrap(Frozen):
    """Intervals of the Sharpe ratio and the mean return from resampled daily returns, and a p-value."""

    n: Annotated[WholeNumber, Field(ge=100, le=1_000_000, description="resamples")] = 1000
    method: Annotated[
        Literal["stationary", "circular"], Field(description="blocks of random length, or all of one length")
    ] = "stationary"
    block_length: Annotated[
        Real | None, Field(ge=1.0, le=10_000.0, description="days a block, on average; null is Politis & White's")
    ] = None
    confidence: Annotated[Real, Field(ge=0.5, le=0.999, description="coverage of the intervals")] = 0.95

    def evaluate(self, daily: Daily, annual: float, seed: int, hooks: Hooks, mapper: Mapper = map) -> Report:
        """Resample ``daily`` returns (D,); ``annual`` is the days a year.

        ``details`` has each interval of the annual Sharpe ratio as ``lower``, ``upper`` and ``reason``, and
        ``mean_return`` with the mean a year (arithmetic) and its percentile interval. Null with a reason for fewer
        than 12 days, returns that do not vary, equity at or below zero, and blocks longer than Politis & White's may
        be: of few blocks, or one that fills a resample, nothing can be told.
        """
        if daily.reason is not None:
            return self._report(seed, reason=daily.reason)
        if len(daily.returns) == 0:
            return self._report(seed, reason="there are no days")
        blocks, days = self._blocks(daily.returns), len(daily.returns)
        if self.block_length is not None and days >= FEWEST_DAYS and blocks.length > longest_block(days):
            return self._report(seed, reason=f"blocks of {blocks.length:g} days are too long for {days} days")
        found = bootstrap_sharpe(
            daily.returns,
            seed,
            blocks=blocks,
            replicates=self.n,
            confidence=self.confidence,
            tick=ticker(hooks, NAME, 0, 2),
            mapper=mapper,
        )
        if found.reason is not None or found.sharpe is None or found.p_value is None:
            return self._report(seed, reason=found.reason)
        key, tick = stream(seed, STREAM), ticker(hooks, NAME, 1, 2)
        means = resampled_means(daily.returns, blocks, key, self.n, tick, mapper)
        return self._report(
            seed,
            statistic=found.sharpe * math.sqrt(annual),
            p_value=found.p_value.value,
            standard_error=found.p_value.standard_error,
            replicates=self.n,
            details={
                "days": len(daily.returns),
                "block_length": blocks.length,
                "sharpe": _sharpe(found, math.sqrt(annual)),
                "mean_return": self._mean(daily.returns, means, annual),
            },
        )

    def _blocks(self, returns: Floats) -> Blocks:
        if self.block_length is None:
            return automatic_blocks(returns, self.method)
        return Blocks(self.method, self.block_length if self.method == "stationary" else math.ceil(self.block_length))

    def _mean(self, returns: Floats, means: Floats, annual: float) -> dict[str, Any]:
        tails = [(1.0 - self.confidence) / 2.0, (1.0 + self.confidence) / 2.0]
        lower, upper = (float(q) * annual for q in np.quantile(means, tails))
        return {"value": float(returns.mean()) * annual, "percentile": {"lower": lower, "upper": upper}}

    def _report(self, seed: int, **values: Any) -> Report:
        return Report(name=NAME, parameters=self.model_dump(), seed=seed, note=_NOTE, **values)


def resampled_means(
    returns: Floats, blocks: Blocks, key: np.uint64, replicates: int, tick: Tick, mapper: Mapper = map
) -> Floats:
    """Mean (replicates,) of each resample of ``returns`` (D,); the same rows as the Sharpe ratio's resamples."""
    rows, survival = len(returns), blocks.survival(len(returns))
    column, means = np.ascontiguousarray(returns).reshape(-1, 1), np.empty(replicates)

    def some(first: int, end: int) -> Floats:
        counts = draw_counts(key, first, end - first, rows, survival, blocks.fixed)
        found: Floats = weighted_sums(counts, column)[:, 0] / rows
        return found

    for place, found in in_pieces(some, replicates, COUNTS // rows, tick, mapper):
        means[place] = found
    return means


def _sharpe(found: SharpeBootstrap, root: float) -> dict[str, Any]:
    """The annual ratio, its bias and standard error, and the intervals by method."""
    values: dict[str, Any] = {
        "bias": None if found.bias is None else found.bias * root,
        "standard_error": None if found.standard_error is None else found.standard_error * root,
        "constant_resamples": found.constant,
    }
    intervals = {"percentile": found.percentile, "bca": found.bca, "studentised": found.studentised}
    return values | {name: _scaled(interval, root) for name, interval in intervals.items()}


def _scaled(interval: Interval, factor: float) -> dict[str, Any]:
    return {
        "lower": None if interval.lower is None else interval.lower * factor,
        "upper": None if interval.upper is None else interval.upper * factor,
        "reason": interval.reason,
    }

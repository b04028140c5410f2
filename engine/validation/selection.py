"""What a search over parameters is worth: the probability of overfitting, and whether the best beats nothing at all.

Both judge the grid they are given. It has to be the whole of what was tried: a grid of the few good points passes
every test.
"""

from typing import Annotated, Any

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from engine.hooks import Hooks, Mapper
from engine.registry import Frozen, WholeNumber
from engine.validation.base import Report
from engine.validation.grids import DailyOf, GridReturns, SearchGrid, grid_returns
from engine.validation.inputs import PValue
from engine.validation.overfitting import MOST_BLOCKS, probability_of_overfitting
from engine.validation.progress import ticker
from engine.validation.spa import Superiority, superiority

LISTED = 100
"""Most points that a report lists."""

FEW = "fewer than two points of the grid could be run"
_PBO = (
    "statistic: share of halvings in which the best of one half is at or below the median of the other; null: no point"
    " is better than another; percentiles: the statistic there; p-value: how often it was as low; one-sided, lower"
)
_SPA = (
    "statistic: largest studentised mean daily return; null: no point earns more than nothing; p-value: Hansen's"
    " consistent SPA; one-sided, upper"
)


class OverfittingTest(Frozen):
    """Probability of backtest overfitting over a grid, by combinatorially symmetric cross-validation."""

    grid: SearchGrid
    blocks: Annotated[
        WholeNumber, Field(ge=2, le=MOST_BLOCKS, description="pieces of time, even; halves are made of them")
    ] = 16
    n: Annotated[WholeNumber, Field(ge=1, le=10_000, description="replicates of the noise band")] = 200

    @field_validator("blocks")
    @classmethod
    def _even(cls, blocks: int) -> int:
        if blocks % 2:
            raise PydanticCustomError("not_even", "blocks must be an even number: half of them is one half")
        return blocks

    def evaluate(self, daily_of: DailyOf, seed: int, hooks: Hooks, mapper: Mapper = map) -> Report:
        """Run every point of the grid, then cross-validate their daily returns.

        ``details``: ``splits``, ``pbo_below`` (without ties), ``slope`` of the second half's Sharpe ratio on the
        first's, ``loss`` (share of chosen points below zero in the second half), ``strategies``, ``refused``,
        ``ruined``, ``excluded`` (points that never vary), ``dropped`` days. Null with a reason for fewer than two
        points that vary, and fewer than two days a block.
        """
        runs = grid_returns(self.grid, daily_of, ticker(hooks, "overfitting", 0, 2), mapper)
        if len(runs.points) < 2:
            return self._report(seed, reason=FEW, details=runs.counts())
        tick = ticker(hooks, "overfitting", 1, 2)
        found = probability_of_overfitting(
            runs.returns, seed, blocks=self.blocks, replicates=self.n, tick=tick, mapper=mapper
        )
        details = runs.counts() | {"splits": found.splits, "dropped": found.dropped, "excluded": len(found.excluded)}
        if found.band is None:
            return self._report(seed, reason=found.reason, details=details)
        band = found.band
        return self._report(
            seed,
            statistic=found.pbo,
            p_value=band.p_value.value,
            standard_error=band.p_value.standard_error,
            replicates=band.replicates,
            percentiles={"p05": band.lower, "p50": band.median, "p95": band.upper},
            details=details
            | {"pbo_below": found.pbo_below, "slope": found.slope, "intercept": found.intercept, "loss": found.loss},
        )

    def _report(self, seed: int, **values: Any) -> Report:
        return Report(name="overfitting", parameters=self.model_dump(), seed=seed, note=_PBO, **values)


class SuperiorityTest(Frozen):
    """Whether the best point of a grid earns more than nothing, given that it was searched for."""

    grid: SearchGrid
    n: Annotated[WholeNumber, Field(ge=1, le=1_000_000, description="resamples")] = 1000

    def evaluate(self, daily_of: DailyOf, seed: int, hooks: Hooks, mapper: Mapper = map) -> Report:
        """Run every point of the grid, then test their daily returns against zero.

        ``details``: ``best`` parameters, the p-values ``lower``, ``consistent`` and ``upper`` of the SPA and
        ``reality_check``; ``points`` lists the best 100 with their statistic and Romano & Wolf's p-value, adjusted for
        the whole grid. Null with a reason where no point varies, and for fewer than 12 days.
        """
        runs = grid_returns(self.grid, daily_of, ticker(hooks, "superiority", 0, 2), mapper)
        if len(runs.points) == 0:
            return self._report(seed, reason="no point of the grid could be run", details=runs.counts())
        tick = ticker(hooks, "superiority", 1, 2)
        found = superiority(runs.returns, seed, replicates=self.n, tick=tick, mapper=mapper)
        details = runs.counts() | {"excluded": len(found.excluded), "block_length": found.blocks.length}
        if found.consistent is None or found.best is None:
            return self._report(seed, reason=found.reason, details=details)
        tests = {name: getattr(found, name) for name in ("lower", "consistent", "upper", "reality_check")}
        return self._report(
            seed,
            statistic=found.statistic,
            p_value=found.consistent.value,
            standard_error=found.consistent.standard_error,
            replicates=found.replicates,
            details=details
            | {name: None if p is None else p.value for name, p in tests.items()}
            | {"best": runs.points[found.best], "warning": found.warning, "points": _listed(runs, found)},
        )

    def _report(self, seed: int, **values: Any) -> Report:
        return Report(name="superiority", parameters=self.model_dump(), seed=seed, note=_SPA, **values)


def _listed(runs: GridReturns, found: Superiority) -> list[dict[str, Any]]:
    rows: list[tuple[float, int, PValue]] = [
        (statistic, i, p)
        for i, (statistic, p) in enumerate(zip(found.statistics, found.stepdown, strict=True))
        if statistic is not None and p is not None
    ]
    best = sorted(rows, key=lambda row: (-row[0], row[1]))[:LISTED]
    return [{"params": runs.points[i], "statistic": statistic, "p_value": p.value} for statistic, i, p in best]

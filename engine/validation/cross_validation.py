"""What parameters chosen on some of the days earn on the others: purged k-fold and combinatorial cross-validation.

Days are cut into groups; every choice of ``tests`` groups is held out once, the point of the grid that was best on the
rest is taken there, and what it earns in each group is put together to paths through all days. Training days that
touch a test are purged, and those just behind it are under embargo. Unlike a walk-forward, training may lie behind its
test: this asks how much of a search is luck, not how it would have gone. Each point is one run over all days.
"""

import math
from collections.abc import Sequence
from typing import Annotated, Any, Self

import numpy as np
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from engine.hooks import Hooks, Mapper
from engine.registry import Frozen, WholeNumber
from engine.types import Floats, Ints
from engine.validation.base import Report
from engine.validation.days import Measure, measured
from engine.validation.grids import DailyOf, GridReturns, SearchGrid, grid_returns
from engine.validation.inputs import varying
from engine.validation.progress import ticker
from engine.validation.splits import MOST_SPLITS, Combinations, combinatorial_folds

NAME = "cross_validation"
LISTED = 100
"""Most points and paths that a report lists."""

_NOTE = (
    "statistic: median over the paths of the metric of returns out of sample; in_sample: mean over the splits of the"
    " metric of what was chosen, where it was chosen"
)


class CrossValidation(Frozen):
    """Returns out of sample of the best of a grid, over every way to hold some groups of days out."""

    grid: SearchGrid
    groups: Annotated[WholeNumber, Field(ge=2, le=50, description="groups of consecutive days")] = 10
    tests: Annotated[WholeNumber, Field(ge=1, le=49, description="groups held out at a time; 1 is purged k-fold")] = 2
    purge: Annotated[
        WholeNumber, Field(ge=0, le=1000, description="days ahead that a day's decision reaches: no training there")
    ] = 0
    embargo: Annotated[WholeNumber, Field(ge=0, le=1000, description="days behind each test without training")] = 0
    metric: Annotated[Measure, Field(description="what the best has the most of, beyond idle cash")] = "sharpe"

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.tests >= self.groups:
            raise PydanticCustomError(
                "nothing_to_train_on", "tests must be less than the {groups} groups", {"groups": self.groups}
            )
        splits = math.comb(self.groups, self.tests)
        if splits > MOST_SPLITS:
            raise PydanticCustomError(
                "too_many_splits",
                "{splits} splits are more than {most}: take fewer groups",
                {"splits": splits, "most": MOST_SPLITS},
            )
        return self

    def evaluate(self, daily_of: DailyOf, annual: float, seed: int, hooks: Hooks, mapper: Mapper = map) -> Report:
        """Run every point of the grid, then choose and test on every split of their daily returns.

        ``details``: ``splits``, ``purged`` (mean of training days left out), ``in_sample``, ``paths`` (their number,
        and of their metric ``values`` from the lowest on, at most 100, ``lowest``, ``mean``, ``highest``,
        ``deviation`` and the share ``below_zero``), ``chosen`` (how often which point), ``strategies``, ``refused``,
        ``ruined``. Null with a reason where no point can be run, for fewer than two days a group, and where purge and
        embargo leave a split fewer than two days to train on.
        """
        runs = grid_returns(self.grid, daily_of, ticker(hooks, NAME, 0, 2), mapper)
        if not runs.points:
            return self._report(seed, reason="no point of the grid could be run", details=runs.counts())
        days = len(runs.returns)
        if days < 2 * self.groups:
            return self._report(seed, reason=f"{days} days are too few for {self.groups} groups", details=runs.counts())
        ends = np.minimum(np.arange(days) + self.purge, days - 1)
        folds = combinatorial_folds(days, self.groups, self.tests, ends=ends, embargo=self.embargo)
        if min(len(split.train) for split in folds.splits) < 2:
            return self._report(seed, reason="purge and embargo leave nothing to train on", details=runs.counts())
        chosen, inside = self._choices(runs.returns, folds, annual, hooks)
        return self._judged(runs, folds, chosen, inside, annual, seed)

    def _choices(self, returns: Floats, folds: Combinations, annual: float, hooks: Hooks) -> tuple[Ints, list[float]]:
        """The point chosen on each split, -1 for none, and the metric there of those that were."""
        chosen = np.full(len(folds.splits), -1, dtype=np.int64)
        inside, tick = list[float](), ticker(hooks, NAME, 1, 2)
        for k, split in enumerate(folds.splits):
            best = best_of(self.metric, returns[split.train])
            value = None if best is None else measured(self.metric, returns[split.train, best], annual)
            if best is not None and value is not None:
                chosen[k] = best
                inside.append(value)
            tick(k + 1, len(folds.splits))
        return chosen, inside

    def _judged(
        self, runs: GridReturns, folds: Combinations, chosen: Ints, inside: list[float], annual: float, seed: int
    ) -> Report:
        every = [measured(self.metric, path, annual) for path in paths(runs.returns, folds, chosen)]
        known = sorted(value for value in every if value is not None)
        counts = np.bincount(chosen[chosen >= 0], minlength=len(runs.points))
        often = sorted((-int(count), i) for i, count in enumerate(counts) if count)[:LISTED]
        details = runs.counts() | {
            "days": len(runs.returns),
            "splits": len(folds.splits),
            "purged": float(np.mean([split.purged for split in folds.splits])),
            "in_sample": math.fsum(inside) / len(inside) if inside else None,
            "paths": _spread(known, len(every)),
            "chosen": [{"params": runs.points[i], "splits": -count} for count, i in often],
        }
        if not known:
            return self._report(seed, reason="no path has a value", details=details)
        statistic = float(np.median(known))
        return self._report(seed, statistic=statistic, replicates=len(every), exact=True, details=details)

    def _report(self, seed: int, **values: Any) -> Report:
        return Report(name=NAME, parameters=self.model_dump(), seed=seed, note=_NOTE, **values)


def best_of(metric: Measure, returns: Floats) -> int | None:
    """The column of ``returns`` (D, G) with the largest metric, the first of equals; None where none has one."""
    if metric == "total_return":
        return int(np.argmax(np.log1p(returns).sum(axis=0)))
    varies = varying(returns)
    if not varies.any():
        return None
    deviation = np.std(returns, axis=0, ddof=1)
    ratio = np.divide(returns.mean(axis=0), deviation, out=np.full(len(varies), -np.inf), where=varies)
    return int(np.argmax(ratio))


def paths(returns: Floats, folds: Combinations, chosen: Ints) -> list[Floats]:
    """Daily returns (D,) of each path: in each group those of what its split chose, 0 where that was nothing."""
    made = []
    for given in folds.paths:
        path = np.zeros(len(returns))
        for (first, end), split in zip(folds.groups, given.tolist(), strict=True):
            if chosen[split] >= 0:
                path[first:end] = returns[first:end, chosen[split]]
        made.append(path)
    return made


def _spread(values: Sequence[float], number: int) -> dict[str, Any]:
    """What rising ``values`` say of ``number`` paths, those without a value among them."""
    if not values:
        return {"number": number, "defined": 0, "values": []}
    return {
        "number": number,
        "defined": len(values),
        "lowest": values[0],
        "mean": math.fsum(values) / len(values),
        "highest": values[-1],
        # From the first on: of equal paths it is exactly 0.
        "deviation": float(np.std(np.subtract(values, values[0]), ddof=1)) if len(values) > 1 else None,
        "below_zero": sum(value < 0.0 for value in values) / len(values),
        "values": list(values[:LISTED]),
    }

"""Whether the parameters stand on a plateau or on a peak.

There is no standard definition; this is ours. Neighbours are drawn in a box around the chosen point: every numeric
parameter of the strategy at once, uniformly within ``radius`` times its value to either side (times 1 where it is 0),
whole numbers within at least 1. The score is the median of the neighbours' metric over the chosen point's: near 1 on a
plateau, far below it on a peak. A neighbour without a metric, which never traded, counts as 0.
"""

import math
from collections.abc import Iterator, Mapping
from fractions import Fraction
from itertools import islice
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from engine.hooks import Hooks, Mapper, spread
from engine.registry import Frozen, Real, WholeNumber
from engine.streams import replicate_state_plain, stream, uniform_below_plain
from engine.validation.base import Report
from engine.validation.days import Daily, Measure, measured
from engine.validation.grids import DailyOf, Params, accepted
from engine.validation.progress import ticker
from engine.validation.shuffles import uniform_plain

NAME = "plateau"
STREAM = "validation/plateau"
TRIES = 20
"""Draws for each neighbour wanted: some are refused by the strategy, some are there already."""

_NOTE = "statistic: median of the metric over neighbours in parameter space, over that of the chosen parameters"


class Plateau(Frozen):
    """Performance of neighbours in parameter space, relative to the chosen parameters."""

    radius: Annotated[
        Real, Field(gt=0.0, le=1.0, description="how far neighbours are, fraction of each parameter's value")
    ] = 0.2
    points: Annotated[WholeNumber, Field(ge=1, le=10_000, description="neighbours")] = 20
    metric: Annotated[Measure, Field(description="what is compared, beyond idle cash")] = "sharpe"

    def evaluate(
        self,
        daily: Daily,
        params: Params,
        daily_of: DailyOf,
        annual: float,
        seed: int,
        hooks: Hooks,
        mapper: Mapper = map,
    ) -> Report:
        """Run up to ``points`` different neighbours of ``params``; fewer where there are no more.

        ``details``: ``chosen``, ``best`` and ``worst`` metric, ``above_zero`` and ``above_half`` (shares of neighbours
        above zero, and at or above half of the chosen metric), ``refused`` draws, ``neighbours`` with their values.
        Null with a reason where the strategy has no number to vary, where no neighbour can be run, and where the chosen
        metric is undefined or not above zero.
        """
        chosen = measured(self.metric, daily.returns, annual) if daily.reason is None else None
        if chosen is None or chosen <= 0.0:
            undefined = f"{self.metric} of the chosen parameters is undefined"
            return self._report(seed, reason=undefined if chosen is None else f"{self.metric} is not above zero")
        if not numeric(params):
            return self._report(seed, reason="the strategy has no numeric parameter")
        rows, refused = self._neighbours(params, daily_of, annual, seed, hooks, mapper)
        if not rows:
            return self._report(seed, reason="no neighbour could be run", details={"refused": refused})
        values = np.array([row["value"] or 0.0 for row in rows])
        return self._report(
            seed,
            statistic=float(np.median(values)) / chosen,
            replicates=len(rows),
            details={
                "chosen": chosen,
                "best": float(values.max()),
                "worst": float(values.min()),
                "above_zero": float(np.mean(values > 0.0)),
                "above_half": float(np.mean(values >= 0.5 * chosen)),
                "refused": refused,
                "neighbours": rows,
            },
        )

    def _neighbours(
        self, params: Params, daily_of: DailyOf, annual: float, seed: int, hooks: Hooks, mapper: Mapper
    ) -> tuple[list[dict[str, Any]], int]:
        rows: list[dict[str, Any]] = []
        refused, tick = 0, ticker(hooks, NAME)
        drawn = self._drawn(params, int(stream(seed, STREAM)))
        # As many as are wanting at a time: one after another, all of those would be run as well.
        while some := list(islice(drawn, self.points - len(rows))):
            for point, daily in zip(some, spread(mapper, accepted(daily_of), some), strict=True):
                if daily is None:
                    refused += 1
                else:
                    value = measured(self.metric, daily.returns, annual) if daily.reason is None else None
                    rows.append({"params": {name: point[name] for name in numeric(params)}, "value": value})
                tick(len(rows), self.points)
        return rows, refused

    def _drawn(self, params: Params, key: int) -> Iterator[dict[str, Any]]:
        """Different points of the box; at most ``TRIES`` draws for each that is wanted."""
        known = [dict(params)]
        for draw in range(TRIES * self.points):
            point = neighbour(params, self.radius, replicate_state_plain(key, draw))
            if point not in known:
                known.append(point)
                yield point

    def _report(self, seed: int, **values: Any) -> Report:
        return Report(name=NAME, parameters=self.model_dump(), seed=seed, note=_NOTE, **values)


def numeric(params: Params) -> list[str]:
    """The names of the parameters that are numbers, in order."""
    return [n for n in sorted(params) if isinstance(params[n], (int, float)) and not isinstance(params[n], bool)]


def neighbour(params: Mapping[str, Any], radius: float, state: int) -> dict[str, Any]:
    """Another point of the box around ``params``; what is no number stays."""
    point = dict(params)
    for name in numeric(params):
        value = params[name]
        if isinstance(value, int):
            reach = max(1, math.floor(Fraction(str(radius)) * abs(value)))  # 0.7 * 90 in floats is below 63
            step, state = uniform_below_plain(state, 2 * reach + 1)
            point[name] = value + step - reach
        else:
            share, state = uniform_plain(state)
            point[name] = value + (2.0 * share - 1.0) * radius * (abs(value) or 1.0)
    return point

"""Grids of a strategy's parameters, and what the run earns a day at each point."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from engine.errors import ConfigError
from engine.hooks import Mapper, spread
from engine.registry import sequence
from engine.types import Floats
from engine.validation.days import Daily
from engine.validation.inputs import Tick

MOST_POINTS = 10_000

Params = Mapping[str, Any]
DailyOf = Callable[[Params], Daily]
"""Daily returns of the whole run with other parameters; raises ``ConfigError`` where the strategy refuses them."""


def size_of(grid: Mapping[str, tuple[Any, ...]]) -> int:
    """How many points a grid has."""
    return math.prod(len(values) for values in grid.values())


def _bounded(grid: dict[str, Any]) -> dict[str, Any]:
    size = size_of(grid)
    if size > MOST_POINTS:
        raise PydanticCustomError(
            "too_many_points", "{size} points are more than {most}", {"size": size, "most": MOST_POINTS}
        )
    for name, values in grid.items():
        if len({(isinstance(value, bool), value) for value in values}) < len(values):  # 3 and 3.0 are one point
            raise PydanticCustomError("duplicate_value", "a value of {name} is there twice", {"name": name})
    return grid


def _scalar(value: Any) -> Any:
    """What a parameter may be; one error, where a union would give one for each of its members."""
    if not isinstance(value, bool | int | float | str) or (isinstance(value, float) and not math.isfinite(value)):
        raise PydanticCustomError("not_a_value", "a finite number, a text, true or false is needed")
    return value


Value = Annotated[bool | int | float | str, BeforeValidator(_scalar, json_schema_input_type=bool | int | float | str)]
Values = Annotated[tuple[Value, ...], BeforeValidator(sequence), Field(min_length=1, max_length=1000)]
Grid = Annotated[dict[str, Values], Field(min_length=1, max_length=20), AfterValidator(_bounded)]
"""Values by parameter of the strategy; a point is one value of each, the others stay as configured."""

SearchGrid = Annotated[Grid, Field(description="values by parameter of the strategy: all that was tried")]
"""A grid that is judged as a search."""


def points(grid: Mapping[str, tuple[Any, ...]]) -> list[dict[str, Any]]:
    """Every point, the last name turning fastest. Names in order: two spellings of one grid give one list."""
    names = sorted(grid)
    return [dict(zip(names, values, strict=True)) for values in product(*(grid[name] for name in names))]


@dataclass(frozen=True)
class GridReturns:
    """``returns`` (D, G) a day of the G ``points`` that could be judged.

    ``refused`` counts the points the strategy does not take, ``ruined`` those whose equity fell to zero or below.
    """

    points: tuple[Params, ...]
    returns: Floats
    refused: int
    ruined: int

    def counts(self) -> dict[str, int]:
        """Plain form for a report."""
        return {"strategies": len(self.points), "refused": self.refused, "ruined": self.ruined}


def accepted(daily_of: DailyOf) -> Callable[[Params], Daily | None]:
    """``daily_of``, and None for parameters the strategy refuses."""

    def unless_refused(point: Params) -> Daily | None:
        try:
            return daily_of(point)
        except ConfigError:
            return None

    return unless_refused


def grid_returns(
    grid: Mapping[str, tuple[Any, ...]], daily_of: DailyOf, tick: Tick, mapper: Mapper = map
) -> GridReturns:
    """One whole run for each point."""
    every, kept, columns = points(grid), list[Params](), list[Floats]()
    refused = ruined = 0
    for done, daily in enumerate(spread(mapper, accepted(daily_of), every), 1):
        if daily is None:
            refused += 1
        elif daily.reason is None:
            kept.append(every[done - 1])
            columns.append(daily.returns)
        else:
            ruined += 1
        tick(done, len(every))
    returns = np.column_stack(columns) if columns else np.empty((0, 0))
    return GridReturns(tuple(kept), returns, refused, ruined)

"""Signals and weights that somebody brings as columns of the dataset."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from engine.features.base import Column, Feature, FeatureMatrix
from engine.registry import Frozen, Real
from engine.strategies.base import Strategy, strategies
from engine.types import Floats

ColumnName = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,64}$")]
Threshold = Annotated[Real | None, Field(ge=-1e300, le=1e300)]


class SignalParams(Frozen):
    """A column and what its values mean; at least one threshold."""

    column: Annotated[ColumnName, Field(description="column of the dataset, or the `as` of an indicator")]
    long_above: Annotated[Threshold, Field(description="long while the value is above")] = None
    long_below: Annotated[Threshold, Field(description="long while the value is below")] = None
    short_above: Annotated[Threshold, Field(description="short while the value is above")] = None
    short_below: Annotated[Threshold, Field(description="short while the value is below")] = None

    @model_validator(mode="after")
    def _clear(self) -> Self:
        """Refuse rules that say nothing, and rules that say both."""
        if not (self._has("long_above", "long_below") or self._has("short_above", "short_below")):
            raise PydanticCustomError("missing", "at least one threshold is needed", {"field": "long_above"})
        if self.long_above is not None and self.short_above is not None:
            self._clash("long_above", "short_above")
        if self.long_below is not None and self.short_below is not None:
            self._clash("long_below", "short_below")
        for high, low in (("long_above", "short_below"), ("short_above", "long_below"), ("long_above", "long_below"),
                          ("short_above", "short_below")):  # fmt: skip
            above, under = getattr(self, high), getattr(self, low)
            if above is not None and under is not None and under > above:
                self._clash(low, high)
        return self

    def _has(self, *names: str) -> bool:
        return any(getattr(self, n) is not None for n in names)

    @staticmethod
    def _clash(one: str, other: str) -> None:
        message = "{one} and {other} hold for the same values"
        raise PydanticCustomError("contradiction", message, {"one": one, "other": other, "field": one})


@strategies.register
class Signal(Strategy):
    """Long, short or flat by thresholds on a column: for scores that a model outside gave each bar.

    A score stands beside the bar after whose close it is known; it reaches the strategy under the feature lag like
    every other feature. A missing score keeps the last signal.
    """

    name: Literal["signal"]
    params: SignalParams

    @property
    def goes_short(self) -> bool:
        """Whether a short threshold is set."""
        return self.params.short_above is not None or self.params.short_below is not None

    def features(self) -> Mapping[str, Feature]:
        return {"value": Column(self.params.column)}

    def raw_signals(self, features: FeatureMatrix) -> Floats:
        value, p = features["value"], self.params
        long = np.zeros(value.shape, dtype=np.bool_)
        short = np.zeros(value.shape, dtype=np.bool_)
        if p.long_above is not None:
            long |= value > p.long_above
        if p.long_below is not None:
            long |= value < p.long_below
        if p.short_above is not None:
            short |= value > p.short_above
        if p.short_below is not None:
            short |= value < p.short_below
        result = long.astype(np.float64) - short
        result[np.isnan(value)] = np.nan
        return result


class TargetWeightParams(Frozen):
    """Where the weights are."""

    column: Annotated[ColumnName, Field(description="column of target weights, signed fractions of equity")] = "weight"


@strategies.register
class TargetWeight(Strategy):
    """The target weights of a column as they are; a missing one keeps the last.

    Beyond 1 they need ``execution.allow_leverage``, or the fill scales them down.
    """

    bounded: ClassVar[bool] = False
    name: Literal["target_weight"]
    params: TargetWeightParams = TargetWeightParams()

    def features(self) -> Mapping[str, Feature]:
        return {"weight": Column(self.params.column)}

    def raw_signals(self, features: FeatureMatrix) -> Floats:
        return features["weight"]

"""Trend following, and the benchmark of every strategy: buying once and holding."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from engine.features.base import Feature, FeatureMatrix
from engine.features.indicators import SimpleMovingAverage
from engine.kernels import kernel
from engine.registry import Frozen, WholeNumber
from engine.strategies.base import Strategy, strategies
from engine.types import Floats

EQUAL_WITHIN = 1e-12
"""Averages closer than this, relative, are equal: the difference is rounding, not a trend."""


class DualSmaParams(Frozen):
    """Lengths in bars; ``fast`` must be below ``slow``."""

    fast: Annotated[WholeNumber, Field(ge=1, le=100_000, description="length of the fast average, bars")] = 20
    slow: Annotated[WholeNumber, Field(ge=2, le=100_000, description="length of the slow average, bars")] = 50

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.fast >= self.slow:
            raise ValueError(f"fast ({self.fast}) must be below slow ({self.slow})")
        return self


@strategies.register
class DualSma(Strategy):
    """Long while the fast average of closes is above the slow one, short while below, flat while equal.

    With ``execution.allow_short`` false it is long or flat.
    """

    name: Literal["dual_sma"]
    params: DualSmaParams = DualSmaParams()

    def features(self) -> Mapping[str, Feature]:
        return {
            "fast": SimpleMovingAverage(self.params.fast),
            "slow": SimpleMovingAverage(self.params.slow),
        }

    def raw_signals(self, features: FeatureMatrix) -> Floats:
        return crossing(features["fast"], features["slow"], EQUAL_WITHIN)


class NoParams(Frozen):
    """No parameters."""


@strategies.register
class BuyAndHold(Strategy):
    """Long from the first decision to the end."""

    goes_short: ClassVar[bool] = False

    name: Literal["buy_and_hold"]
    params: NoParams = NoParams()

    def features(self) -> Mapping[str, Feature]:
        return {}

    def raw_signals(self, features: FeatureMatrix) -> Floats:
        return np.ones(features.shape)


@kernel
def crossing(fast: Floats, slow: Floats, equal_within: float) -> Floats:
    """Sign of fast - slow, (T, N); 0 where they are equal within a relative tolerance, NaN where either is NaN."""
    result = np.empty(fast.shape)
    for t in range(fast.shape[0]):
        for i in range(fast.shape[1]):
            difference = fast[t, i] - slow[t, i]
            if np.isnan(difference):
                result[t, i] = np.nan
            elif abs(difference) <= equal_within * abs(slow[t, i]):
                result[t, i] = 0.0
            else:
                result[t, i] = 1.0 if difference > 0.0 else -1.0
    return result


def crossing_plain(fast: Floats, slow: Floats, equal_within: float) -> Floats:
    """Twin of :func:`crossing`."""
    near = np.abs(fast - slow) <= equal_within * np.abs(slow)
    signs: Floats = np.where(near, 0.0, np.sign(fast - slow))
    return signs

"""Trend following, and the benchmark of every strategy: buying once and holding."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from engine.features.base import Column, Feature, FeatureMatrix
from engine.features.indicators import Returns, SimpleMovingAverage
from engine.features.talib import talib_feature
from engine.kernels import kernel
from engine.registry import Frozen, WholeNumber
from engine.strategies.base import Strategy, strategies
from engine.types import Floats

EQUAL_WITHIN = 1e-12
"""Averages closer than this, relative, are equal: the difference is rounding, not a trend."""


def below(smaller: str, a: float, larger: str, b: float, blamed: str | None = None) -> None:
    """Refuse parameters out of order, by the names of the fields."""
    if a >= b:
        names = {"smaller": smaller, "larger": larger, "field": blamed or smaller}
        raise PydanticCustomError("out_of_order", "{smaller} must be below {larger}", names)


class CrossParams(Frozen):
    """Lengths in bars; ``fast`` must be below ``slow``."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        values = self.model_dump()
        below("fast", values["fast"], "slow", values["slow"])
        return self


class DualSmaParams(CrossParams):
    """Lengths in bars; ``fast`` must be below ``slow``."""

    fast: Annotated[WholeNumber, Field(ge=1, le=100_000, description="length of the fast average, bars")] = 20
    slow: Annotated[WholeNumber, Field(ge=2, le=100_000, description="length of the slow average, bars")] = 50


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


class EmaCrossParams(CrossParams):
    """Lengths in bars; ``fast`` must be below ``slow``."""

    fast: Annotated[WholeNumber, Field(ge=1, le=100_000, description="length of the fast average, bars")] = 12
    slow: Annotated[WholeNumber, Field(ge=2, le=100_000, description="length of the slow average, bars")] = 26


@strategies.register
class EmaCross(Strategy):
    """Long while the fast exponential average of closes is above the slow one, short while below, flat while equal."""

    name: Literal["ema_cross"]
    params: EmaCrossParams = EmaCrossParams()

    def features(self) -> Mapping[str, Feature]:
        return {
            "fast": talib_feature("ema", length=self.params.fast),
            "slow": talib_feature("ema", length=self.params.slow),
        }

    def raw_signals(self, features: FeatureMatrix) -> Floats:
        return crossing(features["fast"], features["slow"], EQUAL_WITHIN)


class MacdParams(CrossParams):
    """Lengths in bars; ``fast`` must be below ``slow``."""

    fast: Annotated[WholeNumber, Field(ge=2, le=100_000, description="length of the fast average, bars")] = 12
    slow: Annotated[WholeNumber, Field(ge=3, le=100_000, description="length of the slow average, bars")] = 26
    signal: Annotated[WholeNumber, Field(ge=1, le=100_000, description="length of the signal line, bars")] = 9


@strategies.register
class Macd(Strategy):
    """Long while the MACD line is above its signal line, short while below, flat while equal (Appel 1979)."""

    name: Literal["macd"]
    params: MacdParams = MacdParams()

    def features(self) -> Mapping[str, Feature]:
        p = self.params
        lines = {
            line: talib_feature("macd", line, fastperiod=p.fast, slowperiod=p.slow, signalperiod=p.signal)
            for line in ("macd", "macdsignal")
        }
        return {**lines, "close": Column("close")}

    def raw_signals(self, features: FeatureMatrix) -> Floats:
        # The lines are differences of averages: their rounding is that of a price, however small they are.
        line, close = features["macd"], features["close"]
        return crossing(close + line, close + features["macdsignal"], EQUAL_WITHIN)


class MomentumParams(Frozen):
    """The span of the return; ``skip`` must be below ``lookback``."""

    lookback: Annotated[WholeNumber, Field(ge=1, le=100_000, description="bars back to the start of the return")] = 252
    skip: Annotated[WholeNumber, Field(ge=0, le=100_000, description="newest bars left out of it")] = 0

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        below("skip", self.skip, "lookback", self.lookback)
        return self


@strategies.register
class TimeSeriesMomentum(Strategy):
    """Long after a positive return over ``lookback`` bars, short after a negative one, flat after none.

    Source: Moskowitz, Ooi & Pedersen 2012, "Time series momentum".
    """

    name: Literal["time_series_momentum"]
    params: MomentumParams = MomentumParams()

    def features(self) -> Mapping[str, Feature]:
        return {"return": Returns(self.params.lookback, skip=self.params.skip)}

    def raw_signals(self, features: FeatureMatrix) -> Floats:
        change = features["return"]
        signs: Floats = np.sign(np.where(np.abs(change) <= EQUAL_WITHIN, 0.0, change))
        return signs


class NoParams(Frozen):
    """No parameters."""


@strategies.register
class BuyAndHold(Strategy):
    """Long from the first decision to the end."""

    name: Literal["buy_and_hold"]
    params: NoParams = NoParams()

    @property
    def goes_short(self) -> bool:
        """Never."""
        return False

    def features(self) -> Mapping[str, Feature]:
        return {}

    def raw_signals(self, features: FeatureMatrix) -> Floats:
        return np.ones(features.shape)


def crossing(fast: Floats, slow: Floats, equal_within: float) -> Floats:
    """Sign of fast - slow, (T, N); 0 where they are equal within a relative tolerance, NaN where either is NaN."""
    result = np.empty(fast.shape)  # numpy asks for huge pages, a kernel does not
    a, b = (np.ascontiguousarray(line).reshape(-1) for line in (fast, slow))
    crossing_kernel(a, b, equal_within, result.reshape(-1))
    return result


@kernel
def crossing_kernel(fast: Floats, slow: Floats, equal_within: float, result: Floats) -> None:
    """Write the sign of each difference of (K,) values. Without branches, so that it becomes vector code."""
    for k in range(fast.shape[0]):
        difference = fast[k] - slow[k]
        sign = 1.0 if difference > 0.0 else -1.0
        sign = 0.0 if abs(difference) <= equal_within * abs(slow[k]) else sign
        result[k] = np.nan if np.isnan(difference) else sign


def crossing_plain(fast: Floats, slow: Floats, equal_within: float) -> Floats:
    """Twin of :func:`crossing`."""
    near = np.abs(fast - slow) <= equal_within * np.abs(slow)
    signs: Floats = np.where(near, 0.0, np.sign(fast - slow))
    return signs

"""Mean reversion: enter beyond an extreme, leave at the middle, turn at the other extreme."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from engine.features.base import Feature, FeatureMatrix
from engine.features.indicators import BandPosition, ZScore
from engine.features.talib import talib_feature
from engine.kernels import kernel
from engine.registry import Frozen, Real, WholeNumber
from engine.strategies.base import Strategy, strategies
from engine.strategies.trend import below
from engine.types import Floats

Level = Annotated[Real, Field(ge=0.0, le=100.0)]


class RsiParams(Frozen):
    """Levels of the index; ``lower`` < ``exit`` < ``upper``."""

    length: Annotated[WholeNumber, Field(ge=2, le=100_000, description="length of the index, bars")] = 14
    lower: Annotated[Level, Field(description="long below")] = 30.0
    upper: Annotated[Level, Field(description="short above")] = 70.0
    exit: Annotated[Level, Field(description="flat again at this level")] = 50.0

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        # Of two that contradict each other, the one that was written down is to blame.
        written = "exit" in self.model_fields_set
        below("lower", self.lower, "exit", self.exit, "exit" if written else "lower")
        below("exit", self.exit, "upper", self.upper, "exit" if written else "upper")
        return self


@strategies.register
class RsiReversion(Strategy):
    """Long once the RSI (Wilder 1978) is below ``lower``, until it is at or above ``exit``; short mirrored.

    The index of a price that does not move is 50.
    """

    name: Literal["rsi_reversion"]
    params: RsiParams = RsiParams()

    def features(self) -> Mapping[str, Feature]:
        # Chande's oscillator is 2 * RSI - 100, and 0 for a price that does not move, where TA-Lib's RSI is 0 too.
        return {"cmo": talib_feature("cmo", length=self.params.length)}

    def raw_signals(self, features: FeatureMatrix) -> Floats:
        p = self.params
        return reversion(50.0 + features["cmo"] / 2.0, p.lower, p.upper, p.exit, p.exit)


class BollingerParams(Frozen):
    """The bands: a mean of closes and a number of standard deviations (ddof 0) around it."""

    length: Annotated[WholeNumber, Field(ge=2, le=100_000, description="window, bars")] = 20
    width: Annotated[Real, Field(gt=0.0, le=100.0, description="half width, standard deviations")] = 2.0


@strategies.register
class BollingerReversion(Strategy):
    """Long once the close is below the lower band, until it is at or above the middle; short mirrored."""

    name: Literal["bollinger_reversion"]
    params: BollingerParams = BollingerParams()

    def features(self) -> Mapping[str, Feature]:
        return {"position": BandPosition(self.params.length, self.params.width)}

    def raw_signals(self, features: FeatureMatrix) -> Floats:
        return reversion(features["position"], -1.0, 1.0, 0.0, 0.0)


class ZScoreParams(Frozen):
    """Distances in standard deviations; ``exit`` must be below ``entry``."""

    length: Annotated[WholeNumber, Field(ge=2, le=100_000, description="window, bars")] = 20
    entry: Annotated[Real, Field(gt=0.0, le=100.0, description="enter beyond this distance")] = 2.0
    exit: Annotated[Real, Field(ge=0.0, le=100.0, description="leave at this distance")] = 0.0

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        below("exit", self.exit, "entry", self.entry)
        return self


@strategies.register
class ZScoreReversion(Strategy):
    """Long once the z-score of the close is below -``entry``, until it is at or above -``exit``; short mirrored."""

    name: Literal["zscore_reversion"]
    params: ZScoreParams = ZScoreParams()

    def features(self) -> Mapping[str, Feature]:
        return {"z": ZScore(self.params.length)}

    def raw_signals(self, features: FeatureMatrix) -> Floats:
        p = self.params
        return reversion(features["z"], -p.entry, p.entry, -p.exit, p.exit)


@kernel
def reversion(values: Floats, lower: float, upper: float, leave_long: float, leave_short: float) -> Floats:
    """(T, N) positions: 1 from below ``lower`` until at or above ``leave_long``, -1 mirrored; NaN changes nothing."""
    rows, assets = values.shape
    result = np.empty((rows, assets))
    for i in range(assets):
        held = 0.0
        for t in range(rows):
            value = values[t, i]
            if value < lower:
                held = 1.0
            elif value > upper:
                held = -1.0
            elif (held > 0.0 and value >= leave_long) or (held < 0.0 and value <= leave_short):
                held = 0.0
            result[t, i] = held
    return result


def reversion_plain(values: Floats, lower: float, upper: float, leave_long: float, leave_short: float) -> Floats:
    """Twin of :func:`reversion`: the last event decides."""
    result = np.zeros(values.shape)
    for i, column in enumerate(values.T):
        for t in range(len(column)):
            seen = column[: t + 1]
            longs, shorts = np.flatnonzero(seen < lower), np.flatnonzero(seen > upper)
            first, second = (int(x[-1]) if len(x) else -1 for x in (longs, shorts))
            if first > second and not np.any(seen[first + 1 :] >= leave_long):
                result[t, i] = 1.0
            elif second > first and not np.any(seen[second + 1 :] <= leave_short):
                result[t, i] = -1.0
    return result

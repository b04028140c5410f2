"""Breakouts of a channel of the bars before."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from engine.features.base import Column, Feature, FeatureMatrix
from engine.features.indicators import Donchian
from engine.kernels import kernel
from engine.registry import Frozen, WholeNumber
from engine.strategies.base import Strategy, strategies
from engine.types import Floats


class DonchianParams(Frozen):
    """Lengths in bars; ``exit`` must not be above ``entry``."""

    entry: Annotated[WholeNumber, Field(ge=1, le=100_000, description="channel whose break is an entry, bars")] = 20
    exit: Annotated[WholeNumber, Field(ge=1, le=100_000, description="channel whose break is an exit, bars")] = 10

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.exit > self.entry:
            raise PydanticCustomError("out_of_order", "exit must not be above entry", {"field": "exit"})
        return self


@strategies.register
class DonchianBreakout(Strategy):
    """Long once the close is above the highest high of the ``entry`` bars before its own.

    Flat again once it is below the lowest low of the ``exit`` bars before; short mirrored. The channel leaves out
    the bar itself: no close is above a high that includes it.
    """

    name: Literal["donchian_breakout"]
    params: DonchianParams = DonchianParams()

    def features(self) -> Mapping[str, Feature]:
        p = self.params
        return {
            "close": Column("close"),
            "upper": Donchian(p.entry, "upper", before=1),
            "lower": Donchian(p.entry, "lower", before=1),
            "exit_upper": Donchian(p.exit, "upper", before=1),
            "exit_lower": Donchian(p.exit, "lower", before=1),
        }

    def raw_signals(self, features: FeatureMatrix) -> Floats:
        names = ("close", "upper", "lower", "exit_upper", "exit_lower")
        return breakout(*(features[n] for n in names))


@kernel
def breakout(close: Floats, upper: Floats, lower: Floats, exit_upper: Floats, exit_lower: Floats) -> Floats:
    """(T, N) positions: 1 from a break of ``upper`` until one of ``exit_lower``, -1 mirrored; NaN changes nothing."""
    rows, assets = close.shape
    result = np.empty((rows, assets))
    for i in range(assets):
        held = 0.0
        for t in range(rows):
            price = close[t, i]
            if price > upper[t, i]:
                held = 1.0
            elif price < lower[t, i]:
                held = -1.0
            elif (held > 0.0 and price < exit_lower[t, i]) or (held < 0.0 and price > exit_upper[t, i]):
                held = 0.0
            result[t, i] = held
    return result


def breakout_plain(close: Floats, upper: Floats, lower: Floats, exit_upper: Floats, exit_lower: Floats) -> Floats:
    """Twin of :func:`breakout`: the last event decides."""
    result = np.zeros(close.shape)
    for i in range(close.shape[1]):
        up, down = close[:, i] > upper[:, i], close[:, i] < lower[:, i]
        ends = {1.0: close[:, i] < exit_lower[:, i], -1.0: close[:, i] > exit_upper[:, i]}
        for t in range(len(close)):
            events = np.flatnonzero((up | down)[: t + 1])
            if len(events):
                side = 1.0 if up[events[-1]] else -1.0
                result[t, i] = 0.0 if np.any(ends[side][events[-1] + 1 : t + 1]) else side
    return result

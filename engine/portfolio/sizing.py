"""Sizing (semantics section 7): from a signal in [-1, 1] to a target weight, and from weights to decisions."""

from abc import abstractmethod
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from engine.registry import Frozen, Plugin, Real, Registry
from engine.results import Signals, Targets
from engine.types import Floats


class Sizing(Plugin):
    """A rule from signals to weights: signed notional as a fraction of equity at the decision."""

    @abstractmethod
    def weights(self, signals: Floats) -> Floats:
        """(T, N) target weights for (T, N) signals."""


sizings: Registry[Sizing] = Registry("risk rule", "tplusone.sizing")


class FixedFractionParams(Frozen):
    """The fraction of equity a full signal commits."""

    fraction: Annotated[Real, Field(gt=0.0, le=1.0, description="share of equity per full signal")] = 1.0


@sizings.register
class FixedFraction(Sizing):
    """The same fraction of live equity for every full signal."""

    name: Literal["fixed_fraction"] = "fixed_fraction"
    params: FixedFractionParams = FixedFractionParams()

    def weights(self, signals: Floats) -> Floats:
        return signals * self.params.fraction


def targets(sizing: Sizing, signals: Signals, *, allow_short: bool) -> Targets:
    """Weights at every bar, and the bars on which an order leaves: those where the signal changes.

    The signal before the first bar is 0. ``allow_short`` false clips targets at zero, so a long still closes.
    """
    values = signals.values if allow_short else np.maximum(signals.values, 0.0)
    decides = np.empty(values.shape, dtype=np.bool_)
    decides[:1] = values[:1] != 0.0
    np.not_equal(values[1:], values[:-1], out=decides[1:])
    return Targets(weights=sizing.weights(values), decides=decides)

"""Strategies: from lagged features to signals in [-1, 1]."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from engine.errors import EngineError
from engine.features.base import Feature, FeatureMatrix
from engine.kernels import kernel
from engine.registry import Plugin, Registry
from engine.results import Signals
from engine.types import Floats


class Strategy(Plugin):
    """A rule that sees lagged features and nothing else."""

    bounded: ClassVar[bool] = True
    """Whether signals lie in [-1, 1]; weights somebody brought may not."""

    @property
    def goes_short(self) -> bool:
        """Whether a signal can be negative."""
        return True

    @abstractmethod
    def features(self) -> Mapping[str, Feature]:
        """What the rule looks at, by the names it uses itself."""

    @abstractmethod
    def raw_signals(self, features: FeatureMatrix) -> Floats:
        """(T, N) in [-1, 1]; NaN keeps the last signal. Row t may depend on rows 0..t only."""


strategies: Registry[Strategy] = Registry("strategy", "tplusone.strategies")


class SignalError(EngineError):
    """A strategy gave a signal that is none."""

    code = "invalid_signal"


def signals(strategy: Strategy, features: FeatureMatrix, warmup: int = 0) -> Signals:
    """Apply the rules every strategy shares: 0 before warm-up is over, and NaN keeps the last signal.

    ``warmup`` is what sizing needs beyond the features. Raises ``SignalError`` for a signal outside [-1, 1] and for
    signals of another shape than the bars.
    """
    name = Registry.name_of(type(strategy))
    values = np.asarray(strategy.raw_signals(features), dtype=np.float64)
    if values.shape != features.shape:
        message = f"strategy '{name}' gave signals of shape {values.shape} for bars of shape {features.shape}"
        raise SignalError(message, {"strategy": name})
    if (
        not values.flags.c_contiguous
        or not values.flags.writeable
        or not values.flags.owndata
        or any(values is known for known in features.values.values())
    ):
        values = values.copy()
    needed = max(features.warmup, warmup)
    most = 1.0 if strategy.bounded else float(np.finfo(np.float64).max)
    values[:needed] = 0.0
    t, i = (-1, -1) if all_within(values.reshape(-1), most) else tidy(values, needed, most)
    if t >= 0:
        message = f"strategy '{name}' gave the signal {values[t, i]} at bar {t}; signals lie in [-1, 1]"
        raise SignalError(message, {"strategy": name, "bar": int(t)})
    return Signals(values=values, warmup=needed)


@kernel
def all_within(values: Floats, most: float) -> bool:
    """Whether every one of (K,) values is there and no larger than ``most``: then there is nothing to tidy."""
    beyond = 0
    for k in range(values.shape[0]):
        beyond += not abs(values[k]) <= most
    return beyond == 0


def all_within_plain(values: Floats, most: float) -> bool:
    """Twin of :func:`all_within`."""
    return bool((np.abs(values) <= most).all())


@kernel
def tidy(values: Floats, warmup: int, most: float) -> tuple[int, int]:
    """In place: 0 in the first ``warmup`` rows, the last value for NaN. Returns the first (t, i) beyond ``most``."""
    rows, assets = values.shape
    for i in range(assets):
        last = 0.0
        for t in range(rows):
            value = values[t, i]
            if t < warmup:
                values[t, i] = 0.0
            elif np.isnan(value):
                values[t, i] = last
            elif abs(value) > most:
                return t, i
            else:
                last = value
    return -1, -1


def tidy_plain(values: Floats, warmup: int, most: float) -> tuple[int, int]:
    """Twin of :func:`tidy`."""
    values[:warmup] = 0.0
    beyond = np.argwhere((np.abs(values) > most).T)
    if len(beyond):
        return int(beyond[0][1]), int(beyond[0][0])
    for column in values.T:
        rows = np.where(np.isnan(column), 0, np.arange(len(column)))
        np.maximum.accumulate(rows, out=rows)
        column[:] = np.nan_to_num(column[rows])
    return -1, -1

"""Strategies: from lagged features to signals in [-1, 1]."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from engine.features.base import Feature, FeatureMatrix
from engine.registry import Plugin, Registry
from engine.results import Signals
from engine.types import Floats


class Strategy(Plugin):
    """A rule that sees lagged features and nothing else."""

    goes_short: ClassVar[bool] = True

    @abstractmethod
    def features(self) -> Mapping[str, Feature]:
        """What the rule looks at, by the names it uses itself."""

    @abstractmethod
    def raw_signals(self, features: FeatureMatrix) -> Floats:
        """(T, N) in [-1, 1]; NaN keeps the last signal. Row t may depend on rows 0..t only."""


strategies: Registry[Strategy] = Registry("strategy", "tplusone.strategies")


def signals(strategy: Strategy, features: FeatureMatrix) -> Signals:
    """Apply the two rules every strategy shares: 0 before warm-up is over, and NaN keeps the last signal."""
    values = strategy.raw_signals(features).copy()  # it may be a view of a feature, or of the prices
    values[: features.warmup] = 0.0
    missing = np.isnan(values)
    if missing.any():
        rows = np.where(missing, 0, np.arange(len(values))[:, None])
        np.maximum.accumulate(rows, axis=0, out=rows)
        values = np.take_along_axis(values, rows, axis=0)
        values[np.isnan(values)] = 0.0
    return Signals(values=values, warmup=features.warmup)

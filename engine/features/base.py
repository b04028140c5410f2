"""Features, and THE feature lag (semantics section 2).

A raw feature at bar t is computed from bars 0..t. A strategy at t sees the value of t - feature_lag. The shift
happens in :func:`lagged` and nowhere else; prices and volume reach a strategy only as features, under it too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from engine.data.bars import Bars
from engine.types import Floats


class Feature(Protocol):
    """A causal function of bars."""

    @property
    def lookback(self) -> int:
        """Number of bars the first defined value needs, at least 1."""

    def compute(self, bars: Bars) -> Floats:
        """(T, N) values; NaN on the first ``lookback - 1`` bars. Row t depends on bars 0..t only."""


@dataclass(frozen=True)
class FeatureMatrix:
    """What a strategy may look at: ``values`` by name, each (T, N), already lagged.

    ``warmup`` is the number of leading bars on which at least one value is not there yet.
    """

    values: Mapping[str, Floats]
    warmup: int
    shape: tuple[int, int]

    def __getitem__(self, name: str) -> Floats:
        return self.values[name]


def lagged(raw: Floats, lag: int) -> Floats:
    """(T, N) with row t holding raw row t - lag; the first ``lag`` rows are NaN. ``lag`` 0 returns ``raw``."""
    if lag == 0:
        return raw
    shifted = np.empty_like(raw)
    shifted[:lag] = np.nan
    shifted[lag:] = raw[:-lag]
    return shifted


def feature_matrix(bars: Bars, features: Mapping[str, Feature], feature_lag: int) -> FeatureMatrix:
    """Compute every feature and lag it. ``warmup`` is the longest lookback plus the lag, less one."""
    longest = max((f.lookback for f in features.values()), default=0)
    return FeatureMatrix(
        values={name: lagged(f.compute(bars), feature_lag) for name, f in features.items()},
        warmup=longest - 1 + feature_lag if features else 0,
        shape=bars.close.shape,
    )

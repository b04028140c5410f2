"""Indicators of our own."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from engine.data.bars import Bars
from engine.kernels import kernel
from engine.types import Floats


@dataclass(frozen=True)
class SimpleMovingAverage:
    """Mean of the last ``length`` values of a column; lookback ``length``."""

    length: int
    column: Literal["open", "high", "low", "close", "volume"] = "close"

    @property
    def lookback(self) -> int:
        return self.length

    def compute(self, bars: Bars) -> Floats:
        """(T, N) in price units."""
        values = bars.column(self.column)
        return np.column_stack([rolling_mean(values[:, i], self.length) for i in range(values.shape[1])])


@kernel
def rolling_mean(values: Floats, length: int) -> Floats:
    """Mean of each window of ``length`` values; (T,), NaN before the window is full.

    A running sum with Neumaier's compensation (1974): without it the rounding left behind by a price spike
    stays in the sum for ever, and a flat price would not give equal averages of different lengths.
    """
    count = values.shape[0]
    means = np.empty(count)
    total = 0.0
    lost = 0.0
    for t in range(count):
        for step in range(2):
            if step == 0:
                term = values[t]
            elif t >= length:
                term = -values[t - length]
            else:
                break
            moved = total + term
            if abs(total) >= abs(term):
                lost += (total - moved) + term
            else:
                lost += (term - moved) + total
            total = moved
        means[t] = (total + lost) / length if t >= length - 1 else np.nan
    return means


def rolling_mean_plain(values: Floats, length: int) -> Floats:
    """Twin of :func:`rolling_mean`: each window summed exactly."""
    items = values.tolist()
    windows = (items[t + 1 - length : t + 1] for t in range(length - 1, len(items)))
    undefined = [math.nan] * min(length - 1, len(items))
    return np.array([*undefined, *(math.fsum(window) / length for window in windows)])

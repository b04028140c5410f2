"""Features of our own: those TA-Lib has not, and those it computes in a way that a spike or a large price spoils."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from engine.data.bars import Bars
from engine.data.sessions import bars_per_year, days
from engine.features.base import all_finite, by_asset, into_room
from engine.features.rolling import (
    extreme_kernel,
    mean_kernel,
    moments,
    rolling_mean,
    rolling_min,
    rolling_rank,
    rolling_std,
    session_sums,
)
from engine.types import Floats

Side = Literal["upper", "lower", "middle"]


@dataclass(frozen=True)
class SimpleMovingAverage:
    """Mean of the last ``length`` values of a column; lookback ``length``."""

    length: int
    column: str = "close"
    recursive: ClassVar[bool] = False

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column,)

    @property
    def lookback(self) -> int:
        return self.length

    def compute(self, bars: Bars) -> Floats:
        """(T, N) in the column's unit."""
        return into_room(
            [bars.column(self.column)],
            lambda x: rolling_mean(x, self.length),
            lambda x, out: mean_kernel(x, self.length, out),
        )


@dataclass(frozen=True)
class Returns:
    """Simple or log return from ``length`` bars ago to ``skip`` bars ago."""

    length: int = 1
    kind: Literal["simple", "log"] = "simple"
    column: str = "close"
    skip: int = 0
    recursive: ClassVar[bool] = False

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column,)

    @property
    def lookback(self) -> int:
        return self.length + 1

    def compute(self, bars: Bars) -> Floats:
        """(T, N) fractions, or natural logarithms."""
        return by_asset([bars.column(self.column)], self._of)

    def _of(self, x: Floats) -> Floats:
        before, now = x[: -self.length], x[self.length - self.skip : len(x) - self.skip]
        now = now[: len(before)]
        ratio = np.divide(now, before, out=np.full(len(now), np.nan), where=before > 0.0)
        logs = np.log(ratio, out=np.full(len(now), np.nan), where=ratio > 0.0) if self.kind == "log" else None
        change = ratio - 1.0 if logs is None else logs
        return np.concatenate((np.full(len(x) - len(now), np.nan), change))


@dataclass(frozen=True)
class RealisedVolatility:
    """Standard deviation (ddof 1) of the last ``length`` log returns, per bar or by year of the calendar."""

    length: int
    annualise: bool = True
    columns: ClassVar[tuple[str, ...]] = ("close",)
    recursive: ClassVar[bool] = False

    @property
    def lookback(self) -> int:
        return self.length + 1

    def compute(self, bars: Bars) -> Floats:
        """(T, N) fractions."""
        factor = np.sqrt(bars_per_year(bars.conventions)) if self.annualise else 1.0
        return by_asset([bars.close], lambda x: self._of(x) * factor)

    def _of(self, x: Floats) -> Floats:
        return np.concatenate((np.full(min(1, len(x)), np.nan), rolling_std(np.diff(np.log(x)), self.length, 1)))


@dataclass(frozen=True)
class ZScore:
    """Distance of a column from its mean over the last ``length`` bars, in standard deviations (ddof 1).

    NaN where the window does not vary.
    """

    length: int
    column: str = "close"
    recursive: ClassVar[bool] = False

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column,)

    @property
    def lookback(self) -> int:
        return self.length

    def compute(self, bars: Bars) -> Floats:
        """(T, N)."""
        return by_asset([bars.column(self.column)], self._of)

    def _of(self, x: Floats) -> Floats:
        mean, square = moments(x, self.length)
        deviation = np.sqrt(square / (self.length - 1))
        result: Floats = np.divide(x - mean, deviation, out=np.full(len(x), np.nan), where=deviation > 0.0)
        return result


@dataclass(frozen=True)
class BandPosition:
    """Where the close stands between Bollinger's bands: -1 on the lower, 0 on the middle, 1 on the upper.

    The bands are ``width`` standard deviations (ddof 0) around the mean of the last ``length`` closes; 0 where the
    window does not vary.
    """

    length: int
    width: float
    columns: ClassVar[tuple[str, ...]] = ("close",)
    recursive: ClassVar[bool] = False

    @property
    def lookback(self) -> int:
        return self.length

    def compute(self, bars: Bars) -> Floats:
        """(T, N)."""
        return by_asset([bars.close], self._of)

    def _of(self, x: Floats) -> Floats:
        mean, square = moments(x, self.length)
        half = self.width * np.sqrt(square / self.length)
        result: Floats = np.divide(x - mean, half, out=half.copy(), where=half > 0.0)
        return result


@dataclass(frozen=True)
class Donchian:
    """Highest high, lowest low, or their middle over the last ``length`` bars, this one included.

    ``before`` leaves out that many of the newest bars: a breakout compares with the bars before its own.
    """

    length: int
    side: Side = "upper"
    before: int = 0
    columns: ClassVar[tuple[str, ...]] = ("high", "low")
    recursive: ClassVar[bool] = False

    @property
    def lookback(self) -> int:
        return self.length + self.before

    def compute(self, bars: Bars) -> Floats:
        """(T, N) in price units."""
        return into_room([bars.high, bars.low], self._of, self._fill)

    def _of(self, high: Floats, low: Floats) -> Floats:
        result = np.empty(len(high))
        self._fill(high, low, result)
        return result

    def _fill(self, high: Floats, low: Floats, out: Floats) -> bool:
        if not (all_finite(high) and all_finite(low)):
            return False
        before = min(self.before, len(high))
        out[:before] = np.nan
        rows, channel = len(high) - before, out[before:]
        if self.side == "lower":
            extreme_kernel(low[:rows], self.length, -1.0, channel)
            return True
        extreme_kernel(high[:rows], self.length, 1.0, channel)
        if self.side == "middle":
            channel += rolling_min(low[:rows], self.length)
            channel /= 2.0
        return True


@dataclass(frozen=True)
class RollingRank:
    """Share of the last ``length`` - 1 values before it that a column's value exceeds; equal ones count half."""

    length: int
    column: str = "close"
    recursive: ClassVar[bool] = False

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column,)

    @property
    def lookback(self) -> int:
        return self.length

    def compute(self, bars: Bars) -> Floats:
        """(T, N) in [0, 1]."""
        return by_asset([bars.column(self.column)], lambda x: rolling_rank(x, self.length))


@dataclass(frozen=True)
class SessionVwap:
    """Volume-weighted mean of the typical price since the calendar's day began; NaN before the first volume of it."""

    lookback: ClassVar[int] = 1
    columns: ClassVar[tuple[str, ...]] = ("high", "low", "close", "volume")
    recursive: ClassVar[bool] = False

    def compute(self, bars: Bars) -> Floats:
        """(T, N) in price units."""
        day = np.broadcast_to(days(bars.time, bars.conventions).astype(np.float64)[:, None], bars.close.shape)
        typical = (bars.high + bars.low + bars.close) / 3.0
        return by_asset([day, typical, bars.volume], session_sums)

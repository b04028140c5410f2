"""What a run is compared with: the prices of another symbol, or of one it trades, at the ends of the run's days.

The first price is the open of the first bar at or after the run's first open, as the strategy begins with its capital
there; each further one is the last close known by then. So both have a return for every day, from the same moments.
Until the benchmark's first bar closes its price is that first open, and where it has no bar the last close holds: its
return is 0 on such a day. Bars without valid prices are passed over.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from engine.data.bars import Bars, Conventions, Series
from engine.data.resample import Resampled, resample
from engine.errors import ConfigError, FieldError
from engine.types import Floats, Ints, Times

POINTER = "/benchmark"


@dataclass(frozen=True)
class Benchmark:
    """A symbol's bars beside a run."""

    symbol: str
    bars: Bars

    def prices(self, first_open: int, day_close: Times) -> Floats:
        """(D + 1,) its price at the run's first open and at the close of each of D days, all ns.

        Raises ``ConfigError`` where it has no bar in between.
        """
        time, opens, closes = self._known(first_open)
        at = self._at(time, day_close)
        if not len(time) or at[-1] < 0:
            raise nothing_left(self.symbol)
        prices: Floats = np.concatenate((opens[:1], np.where(at < 0, opens[0], closes[np.maximum(at, 0)])))
        return prices

    def idle_days(self, first_open: int, day_close: Times) -> int:
        """How many of the days have no close of its own."""
        at = self._at(self._known(first_open)[0], day_close)
        return int(np.count_nonzero(np.diff(at, prepend=-1) == 0))

    def _known(self, first_open: int) -> tuple[Times, Floats, Floats]:
        """Close times, opens and closes of the bars from ``first_open`` on that have prices."""
        bars = self.bars
        kept = np.flatnonzero(bars.valid[:, 0] & (bars.time >= first_open))
        return bars.close_time[kept], bars.open[kept, 0], bars.close[kept, 0]

    def _at(self, close_time: Times, moments: Times) -> Ints:
        """(D,) the last bar that has closed by each moment, -1 for none."""
        return np.searchsorted(close_time, moments, side="right") - 1


def benchmark_rows(symbol: str, series: Series, own: Conventions, made: Collection[Resampled]) -> Resampled:
    """Bars of ``series`` in the span of the bars that a run has of its symbols, and of their timeframe.

    Raises ``ConfigError`` where there is none.
    """
    conventions = next(iter(made)).conventions
    first = min(int(mine.series.time[0]) for mine in made)
    last = max(int(mine.series.closes(conventions.bar_ns)[-1]) for mine in made)
    rows = series.between(first, last)
    if not len(rows):
        raise nothing_left(symbol)
    try:
        return resample(rows, own, conventions.timeframe)
    except ConfigError as error:
        raise nothing_left(symbol) from error


def nothing_left(symbol: str) -> ConfigError:
    """A benchmark without a bar says nothing."""
    message = f"{symbol} has no bar with prices in the period of the run: there is nothing to compare with"
    return ConfigError([FieldError(POINTER, "empty_period", message)])

"""Which bars of which symbols a run uses."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from engine.config.instants import nanoseconds, stamp
from engine.data.align import Align, panel_times
from engine.data.bars import Dataset, Series
from engine.data.benchmark import POINTER, benchmark_rows
from engine.data.resample import Resampled, resample
from engine.errors import ConfigError, FieldError


@dataclass(frozen=True)
class Window:
    """Rows in [start, end), of those the slice ``portion`` of size ``fraction``, and of those bars of ``timeframe``.

    Several symbols are sliced at the same moments: those of the rows any of them has, or under ``common`` all have.
    ``timeframe`` None is the rows' own.
    """

    symbols: tuple[str, ...]
    start: datetime | None
    end: datetime | None
    fraction: float
    portion: int
    timeframe: str | None = None
    common: bool = False
    lenient: bool = False
    """Whether symbols without a bar are left out, as long as one has some."""
    benchmark: str | None = None
    """The symbol that the run is compared with."""

    @property
    def align(self) -> Align:
        """Which moments the symbols have together."""
        return "intersection" if self.common else "union"

    @property
    def needed(self) -> tuple[str, ...]:
        """The symbols whose rows are read."""
        known = self.benchmark is None or self.benchmark in self.symbols
        return self.symbols if known else (*self.symbols, str(self.benchmark))

    def bars(self, data: Dataset) -> dict[str, Resampled]:
        """The bars of each symbol that has any. Raises ``ConfigError`` naming all that have none."""
        conventions, series = data.conventions, dict(zip(self.symbols, data.select(self.symbols), strict=True))
        rows = self.rows(series)
        empty = sorted(s for s, mine in rows.items() if not len(mine))
        if empty and not (self.lenient and len(empty) < len(rows)):
            raise ConfigError([self._nothing_left(series, symbol) for symbol in empty])
        timeframe = self.timeframe or conventions.timeframe
        return {s: resample(mine, conventions, timeframe) for s, mine in rows.items() if len(mine)}

    def compared(self, data: Dataset, made: Mapping[str, Resampled]) -> Resampled | None:
        """The benchmark's bars in the span of the bars of a run. Raises ``ConfigError`` where there are none."""
        if self.benchmark is None:
            return None
        (series,) = data.select([self.benchmark])
        return benchmark_rows(self.benchmark, series, data.conventions, made.values())

    def digests(self, own: Mapping[str, str], compared: Resampled | None) -> dict[str, str]:
        """What a run's identity knows of its rows: its ``own`` by symbol, and the benchmark's under its field's name.

        That begins with a slash, and no symbol does.
        """
        known = dict(sorted(own.items()))
        return known if compared is None else known | {POINTER: compared.digest()}

    def rows(self, series: Mapping[str, Series]) -> dict[str, Series]:
        """The rows of each symbol; there may be none."""
        whole = {s: mine.between(nanoseconds(self.start), nanoseconds(self.end)) for s, mine in series.items()}
        if self.fraction == 1.0:
            return whole
        if len(whole) == 1:
            symbol, mine = next(iter(whole.items()))
            size = int(len(mine) * self.fraction + 1e-9)
            return {symbol: mine.slice((self.portion - 1) * size, self.portion * size)}
        clock = panel_times([mine.time for mine in whole.values()], self.align)
        size = int(len(clock) * self.fraction + 1e-9)
        span = clock[(self.portion - 1) * size : self.portion * size]
        if not len(span):
            return {s: mine.slice(0, 0) for s, mine in whole.items()}
        return {s: mine.between(int(span[0]), int(span[-1]) + 1) for s, mine in whole.items()}

    def _nothing_left(self, series: Mapping[str, Series], symbol: str) -> FieldError:
        """Why a symbol has no bar, and what it has."""
        whole = series[symbol].between(nanoseconds(self.start), nanoseconds(self.end))
        time = series[symbol].time
        pointer = "/fraction" if len(whole) and self.fraction < 1.0 else "/start"
        message = f"no bar is left of {symbol}; its bars open from {stamp(time[0])} to {stamp(time[-1])}"
        return FieldError(pointer, "empty_period", message)

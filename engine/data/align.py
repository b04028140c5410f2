"""Several symbols on one clock: the bars all of them have, or the bars any of them has (semantics section 8)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from engine.data.bars import Bars, Conventions, Series
from engine.data.mapped import forget
from engine.data.stacked import Stacked
from engine.types import Floats, Ints, Times

Align = Literal["intersection", "union"]


@dataclass(frozen=True)
class Panel:
    """Bars of N symbols in the order of names, and which of its bars are each symbol's own.

    ``own`` by symbol: that symbol's own bars, (T_i, 1). ``rows`` by symbol (T_i,): where they stand in the panel,
    nothing where there is one symbol, which has every bar. ``lost`` by symbol: bars that alignment left out.
    """

    bars: Bars
    own: Mapping[str, Bars]
    rows: Mapping[str, Ints]
    lost: Mapping[str, int]

    @property
    def last(self) -> Ints:
        """(N,) the last bar of each symbol's data, -1 for one without any."""
        if len(self.bars.symbols) == 1:
            return np.array([len(self.bars) - 1])
        return np.array([int(self.rows[s][-1]) if len(self.rows[s]) else -1 for s in self.bars.symbols])

    def own_before(self, symbol: str, bar: int) -> int:
        """How many of a symbol's own bars come before a bar of the panel."""
        return bar if len(self.bars.symbols) == 1 else int(np.searchsorted(self.rows[symbol], bar))

    def on(self, bars: Bars) -> "Panel":
        """The same symbols on other bars, at all or a part of the same times: each keeps the bars that are its own."""
        if len(self.bars.symbols) == 1:
            symbol = self.bars.symbols[0]
            return Panel(bars, {symbol: bars}, {}, {symbol: 0})
        first = int(np.searchsorted(self.bars.time, bars.time[0]))
        rows, own = {}, {}
        for i, symbol in enumerate(self.bars.symbols):
            mine = self.rows[symbol] - first
            rows[symbol] = mine[(mine >= 0) & (mine < len(bars))]
            own[symbol] = bars.only(i, rows[symbol])
        return Panel(bars, own, rows, self.lost)

    def spread(self, values: Mapping[str, Floats], missing: float) -> Floats:
        """(T, N) of each symbol's (T_i, 1) on its own bars; between them the value before, at first ``missing``."""
        symbols = self.bars.symbols
        if len(symbols) == 1:
            return values[symbols[0]]
        result = np.empty((len(self.bars), len(symbols)))
        for i, symbol in enumerate(symbols):
            rows, own = self.rows[symbol], values[symbol][:, 0]
            if len(rows) == len(self.bars):
                result[:, i] = own
                continue
            result[:, i] = missing
            starts = np.append(rows, len(self.bars))
            result[starts[0] :, i] = np.repeat(own, np.diff(starts))
        return result


def align(
    series: Mapping[str, Series],
    conventions: Conventions,
    how: Align = "intersection",
    priced: Collection[str] = (),
) -> Panel:
    """The panel of at least one symbol. Under ``union`` a bar a symbol has not is without price and untradable.

    ``priced`` are the symbols of which every bar is known to have its prices.

    An intersection may be empty: the caller refuses that.
    """
    symbols = tuple(sorted(series))
    if len(symbols) == 1:
        only = Bars.of(symbols[0], series[symbols[0]], conventions, priced=symbols[0] in priced)
        return Panel(only, {symbols[0]: only}, {}, {symbols[0]: 0})
    kept = dict(series)
    times = [rows.time for rows in series.values()]
    time = panel_times(times, how)
    lost = dict.fromkeys(symbols, 0)
    if how == "intersection":
        for symbol, rows in series.items():
            if len(rows) > len(time):
                kept[symbol] = rows.take(np.searchsorted(rows.time, time), whole=True)
                lost[symbol] = len(rows) - len(time)
        # One clock, which is in memory once and not once a symbol.
        kept = {symbol: replace(rows, time=time) for symbol, rows in kept.items()}
    own = {s: Bars.of(s, kept[s], conventions, priced=s in priced) for s in symbols}
    for rows in series.values():
        forget(rows.time, rows.volume)  # looked at once, for the clock and for what can be traded
    return _panel(own, time, lost)


def beside(own: Mapping[str, Bars]) -> Panel:
    """Bars of single symbols, (T_i, 1) each, on the clock of all of them."""
    symbols = tuple(sorted(own))
    time = _all([own[symbol].time for symbol in symbols])
    return _panel({s: own[s] for s in symbols}, time, dict.fromkeys(symbols, 0))


def _panel(own: Mapping[str, Bars], time: Times, lost: Mapping[str, int]) -> Panel:
    """Symbols in the order of names on a clock that has every bar of theirs."""
    every = np.arange(len(time))
    rows = {s: every if len(mine) == len(time) else np.searchsorted(time, mine.time) for s, mine in own.items()}
    return Panel(Stacked(list(own.values()), list(rows.values()), time), own, rows, lost)


def panel_times(times: Sequence[Ints], how: Align) -> Ints:
    """Opens (T,) of the bars of a panel, of those of each symbol."""
    return _common(times) if how == "intersection" else _all(times)


def _common(times: Sequence[Ints]) -> Ints:
    """Times every symbol has. The rows of most data sets agree, which is seen at once."""
    first = times[0]
    for other in times[1:]:
        if not np.array_equal(first, other):
            first = np.intersect1d(first, other, assume_unique=True)
    return first


def _all(times: Sequence[Ints]) -> Ints:
    """Times any symbol has."""
    found = times[0]
    for other in times[1:]:
        if not np.array_equal(found, other):
            found = np.union1d(found, other)
    return found

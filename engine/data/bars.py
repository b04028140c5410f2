"""What market data is once it has been read: conventions, one series per symbol, and the bars of a run.

A stamp in a file becomes an open time here; after that nobody asks which end of the bar it labelled.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from engine.canonical import array_digest, canonical_bytes, sha256_hex
from engine.data.mapped import stamps
from engine.errors import DataError, nearest
from engine.kernels import kernel
from engine.types import NANOSECONDS_PER_SECOND, Bools, Floats, Ints, Times

COLUMNS = ("open", "high", "low", "close", "volume")
SYMBOL_PATTERN = r"[A-Za-z0-9^][A-Za-z0-9 ._:/=^&+-]{0,63}"

TIMEFRAME_PATTERN = r"^([1-9]\d{0,3})([smhdw])$"
PIECE = 65_536

_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def timeframe_ns(timeframe: str) -> int:
    """Length of a bar in nanoseconds: ``"15m"`` gives 900e9. Raises ``DataError`` for another form."""
    match = re.fullmatch(TIMEFRAME_PATTERN, timeframe)
    if match is None:
        raise DataError(f"timeframe '{timeframe}' is not a number followed by s, m, h, d or w, such as 1h")
    return int(match[1]) * _UNIT_SECONDS[match[2]] * NANOSECONDS_PER_SECOND


def timeframe_name(nanoseconds: int) -> str:
    """The shortest name of a bar length: 3600e9 gives ``"1h"``."""
    seconds = nanoseconds // NANOSECONDS_PER_SECOND
    unit = next(u for u in "wdhms" if seconds % _UNIT_SECONDS[u] == 0)
    return f"{seconds // _UNIT_SECONDS[unit]}{unit}"


@dataclass(frozen=True)
class Conventions:
    """What a dataset declares about its rows. Every field is part of the data's identity.

    ``label`` says which end of a bar its stamp names; ``timezone`` is the zone of stamps without an offset;
    ``calendar`` is ``24x7``, ``24x5`` or an exchange code such as ``XNYS``; ``adjustment`` says what was done
    to prices for splits and dividends.
    """

    timeframe: str
    calendar: str
    label: Literal["open", "close"] = "open"
    timezone: str = "UTC"
    adjustment: Literal["none", "split", "total"] = "none"

    @property
    def bar_ns(self) -> int:
        """Length of a bar in nanoseconds."""
        return timeframe_ns(self.timeframe)

    def identity(self) -> dict[str, str]:
        """What of this enters the digest: the zone does not, since times are UTC by now."""
        return {
            "timeframe": self.timeframe,
            "label": self.label,
            "calendar": self.calendar,
            "adjustment": self.adjustment,
        }


@dataclass(frozen=True)
class Series:
    """One symbol's rows: ``time`` (T,) int64 ns UTC bar opens, strictly rising; prices and volume (T,) float64.

    ``has_volume`` says whether the source has volume for the symbol at all. It belongs to the symbol, not to a
    period: which bars can be traded must not depend on where a run ends. ``close_time`` (T,) says when each bar
    closes, where that is not simply one bar length after it opens. ``extra`` holds further columns by name, (T,)
    float64, NaN where a value is missing.
    """

    time: Times
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    has_volume: bool | None = field(default=None, kw_only=True)
    close_time: Times | None = field(default=None, kw_only=True)
    extra: Mapping[str, Floats] = field(default_factory=dict, kw_only=True)
    _digests: dict[Any, str] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Decide ``has_volume`` where nobody has: slices take it over from the whole series."""
        if self.has_volume is None:
            object.__setattr__(self, "has_volume", _any_positive(self.volume))

    def __len__(self) -> int:
        return len(self.time)

    def slice(self, first: int, last: int) -> "Series":
        """Rows ``first`` to ``last`` (exclusive), as views."""
        if first == 0 and last == len(self):
            return self
        rows = (getattr(self, c)[first:last] for c in COLUMNS)
        closes = None if self.close_time is None else self.close_time[first:last]
        extra = {name: values[first:last] for name, values in self.extra.items()}
        return Series(self.time[first:last], *rows, has_volume=self.has_volume, close_time=closes, extra=extra)

    def take(self, index: Ints, *, whole: bool = False) -> "Series":
        """The rows of an index, copied. Whether there is volume is decided anew, unless they stand for all."""
        rows = (getattr(self, c)[index] for c in COLUMNS)
        closes = None if self.close_time is None else self.close_time[index]
        extra = {name: values[index] for name, values in self.extra.items()}
        volume = self.has_volume if whole else None
        return Series(self.time[index], *rows, has_volume=volume, close_time=closes, extra=extra)

    def closes(self, bar_ns: int) -> Times:
        """(T,) ns when each bar closes."""
        return self.time + bar_ns if self.close_time is None else self.close_time

    def between(self, start: int | None, end: int | None) -> "Series":
        """Rows whose bar opens in [start, end), nanoseconds; None is unbounded."""
        first = 0 if start is None else int(np.searchsorted(self.time, start, side="left"))
        last = len(self) if end is None else int(np.searchsorted(self.time, end, side="left"))
        return self.slice(first, max(first, last))

    def digest(self, conventions: Conventions) -> str:
        """SHA-256 of these rows together with what is declared about them.

        Rows mapped from files are read for it once, and again where a file has changed.
        """
        state = stamps((self.time, *(getattr(self, c) for c in COLUMNS), *self.extra.values()))
        if state is None or self.close_time is not None:
            return self._digest(conventions)
        if (conventions, state) not in self._digests:
            self._digests[conventions, state] = self._digest(conventions)
        return self._digests[conventions, state]

    def _digest(self, conventions: Conventions) -> str:
        closes = () if self.close_time is None else (self.close_time,)
        rows = array_digest([self.time, *(getattr(self, c) for c in COLUMNS), *closes])
        identity: dict[str, Any] = {"rows": rows, "has_volume": bool(self.has_volume), **conventions.identity()}
        if self.extra:
            names = sorted(self.extra)
            identity["extra"] = {"names": names, "values": array_digest([self.extra[n] for n in names])}
        return sha256_hex(canonical_bytes(identity))


@dataclass(frozen=True)
class Dataset:
    """Checked series by symbol, their conventions, and the report of the checks."""

    name: str
    conventions: Conventions
    series: Mapping[str, Series]
    report: Mapping[str, Any] = field(default_factory=dict)

    def select(self, symbols: Sequence[str]) -> list[Series]:
        """The series of the symbols, in order. Raises ``DataError`` naming all that are missing."""
        missing = [s for s in symbols if s not in self.series]
        if missing:
            known = sorted(self.series)
            hint = nearest(missing[0], known)
            raise DataError(
                f"dataset '{self.name}' has no symbol {', '.join(missing)}.{hint} It holds: {', '.join(known)}",
                {"symbols": missing, "known": known},
            )
        return [self.series[s] for s in symbols]

    def digest(self) -> str:
        """SHA-256 over every symbol's digest: the identity of a dataset version."""
        return sha256_hex(canonical_bytes({s: v.digest(self.conventions) for s, v in sorted(self.series.items())}))


@dataclass(frozen=True)
class Bars:
    """The bars of a run. ``time`` and ``close_time`` (T,) int64 ns; prices and volume (T, N) float64.

    ``ends`` (T,) are the close times where bars are not all of one length, else None.
    ``extra`` holds further columns by name. ``tradable`` (T, N): a fill may happen in that bar. A bar of zero volume
    is not tradable where the symbol has volume at all (semantics section 4).
    """

    symbols: tuple[str, ...]
    conventions: Conventions
    time: Times
    ends: Times | None
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    tradable: Bools
    extra: Mapping[str, Floats] = field(default_factory=dict)

    @classmethod
    def of(cls, symbol: str, series: Series, conventions: Conventions, *, priced: bool = False) -> "Bars":
        """The bars of one symbol, as (T, 1) views of its series; ``priced`` where all are known to be valid."""
        tradable = series.volume > 0.0 if series.has_volume else np.ones(len(series), dtype=np.bool_)
        made = cls(
            symbols=(symbol,),
            conventions=conventions,
            time=series.time,
            ends=series.close_time,
            **{c: _read_only(getattr(series, c)).reshape(-1, 1) for c in COLUMNS},
            tradable=_read_only(tradable).reshape(-1, 1),
            extra={name: _read_only(values).reshape(-1, 1) for name, values in series.extra.items()},
        )
        if priced:
            made.mark_priced()
        return made

    def __len__(self) -> int:
        return len(self.time)

    def mark_priced(self) -> None:
        """Keep the answer of ``valid``: somebody has looked at every price."""
        vars(self)["valid"] = np.ones(self.close.shape, dtype=np.bool_)

    @cached_property
    def close_time(self) -> Times:
        """(T,) ns; made when somebody asks, for few do."""
        return self.time + self.conventions.bar_ns if self.ends is None else self.ends

    @property
    def clock(self) -> Times:
        """(T,) ns that lie as far apart as close times: these, or the opens where every bar is of one length."""
        return self.time if self.ends is None else self.ends

    def closes_at(self, index: Ints | int) -> Times:
        """Close times, ns, of the bars of an index."""
        closes: Times = self.clock[index] + (self.conventions.bar_ns if self.ends is None else 0)
        return closes

    @cached_property
    def valid(self) -> Bools:
        """(T, N) whether all four prices are finite and above zero."""
        valid = np.empty(self.close.shape, dtype=np.bool_)
        first, high, low, last = (np.ascontiguousarray(getattr(self, c)).reshape(-1) for c in COLUMNS[:4])
        mark_valid(first, high, low, last, valid.reshape(-1))
        return valid

    def slice(self, first: int, last: int) -> "Bars":
        """Bars ``first`` to ``last`` (exclusive), as views."""
        arrays = {name: getattr(self, name)[first:last] for name in ("time", *COLUMNS, "tradable")}
        extra = {name: values[first:last] for name, values in self.extra.items()}
        ends = None if self.ends is None else self.ends[first:last]
        return Bars(self.symbols, self.conventions, ends=ends, extra=extra, **arrays)

    def begins(self, whole: "Bars") -> bool:
        """Whether these are the first bars of ``whole``, or all of them: the same memory, not only equal."""
        names = ("time", *COLUMNS, "tradable")
        pairs = [(getattr(self, name), getattr(whole, name)) for name in names]
        if len(self) > len(whole) or self.symbols != whole.symbols or self.extra.keys() != whole.extra.keys():
            return False
        pairs += [(values, whole.extra[name]) for name, values in self.extra.items()]
        return all(a.ctypes.data == b.ctypes.data and a.strides == b.strides for a, b in pairs)

    def only(self, i: int, rows: Ints) -> "Bars":
        """The bars of one symbol at some rows, (K, 1) copies."""
        arrays = {name: getattr(self, name)[rows, i : i + 1] for name in (*COLUMNS, "tradable")}
        extra = {name: values[rows, i : i + 1] for name, values in self.extra.items()}
        for array in (*arrays.values(), *extra.values()):
            array.flags.writeable = False
        ends = None if self.ends is None else self.ends[rows]
        return Bars((self.symbols[i],), self.conventions, self.time[rows], ends, extra=extra, **arrays)

    def one(self, name: str, i: int) -> npt.NDArray[Any]:
        """(T,) a column of one symbol, by the name of its field."""
        return np.ascontiguousarray(getattr(self, name)[:, i])

    def column(self, name: str) -> Floats:
        """(T, N) of ``open``, ``high``, ``low``, ``close``, ``volume`` or an extra column.

        Raises ``DataError`` for another name.
        """
        if name in self.extra:
            return self.extra[name]
        if name not in COLUMNS:
            known = [*COLUMNS, *self.extra]
            raise DataError(f"there is no column '{name}'.{nearest(name, known)} There are: {', '.join(known)}")
        values: Floats = getattr(self, name)
        return values


@kernel
def mark_valid(opens: Floats, highs: Floats, lows: Floats, closes: Floats, valid: Bools) -> None:
    """Write whether all four prices of each of (K,) bars are finite and above zero."""
    for k in range(valid.shape[0]):
        positive = (opens[k] > 0.0) & (highs[k] > 0.0) & (lows[k] > 0.0) & (closes[k] > 0.0)
        valid[k] = positive & (opens[k] < np.inf) & (highs[k] < np.inf) & (lows[k] < np.inf) & (closes[k] < np.inf)


def mark_valid_plain(opens: Floats, highs: Floats, lows: Floats, closes: Floats, valid: Bools) -> None:
    """Twin of :func:`mark_valid`."""
    valid[:] = True
    for price in (opens, highs, lows, closes):
        valid &= (price > 0.0) & (price < np.inf)


def _any_positive(volume: Floats) -> bool:
    """Whether any value is above 0; looks at a piece at a time, and mostly at one."""
    return any(bool((volume[i : i + PIECE] > 0.0).any()) for i in range(0, len(volume), PIECE))


def _read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A plain read-only view. Mapped and fresh arrays look alike to a kernel, which compiles once for both."""
    view = np.asarray(array).view()
    view.flags.writeable = False
    return view

"""Bars of several symbols side by side. A column is put together when somebody reads it: few runs read them all."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from engine.data.bars import COLUMNS, Bars
from engine.data.mapped import forget
from engine.types import Bools, Ints, Times

MISSING = dict.fromkeys(COLUMNS, np.nan) | {"volume": 0.0, "tradable": 0.0, "valid": 0.0}
"""What stands where a symbol has no bar: no price, no volume and no trade."""


class Stacked(Bars):
    """Bars (T, N) of N symbols: their ``own`` bars (T_i, 1) stand in ``rows`` (T_i,) of ``time`` (T,)."""

    _own: Sequence[Bars]
    _rows: Sequence[Ints]

    def __init__(self, own: Sequence[Bars], rows: Sequence[Ints], time: Times) -> None:
        """Only further columns, of those that all symbols have, are put together at once."""
        names = set.intersection(*(set(mine.extra) for mine in own))
        vars(self).update(
            symbols=tuple(mine.symbols[0] for mine in own),
            conventions=own[0].conventions,
            time=time,
            ends=_ends(own, rows, len(time)),
            extra={n: _beside([mine.extra[n] for mine in own], rows, len(time), np.nan) for n in sorted(names)},
            _own=own,
            _rows=rows,
        )

    def __getattr__(self, name: str) -> npt.NDArray[Any]:
        """A column (T, N) that nobody has read yet."""
        if name not in (*COLUMNS, "tradable"):
            raise AttributeError(name)
        made = _beside([getattr(mine, name) for mine in self._own], self._rows, len(self), MISSING[name])
        vars(self)[name] = made
        return made

    @cached_property
    @override
    def valid(self) -> Bools:
        return _beside([mine.valid for mine in self._own], self._rows, len(self), MISSING["valid"])

    @override
    def one(self, name: str, i: int) -> npt.NDArray[Any]:
        return _placed(getattr(self._own[i], name)[:, 0], self._rows[i], len(self), MISSING[name])


def _ends(own: Sequence[Bars], rows: Sequence[Ints], length: int) -> Times | None:
    """(T,) close times, where some symbol's bars are not all of one length."""
    if all(mine.ends is None for mine in own):
        return None
    ends = np.empty(length, dtype=np.int64)
    for mine, at in zip(own, rows, strict=True):
        ends[at] = mine.close_time
    ends.flags.writeable = False
    return ends


def _beside(parts: Sequence[npt.NDArray[Any]], rows: Sequence[Ints], length: int, missing: float) -> npt.NDArray[Any]:
    """(T, N) of one column of each symbol, (T_i, 1)."""
    # Where all is so mostly, as in whether bars can be traded, what is not is written alone.
    flags = parts[0].dtype == np.bool_
    result = np.ones((length, len(parts)), np.bool_) if flags else np.empty((length, len(parts)), parts[0].dtype)
    for i, (part, at) in enumerate(zip(parts, rows, strict=True)):
        if not (flags and len(at) == length and part.all()):
            result[:, i] = _placed(part[:, 0], at, length, missing)
        forget(part)
    result.flags.writeable = False
    return result


def _placed(part: npt.NDArray[Any], at: Ints, length: int, missing: float) -> npt.NDArray[Any]:
    """(T,) of a column (T_i,) of one symbol; itself, where the symbol has every bar."""
    if len(at) == length:
        return part
    result = np.full(length, missing, dtype=part.dtype)
    result[at] = part
    return result

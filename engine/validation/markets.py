"""Other markets made of the bars of a run."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.data.bars import Bars
from engine.types import Bools, Floats

PRICES = ("open", "high", "low", "close")
PRICED = ("vwap",)
"""Further columns that are prices, and move with their bar."""


def remade(
    bars: Bars, prices: Mapping[str, Floats], volume: Floats, tradable: Bools, extra: Mapping[str, Floats]
) -> Bars:
    """The bars at the same times with other contents, each (T, N).

    Read-only like those of a dataset, so that kernels are not compiled once more.
    """
    return Bars(
        symbols=bars.symbols,
        conventions=bars.conventions,
        time=bars.time,
        ends=bars.ends,
        open=_read_only(prices["open"]),
        high=_read_only(prices["high"]),
        low=_read_only(prices["low"]),
        close=_read_only(prices["close"]),
        volume=_read_only(volume),
        tradable=_read_only(tradable),
        extra={name: _read_only(values) for name, values in extra.items()},
    )


def _read_only(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    view = np.ascontiguousarray(values).view()
    view.flags.writeable = False
    return view

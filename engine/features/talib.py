"""TA-Lib's functions as features, described by its own abstract interface.

The library is imported where it is needed: with the data frame packages it looks for, it takes a second to import.
A parameter is called what TA-Lib calls it, but ``timeperiod`` is ``length``; moving averages are chosen by name.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

from engine.data.bars import Bars
from engine.errors import UnknownNameError, nearest
from engine.features.base import by_asset
from engine.types import Floats

AVERAGES = (
    "sma", "ema", "wma", "dema", "tema", "trima", "kama", "mama", "t3", "hma", "none", "default", "zlema", "rma",
)  # fmt: skip
"""In the order of TA-Lib's MA_Type."""

Value = int | float | str


@dataclass(frozen=True)
class TalibFunction:
    """What TA-Lib says of a function: ``columns`` are the default inputs, ``free`` those a caller may choose."""

    name: str
    title: str
    group: str
    columns: tuple[str, ...]
    free: tuple[int, ...]
    outputs: tuple[str, ...]
    defaults: Mapping[str, Value]


def function_names() -> tuple[str, ...]:
    """Every function of TA-Lib, lower case, sorted."""
    return tuple(sorted(name.lower() for name in _library().get_functions()))


def _library() -> Any:
    """TA-Lib, which has no types."""
    return import_module("talib")


def _described(name: str) -> Any:
    return import_module("talib.abstract").Function(name.upper())


@cache
def function(name: str) -> TalibFunction:
    """The description of a function. Raises ``UnknownNameError`` with the nearest name."""
    if name not in function_names():
        known = list(function_names())
        raise UnknownNameError(f"TA-Lib has no function '{name}'.{nearest(name, known)}", {"known": known})
    info: dict[str, Any] = _described(name).info
    columns: list[str] = []
    free: list[int] = []
    for kind, names in info["input_names"].items():
        if isinstance(names, str):
            free.append(len(columns))
        columns += [names] if isinstance(names, str) else names
        if kind == "periods":
            columns[-1] = "close"
    outputs = tuple("value" if o in {"real", "integer"} else o for o in info["output_names"])
    defaults = {own_name(k): AVERAGES[v] if "matype" in k else v for k, v in info["parameters"].items()}
    return TalibFunction(name, info["display_name"], info["group"], tuple(columns), tuple(free), outputs, defaults)


def own_name(parameter: str) -> str:
    """``timeperiod`` is ``length`` here, ``timeperiod1`` is ``length1``."""
    return parameter.replace("timeperiod", "length")


@dataclass(frozen=True)
class TalibFeature:
    """One output of a TA-Lib function. ``params`` are sorted pairs of TA-Lib's names and values."""

    name: str
    output: int
    params: tuple[tuple[str, int | float], ...]
    columns: tuple[str, ...]

    @property
    def recursive(self) -> bool:
        """Asked of the numbers: the library flags only some of the functions that never forget."""
        return True

    @property
    def lookback(self) -> int:
        return _lookback(self.name, self.params)

    def compute(self, bars: Bars) -> Floats:
        """(T, N) in the function's unit; infinite values are NaN."""
        return by_asset([bars.column(c) for c in self.columns], self._of)

    def _of(self, *columns: Floats) -> Floats:
        need = self.lookback
        if len(columns[0]) < need:
            return np.full(len(columns[0]), np.nan)
        found = getattr(_library(), self.name.upper())(*columns, **dict(self.params))
        values = np.asarray(found[self.output] if isinstance(found, tuple) else found, dtype=np.float64)
        values[: need - 1] = np.nan  # integer outputs have 0 there
        values[~np.isfinite(values)] = np.nan
        return values


@cache
def _lookback(name: str, params: tuple[tuple[str, int | float], ...]) -> int:
    made = _described(name)
    made.set_parameters(dict(params))
    return int(made.lookback) + 1


def least_period(name: str, parameter: str) -> int:
    """The least value TA-Lib takes for a whole-number parameter: 1 or 2."""
    made = _described(name)
    made.set_parameters({talib_name(parameter): 1})
    return 2 if made.lookback < 0 else 1  # what the library says to a bad parameter


def talib_name(parameter: str) -> str:
    """The reverse of :func:`own_name`."""
    return parameter.replace("length", "timeperiod")


def talib_feature(name: str, output: str | None = None, columns: tuple[str, ...] = (), **params: Value) -> TalibFeature:
    """A feature of TA-Lib: ``talib_feature("macd", "macdsignal", fastperiod=5)``.

    Parameters left out have TA-Lib's defaults; ``columns`` replaces the inputs. Raises ``UnknownNameError`` for a
    function, an output or a parameter that does not exist.
    """
    known = function(name)
    for given, names in ((output or known.outputs[0], known.outputs), *((p, known.defaults) for p in params)):
        if given not in names:
            raise UnknownNameError(f"{name} has no '{given}'.{nearest(given, list(names))}", {"known": list(names)})
    values = {k: params.get(k, default) for k, default in known.defaults.items()}
    plain = {talib_name(k): AVERAGES.index(v) if isinstance(v, str) else v for k, v in values.items()}
    place = known.outputs.index(output) if output else 0
    return TalibFeature(name, place, tuple(sorted(plain.items())), columns or known.columns)

"""Bars for tests of features: random, with holes, flat, and of extreme size."""

from dataclasses import replace

import numpy as np

from engine.data.bars import COLUMNS, Bars, Conventions
from engine.features.base import Feature
from engine.types import Floats

HOUR = 3600 * 10**9


def market(seed: int = 1, rows: int = 400, level: float = 100.0) -> Bars:
    """One symbol, hourly, 24x7, that moves and trades on every bar."""
    random = np.random.default_rng(seed)
    close = level * np.exp(np.cumsum(random.normal(0.0, 0.01, rows)))
    opened = close * np.exp(random.normal(0.0, 0.003, rows))
    high = np.maximum(opened, close) * np.exp(random.uniform(0.0, 0.01, rows))
    low = np.minimum(opened, close) * np.exp(-random.uniform(0.0, 0.01, rows))
    return bars_of(opened, high, low, close, random.uniform(1.0, 100.0, rows))


def bars_of(*columns: Floats) -> Bars:
    rows = len(columns[0])
    time = 1_577_836_800 * 10**9 + HOUR * np.arange(rows, dtype=np.int64)
    opened, high, low, close, volume = (np.asarray(c, dtype=np.float64).reshape(-1, 1) for c in columns)
    conventions = Conventions("1h", "24x7")
    tradable = np.ones((rows, 1), dtype=np.bool_)
    return Bars(("A",), conventions, time, time + HOUR, opened, high, low, close, volume, tradable)


def flat(rows: int = 300, price: float = 0.1) -> Bars:
    return bars_of(*(np.full(rows, price) for _ in range(4)), np.full(rows, 5.0))


def with_hole(bars: Bars, at: int) -> Bars:
    """One bar without prices."""
    columns = {name: getattr(bars, name).copy() for name in COLUMNS}
    for column in columns.values():
        column[at] = np.nan
    return replace(bars, **columns)


def without(bars: Bars, at: int) -> Bars:
    """The same market as if the bar had never been."""
    columns = {name: np.delete(getattr(bars, name), at, axis=0) for name in COLUMNS}
    return bars_of(*(columns[name][:, 0] for name in COLUMNS))


def values(feature: Feature, bars: Bars) -> Floats:
    made: Floats = feature.compute(bars)[:, 0]
    return made

"""Rough markets for tests: jumps from a fifth to five times the price, dead bars, penny and billion prices."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from engine.data.bars import Bars, Conventions, Dataset, Series
from engine.types import Bools, Floats

HOUR = 3_600_000_000_000
HOURLY = Conventions(timeframe="1h", calendar="24x7")
SYMBOL = "X"


@dataclass(frozen=True)
class Kind:
    """How rough a market is; rates are probabilities per bar."""

    jumps: float = 0.05
    dead: float = 0.1
    flats: float = 0.0
    decades: tuple[float, float] = (-4.0, 9.0)


@dataclass(frozen=True)
class Columns:
    """(T, N) prices and volume."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats


def columns(seed: int, bars: int, assets: int, kind: Kind) -> Columns:
    """Random OHLCV. Prices come from a generator, so that two of them are never equal by accident."""
    random = np.random.default_rng(seed)
    shape = (bars, assets)
    moves = 0.03 * random.standard_normal((2, *shape))
    for step in range(2):
        jump = np.log(random.choice(JUMPS, shape) * random.uniform(0.9, 1.1, shape))
        moves[step] = np.where(random.random(shape) < kind.jumps, jump, moves[step])
    flat = np.repeat(random.random((bars // 8 + 1, assets)) < kind.flats, 8, axis=0)[:bars]
    moves[:, flat] = 0.0
    start = 10.0 ** random.uniform(*kind.decades, assets)
    path = start * np.exp(np.cumsum(moves.transpose(1, 0, 2).reshape(2 * bars, assets), axis=0))
    opened, closed = path[::2], path[1::2]
    wick = np.exp(0.02 * np.abs(random.standard_normal((2, *shape))))
    volume = np.where(random.random(shape) < kind.dead, 0.0, random.uniform(1.0, 1e6, shape))
    return Columns(opened, np.maximum(opened, closed) * wick[0], np.minimum(opened, closed) / wick[1], closed, volume)


JUMPS = np.array([0.2, 0.5, 1.5, 2.0, 3.0, 4.5])


def bars_of(market: Columns, tradable: Bools | None = None) -> Bars:
    """The bars of N symbols, ``A``, ``B`` and so on; a bar of zero volume is not tradable unless told."""
    length, assets = market.open.shape
    time = HOUR * np.arange(length, dtype=np.int64)
    return Bars(
        symbols=tuple("ABCDEFGH"[:assets]),
        conventions=HOURLY,
        time=time,
        close_time=time + HOUR,
        open=market.open,
        high=market.high,
        low=market.low,
        close=market.close,
        volume=market.volume,
        tradable=market.volume > 0.0 if tradable is None else tradable,
    )


def dataset_of(market: Columns) -> Dataset:
    """The first symbol as a dataset in memory, whose checks are taken as done."""
    length = len(market.open)
    time = HOUR * np.arange(length, dtype=np.int64)
    series = Series(
        time, *(np.ascontiguousarray(getattr(market, c)[:, 0]) for c in ("open", "high", "low", "close", "volume"))
    )
    report: Mapping[str, object] = {"symbols": {SYMBOL: {"rows": length, "findings": []}}}
    return Dataset("memory", HOURLY, {SYMBOL: series}, report)


def tail_changed(market: Columns, first: int, seed: int) -> Columns:
    """The same market up to bar ``first``, exclusive, and another one, still coherent, from there on."""
    length, assets = market.open.shape
    other = columns(seed, length, assets, Kind(decades=(-1.0, 3.0)))
    names = ("open", "high", "low", "close", "volume")
    mixed = {c: np.concatenate((getattr(market, c)[:first], getattr(other, c)[first:])) for c in names}
    return replace(market, **mixed)

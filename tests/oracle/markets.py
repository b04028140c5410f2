"""Rough markets for tests: jumps from a fifth to five times the price, dead bars, penny and billion prices."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from engine.data.bars import Bars, Conventions, Dataset, Series
from engine.types import Bools, Floats, Times

HOUR = 3_600_000_000_000
HOURLY = Conventions(timeframe="1h", calendar="24x7")
SYMBOL = "X"
STRETCH = 8


@dataclass(frozen=True)
class Kind:
    """How rough a market is; rates are probabilities per bar, of ``flats`` and ``halts`` per stretch of bars."""

    jumps: float = 0.05
    dead: float = 0.1
    flats: float = 0.0
    decades: tuple[float, float] = (-4.0, 9.0)
    holes: float = 0.0
    halts: float = 0.0
    spikes: float = 0.0
    volumes: tuple[float, float] = (1.0, 1e6)


@dataclass(frozen=True)
class Columns:
    """(T, N) prices and volume, and for some the average price of each bar."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    vwap: Floats | None = None


def columns(seed: int, bars: int, assets: int, kind: Kind) -> Columns:
    """Random OHLCV. Prices come from a generator, so that two of them are never equal by accident."""
    random = np.random.default_rng(seed)
    shape = (bars, assets)
    moves = 0.03 * random.standard_normal((2, *shape))
    for step in range(2):
        jump = np.log(random.choice(JUMPS, shape) * random.uniform(0.9, 1.1, shape))
        moves[step] = np.where(random.random(shape) < kind.jumps, jump, moves[step])
    flat = np.repeat(random.random((bars // STRETCH + 1, assets)) < kind.flats, STRETCH, axis=0)[:bars]
    moves[:, flat] = 0.0
    start = 10.0 ** random.uniform(*kind.decades, assets)
    path = start * np.exp(np.cumsum(moves.transpose(1, 0, 2).reshape(2 * bars, assets), axis=0))
    opened, closed = path[::2], path[1::2]
    wick = np.exp(0.02 * np.abs(random.standard_normal((2, *shape))))
    volume = np.where(random.random(shape) < kind.dead, 0.0, random.uniform(*kind.volumes, shape))
    market = Columns(opened, np.maximum(opened, closed) * wick[0], np.minimum(opened, closed) / wick[1], closed, volume)
    return broken(market, random, kind)


JUMPS = np.array([0.2, 0.5, 1.5, 2.0, 3.0, 4.5])


INVALID = np.array([np.nan, 0.0, -1.0, np.inf])
"""Each of these makes a price, and so the whole bar, invalid."""


def broken(market: Columns, random: np.random.Generator, kind: Kind) -> Columns:
    """Spikes (a range from half to twice the prices), halts (no volume for long) and bars with invalid prices.

    A third of the bars with invalid prices have none at all, and no volume.
    """
    shape = market.open.shape
    spiked = random.random(shape) < kind.spikes
    high = np.where(spiked, market.high * random.uniform(1.0, 2.0, shape), market.high)
    low = np.where(spiked, market.low / random.uniform(1.0, 2.0, shape), market.low)
    halted = np.repeat(random.random((len(high) // STRETCH + 1, shape[1])) < kind.halts, STRETCH, axis=0)[: len(high)]
    prices = np.array((market.open, high, low, market.close))
    hole = random.random(shape) < kind.holes
    bad = random.choice(INVALID, shape)
    which = random.integers(0, 8, shape)
    for field in range(4):
        prices[field] = np.where(hole & (which == field), bad, prices[field])
    whole = hole & (which > 4)
    prices[:, whole] = np.nan
    opened, high, low, closed = prices
    vwap = market.low + (market.high - market.low) * random.random(shape)
    vwap[whole | (hole & (which == 4))] = np.nan
    return Columns(opened, high, low, closed, np.where(halted | whole, 0.0, market.volume), vwap)


def stamps(length: int, seed: int | None = None) -> Times:
    """Opens of hourly bars from 1970 on; with a seed a third of the bars come after a gap of up to three days."""
    if seed is None:
        return HOUR * np.arange(length, dtype=np.int64)
    random = np.random.default_rng(seed)
    gaps = np.where(random.random(length) < 1.0 / 3.0, random.integers(0, 72, length), 0)
    return HOUR * np.cumsum(1 + gaps, dtype=np.int64)


def bars_of(market: Columns, tradable: Bools | None = None, time: Times | None = None) -> Bars:
    """The bars of N symbols, ``A``, ``B`` and so on; a bar of zero volume is not tradable unless told."""
    length, assets = market.open.shape
    time = stamps(length) if time is None else time
    return Bars(
        symbols=tuple("ABCDEFGH"[:assets]),
        conventions=HOURLY,
        time=time,
        ends=time + HOUR,
        open=market.open,
        high=market.high,
        low=market.low,
        close=market.close,
        volume=market.volume,
        tradable=market.volume > 0.0 if tradable is None else tradable,
        extra={} if market.vwap is None else {"vwap": market.vwap},
    )


def dataset_of(market: Columns) -> Dataset:
    """The first symbol as a dataset in memory, whose checks are taken as done."""
    length = len(market.open)
    series = Series(
        stamps(length),
        *(np.ascontiguousarray(getattr(market, c)[:, 0]) for c in ("open", "high", "low", "close", "volume")),
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

"""A made-up market, plainly labelled: for first steps without data, and for tests.

Log prices walk with a drift that switches between regimes and a volatility that comes in clusters. Nothing
measured on it says anything about a real market.
"""

import numpy as np

from engine.data.bars import Conventions, Dataset, Series, timeframe_ns
from engine.data.sessions import ALWAYS, WEEKDAYS, in_weekend, weekday
from engine.errors import DataError
from engine.types import NANOSECONDS_PER_DAY, Bools, Floats, Times

_YEAR_NS = 365.25 * NANOSECONDS_PER_DAY
_START_PRICE = 100.0
_DRIFTS = (0.6, 0.0, -0.6)  # per year, one per regime
_ANNUAL_VOLATILITY = 0.5
_REGIME_BARS = 250  # mean length of a regime
_CLUSTER_BARS = 60  # how long a burst of volatility lasts
_STEPS = 4  # moves inside a bar, which give it its high and low


def market(
    symbol: str = "SYNTH",
    bars: int = 5000,
    seed: int = 42,
    timeframe: str = "1h",
    calendar: str = ALWAYS,
    start: str = "2020-01-01",
) -> Dataset:
    """One symbol's bars, the same for the same arguments.

    ``bars`` is their number, ``start`` the ISO date (UTC) from which they open. 24x5 leaves weekends out.
    Raises ``DataError`` for another calendar, no bars, a date that is none, or a span beyond the year 2200.
    """
    if calendar not in (ALWAYS, WEEKDAYS):
        raise DataError(f"a synthetic market keeps {ALWAYS} or {WEEKDAYS}, not '{calendar}'")
    if bars < 1:
        raise DataError(f"a synthetic market has at least one bar, not {bars}")
    conventions = Conventions(timeframe=timeframe, calendar=calendar)
    time = _opens(start, bars, conventions)
    series = _walk(time, timeframe_ns(timeframe), np.random.Generator(np.random.Philox(seed)))
    report = {"synthetic": True, "seed": seed, "symbols": {symbol: {"rows": bars, "findings": []}}}
    return Dataset("synthetic", conventions, {symbol: series}, report)


def _opens(start: str, bars: int, conventions: Conventions) -> Times:
    try:
        first = int(np.datetime64(start, "ns").astype(np.int64))
    except ValueError:
        raise DataError(f"start '{start}' is not a date such as 2020-01-01") from None
    bar = conventions.bar_ns
    # Of seven days 24x5 keeps five; two weeks more cover where in the week it starts.
    count = bars if conventions.calendar == ALWAYS else bars * 7 // 5 + 14 * NANOSECONDS_PER_DAY // bar + 2
    if first + count * bar > int(np.datetime64("2200-01-01", "ns").astype(np.int64)):
        raise DataError(f"{bars} bars of {conventions.timeframe} from {start} end after the year 2200")
    time = first + bar * np.arange(count, dtype=np.int64)
    if conventions.calendar == WEEKDAYS and bar <= NANOSECONDS_PER_DAY:
        time = time[~_closed(time, bar)]
    return time[:bars]


def _closed(time: Times, bar: int) -> Bools:
    if bar < NANOSECONDS_PER_DAY:
        return in_weekend(time)
    weekend: Bools = weekday(time // NANOSECONDS_PER_DAY) >= 5
    return weekend


def _walk(time: Times, bar: int, random: np.random.Generator) -> Series:
    count = len(time)
    years = bar / _YEAR_NS / _STEPS
    regime = np.cumsum(random.random(count) < 1.0 / _REGIME_BARS)
    drift = random.choice(np.array(_DRIFTS), size=count)[regime]
    noise = np.cumsum(random.standard_normal(count + _CLUSTER_BARS))
    cluster = (noise[_CLUSTER_BARS:] - noise[:-_CLUSTER_BARS]) / np.sqrt(_CLUSTER_BARS)
    volatility = _ANNUAL_VOLATILITY * np.exp(0.5 * cluster - 0.25)
    shocks = random.standard_normal((count, _STEPS)) * (volatility * np.sqrt(years))[:, None]
    moves = shocks + ((drift - 0.5 * volatility**2) * years)[:, None]
    path = _START_PRICE * np.exp(np.cumsum(moves.ravel())).reshape(count, _STEPS)
    close = path[:, -1]
    opened = np.concatenate(([_START_PRICE], close[:-1]))
    high, low = np.maximum(opened, path.max(axis=1)), np.minimum(opened, path.min(axis=1))
    volume = np.round(1000.0 * np.exp(0.5 * cluster + 0.3 * random.standard_normal(count)) + 1.0)
    opened, high, low, close = _rounded(opened, high, low, close)
    return Series(time, opened, high, low, close, volume)


def _rounded(*prices: Floats) -> list[Floats]:
    """Prices at one number of decimals, enough for the lowest. Rounding keeps order, bars stay coherent."""
    lowest = min(float(p.min()) for p in prices)
    decimals = 5 + max(0, -int(np.floor(np.log10(lowest))))
    return [np.round(p, decimals) for p in prices]

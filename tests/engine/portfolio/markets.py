"""Bars by hand, for tests of sizes and schedules."""

import numpy as np
from pydantic import TypeAdapter

from engine.data.bars import Bars, Conventions, timeframe_ns
from engine.portfolio import sizings
from engine.portfolio.sizing import Sizing
from engine.types import Floats

START = 1_577_836_800 * 10**9
"""2020-01-01, a Wednesday."""


def bars(closes: object, calendar: str = "24x7", timeframe: str = "1d", start: int = START) -> Bars:
    """One symbol (T,) or several (T, N) that trade at their closes."""
    close = np.asarray(closes, dtype=np.float64)
    close = close[:, None] if close.ndim == 1 else close
    step = timeframe_ns(timeframe)
    time = start + step * np.arange(len(close), dtype=np.int64)
    return Bars(
        symbols=tuple("ABCDEFGH"[: close.shape[1]]),
        conventions=Conventions(timeframe=timeframe, calendar=calendar),
        time=time,
        ends=time + step,
        open=close,
        high=close,
        low=close,
        close=close,
        volume=np.ones_like(close),
        tradable=np.ones(close.shape, dtype=np.bool_),
    )


def rule(name: str, **params: float) -> Sizing:
    """A risk rule from plain values, as a configuration has it."""
    made: Sizing = TypeAdapter(sizings.union()).validate_python({"name": name, "params": params})
    return made


def walk(seed: int, rows: int, assets: int = 1) -> Floats:
    """(T, N) closes of a random walk."""
    steps = 0.02 * np.random.default_rng(seed).standard_normal((rows, assets))
    closes: Floats = 100.0 * np.exp(np.cumsum(steps, axis=0))
    return closes

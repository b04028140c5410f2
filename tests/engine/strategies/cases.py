"""Every strategy with parameters small enough to trade in a short market, and features by hand."""

from typing import Any

import numpy as np
from pydantic import TypeAdapter

from engine.features.base import FeatureMatrix
from engine.results import Signals
from engine.strategies import Strategy, signals, strategies
from engine.types import Floats

SMALL: dict[str, dict[str, Any]] = {
    "bollinger_reversion": {"length": 6, "width": 1.2},
    "buy_and_hold": {},
    "donchian_breakout": {"entry": 6, "exit": 3},
    "dual_sma": {"fast": 3, "slow": 8},
    "ema_cross": {"fast": 3, "slow": 8},
    "macd": {"fast": 3, "slow": 8, "signal": 4},
    "rsi_reversion": {"length": 5, "lower": 35.0, "upper": 65.0, "exit": 50.0},
    "signal": {"column": "close", "long_above": 110.0, "short_below": 95.0},
    "target_weight": {"column": "close"},
    "time_series_momentum": {"lookback": 5, "skip": 1},
    "zscore_reversion": {"length": 6, "entry": 1.2, "exit": 0.3},
}
"""A strategy of an installed package is tested with its defaults."""

OTHER: dict[str, dict[str, Any]] = {
    "bollinger_reversion": {"length": 9, "width": 1.6},
    "buy_and_hold": {},
    "donchian_breakout": {"entry": 9, "exit": 5},
    "dual_sma": {"fast": 4, "slow": 12},
    "ema_cross": {"fast": 4, "slow": 12},
    "macd": {"fast": 4, "slow": 12, "signal": 7},
    "rsi_reversion": {"length": 6, "lower": 33.0, "upper": 67.0, "exit": 55.0},
    "signal": {"column": "high", "long_above": 109.0, "short_below": 99.0},
    "target_weight": {"column": "high"},
    "time_series_momentum": {"lookback": 9, "skip": 3},
    "zscore_reversion": {"length": 9, "entry": 1.6, "exit": 0.0},
}
"""Another value for every parameter."""

RECURSIVE = {"ema_cross", "macd", "rsi_reversion"}
"""Their features remember all of the past, ever less of it."""

STATEFUL = {"bollinger_reversion", "donchian_breakout", "rsi_reversion", "zscore_reversion"}
"""Their signal depends on the trade they are in."""


def strategy(name: str, **params: Any) -> Strategy:
    """A strategy from plain values, as a configuration has it; without parameters those of ``SMALL``."""
    made: Strategy = TypeAdapter(strategies.union()).validate_python(plain(name, params or SMALL.get(name)))
    return made


def plain(name: str, params: dict[str, Any] | None) -> dict[str, Any]:
    return {"name": name, "params": params} if params else {"name": name}


def matrix(warmup: int = 0, **columns: Any) -> FeatureMatrix:
    """Features of one symbol, already lagged."""
    values = {name: np.array(column, dtype=np.float64).reshape(-1, 1) for name, column in columns.items()}
    return FeatureMatrix(values, warmup, next(iter(values.values())).shape)


def given(rule: Strategy, features: FeatureMatrix) -> list[float]:
    """The signals of one symbol."""
    made: Signals = signals(rule, features)
    values: list[float] = made.values[:, 0].tolist()
    return values


def market(seed: int, rows: int) -> Floats:
    """(T,) closes that swing about 100 often enough to cross every level."""
    noise = np.random.default_rng(seed).standard_normal(rows)
    swing = 8.0 * np.sin(np.arange(rows) / 9.0)
    closes: Floats = 100.0 + swing + np.convolve(noise, np.ones(4), "same") + 3.0 * noise
    return np.round(closes, 2)

"""A backtest engine: decide at bar t, fill at t+1, charge every cost, say how much could be luck.

>>> import engine
>>> data = engine.load("GBPUSD.parquet", symbol="GBPUSD")
>>> result = engine.run({"dataset": data.name, "symbols": ["GBPUSD"], "strategy": {"name": "dual_sma"}}, data)
>>> result.metrics["sharpe"].value, result.frame("trades")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine import metrics, validation
    from engine.config import RunConfig
    from engine.data.bars import Dataset
    from engine.data.sources import load
    from engine.errors import CancelledError, ConfigError, DataError, EngineError
    from engine.features import FeatureCache
    from engine.outcome import Result
    from engine.pipeline import run
    from engine.portfolio.allocation import allocate
    from engine.sweeps import Sweep, sweep

_HOMES = {
    "CancelledError": "engine.errors",
    "ConfigError": "engine.errors",
    "DataError": "engine.errors",
    "Dataset": "engine.data.bars",
    "EngineError": "engine.errors",
    "FeatureCache": "engine.features",
    "Result": "engine.outcome",
    "RunConfig": "engine.config",
    "Sweep": "engine.sweeps",
    "allocate": "engine.portfolio.allocation",
    "load": "engine.data.sources",
    "run": "engine.pipeline",
    "sweep": "engine.sweeps",
}

_ROOMS = ("metrics", "validation")
"""Packages whose functions stand by themselves."""

__all__ = [
    "CancelledError",
    "ConfigError",
    "DataError",
    "Dataset",
    "EngineError",
    "FeatureCache",
    "Result",
    "RunConfig",
    "Sweep",
    "allocate",
    "load",
    "metrics",
    "run",
    "sweep",
    "validation",
]


def __getattr__(name: str) -> Any:
    # Each name is imported when it is asked for: a command that only reads a setting need not load the compiler.
    if name in _ROOMS:
        return import_module(f"engine.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'engine' has no attribute '{name}'")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *_HOMES, *_ROOMS]

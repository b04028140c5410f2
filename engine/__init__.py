"""A backtest engine: decide at bar t, fill at t+1, charge every cost, say how much could be luck.

>>> import engine
>>> data = engine.load("GBPUSD.parquet", symbol="GBPUSD")
>>> result = engine.run({"dataset": data.name, "symbols": ["GBPUSD"], "strategy": {"name": "dual_sma"}}, data)
>>> result.metrics["sharpe"].value, result.frame("trades")
"""

from engine.config import RunConfig
from engine.data.bars import Dataset
from engine.data.sources import load
from engine.errors import CancelledError, ConfigError, DataError, EngineError
from engine.features import FeatureCache
from engine.pipeline import Result, run

__all__ = [
    "CancelledError",
    "ConfigError",
    "DataError",
    "Dataset",
    "EngineError",
    "FeatureCache",
    "Result",
    "RunConfig",
    "load",
    "run",
]

"""Strategies by name. Importing this package registers the built-in ones and those of installed packages."""

from engine.strategies import breakout as breakout
from engine.strategies import reversion as reversion
from engine.strategies import signals as signal_columns
from engine.strategies import trend as trend
from engine.strategies.base import SignalError, Strategy, signals, strategies

strategies.load_entry_points()

__all__ = ["SignalError", "Strategy", "signal_columns", "signals", "strategies"]

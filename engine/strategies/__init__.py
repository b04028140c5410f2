"""Strategies by name. Importing this package registers the built-in ones and those of installed packages."""

from engine.strategies import trend as trend
from engine.strategies.base import Strategy, signals, strategies

strategies.load_entry_points()

__all__ = ["Strategy", "signals", "strategies"]

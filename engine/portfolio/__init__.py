"""From signals to target weights."""

from engine.portfolio.sizing import Sizing, sizings, targets

sizings.load_entry_points()

__all__ = ["Sizing", "sizings", "targets"]

"""From signals to target weights."""

from engine.portfolio.sizing import Sizing, sizings, targets
from engine.portfolio.weighting import Estimates, Weighting, Weights, weightings
from engine.portfolio.weighting_rules import Equal

sizings.load_entry_points()
weightings.load_entry_points()

__all__ = ["Equal", "Estimates", "Sizing", "Weighting", "Weights", "sizings", "targets", "weightings"]

"""From signals to target weights, and what symbols that share an account owe to each other."""

from engine.portfolio.plan import Portfolio, Together
from engine.portfolio.shares import Shares, shares
from engine.portfolio.sizing import Sizing, sizings, targets
from engine.portfolio.weighting import Estimates, Weighting, Weights, weightings
from engine.portfolio.weighting_rules import Equal

sizings.load_entry_points()

__all__ = [
    "Equal",
    "Estimates",
    "Portfolio",
    "Shares",
    "Sizing",
    "Together",
    "Weighting",
    "Weights",
    "shares",
    "sizings",
    "targets",
    "weightings",
]

"""From targets to orders, fills, an account and trades."""

from engine.execution.fills import simulate
from engine.execution.merge import side_by_side
from engine.execution.rules import Commission, Execution
from engine.execution.trades import round_trips

__all__ = ["Commission", "Execution", "round_trips", "side_by_side", "simulate"]

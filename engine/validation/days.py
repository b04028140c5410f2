"""Daily returns of a ledger, and the two numbers by which tests compare runs.

A test asks for them of many ledgers on the same bars, so where the days end is found once.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from engine.data import sessions
from engine.data.bars import Bars
from engine.metrics.annualise import idle_returns
from engine.metrics.intervals import UNFIT
from engine.results import Ledger
from engine.types import Floats, Ints
from engine.validation.inputs import constant
from engine.validation.sharpe import moments

RUINED = "equity is at or below zero"
BEHIND = "a day's return is 100 % or more below that of idle cash"

Measure = Literal["sharpe", "total_return"]
"""Both of returns beyond those of idle cash: what cash earns anyway says nothing for a strategy."""


@dataclass(frozen=True)
class Daily:
    """``returns`` (D,) by day, beyond those of idle cash; empty, with the ``reason``, where a day lost everything."""

    returns: Floats
    reason: str | None = None


def day_ends(bars: Bars) -> Ints:
    """(D,) the last bar of each day of the bars' calendar; a bar longer than a day is one."""
    return sessions.day_ends(bars.time, bars.conventions)


def daily_returns(ledger: Ledger, ends: Ints, first: int = 0) -> Daily:
    """Simple returns from day to day, from the capital on; ``ends`` (D,) as :func:`day_ends` gives them.

    What idle cash returned is taken off each: to earn that takes no skill. Returns that differ by no more than rounding
    are equal, as for the metrics. With ``first`` only those of the days from number ``first`` on, (D - first,).
    """
    points = np.append(0 if first == 0 else ends[first - 1] + 1, ends[first:] + 1)
    path = ledger.path[points]
    if float(path.min()) <= 0.0:
        return Daily(np.empty(0), RUINED)
    returns, idle = path[1:] / path[:-1] - 1.0, idle_returns(ledger, points)
    if len(returns) and float(returns.min()) <= -1.0:  # what is left is less than rounding
        return Daily(np.empty(0), RUINED)
    if len(idle):
        returns -= idle
        if len(returns) and float(returns.min()) <= -1.0:
            return Daily(np.empty(0), BEHIND)
    if len(returns) and constant(returns):
        returns[:] = returns[0]  # a ratio over rounding would be enormous
    return Daily(returns)


def annual_sharpe(returns: Floats, annual: float) -> float | None:
    """Sharpe ratio a year of daily returns (D,); None where they do not vary or are fewer than two."""
    of = moments(returns)
    return None if of.sharpe is None else of.sharpe * math.sqrt(annual)


def measured(measure: Measure, returns: Floats, annual: float) -> float | None:
    """The number runs are compared by: annual Sharpe ratio, or compounded return; None where it is undefined."""
    return annual_sharpe(returns, annual) if measure == "sharpe" else compounded(returns)


def unmeasured(measure: Measure, returns: Floats) -> str:
    """Why :func:`measured` gives None."""
    if len(returns) == 0:
        return "there are no days"
    return UNFIT if measure == "total_return" else str(moments(returns).reason)


def compounded(returns: Floats) -> float | None:
    """``prod(1 + r) - 1``; None of no returns, and where it does not fit a float."""
    with np.errstate(over="ignore"):
        total = float(np.prod(1.0 + returns)) - 1.0
    return total if len(returns) and math.isfinite(total) else None

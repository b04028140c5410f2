"""From bars to days: returns are annualised from daily closes, so that a ratio does not depend on bar size.

Square-root scaling is right for uncorrelated returns; bid-ask bounce makes bar returns anything but that
(Lo 2002). The caller knows the calendar and says which day each bar belongs to.
"""

import numpy as np

from engine.data import sessions
from engine.data.bars import Bars
from engine.metrics.returns import simple_returns
from engine.results import Curve, Ledger
from engine.types import Floats, Ints, Times


def curve(day: Ints, close_time: Times, equity: Floats, initial_capital: float, annual: float) -> Curve:
    """Equity at the last bar of each day, after the initial capital.

    ``day`` (T,) is an integer that never falls from bar to bar and is equal within a day; ``close_time`` (T,)
    ns; ``equity`` (T,) at the close of each bar; ``annual`` days a year. A day without bars gives no point.
    Raises ``ValueError`` for unequal lengths and for a day that comes back.
    """
    if not len(day) == len(close_time) == len(equity):
        raise ValueError("day, close_time and equity must be of one length")
    step = np.diff(day)
    if len(step) and int(step.min()) < 0:
        raise ValueError("days must not come back: bars are in time order")
    last = np.append(np.flatnonzero(step), len(day) - 1) if len(day) else np.empty(0, dtype=np.int64)
    return Curve(close_time[last], np.concatenate(([initial_capital], equity[last])), annual)


def daily_curve(bars: Bars, ledger: Ledger) -> Curve:
    """A run's equity at the last bar of each day of its calendar; of bars longer than a day at each of them."""
    last = sessions.day_ends(bars.time, bars.conventions)
    annual = sessions.periods_per_year(bars.conventions)
    points = np.append(0, last + 1)
    return Curve(bars.closes_at(last), ledger.path[points], annual, idle_returns(ledger, points))


def idle_returns(ledger: Ledger, points: Ints) -> Floats:
    """(D,) what idle cash returned between ``points`` (D + 1,) of the ledger's path; empty where it earns nothing."""
    return simple_returns(ledger.idle[points]) if len(ledger.idle) else ledger.idle

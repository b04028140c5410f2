"""Return metrics: pure functions from equity or daily returns to a :class:`Metric`.

Conventions. Equity includes the point before the first return, so T returns come from T + 1 points. Returns
are simple. Undefined is null with a reason, never zero, NaN or infinity.
"""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from engine.metrics.drawdown import NO_DRAWDOWN, path_of
from engine.metrics.falls import Falls
from engine.metrics.intervals import LARGEST_EXPONENT, defined
from engine.metrics.moments import DUST, Moments, moments, vector
from engine.metrics.ratios import root_of, sortino_interval
from engine.results import Interval, Metric
from engine.types import Floats

SECONDS_PER_YEAR = 365.25 * 86_400.0
SHORTEST_SPAN = 30 * 86_400.0
"""Seconds below which a growth rate by year says nothing."""

Around = Callable[[float, float], Interval]
"""An interval of a growth rate over the size of a fall."""

_FEW = "fewer than two daily returns"


def simple_returns(equity: npt.ArrayLike) -> Floats:
    """Simple returns (T,) of equity (T + 1,), infinite where one does not fit a float.

    Raises ``ValueError`` where one starts from equity <= 0, for equity that is not finite, and for another rank.
    """
    path = vector(equity, "equity")
    if len(path) and not (math.isfinite(path.min()) and math.isfinite(path.max())):
        raise ValueError("equity must be finite")
    before = path[:-1]
    if len(before) and float(before.min()) <= 0.0:
        raise ValueError("a return from equity at or below zero is undefined")
    with np.errstate(over="ignore"):
        returns: Floats = path[1:] / before
    returns -= 1.0  # in place: another array costs more than the division
    return returns


def total_return(equity: npt.ArrayLike) -> Metric:
    """Fraction ``E_T / E_0 - 1`` of equity (T + 1,); -1 or less after a total loss.

    Raises ``ValueError`` for another rank, values that are not finite and no start above 0.
    """
    path = path_of(equity)
    if len(path) < 2:
        return Metric(None, "fraction", "there are no bars")
    return defined(float(path[-1]) / float(path[0]) - 1.0, "fraction")


def cagr(equity: npt.ArrayLike, seconds: float) -> Metric:
    """Compound growth ``(E_T / E_0)^(1 / years) - 1`` by the clock.

    ``seconds`` from the first bar's open to the last one's close; ``years = seconds / (365.25 * 86400)``.
    Null below 30 days, at final equity <= 0, and where the rate does not fit a float. Raises ``ValueError`` as
    :func:`total_return`.
    """
    unit, path = "fraction per year", path_of(equity)
    if len(path) < 2:
        return Metric(None, unit, "there are no bars")
    if float(path[-1]) / float(path[0]) <= 0.0:  # also where the quotient is too small for a float
        return Metric(None, unit, "final equity is at or below zero")
    if not seconds >= SHORTEST_SPAN:
        return Metric(None, unit, "the period is shorter than 30 days")
    exponent = math.log(float(path[-1]) / float(path[0])) * (SECONDS_PER_YEAR / seconds)
    if exponent > LARGEST_EXPONENT:
        return Metric(None, unit, "the yearly rate is too large for a float")
    return Metric(math.expm1(exponent), unit)


def sortino(returns: npt.ArrayLike, annual: float, of: Moments | None = None) -> Metric:
    """Sortino ratio of daily returns (T,) at a minimum acceptable return of 0, annualised.

    The downside deviation ``sqrt(sum(min(r, 0)^2) / T)`` divides by all T days, not by the losing ones
    (Sortino & Price 1994). The interval is by the delta method; ``of`` are the moments of ``returns``, if known.
    """
    returns = vector(returns, "returns")
    if len(returns) < 2:
        return Metric(None, "ratio", _FEW)
    with np.errstate(over="ignore"):
        downside = math.sqrt(float(np.square(np.minimum(returns, 0.0)).mean()))
    if downside <= DUST:
        return Metric(None, "ratio", "there is no losing day")
    of = moments(returns) if of is None else of
    if of.missing is not None:
        return Metric(None, "ratio", of.missing)
    value = of.mean / downside * root_of(annual)
    return defined(value, "ratio", sortino_interval(value, of, annual))


def calmar(growth: Metric, drawdown: Metric, known: Falls | None = None) -> Metric:
    """CAGR over the size of the maximum drawdown (Young 1991, over the whole period).

    With an interval where the sums of the path are ``known``.
    """
    return _per_fall(growth, drawdown, 0.0, None if known is None else known.calmar)


def martin(growth: Metric, ulcer: Metric, known: Falls | None = None) -> Metric:
    """CAGR over the ulcer index (Martin & McCann 1989): the Martin ratio or ulcer performance index."""
    return _per_fall(growth, ulcer, DUST, None if known is None else known.martin)


def _per_fall(growth: Metric, fall: Metric, least: float, around: Around | None) -> Metric:
    if growth.value is None:
        return Metric(None, "ratio", growth.reason)
    if fall.value is None:
        return Metric(None, "ratio", fall.reason)
    if abs(fall.value) <= least:
        return Metric(None, "ratio", NO_DRAWDOWN)
    interval = None if around is None else around(growth.value, abs(fall.value))
    return defined(growth.value / abs(fall.value), "ratio", interval)

"""Return metrics: pure functions from equity or daily returns to a :class:`Metric`.

Conventions. Equity includes the point before the first return, so T returns come from T + 1 points. Returns
are simple. Undefined is null with a reason, never zero, NaN or infinity. Whether a series varies is asked of
its range: the standard deviation of a constant series is rounding dust, and a ratio over dust is enormous.
"""

import math

import numpy as np

from engine.results import Metric
from engine.types import Floats

SECONDS_PER_YEAR = 365.25 * 86_400.0
SHORTEST_SPAN = 30 * 86_400.0
"""Seconds below which a growth rate by year says nothing."""

DUST = 1e-13
"""A return is a ratio of two rounded equities: differences below this are rounding."""

_LARGEST_EXPONENT = 700.0  # exp() of more does not fit a float64

_FEW = "fewer than two daily returns"


def simple_returns(equity: Floats) -> Floats:
    """Simple returns (T,) of equity (T + 1,). Raises ``ValueError`` where one starts from equity <= 0."""
    before = equity[:-1]
    if len(before) and float(before.min()) <= 0.0:
        raise ValueError("a return from equity at or below zero is undefined")
    returns: Floats = equity[1:] / before - 1.0
    return returns


def total_return(equity: Floats) -> Metric:
    """Fraction ``E_T / E_0 - 1`` of equity (T + 1,); -1 or less after a total loss."""
    if len(equity) < 2:
        return Metric(None, "fraction", "there are no bars")
    return Metric(float(equity[-1]) / float(equity[0]) - 1.0, "fraction")


def cagr(equity: Floats, seconds: float) -> Metric:
    """Compound growth ``(E_T / E_0)^(1 / years) - 1`` by the clock.

    ``seconds`` from the first bar's open to the last one's close; ``years = seconds / (365.25 * 86400)``.
    Null below 30 days, at final equity <= 0, and where the rate does not fit a float.
    """
    unit = "fraction per year"
    if len(equity) < 2:
        return Metric(None, unit, "there are no bars")
    if float(equity[-1]) / float(equity[0]) <= 0.0:  # also where the quotient is too small for a float
        return Metric(None, unit, "final equity is at or below zero")
    if seconds < SHORTEST_SPAN:
        return Metric(None, unit, "the period is shorter than 30 days")
    exponent = math.log(float(equity[-1]) / float(equity[0])) * (SECONDS_PER_YEAR / seconds)
    if exponent > _LARGEST_EXPONENT:
        return Metric(None, unit, "the yearly rate is too large for a float")
    return Metric(math.expm1(exponent), unit)


def volatility(returns: Floats, annual: float) -> Metric:
    """Standard deviation (ddof 1) of daily returns (T,) times ``sqrt(annual)``; 0 for a constant series."""
    unit = "fraction per year"
    if len(returns) < 2:
        return Metric(None, unit, _FEW)
    if is_constant(returns):
        return Metric(0.0, unit)
    return Metric(float(returns.std(ddof=1)) * math.sqrt(annual), unit)


def sharpe(returns: Floats, annual: float, risk_free: float = 0.0) -> Metric:
    """Sharpe ratio of daily returns (T,): ``mean(r - rf) / std(r - rf, ddof=1) * sqrt(annual)``.

    ``risk_free`` is a rate per year; a day's is ``(1 + risk_free)^(1 / annual) - 1``. Source: Sharpe 1994;
    the square root holds for uncorrelated days (Lo 2002).
    """
    if len(returns) < 2:
        return Metric(None, "ratio", _FEW)
    if is_constant(returns):
        return Metric(None, "ratio", "daily returns do not vary")
    excess = float(returns.mean()) - ((1.0 + risk_free) ** (1.0 / annual) - 1.0)
    return Metric(excess / float(returns.std(ddof=1)) * math.sqrt(annual), "ratio")


def sortino(returns: Floats, annual: float) -> Metric:
    """Sortino ratio of daily returns (T,) at a minimum acceptable return of 0, annualised.

    The downside deviation ``sqrt(sum(min(r, 0)^2) / T)`` divides by all T days, not by the losing ones
    (Sortino & Price 1994).
    """
    if len(returns) < 2:
        return Metric(None, "ratio", _FEW)
    downside = math.sqrt(float(np.square(np.minimum(returns, 0.0)).mean()))
    if downside <= DUST:
        return Metric(None, "ratio", "there is no losing day")
    return Metric(float(returns.mean()) / downside * math.sqrt(annual), "ratio")


def calmar(growth: Metric, drawdown: Metric) -> Metric:
    """CAGR over the size of the maximum drawdown (Young 1991, over the whole period)."""
    if growth.value is None:
        return Metric(None, "ratio", growth.reason)
    if drawdown.value is None:
        return Metric(None, "ratio", drawdown.reason)
    if drawdown.value == 0.0:
        return Metric(None, "ratio", "there is no drawdown")
    return Metric(growth.value / abs(drawdown.value), "ratio")


def is_constant(values: Floats) -> bool:
    """Whether a series (T,), T >= 1, of returns varies by no more than rounding."""
    low, high = float(values.min()), float(values.max())
    return high - low <= DUST * max(1.0, abs(low), abs(high))

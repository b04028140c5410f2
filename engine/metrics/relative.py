"""A strategy beside a benchmark: pure functions of two aligned arrays of daily returns.

``returns`` and ``benchmark`` (T,) are simple returns of the same days, ``annual`` the days of a year, ``risk_free``
a rate per year. Every function raises ``ValueError`` for unequal lengths, for two pandas series of unequal index, and
for values that are not finite; undefined is null with a reason. Alpha and beta are those of one least-squares line
through daily excess returns.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.metrics.intervals import LEVEL, Z, defined, normal
from engine.metrics.moments import Moments, moments, vector
from engine.metrics.ratios import per_return, root_of, sharpe
from engine.results import Interval, Metric
from engine.types import Bools, Floats

_PER_YEAR = "fraction per year"


@dataclass(frozen=True)
class Line:
    """Least-squares line ``r = intercept + slope * b`` through T days, with the standard errors of both."""

    intercept: float
    slope: float
    intercept_error: float
    slope_error: float


def beta(returns: npt.ArrayLike, benchmark: npt.ArrayLike) -> Metric:
    """Slope ``cov(r, b) / var(b)`` (Sharpe 1964); its interval is that of least squares, from 3 days on.

    A constant risk-free rate does not change it.
    """
    returns, benchmark = _both(returns, benchmark)
    reason = _undefined(returns, benchmark)
    if reason is not None:
        return Metric(None, "ratio", reason)
    line = _line(returns, benchmark)
    interval = normal(line.slope, line.slope_error, "least squares") if len(returns) > 2 else None
    return defined(line.slope, "ratio", interval)


def alpha(returns: npt.ArrayLike, benchmark: npt.ArrayLike, annual: float, risk_free: float = 0.0) -> Metric:
    """Intercept of daily excess returns times ``annual``, not compounded (Jensen 1968), with its interval."""
    returns, benchmark = _both(returns, benchmark)
    reason = _undefined(returns, benchmark)
    if reason is not None:
        return Metric(None, _PER_YEAR, reason)
    daily = per_return(risk_free, annual)
    line = _line(returns - daily, benchmark - daily)
    value = line.intercept * annual
    interval = normal(value, line.intercept_error * annual, "least squares") if len(returns) > 2 else None
    return defined(value, _PER_YEAR, interval)


def correlation(returns: npt.ArrayLike, benchmark: npt.ArrayLike) -> Metric:
    """Pearson's correlation; its interval is by Fisher's z (Fisher 1921), from 4 days on."""
    returns, benchmark = _both(returns, benchmark)
    reason = _undefined(returns, benchmark)
    if reason is None:
        reason = moments(returns).unvarying
    if reason is not None:
        return Metric(None, "ratio", reason)
    x, y = _centred(benchmark), _centred(returns)
    value = float(np.sum(x * y)) / math.sqrt(float(np.sum(x * x))) / math.sqrt(float(np.sum(y * y)))
    value = max(-1.0, min(1.0, value))
    return defined(value, "ratio", _fisher(value, len(returns)))


def _fisher(value: float, count: int) -> Interval | None:
    if count < 4 or abs(value) == 1.0:
        return None
    half = Z / math.sqrt(count - 3)
    return Interval(LEVEL, math.tanh(math.atanh(value) - half), math.tanh(math.atanh(value) + half), "Fisher 1921")


def tracking_error(returns: npt.ArrayLike, benchmark: npt.ArrayLike, annual: float) -> Metric:
    """``std(r - b, ddof=1) * sqrt(annual)``, a fraction per year; 0 where the difference does not vary."""
    of = _active(*_both(returns, benchmark))
    if of.missing is not None:
        return Metric(None, _PER_YEAR, of.missing)
    return defined(of.deviation * root_of(annual), _PER_YEAR)


def information_ratio(returns: npt.ArrayLike, benchmark: npt.ArrayLike, annual: float) -> Metric:
    """``mean(r - b) / std(r - b, ddof=1) * sqrt(annual)``: the Sharpe ratio of active returns (Goodwin 1998)."""
    return sharpe(_active(*_both(returns, benchmark)), annual)


def up_capture(returns: npt.ArrayLike, benchmark: npt.ArrayLike) -> Metric:
    """Mean return on days on which the benchmark rose, over the benchmark's own.

    Means are geometric and of a day, ``prod(1 + r)^(1 / n) - 1``, so that the ratio does not grow with the number
    of days (Morningstar 2011). The interval is by the delta method, from 2 days on.
    """
    returns, benchmark = _both(returns, benchmark)
    return _capture(returns, benchmark, benchmark > 0.0, "the benchmark never rose")


def down_capture(returns: npt.ArrayLike, benchmark: npt.ArrayLike) -> Metric:
    """The same over days on which the benchmark fell: below 1 where less was lost."""
    returns, benchmark = _both(returns, benchmark)
    return _capture(returns, benchmark, benchmark < 0.0, "the benchmark never fell")


def _capture(returns: Floats, benchmark: Floats, chosen: Bools, never: str) -> Metric:
    if not chosen.any():
        return Metric(None, "ratio", never)
    ours, theirs = returns[chosen], benchmark[chosen]
    if float(min(ours.min(), theirs.min())) <= -1.0:
        return Metric(None, "ratio", "a day lost everything")
    ours, theirs = np.log1p(ours), np.log1p(theirs)
    mean, other = (math.fsum(logs.tolist()) / len(logs) for logs in (ours, theirs))
    base = math.expm1(other)
    if base == 0.0:
        return Metric(None, "ratio", never)
    value = math.expm1(mean) / base
    with np.errstate(over="ignore", invalid="ignore"):  # an error that does not fit a float leaves no interval
        errors = (math.exp(mean) * (ours - mean) - value * math.exp(other) * (theirs - other)) / base
        return defined(value, "ratio", _of_mean(value, errors))


def _of_mean(value: float, errors: Floats) -> Interval | None:
    """Interval of a value whose error is the mean of ``errors`` (n,), which are 0 on average."""
    count = len(errors)
    square = float(np.sum(errors * errors))
    return normal(value, math.sqrt(square / (count - 1) / count), "delta method") if count > 1 and square else None


def _both(returns: npt.ArrayLike, benchmark: npt.ArrayLike) -> tuple[Floats, Floats]:
    labels: list[Any] = [getattr(values, "index", None) for values in (returns, benchmark)]
    if all(hasattr(label, "equals") for label in labels) and not labels[0].equals(labels[1]):
        raise ValueError("returns and benchmark are of other days: align them")
    first, second = vector(returns, "returns"), vector(benchmark, "benchmark")
    if len(first) != len(second):
        raise ValueError("returns and benchmark must be of one length")
    if not (np.all(np.isfinite(first)) and np.all(np.isfinite(second))):
        raise ValueError("returns and benchmark must be finite")
    return first, second


def _undefined(returns: Floats, benchmark: Floats) -> str | None:
    """Why there is no line, if there is none."""
    missing = moments(returns).missing
    return moments(benchmark, "benchmark returns").unvarying if missing is None else missing


def _active(returns: Floats, benchmark: Floats) -> Moments:
    with np.errstate(over="ignore"):
        return moments(returns - benchmark, "active returns")


def _centred(values: Floats) -> Floats:
    """Deviations from the mean, of a size whose squares fit a float."""
    deviations = values - values.mean()
    largest = float(np.abs(deviations).max())
    scaled: Floats = deviations / largest
    return scaled


def _line(returns: Floats, benchmark: Floats) -> Line:
    count, middle = len(returns), float(benchmark.mean())
    with np.errstate(over="ignore", invalid="ignore"):
        x, y = benchmark - middle, returns - returns.mean()
        spread = float(np.sum(x * x))
        slope = float(np.sum(x * y)) / spread
        left = y - slope * x
        noise = float(np.sum(left * left)) / (count - 2) if count > 2 else 0.0
    return Line(
        intercept=float(returns.mean()) - slope * middle,
        slope=slope,
        intercept_error=math.sqrt(noise * (1.0 / count + middle * middle / spread)),
        slope_error=math.sqrt(noise / spread),
    )

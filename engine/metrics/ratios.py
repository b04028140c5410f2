"""Sharpe and its relatives from the moments of a return series: one number each, and how well it is known.

``annual`` is the number of returns in a year, ``risk_free`` a rate per year, of which one return's share is
``(1 + risk_free)^(1 / annual) - 1``. Undefined is null with a reason. Where returns have a ratio, an ``annual``
that is not above 0 and finite raises ``ValueError``, as does a ``benchmark`` that is not finite.
"""

import math

import numpy.typing as npt

from engine.metrics import inference
from engine.metrics.intervals import UNFIT, defined, normal
from engine.metrics.moments import DUST, Moments, Sample, moments, vector
from engine.results import Interval, Metric

NO_ERROR = "the standard error of the Sharpe ratio is zero"


def year_of(annual: float) -> float:
    """``annual``, the number of returns in a year. Raises ``ValueError`` unless it is above 0, and finite."""
    if not 0.0 < annual < math.inf:
        raise ValueError("annual must be above 0, and finite")
    return float(annual)


def root_of(annual: float) -> float:
    """``sqrt(annual)``, what a ratio of one return grows by over a year. Raises as :func:`year_of`."""
    return math.sqrt(year_of(annual))


def per_return(rate: float, annual: float) -> float:
    """What a yearly rate is over one return: ``(1 + rate)^(1 / annual) - 1``. Raises ``ValueError`` for <= -1."""
    if not -1.0 < rate < math.inf:
        raise ValueError("a yearly rate must be above -1, and finite")
    return float((1.0 + rate) ** (1.0 / year_of(annual)) - 1.0)


def single_ratio(of: Moments, annual: float, risk_free: float = 0.0) -> float:
    """Sharpe ratio of one return, not annual; the returns must vary."""
    return (of.mean - per_return(risk_free, annual)) / of.deviation


def volatility(of: Sample, annual: float) -> Metric:
    """``std(r, ddof=1) * sqrt(annual)``; 0 where returns do not vary."""
    of = moments(of)
    if of.missing is not None:
        return Metric(None, "fraction per year", of.missing)
    return defined(of.deviation * root_of(annual), "fraction per year")


def sharpe(of: Sample, annual: float, risk_free: float = 0.0) -> Metric:
    """``mean(r - rf) / std(r - rf, ddof=1) * sqrt(annual)`` with the interval of Mertens (2002).

    Source: Sharpe 1994; the square root holds for uncorrelated returns (Lo 2002).
    """
    of = moments(of)
    if of.unvarying is not None:
        return Metric(None, "ratio", of.unvarying)
    ratio = single_ratio(of, annual, risk_free)
    error = inference.standard_error(ratio, of.count, of.skewness, of.kurtosis)
    value = ratio * root_of(annual)
    return defined(value, "ratio", normal(value, error * root_of(annual), "Mertens 2002") if error else None)


def sharpe_standard_error(of: Sample, annual: float, risk_free: float = 0.0) -> Metric:
    """Standard error of the annual Sharpe ratio (Mertens 2002), for independent returns of any distribution."""
    of = moments(of)
    if of.unvarying is not None:
        return Metric(None, "ratio", of.unvarying)
    ratio = single_ratio(of, annual, risk_free)
    error = inference.standard_error(ratio, of.count, of.skewness, of.kurtosis)
    return defined(error * root_of(annual), "ratio") if error else Metric(None, "ratio", NO_ERROR)


def sharpe_lo(returns: npt.ArrayLike, annual: float, risk_free: float = 0.0, of: Moments | None = None) -> Metric:
    """Sharpe ratio annualised with the autocorrelation of returns (Lo 2002), not with the square root.

    Autocorrelations are taken up to the lag of Newey & West's rule of thumb, below one year; see ``inference``. The
    interval is that of the ratio of one return with the long-run variance of Newey & West (1987), as in Lo (2002), the
    scaling taken as known. ``of`` are the moments of ``returns`` (T,), if known.
    """
    returns = vector(returns, "returns")
    of = moments(returns) if of is None else of
    if of.unvarying is not None:
        return Metric(None, "ratio", of.unvarying)
    lags = min(inference.lag_rule(of.count), of.count - 1, math.ceil(year_of(annual)) - 1)
    scores = (returns - of.mean) / of.deviation
    products = inference.autocovariances(scores, max(0, lags))
    factor = inference.aggregation_factor(products[1:] / products[0], annual)
    if factor is None:
        return Metric(None, "ratio", "the autocorrelations leave no variance over a year")
    ratio = single_ratio(of, annual, risk_free)
    errors = inference.ratio_errors(scores, ratio)
    errors -= errors.mean()
    spread = inference.newey_west(inference.autocovariances(errors, max(0, lags)), of.count)
    value, error = ratio * factor, math.sqrt(spread / of.count) * factor
    known = inference.error_variance(ratio, of.skewness, of.kurtosis) > 0.0
    return defined(value, "ratio", normal(value, error, "Lo 2002, Newey & West 1987") if known else None)


def psr(of: Sample, annual: float, benchmark: float = 0.0) -> Metric:
    """Probability that the true Sharpe ratio is above ``benchmark``, an annual one (Bailey & Lopez de Prado 2012)."""
    of = moments(of)
    if of.unvarying is not None:
        return Metric(None, "probability", of.unvarying)
    least = benchmark / root_of(annual)
    found = inference.probabilistic_sharpe(single_ratio(of, annual), of.count, of.skewness, of.kurtosis, least)
    if found is None:
        return Metric(None, "probability", NO_ERROR)
    return defined(found, "probability")


def min_track_record_length(of: Sample, annual: float, benchmark: float = 0.0, confidence: float = 0.95) -> Metric:
    """Years after which a Sharpe ratio like this is above ``benchmark``, an annual one, with that confidence.

    Source: Bailey & Lopez de Prado 2012.
    """
    of = moments(of)
    if of.unvarying is not None:
        return Metric(None, "years", of.unvarying)
    ratio, least = single_ratio(of, annual), benchmark / root_of(annual)
    needed = inference.track_record_length(ratio, of.skewness, of.kurtosis, least, confidence)
    if needed is not None:
        return defined(needed / annual, "years")
    if ratio <= least:
        return Metric(None, "years", "the Sharpe ratio is not above the benchmark")
    known = inference.standard_error(ratio, of.count, of.skewness, of.kurtosis) > 0.0
    return Metric(None, "years", UNFIT if known else NO_ERROR)


def sortino_interval(value: float, of: Moments, annual: float) -> Interval | None:
    """Interval of a Sortino ratio at a minimum of 0, by the delta method.

    With l = min(r, 0)^2 and d^2 its mean, the ratio m / d has the influence ``(r - m) / d - m (l - d^2) / (2 d^3)``;
    its mean square over T is the squared standard error (Serfling 1980, section 3.3).
    """
    _, second, third, fourth = of.losses
    downside = math.sqrt(second)
    if of.missing is not None or downside <= DUST:
        return None
    slope = of.mean / (2.0 * downside * second)
    variance = of.deviation * of.deviation * (of.count - 1) / of.count
    covariance, spread = third - of.mean * second, fourth - second * second
    total = variance / second - 2.0 * slope * covariance / downside + slope * slope * spread
    error = math.sqrt(max(total, 0.0) / of.count)
    return normal(value, error * root_of(annual), "delta method")

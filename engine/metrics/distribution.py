"""The shape of a return distribution: skewness, kurtosis, omega, and what lies in its tails.

Tail figures are returns, so negative where something is lost, and historical: no distribution is assumed.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.metrics.intervals import Z, defined, log_normal
from engine.metrics.moments import DUST, Moments, Sample, moments, vector
from engine.results import Metric
from engine.types import Floats

TAIL = 0.05
"""The share of returns that is the tail: value at risk is at 95 %."""


def skewness(of: Sample) -> Metric:
    """Population skewness ``g1 = m3 / m2^1.5``."""
    of = moments(of)
    if of.unvarying is not None:
        return Metric(None, "ratio", of.unvarying)
    return defined(of.skewness, "ratio")


def excess_kurtosis(of: Sample) -> Metric:
    """Population excess kurtosis ``g2 = m4 / m2^2 - 3``, 0 for a normal distribution."""
    of = moments(of)
    if of.unvarying is not None:
        return Metric(None, "ratio", of.unvarying)
    return defined(of.kurtosis - 3.0, "ratio")


def omega(of: Sample) -> Metric:
    """Gains over losses at a threshold of 0, ``sum(max(r, 0)) / sum(max(-r, 0))`` (Keating & Shadwick 2002)."""
    of = moments(of)
    if of.missing is not None:
        return Metric(None, "ratio", of.missing)
    if math.sqrt(of.losses[1]) <= DUST:
        return Metric(None, "ratio", "there is no losing day")
    gain, loss = of.gains[0], -of.losses[0]
    if gain == 0.0:
        return Metric(0.0, "ratio")
    variance = (of.gains[1] / gain / gain + of.losses[1] / loss / loss) / of.count
    return defined(gain / loss, "ratio", log_normal(gain / loss, variance))


@dataclass(frozen=True)
class Tails:
    """Both ends of returns (T,).

    ``worst`` (J,) are the smallest, rising, all that a share ``share`` of T touches; ``low`` and ``high`` are the
    quantiles of type 7 at ``share`` and ``1 - share`` (Hyndman & Fan 1996); ``at_or_below`` counts returns <= ``low``.
    ``errors`` are the standard errors of both quantiles, None for fewer returns than ``Z^2 (1 - share) / share``.
    """

    count: int
    share: float
    worst: Floats
    low: float
    high: float
    at_or_below: int
    errors: tuple[float, float] | None
    missing: str | None


def tails(returns: Tails | npt.ArrayLike, share: float = TAIL, of: Moments | None = None) -> Tails:
    """Both ends of returns (T,), themselves where they are known; ``of`` are the moments of the returns, if known.

    Raises ``ValueError`` for another rank and unless 0 < share < 0.5.
    """
    if isinstance(returns, Tails):
        return returns
    returns = vector(returns, "returns")
    of = moments(returns) if of is None else of
    if not 0.0 < share < 0.5:
        raise ValueError("the share must be between 0 and one half")
    count = len(returns)
    if of.missing is not None:
        return Tails(count, share, np.empty(0), 0.0, 0.0, 0, None, of.missing)
    reach = Z * math.sqrt(share * (1.0 - share) / count)
    shares = [share, 1.0 - share]
    if share > reach:
        shares += [middle + side for middle in (share, 1.0 - share) for side in (-reach, reach)]
    places = [(count - 1) * part for part in shares]
    first = math.floor(places[0])
    below = np.floor(places).astype(np.int64)
    ranked = np.partition(returns, np.unique(np.append(below, np.minimum(below + 1, count - 1))))
    low, high, *around = (_between(ranked, place) for place in places)
    worst = np.sort(ranked[: max(first + 1, math.ceil(share * count))])
    errors = ((around[1] - around[0]) / (2.0 * Z), (around[3] - around[2]) / (2.0 * Z)) if around else None
    return Tails(count, share, worst, low, high, int(np.count_nonzero(returns <= low)), errors, None)


def _between(ranked: Floats, place: float) -> float:
    below = math.floor(place)
    low = float(ranked[below])
    high = float(ranked[min(below + 1, len(ranked) - 1)])
    return min(high, low + (place - below) * (high - low))


def value_at_risk(of: Tails | npt.ArrayLike) -> Metric:
    """The quantile of type 7 at the tail's share: the return that is undershot in that share of days."""
    of = tails(of)
    if of.missing is not None:
        return Metric(None, "fraction", of.missing)
    return defined(of.low, "fraction")


def conditional_value_at_risk(of: Tails | npt.ArrayLike) -> Metric:
    """Mean of the returns at or below the value at risk (Rockafellar & Uryasev 2000)."""
    of = tails(of)
    if of.missing is not None:
        return Metric(None, "fraction", of.missing)
    inside = of.worst[of.worst <= of.low]
    tied = of.at_or_below - len(inside)  # further returns equal to the quantile
    return defined((math.fsum(inside.tolist()) + tied * of.low) / of.at_or_below, "fraction")


def expected_shortfall(of: Tails | npt.ArrayLike) -> Metric:
    """Mean of exactly the worst share of returns, the last of them by part (Acerbi & Tasche 2002).

    ``(sum of the k worst + (share T - k) * the next) / (share T)`` with ``k = floor(share T)``.
    """
    of = tails(of)
    if of.missing is not None:
        return Metric(None, "fraction", of.missing)
    weight = of.share * of.count
    whole = math.floor(weight)
    parts = of.worst[:whole].tolist()
    if weight > whole:
        parts.append((weight - whole) * float(of.worst[whole]))
    return defined(math.fsum(parts) / weight, "fraction")


def tail_ratio(of: Tails | npt.ArrayLike) -> Metric:
    """Upper quantile over the size of the lower one; null where the lower one is no loss.

    The interval takes each quantile's error from the order statistics that enclose it (Woodruff 1952), as independent;
    there is none where those are equal.
    """
    of = tails(of)
    if of.missing is not None:
        return Metric(None, "ratio", of.missing)
    if of.low >= -DUST:
        return Metric(None, "ratio", f"the {of.share:.0%} quantile is no loss")
    value, interval = of.high / -of.low, None
    if of.errors is not None and min(of.errors) > 0.0 and value > 0.0:
        interval = log_normal(value, (of.errors[0] / of.low) ** 2 + (of.errors[1] / of.high) ** 2)
    return defined(value, "ratio", interval)

"""Returns by calendar month and year, and the Sharpe ratio through a moving window of days.

Pure functions of the daily equity curve. Months and years are those of UTC.
"""

import math
from dataclasses import dataclass
from operator import index
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from engine.kernels import kernel
from engine.metrics.moments import DUST, vector
from engine.metrics.ratios import per_return, root_of
from engine.results import Curve
from engine.types import NANOSECONDS_PER_DAY, Bools, Floats, Ints

FIRST_YEAR = 1970
MONTHS = 12


@dataclass(frozen=True)
class PeriodReturn:
    """The simple return of one month (1..12) or year (``month`` None), a fraction; null with a reason.

    ``days`` are the points of the curve in the period: the first and the last one of a run are rarely whole.
    """

    year: int
    month: int | None
    days: int
    value: float | None
    reason: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain form; a year has no month."""
        return {name: value for name, value in vars(self).items() if name != "month" or value is not None}


def monthly_returns(curve: Curve) -> tuple[PeriodReturn, ...]:
    """``E_end / E_before - 1`` of every month with a point, in order.

    ``E_before`` is the last equity of the period before, at first the initial capital, so the product of all
    ``1 + value`` is the growth of the whole run. Null where ``E_before`` is at or below zero.
    """
    return _returns(curve, "M")


def yearly_returns(curve: Curve) -> tuple[PeriodReturn, ...]:
    """The same by year."""
    return _returns(curve, "Y")


def _returns(curve: Curve, unit: Literal["M", "Y"]) -> tuple[PeriodReturn, ...]:
    number = _periods(curve, unit)
    if not len(number):
        return ()
    last = np.append(np.flatnonzero(np.diff(number)), len(number) - 1)
    ends = curve.equity[last + 1].tolist()
    starts = [float(curve.equity[0]), *ends[:-1]]
    counts = np.diff(last, prepend=-1).tolist()
    rows = zip(number[last].tolist(), counts, starts, ends, strict=True)
    return tuple(_row(period, unit, count, start, end) for period, count, start, end in rows)


def _periods(curve: Curve, unit: Literal["M", "Y"]) -> Ints:
    # A day that closes at midnight belongs to the month it ends, not to the one that begins.
    inside = (curve.day_close - 1) // NANOSECONDS_PER_DAY
    number: Ints = inside.astype("datetime64[D]").astype(f"datetime64[{unit}]").astype(np.int64)
    return number


def _row(period: int, unit: Literal["M", "Y"], days: int, start: float, end: float) -> PeriodReturn:
    year, month = (period // MONTHS, period % MONTHS + 1) if unit == "M" else (period, None)
    if start <= 0.0:
        return PeriodReturn(FIRST_YEAR + year, month, days, None, "equity is at or below zero")
    value = end / start - 1.0
    if not math.isfinite(value):
        return PeriodReturn(FIRST_YEAR + year, month, days, None, "the value does not fit a float")
    return PeriodReturn(FIRST_YEAR + year, month, days, value)


def rolling_sharpe_of(curve: Curve, window: int) -> tuple[Floats, Bools]:
    """:func:`rolling_sharpe` of the days of a curve; undefined, too, where equity is at or below zero in the window."""
    before, after = curve.equity[:-1], curve.equity[1:]
    sound: Bools = (before > 0.0) & (after > 0.0)
    with np.errstate(over="ignore"):
        returns = np.divide(after, before, out=np.ones(len(after)), where=sound) - 1.0
    returns = curve.excess(returns)
    sound &= np.isfinite(returns)
    values, defined = rolling_sharpe(np.where(sound, returns, 0.0), window, curve.annual)
    unsound = np.concatenate(([0], np.cumsum(~sound)))
    defined &= unsound[window:] == unsound[:-window]
    return np.where(defined, values, 0.0), defined


def rolling_sharpe(returns: npt.ArrayLike, window: int, annual: float, risk_free: float = 0.0) -> tuple[Floats, Bools]:
    """Annual Sharpe ratio of each ``window`` of daily returns (T,): values and whether they are defined.

    Both are (max(0, T - window + 1),), the i-th of the days i..i + window - 1; undefined, where returns do not vary,
    is 0. The mean and the deviation (ddof 1) of a window are put together from two halves that begin anew every
    ``window`` days (Chan, Golub & LeVeque 1979), so no error runs along. Raises ``ValueError`` for a window below 2
    and for returns that are of another rank or not finite, ``TypeError`` for a window that is no integer.
    """
    window = index(window)
    if window < 2:
        raise ValueError("a window needs two days at least")
    returns = vector(returns, "returns")
    if not np.all(np.isfinite(returns)):
        raise ValueError("returns must be finite")
    mean, square, low, high = rolling_moments(returns, window)
    with np.errstate(over="ignore", invalid="ignore"):
        varies = high - low > DUST * np.maximum(1.0, np.maximum(np.abs(low), np.abs(high)))
        deviation = np.sqrt(square / (window - 1))
        excess = (mean - per_return(risk_free, annual)) * root_of(annual)
    defined: Bools = varies & np.isfinite(deviation) & np.isfinite(excess)
    return np.divide(excess, deviation, out=np.zeros(len(mean)), where=defined), defined


@kernel
def rolling_moments(returns: Floats, window: int) -> tuple[Floats, Floats, Floats, Floats]:
    """Mean, sum of squared deviations, minimum and maximum of each window, (T - window + 1,) each.

    Days are cut into blocks of ``window``; each window is the end of one block and the beginning of the next.
    """
    count = max(0, len(returns) - window + 1)
    mean, square = np.empty(count), np.empty(count)
    low, high = np.empty(count), np.empty(count)
    for first in range(0, count, window):
        m, s, least, most = 0.0, 0.0, np.inf, -np.inf
        for i in range(first + window - 1, first - 1, -1):  # the ends of this block, longest last
            held = first + window - i
            step = returns[i] - m
            m += step / held
            s += step * (returns[i] - m)
            least, most = min(least, returns[i]), max(most, returns[i])
            if i < count:
                mean[i], square[i], low[i], high[i] = m, s, least, most
        m, s, least, most = 0.0, 0.0, np.inf, -np.inf
        for i in range(first + 1, min(first + window, count)):  # joined by the beginnings of the next
            fresh = returns[i + window - 1]
            held = i - first
            step = fresh - m
            m += step / held
            s += step * (fresh - m)
            least, most = min(least, fresh), max(most, fresh)
            gap = m - mean[i]
            share = held / window
            mean[i] += gap * share
            square[i] += s + gap * gap * share * (window - held)
            low[i], high[i] = min(low[i], least), max(high[i], most)
    return mean, square, low, high


def rolling_moments_plain(returns: Floats, window: int) -> tuple[Floats, Floats, Floats, Floats]:
    """Twin of :func:`rolling_moments`, up to rounding: every window by itself."""
    if len(returns) < window:
        return np.empty(0), np.empty(0), np.empty(0), np.empty(0)
    windows = np.lib.stride_tricks.sliding_window_view(returns, window)
    mean = windows.mean(axis=1)
    square = np.square(windows - mean[:, None]).sum(axis=1)
    return mean, square, windows.min(axis=1), windows.max(axis=1)

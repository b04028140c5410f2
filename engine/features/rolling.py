"""Rolling statistics in one pass whose windows forget: a price spike leaves no rounding behind.

Every function takes (T,) values without NaN and gives (T,), NaN before the window is full.
"""

import math

import numpy as np

from engine.kernels import kernel
from engine.types import Floats


def rolling_mean(values: Floats, length: int) -> Floats:
    """Mean of each window of ``length`` values."""
    means = np.empty(len(values))  # numpy asks for huge pages, a kernel does not
    mean_kernel(values, length, means)
    return means


@kernel
def mean_kernel(values: Floats, length: int, means: Floats) -> bool:
    """Write the mean of each window. False if a value is not finite: then every mean after it is NaN.

    A running sum with Neumaier's compensation (1974): without it the rounding left behind by a price spike
    stays in the sum for ever, and a flat price would not give equal averages of different lengths.
    """
    total = 0.0
    lost = 0.0
    for t in range(values.shape[0]):
        for step in range(2):
            if step == 0:
                term = values[t]
            elif t >= length:
                term = -values[t - length]
            else:
                break
            moved = total + term
            if abs(total) >= abs(term):
                lost += (total - moved) + term
            else:
                lost += (term - moved) + total
            total = moved
        means[t] = (total + lost) / length if t >= length - 1 else np.nan
    return bool(np.isfinite(total))  # neither infinity nor NaN ever leaves a sum


def rolling_mean_plain(values: Floats, length: int) -> Floats:
    """Twin of :func:`rolling_mean`: each window summed exactly."""
    items = values.tolist()
    windows = (items[t + 1 - length : t + 1] for t in range(length - 1, len(items)))
    undefined = [math.nan] * min(length - 1, len(items))
    return np.array([*undefined, *(math.fsum(window) / length for window in windows)])


@kernel
def moments(values: Floats, length: int) -> tuple[Floats, Floats]:
    """(mean, sum of squared deviations) of each window.

    The window is the end of one block of ``length`` values and the beginning of the next; both parts are merged by
    the formula of Chan, Golub & LeVeque (1979). Nothing is ever subtracted from a sum, so nothing stays in it.
    """
    count = values.shape[0]
    means, squares = np.full(count, np.nan), np.full(count, np.nan)
    tail_mean, tail_square = np.zeros(length + 1), np.zeros(length + 1)
    mean, square = 0.0, 0.0
    for t in range(count):
        j = t % length
        if j == 0:
            if t > 0:
                # The last k values of the block before, for every k.
                for k in range(1, length + 1):
                    value = values[t - k]
                    step = value - tail_mean[k - 1]
                    tail_mean[k] = tail_mean[k - 1] + step / k
                    tail_square[k] = tail_square[k - 1] + step * (value - tail_mean[k])
            mean, square = 0.0, 0.0
        head = j + 1
        step = values[t] - mean
        mean += step / head
        square += step * (values[t] - mean)
        if t < length - 1:
            continue
        tail = length - head
        apart = mean - tail_mean[tail]
        if tail == 0:
            means[t], squares[t] = mean, square
        else:
            means[t] = tail_mean[tail] + apart * head / length
            squares[t] = tail_square[tail] + square + apart * apart * (tail * head / length)
    return means, squares


def moments_plain(values: Floats, length: int) -> tuple[Floats, Floats]:
    """Twin of :func:`moments`: each window by itself."""
    means, squares = np.full(len(values), np.nan), np.full(len(values), np.nan)
    for t in range(length - 1, len(values)):
        window = values[t + 1 - length : t + 1].tolist()
        means[t] = math.fsum(window) / length
        squares[t] = math.fsum((x - means[t]) ** 2 for x in window)
    return means, squares


def rolling_std(values: Floats, length: int, ddof: int) -> Floats:
    """Standard deviation of each window; exactly 0 where its values are equal."""
    deviation: Floats = np.sqrt(moments(values, length)[1] / (length - ddof))
    return deviation


def rolling_max(values: Floats, length: int) -> Floats:
    """Largest value of each window of ``length`` values; of equal ones (0.0 and -0.0) the newest."""
    result = np.empty(len(values))
    extreme_kernel(values, length, 1.0, result)
    return result


def rolling_min(values: Floats, length: int) -> Floats:
    """Smallest value of each window, the same way."""
    result = np.empty(len(values))
    extreme_kernel(values, length, -1.0, result)
    return result


@kernel
def extreme_kernel(values: Floats, length: int, sign: float, result: Floats) -> None:
    """Write the largest value of each window, or with ``sign`` -1 the smallest.

    The window is the end of one block of ``length`` values and the beginning of the next: what is largest from each
    value of a block to its end is known when the next begins, the rest is kept on the way (van Herk 1992, Gil &
    Werman 1993). Three comparisons a value, whatever the length.
    """
    ends = np.empty(min(length, values.shape[0]))
    top, j = 0.0, 0
    for t in range(values.shape[0]):
        if j == length:
            j = 0
            top = sign * values[t - 1]
            for k in range(length):
                value = sign * values[t - 1 - k]
                top = value if value > top else top
                ends[length - 1 - k] = top
        value = sign * values[t]
        top = value if j == 0 or value >= top else top
        j += 1
        if t < length - 1:
            result[t] = np.nan
        elif j < length and ends[j] > top:
            result[t] = sign * ends[j]
        else:
            result[t] = sign * top


def rolling_max_plain(values: Floats, length: int) -> Floats:
    """Twin of :func:`rolling_max`."""
    result = np.full(len(values), np.nan)
    for t in range(length - 1, len(values)):
        result[t] = values[t + 1 - length : t + 1].max()
    return result


def rolling_min_plain(values: Floats, length: int) -> Floats:
    """Twin of :func:`rolling_min`."""
    result = np.full(len(values), np.nan)
    for t in range(length - 1, len(values)):
        result[t] = values[t + 1 - length : t + 1].min()
    return result


@kernel
def rolling_rank(values: Floats, length: int) -> Floats:
    """Share of the other values of each window that are below the newest; equal ones count half. In [0, 1]."""
    count = values.shape[0]
    result = np.full(count, np.nan)
    for t in range(length - 1, count):
        below = 0.0
        for k in range(t + 1 - length, t):
            if values[k] < values[t]:
                below += 1.0
            elif values[k] == values[t]:
                below += 0.5
        result[t] = below / (length - 1)
    return result


def rolling_rank_plain(values: Floats, length: int) -> Floats:
    """Twin of :func:`rolling_rank`."""
    result = np.full(len(values), np.nan)
    for t in range(length - 1, len(values)):
        others = values[t + 1 - length : t]
        result[t] = (np.sum(others < values[t]) + np.sum(others == values[t]) / 2.0) / (length - 1)
    return result


@kernel
def session_sums(day: Floats, amount: Floats, volume: Floats) -> Floats:
    """Volume-weighted mean since the day began: sum of ``amount * volume`` over sum of ``volume``; NaN while 0."""
    result = np.full(day.shape[0], np.nan)
    paid, traded = 0.0, 0.0
    for t in range(day.shape[0]):
        if t == 0 or day[t] != day[t - 1]:
            paid, traded = 0.0, 0.0
        paid += amount[t] * volume[t]
        traded += volume[t]
        if traded > 0.0:
            result[t] = paid / traded
    return result


def session_sums_plain(day: Floats, amount: Floats, volume: Floats) -> Floats:
    """Twin of :func:`session_sums`."""
    result = np.full(len(day), np.nan)
    for t in range(len(day)):
        since = int(np.flatnonzero(day[: t + 1] != day[t])[-1]) + 1 if np.any(day[: t + 1] != day[t]) else 0
        traded = math.fsum(volume[since : t + 1])
        if traded > 0.0:
            result[t] = math.fsum(amount[since : t + 1] * volume[since : t + 1]) / traded
    return result

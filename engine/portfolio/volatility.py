"""Realised volatility of each symbol, a rolling window at a time, in one pass and one array."""

import math

import numpy as np

from engine.kernels import kernel
from engine.types import Floats


def rolling_deviation(close: Floats, lookback: int) -> Floats:
    """Standard deviation (ddof 1) of the last ``lookback`` simple returns of each symbol, per bar; (T, N).

    Returns are taken from one valid close to the next; a close that is none is skipped, and the value stays. NaN until
    ``lookback`` returns exist.
    """
    result = np.empty(close.shape)  # numpy asks for huge pages, a kernel does not
    deviation_kernel(close, lookback, result)
    return result


@kernel
def deviation_kernel(close: Floats, lookback: int, result: Floats) -> None:
    """Write the deviation of each window.

    A window is the end of one block of ``lookback`` returns and the beginning of the next. Means and squared
    deviations of both grow one return at a time (Welford 1962) and are joined (Chan, Golub and LeVeque 1979). Nothing
    is ever subtracted again, so a price spike leaves nothing behind when it has left the window.
    """
    block = np.empty(lookback)
    end_mean, end_squares = np.zeros(lookback + 1), np.zeros(lookback + 1)
    for i in range(close.shape[1]):
        last, deviation = np.nan, np.nan
        full, count = False, 0
        mean, squares = 0.0, 0.0
        for t in range(close.shape[0]):
            price = close[t, i]
            if price > 0.0:
                if last > 0.0:
                    change = price / last - 1.0
                    block[count] = change
                    count += 1
                    off = change - mean
                    mean += off / count
                    squares += off * (change - mean)
                    if count == lookback:
                        deviation = math.sqrt(squares / (lookback - 1))
                        for j in range(lookback - 1, 0, -1):
                            off = block[j] - end_mean[j + 1]
                            end_mean[j] = end_mean[j + 1] + off / (lookback - j)
                            end_squares[j] = end_squares[j + 1] + off * (block[j] - end_mean[j])
                        full, count = True, 0
                        mean, squares = 0.0, 0.0
                    elif full:
                        off = mean - end_mean[count]
                        joined = off * off * count * (lookback - count) / lookback
                        deviation = math.sqrt((squares + end_squares[count] + joined) / (lookback - 1))
                last = price
            result[t, i] = deviation


def rolling_deviation_plain(close: Floats, lookback: int) -> Floats:
    """Twin of :func:`rolling_deviation`: each window on its own."""
    result = np.full(close.shape, np.nan)
    for i in range(close.shape[1]):
        valid = np.flatnonzero(close[:, i] > 0.0)
        prices = close[valid, i]
        changes = prices[1:] / prices[:-1] - 1.0
        for k in range(lookback, len(prices)):
            until = valid[k + 1] if k + 1 < len(prices) else len(close)
            result[valid[k] : until, i] = np.std(changes[k - lookback : k], ddof=1)
    return result

"""Cross-validation from the moments of blocks: no half is ever laid out."""

import math

import numpy as np

from engine.kernels import kernel, part
from engine.metrics.moments import DUST
from engine.types import Floats, Ints
from engine.validation.inputs import varying


@kernel
def block_moments(values: Floats, rows: Ints, blocks: int) -> tuple[Floats, Floats, Floats, Floats]:
    """Mean, sum of squares about it, least and largest, all (blocks, N), of each block of the rows (T,) of ``values``.

    About the block's own mean: sums about the mean of all rows cancel where a strategy moves little in a block.
    Exact, squares 0, where a column does not vary.
    """
    size, columns = len(rows) // blocks, values.shape[1]
    means, squares = np.zeros((blocks, columns)), np.zeros((blocks, columns))
    lows, highs = np.empty((blocks, columns)), np.empty((blocks, columns))
    for b in range(blocks):
        mean, square, low, high = means[b], squares[b], lows[b], highs[b]
        low[:], high[:] = values[rows[b * size]], values[rows[b * size]]
        for t in range(b * size, (b + 1) * size):
            row = values[rows[t]]
            for j in range(columns):
                mean[j] += row[j]
                low[j], high[j] = min(low[j], row[j]), max(high[j], row[j])
        for j in range(columns):
            mean[j] = low[j] if low[j] == high[j] else mean[j] / size
        for t in range(b * size, (b + 1) * size):
            row = values[rows[t]]
            for j in range(columns):
                off = row[j] - mean[j]
                square[j] += off * off
    return means, squares, lows, highs


@part
def half_ratios(
    means: Floats, squares: Floats, lows: Floats, highs: Floats, size: int, half: Ints, centre: Floats, ratios: Floats
) -> None:
    """Write the Sharpe ratio (N,) over the blocks of ``half``: their moments joined as Chan, Golub & LeVeque 1979.

    0 where returns vary by no more than rounding.
    """
    columns, count = means.shape[1], len(half)
    centre[:] = 0.0
    ratios[:] = 0.0
    for b in half:
        own = means[b]
        for j in range(columns):
            centre[j] += own[j]
    for j in range(columns):
        centre[j] /= count
    for b in half:
        own, square = means[b], squares[b]
        for j in range(columns):
            off = own[j] - centre[j]
            ratios[j] += square[j] + size * off * off
    rows = count * size
    for j in range(columns):
        variance = ratios[j] / (rows - 1.0)
        # Returns in a range of dust have a variance of at most half its square.
        dust = DUST * (1.0 + abs(centre[j]))
        if variance <= dust * dust:
            low, high = lows[half[0], j], highs[half[0], j]
            for b in half:
                low, high = min(low, lows[b, j]), max(high, highs[b, j])
            variance = 0.0 if high - low <= DUST * max(1.0, -low, high) else variance
        ratios[j] = centre[j] / math.sqrt(variance) if variance > 0.0 else 0.0


@kernel
def split_kernel(means: Floats, squares: Floats, lows: Floats, highs: Floats, size: int, halves: Ints) -> Floats:
    """For each half and then its complement: best ratio, that strategy's in the other half, its rank there; (2n, 3).

    ``means`` to ``highs`` (S, N) are those of blocks of ``size`` rows, ``halves`` (n, S/2) the blocks of one half.
    The first of equals is the best; ranks are from 1 to N, ties at the mean of theirs.
    """
    blocks, columns = means.shape
    found = np.empty((2 * len(halves), 3))
    centre, ratios = np.empty(columns), np.empty((2, columns))
    other = np.empty(blocks - halves.shape[1], dtype=np.int64)
    for i in range(len(halves)):
        half, filled, at = halves[i], 0, 0
        for b in range(blocks):
            if at < len(half) and half[at] == b:
                at += 1
            else:
                other[filled] = b
                filled += 1
        half_ratios(means, squares, lows, highs, size, half, centre, ratios[0])
        half_ratios(means, squares, lows, highs, size, other, centre, ratios[1])
        for side in range(2):
            inside, outside = ratios[side], ratios[1 - side]
            best = 0
            for j in range(1, columns):
                if inside[j] > inside[best]:
                    best = j
            value, below, equal = outside[best], 0, 0
            for j in range(columns):
                below += outside[j] < value
                equal += outside[j] == value
            place = found[2 * i + side]
            place[0], place[1], place[2] = inside[best], value, below + (equal + 1) / 2.0
    return found


def split_plain(values: Floats, blocks: int, halves: Ints) -> Floats:
    """Twin of :func:`split_kernel` on the rows themselves, (T, N): every half laid out."""
    pieces = np.split(values, blocks)
    found = []
    for half in halves.tolist():
        rest = [b for b in range(blocks) if b not in half]
        for inside, outside in ((half, rest), (rest, half)):
            ratios = []
            for chosen in (inside, outside):
                rows = np.concatenate([pieces[b] for b in chosen])
                varies = varying(rows)
                deviation = np.where(varies, rows.std(axis=0, ddof=1), 1.0)
                ratios.append(np.where(varies, rows.mean(axis=0) / deviation, 0.0))
            best = int(np.argmax(ratios[0]))
            value = ratios[1][best]
            rank = np.sum(ratios[1] < value) + (np.sum(ratios[1] == value) + 1) / 2
            found.append((ratios[0][best], value, rank))
    return np.array(found)

"""Whole holding periods in another order: the other way to ask whether the timing of positions matters.

A period is a run of bars in which the weight keeps its sign: long, short or flat. All of them are put into a random
order and laid against the same returns. Lengths and sizes stay, what came before what does not; periods of one sign
that meet become one. Source: Aronson 2006, "Evidence-Based Technical Analysis".
"""

import math
from itertools import permutations

import numpy as np

from engine.kernels import kernel
from engine.streams import replicate_state, replicate_state_plain
from engine.types import Floats, Ints
from engine.validation.shuffles import shuffle, shuffle_plain

MOST_ENUMERATED = 8
"""Periods of which all orders may be taken: 40,320."""


def periods(weights: Floats) -> Ints:
    """First bar of each period of ``weights`` (T,) or (T, N), and T: (K + 1,). A change in one symbol begins one."""
    turned = np.diff(np.sign(weights), axis=0) != 0.0
    change = np.flatnonzero(turned if weights.ndim == 1 else turned.any(axis=1)) + 1
    return np.concatenate(([0], change, [len(weights)]))


def every_order(count: int) -> Ints:
    """All orders of ``count`` periods, (count!, count), the given one first."""
    return np.array(list(permutations(range(count))), dtype=np.int64)


def enumerable(count: int, n: int) -> bool:
    """Whether all orders of ``count`` periods are no more than the given one and ``n`` others."""
    return count <= MOST_ENUMERATED and math.factorial(count) <= n + 1


@kernel
def reordered_means(weights: Floats, returns: Floats, bounds: Ints, orders: Ints) -> Floats:
    """Mean (B,) of weight times return with the periods between ``bounds`` (K + 1,) in each of ``orders`` (B, K)."""
    means = np.empty(len(orders))
    for b in range(len(orders)):
        total, place = 0.0, 0
        for k in range(orders.shape[1]):
            for t in range(bounds[orders[b, k]], bounds[orders[b, k] + 1]):
                total += weights[t] * returns[place]
                place += 1
        means[b] = total / len(returns)
    return means


def reordered_plain(weights: Floats, returns: Floats, bounds: Ints, orders: Ints) -> Floats:
    """Twin of :func:`reordered_means`, up to rounding."""
    pieces = np.split(weights, bounds[1:-1])
    return np.array([np.mean(np.concatenate([pieces[k] for k in order]) * returns) for order in orders.tolist()])


@kernel
def draw_period_orders(key: np.uint64, first: int, count: int, periods: int) -> Ints:
    """Random orders (count, periods) of the replicates ``first``, ``first + 1``, ..."""
    orders = np.empty((count, periods), dtype=np.int64)
    for i in range(count):
        orders[i] = np.arange(periods)
        shuffle(replicate_state(key, np.uint64(first + i)), orders[i])
    return orders


def draw_period_orders_plain(key: int, first: int, count: int, periods: int) -> Ints:
    """Twin of :func:`draw_period_orders`."""
    orders = []
    for i in range(first, first + count):
        order = list(range(periods))
        shuffle_plain(replicate_state_plain(key, i), order)
        orders.append(order)
    return np.array(orders, dtype=np.int64)

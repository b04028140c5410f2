"""Random orders and normal numbers for kernels, each from a state of :mod:`engine.streams`."""

import math

import numpy as np

from engine.kernels import kernel
from engine.streams import splitmix64, splitmix64_plain, uniform_below, uniform_below_plain
from engine.types import Ints

_U_11 = np.uint64(11)
_STEP = 2.0**-53


@kernel
def shuffle(state: np.uint64, order: Ints) -> np.uint64:
    """Put ``order`` (K,) into a uniformly random order, in place; the next state. Fisher & Yates, from the end."""
    for i in range(len(order) - 1, 0, -1):
        word, state = uniform_below(state, np.uint64(i + 1))
        j = np.int64(word)
        kept = order[i]
        order[i] = order[j]
        order[j] = kept
    return state


def shuffle_plain(state: int, order: list[int]) -> int:
    """Twin of :func:`shuffle`."""
    for i in range(len(order) - 1, 0, -1):
        j, state = uniform_below_plain(state, i + 1)
        order[i], order[j] = order[j], order[i]
    return state


@kernel
def uniform(state: np.uint64) -> tuple[float, np.uint64]:
    """(a number in (0, 1) from the top 53 bits, next state); 0 and 1 never come."""
    word, state = splitmix64(state)
    return (np.float64(word >> _U_11) + 0.5) * _STEP, state


def uniform_plain(state: int) -> tuple[float, int]:
    """Twin of :func:`uniform`."""
    word, state = splitmix64_plain(state)
    return ((word >> 11) + 0.5) * _STEP, state


@kernel
def normal(state: np.uint64) -> tuple[float, np.uint64]:
    """(a standard normal number, next state). Box & Muller 1958, one of the two."""
    first, state = uniform(state)
    second, state = uniform(state)
    return math.sqrt(-2.0 * math.log(first)) * math.cos(2.0 * math.pi * second), state


def normal_plain(state: int) -> tuple[float, int]:
    """Twin of :func:`normal`."""
    first, state = uniform_plain(state)
    second, state = uniform_plain(state)
    return math.sqrt(-2.0 * math.log(first)) * math.cos(2.0 * math.pi * second), state

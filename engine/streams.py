"""Random streams: one root seed, one stream a stage, one child a replicate.

A stage derives its key from the root seed by name, and each replicate its own state from key and index. So a
result depends neither on how replicates are split over workers nor on which other stages draw.

The generator is SplitMix64 (Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators",
OOPSLA). The kernels work on ``np.uint64``; the ``_plain`` twins beside them state the same in
Python integers modulo 2^64. Called from Python, numba hands a uint64 back as an ``int`` and will not take one
beyond 2^63 in: wrap it in ``np.uint64`` first.
"""

import hashlib

import numpy as np

from engine.kernels import kernel

_MASK = (1 << 64) - 1
_GAMMA = 0x9E3779B97F4A7C15
_MIX_1 = 0xBF58476D1CE4E5B9
_MIX_2 = 0x94D049BB133111EB

# numba turns uint64 with a signed literal into float64, so every constant in a kernel is a uint64.
_U_GAMMA, _U_MIX_1, _U_MIX_2 = np.uint64(_GAMMA), np.uint64(_MIX_1), np.uint64(_MIX_2)
_U_0 = np.uint64(0)
_U_27, _U_30, _U_31 = np.uint64(27), np.uint64(30), np.uint64(31)


def stream(seed: int, name: str) -> np.uint64:
    """Key of a stage's stream: the first 8 bytes, little endian, of SHA-256 of ``"<seed>:<name>"``."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return np.uint64(int.from_bytes(digest[:8], "little"))


@kernel
def splitmix64(state: np.uint64) -> tuple[np.uint64, np.uint64]:
    """One draw: (64 random bits, next state)."""
    following = np.uint64(state) + _U_GAMMA
    z = (following ^ (following >> _U_30)) * _U_MIX_1
    z = (z ^ (z >> _U_27)) * _U_MIX_2
    return z ^ (z >> _U_31), following


def splitmix64_plain(state: int) -> tuple[int, int]:
    """Twin of :func:`splitmix64`."""
    following = (state + _GAMMA) & _MASK
    z = ((following ^ (following >> 30)) * _MIX_1) & _MASK
    z = ((z ^ (z >> 27)) * _MIX_2) & _MASK
    return z ^ (z >> 31), following


@kernel
def replicate_state(key: np.uint64, index: np.uint64) -> np.uint64:
    """State in which replicate ``index`` starts: output number ``index`` of the stream of ``key``.

    The output, not ``key + index``: neighbouring states would give streams that are shifts of each other.
    """
    return splitmix64(np.uint64(key) + np.uint64(index) * _U_GAMMA)[0]


def replicate_state_plain(key: int, index: int) -> int:
    """Twin of :func:`replicate_state`."""
    return splitmix64_plain((key + index * _GAMMA) & _MASK)[0]


@kernel
def uniform_below(state: np.uint64, n: np.uint64) -> tuple[np.uint64, np.uint64]:
    """(a uniform integer in 0..n-1, next state), for ``n`` in 1..2^64-1.

    Exactly uniform: a draw below 2^64 mod n is rejected, so that what is left is a whole multiple of n
    (``arc4random_uniform`` of OpenBSD). For n below 2^32 fewer than one draw in 2^32 is rejected.
    """
    size = np.uint64(n)
    rejected = (_U_0 - size) % size
    value, following = splitmix64(state)
    while value < rejected:
        value, following = splitmix64(following)
    return value % size, following


def uniform_below_plain(state: int, n: int) -> tuple[int, int]:
    """Twin of :func:`uniform_below`."""
    rejected = (1 << 64) % n
    value, following = splitmix64_plain(state)
    while value < rejected:
        value, following = splitmix64_plain(following)
    return value % n, following

import hashlib

import numpy as np
import pytest

from engine.streams import (
    replicate_state,
    replicate_state_plain,
    splitmix64,
    splitmix64_plain,
    stream,
    uniform_below,
    uniform_below_plain,
)

STATES = [0, 1, 42, 2**63 - 1, 2**63, 2**64 - 1, 0xDEADBEEFCAFEBABE]


def test_splitmix64_gives_the_published_sequence() -> None:
    # The first outputs for seed 1234567, as printed with the reference implementation.
    expected = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    state, values = np.uint64(1234567), []
    for _ in expected:
        value, state = splitmix64(np.uint64(state))
        values.append(int(value))
    assert values == expected


@pytest.mark.parametrize("state", STATES)
def test_kernels_equal_their_twins(state: int) -> None:
    value, following = splitmix64(np.uint64(state))
    assert (int(value), int(following)) == splitmix64_plain(state)
    for index in (0, 1, 2**40, 2**64 - 1):
        child = replicate_state(np.uint64(state), np.uint64(index))
        assert int(child) == replicate_state_plain(state, index)
    for n in (1, 2, 7, 1000, 2**32, 2**63 + 1, 2**64 - 1):
        drawn, after = uniform_below(np.uint64(state), np.uint64(n))
        assert (int(drawn), int(after)) == uniform_below_plain(state, n)
        assert 0 <= int(drawn) < n


def test_a_range_that_rejects_half_of_the_draws_stays_uniform() -> None:
    n, state, low = 2**63 + 1, np.uint64(5), 0
    for _ in range(2000):
        value, state = uniform_below(np.uint64(state), np.uint64(n))
        low += int(value) < n // 2
    assert abs(low - 1000) < 4 * (2000 * 0.25) ** 0.5


def test_small_ranges_are_uniform_over_replicates() -> None:
    key = stream(42, "test")
    states = [np.uint64(replicate_state(key, np.uint64(i))) for i in range(14_000)]
    draws = [int(uniform_below(state, np.uint64(7))[0]) for state in states]
    counts = np.bincount(draws, minlength=7)
    chi_squared = float(((counts - 2000.0) ** 2 / 2000.0).sum())
    assert chi_squared < 22.46  # 99.9 % point of chi squared with 6 degrees of freedom


def test_stream_is_the_head_of_a_hash_and_differs_by_name_and_seed() -> None:
    head = hashlib.sha256(b"42:validation/permutation").digest()[:8]
    assert stream(42, "validation/permutation").tobytes() == head
    assert len({int(stream(s, n)) for s in (1, 2, -1) for n in ("a", "b")}) == 6

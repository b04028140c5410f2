import math
from collections import Counter

import numpy as np
import pytest

from engine.streams import replicate_state_plain
from engine.validation.shuffles import normal, normal_plain, shuffle, shuffle_plain, uniform, uniform_plain


@pytest.mark.parametrize("size", [0, 1, 2, 3, 17, 500])
def test_shuffle_equals_its_twin(size: int) -> None:
    order, plain = np.arange(size), list(range(size))
    after = shuffle(np.uint64(12345), order)
    assert int(after) == shuffle_plain(12345, plain)
    assert order.tolist() == plain
    assert sorted(plain) == list(range(size))


def test_every_order_is_as_likely() -> None:
    counts: Counter[tuple[int, ...]] = Counter()
    for i in range(24_000):
        order = list(range(4))
        shuffle_plain(replicate_state_plain(7, i), order)
        counts[tuple(order)] += 1
    assert len(counts) == 24
    chi_squared = sum((c - 1000.0) ** 2 / 1000.0 for c in counts.values())
    assert chi_squared < 49.73  # 99.9 %, 23 degrees of freedom


@pytest.mark.parametrize("state", [0, 1, 2**40 + 3, 2**63 + 11, 2**64 - 1])
def test_numbers_equal_their_twins(state: int) -> None:
    value, after = uniform(np.uint64(state))
    assert (value, int(after)) == uniform_plain(state)
    value, after = normal(np.uint64(state))
    plain, plain_after = normal_plain(state)
    assert value == pytest.approx(plain, rel=1e-14)
    assert int(after) == plain_after


def test_uniform_numbers_are_never_nought_or_one() -> None:
    state, values = 3, []
    for _ in range(20_000):
        value, state = uniform_plain(state)
        values.append(value)
    assert min(values) > 0.0
    assert max(values) < 1.0
    assert np.mean(values) == pytest.approx(0.5, abs=4 * math.sqrt(1 / 12 / 20_000))


def test_normal_numbers_have_the_moments_of_the_normal_law() -> None:
    state, drawn = 5, []
    for _ in range(20_000):
        value, state = normal_plain(state)
        drawn.append(value)
    values = np.array(drawn)
    assert values.mean() == pytest.approx(0.0, abs=4 / math.sqrt(20_000))
    assert values.var() == pytest.approx(1.0, abs=4 * math.sqrt(2 / 20_000))
    assert np.mean(values**3) == pytest.approx(0.0, abs=4 * math.sqrt(15 / 20_000))
    assert np.mean(values**4) == pytest.approx(3.0, abs=4 * math.sqrt(96 / 20_000))
    assert float(np.corrcoef(values[1:], values[:-1])[0, 1]) == pytest.approx(0.0, abs=4 / math.sqrt(20_000))

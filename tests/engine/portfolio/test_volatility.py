"""The rolling deviation equals its twin, and nothing that has left the window can be seen in it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from engine.portfolio.volatility import rolling_deviation, rolling_deviation_plain
from tests.engine.portfolio.markets import walk

OFTEN = settings(derandomize=True, deadline=None, max_examples=200)


@OFTEN
@given(
    st.lists(st.floats(1e-4, 1e9) | st.sampled_from([np.nan, 1.0, 1.0]), min_size=1, max_size=90),
    st.integers(2, 30),
    st.integers(1, 3),
)
def test_the_kernel_equals_its_twin(prices: list[float], lookback: int, assets: int) -> None:
    rows = len(prices) // assets
    close = np.array(prices[: rows * assets]).reshape(rows, assets)
    both = [f(close, lookback) for f in (rolling_deviation, rolling_deviation_plain)]
    assert_allclose(both[0], both[1], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("lookback", [2, 3, 20, 97])
def test_it_is_as_exact_as_each_window_on_its_own(lookback: int) -> None:
    close = walk(2, 500, 2)
    assert_allclose(rolling_deviation(close, lookback), rolling_deviation_plain(close, lookback), rtol=1e-12, atol=0.0)


@pytest.mark.parametrize("lookback", [2, 20, 64])
def test_a_spike_that_has_left_the_window_leaves_nothing_behind(lookback: int) -> None:
    quiet = 100.0 + 1e-4 * (np.arange(400.0).reshape(-1, 1) % 3)
    spiked = quiet.copy()
    spiked[50] = 1e13
    after = slice(52 + lookback, None)
    assert_allclose(rolling_deviation(spiked, lookback)[after], rolling_deviation_plain(quiet, lookback)[after], 1e-9)


def test_it_begins_when_enough_returns_exist() -> None:
    deviation = rolling_deviation(walk(4, 20), 7)[:, 0]
    assert np.isnan(deviation[:7]).all()
    assert not np.isnan(deviation[7:]).any()
    assert np.isnan(rolling_deviation(walk(4, 7), 7)).all()


def test_a_constant_price_has_none() -> None:
    assert set(rolling_deviation(np.full((50, 1), 0.1), 5)[5:, 0].tolist()) == {0.0}

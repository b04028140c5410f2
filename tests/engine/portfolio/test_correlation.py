"""Rolling correlations of returns: exact for long series, none of constants, provisional from 20 observations."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from engine.portfolio import shares
from engine.portfolio.correlation import Estimates, estimate, estimate_plain, estimates
from engine.types import Bools, Floats
from tests.engine.portfolio.markets import bars, walk
from tests.engine.portfolio.matrices import weighting

OFTEN = settings(derandomize=True, deadline=None, max_examples=200)
WINDOW, MINIMUM = 100, 20


def all_valid(close: Floats) -> Bools:
    return np.ones(close.shape, dtype=np.bool_)


def at(t: int, close: Floats, valid: Bools | None = None, window: int = WINDOW, minimum: int = MINIMUM) -> Estimates:
    """What is known at one bar, asked for the first time there."""
    known = estimates(window, close.shape[1])
    estimate(t, close, all_valid(close) if valid is None else valid, minimum, known)
    return known


def two_pass(x: Floats, y: Floats) -> float:
    """Pearson's correlation in extended precision: means first, then products of what is left."""
    a, b = (np.asarray(v, dtype=np.longdouble) for v in (x, y))
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))


def log_returns(close: Floats) -> Floats:
    """Row r is the return from bar r - 1 to bar r; row 0 is none."""
    returns: Floats = np.log(close[1:] / close[:-1])
    return np.vstack((np.full(close.shape[1], np.nan), returns))


def test_it_is_exact_on_a_long_series_at_a_high_price_with_a_large_drift() -> None:
    """A bar drifts hundreds of times its deviation; sums over prices or squares that roll along would be off by far."""
    random = np.random.default_rng(1)
    moves = 1e-4 * (random.standard_normal((6000, 5)) + 1.5 * random.standard_normal((6000, 1)))
    moves[3000] += (0.5, -0.5, 0.5, 0.0, 0.0)
    close = 1e9 * np.exp(np.cumsum(moves + 0.05, axis=0))
    returns, valid, known = log_returns(close), all_valid(close), estimates(WINDOW, 5)
    for t in (*range(1, 40), *range(90, 110), *range(2990, 3110, 7), *range(4000, 6000, 61)):
        estimate(t, close, valid, MINIMUM, known)
        rows = returns[1 : t + 1][-WINDOW:]
        for i in range(5):
            for j in range(i):
                expected = two_pass(rows[:, i], rows[:, j]) if t >= MINIMUM else np.nan
                assert known.correlation[i, j] == pytest.approx(expected, abs=1e-9, nan_ok=True)
        assert known.volatility[0] == pytest.approx(rows[:, 0].std(ddof=1) if t >= MINIMUM else np.nan, nan_ok=True)


@pytest.mark.parametrize("step", [1, 3, 99, 100, 101, 250])
def test_how_often_it_is_asked_changes_no_bit(step: int) -> None:
    close = walk(3, 800, 6)
    valid, known = np.random.default_rng(3).random(close.shape) > 0.05, estimates(WINDOW, 6)
    for t in range(step, 800, step):
        estimate(t, close, valid, MINIMUM, known)
        fresh = at(t, close, valid)
        assert known.correlation.tobytes() == fresh.correlation.tobytes()
        assert known.volatility.tobytes() == fresh.volatility.tobytes()


def test_a_spike_that_has_left_the_window_leaves_nothing_behind() -> None:
    close = walk(4, 300, 3)
    spiked = close.copy()
    spiked[60, 0] *= 1e9
    known = [estimates(WINDOW, 3) for _ in range(2)]
    for t in range(1, 300):
        for prices, each in zip((close, spiked), known, strict=True):
            estimate(t, prices, all_valid(prices), MINIMUM, each)
        same = known[0].correlation.tobytes() == known[1].correlation.tobytes()
        assert same == (t < 60 or t > 60 + WINDOW)


@OFTEN
@given(
    seed=st.integers(0, 2**32 - 1),
    assets=st.integers(1, 10),
    rows=st.integers(2, 70),
    window=st.sampled_from([3, 20, 100]),
    holes=st.sampled_from([0.0, 0.1, 0.6]),
    flat=st.sampled_from([0.0, 0.3]),
)
def test_the_kernel_equals_its_twin(seed: int, assets: int, rows: int, window: int, holes: float, flat: float) -> None:
    random = np.random.default_rng(seed)
    close = walk(seed, rows, assets)
    close[:, random.random(assets) < flat] = 7.5
    valid = random.random(close.shape) >= holes
    known, t = at(rows - 1, close, valid, window, 3), rows - 1
    correlation, volatility, seen = estimate_plain(t, close, valid, window, 3)
    assert_allclose(known.correlation, correlation, rtol=0.0, atol=1e-9)
    assert_allclose(known.volatility, volatility, rtol=1e-9)
    assert known.seen.tolist() == [t, seen]


def test_it_is_provisional_from_20_observations_until_the_window_is_full() -> None:
    close = walk(5, 300, 2)
    returns = log_returns(close)
    for t in range(300):
        known = at(t, close)
        assert known.seen[1] == (min(t, WINDOW) if t >= MINIMUM else 0)
        rows = returns[1 : t + 1][-WINDOW:]
        expected = two_pass(*rows.T) if t >= MINIMUM else np.nan
        assert known.correlation[0, 1] == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_a_pair_needs_20_observations_in_common() -> None:
    """A and B share 20 rows, A and C 19; each of them has more of its own."""
    close, valid = walk(6, 61, 3), np.ones((61, 3), dtype=np.bool_)
    valid[41:, 0] = False
    valid[:20, 1] = False
    valid[:21, 2] = False
    known = at(60, close, valid)
    returns = log_returns(close)[21:41]
    assert known.correlation[0, 1] == pytest.approx(two_pass(*returns[:, :2].T), abs=1e-12)
    assert np.isnan(known.correlation[0, 2])
    assert np.isfinite(known.correlation[1, 2])
    assert np.isfinite(known.volatility).all()


def test_a_return_needs_two_valid_bars_next_to_each_other() -> None:
    close, valid = walk(7, 60, 2), np.ones((60, 2), dtype=np.bool_)
    valid[30, 0] = False
    close[30, 0] = close[29, 0]
    returns = np.delete(log_returns(close)[1:], [29, 30], axis=0)
    assert at(59, close, valid).correlation[0, 1] == pytest.approx(two_pass(*returns.T), abs=1e-12)


@pytest.mark.parametrize("close", [np.full(200, 0.1), 2.0 ** np.arange(200.0)], ids=["price", "return"])
def test_a_constant_is_excluded_and_the_others_are_not_touched(close: Floats) -> None:
    others = walk(8, 200, 3)
    known, without = at(199, np.column_stack((others[:, :2], close, others[:, 2]))), at(199, others)
    assert np.isnan(known.correlation[2]).all()
    assert np.isnan(known.correlation[:, 2]).all()
    assert np.isnan(known.volatility[2])
    rest = np.ix_([0, 1, 3], [0, 1, 3])
    assert_allclose(known.correlation[rest], without.correlation, rtol=0.0, atol=1e-15)


@pytest.mark.parametrize("name", ["risk_parity", "hrp", "min_variance", "max_diversification", "inverse_volatility"])
def test_a_constant_is_reported(name: str) -> None:
    close = np.column_stack((walk(9, 60, 2), np.full(60, 5.0)))
    decides = np.zeros(close.shape, dtype=np.bool_)
    decides[[30, 50]] = True
    last = np.full(3, 59)
    made = shares(weighting(name), bars(close), decides, last, WINDOW, MINIMUM, lambda _: None)
    assert made.reason == "no volatility of C: weights are equal"
    assert made.fallbacks == made.evaluations == 2


def test_levels_are_not_correlated() -> None:
    """Two prices that rise together and have nothing else in common."""
    close = walk(10, 2001, 2) * np.exp(0.01 * np.arange(2001.0))[:, None]
    assert two_pass(*close.T) > 0.8
    assert abs(at(2000, close, window=2000).correlation[0, 1]) < 0.05


def test_one_moves_with_itself_and_its_inverse_against_it() -> None:
    close = walk(11, 150, 1)[:, 0]
    known = at(149, np.column_stack((close, 3.0 * close, 1.0 / close, close**2)))
    assert_array_equal(np.diag(known.correlation), 1.0)
    assert_allclose(known.correlation[0], [1.0, 1.0, -1.0, 1.0], rtol=0.0, atol=1e-12)
    assert np.abs(known.correlation).max() <= 1.0
    assert_array_equal(known.correlation, known.correlation.T)

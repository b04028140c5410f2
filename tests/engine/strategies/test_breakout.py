import math

import numpy as np
import pytest
from hypothesis import given as forall
from hypothesis import settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from engine.strategies.breakout import breakout, breakout_plain
from tests.engine.strategies.cases import given, matrix, strategy
from tests.engine.test_pipeline import FREE, backtest, series

NAN = math.nan


def signals_of(closes: list[float], entry: int, leave: int, **execution: int) -> list[float]:
    result = backtest(
        series(closes),
        strategy={"name": "donchian_breakout", "params": {"entry": entry, "exit": leave}},
        execution=execution,
    )
    assert result.signals.warmup == entry + execution["feature_lag"]
    values: list[float] = result.signals.values[:, 0].tolist()
    return values


@pytest.mark.parametrize("lag", [0, 1, 3])
@pytest.mark.parametrize("entry", [1, 4])
def test_t5_a_monotone_series_breaks_out_at_the_first_bar_that_can(entry: int, lag: int) -> None:
    """Bar ``entry`` is the first with ``entry`` bars before it; it is seen ``lag`` bars later."""
    rising = [10.0 + t for t in range(12)]
    assert signals_of(rising, entry, 1, feature_lag=lag) == [0.0] * (entry + lag) + [1.0] * (12 - entry - lag)
    falling = rising[::-1]
    assert signals_of(falling, entry, 1, feature_lag=lag) == [0.0] * (entry + lag) + [-1.0] * (12 - entry - lag)


def test_t5_the_trade_is_at_the_next_open() -> None:
    result = backtest(
        series([10.0 + t for t in range(12)]),
        strategy={"name": "donchian_breakout", "params": {"entry": 4, "exit": 2}},
        execution=FREE | {"feature_lag": 0},
    )
    assert result.ledger.fills.bar.tolist() == [5]


def test_the_opposite_channel_ends_a_trade_and_a_touch_does_not() -> None:
    #            0     1     2     3     4     5     6     7     8     9
    closes = [10.0, 11.0, 10.0, 11.0, 12.0, 11.5, 11.5, 11.0, 11.0, 10.9]
    # bar 3 touches the high of 11; bar 4 is above it; bar 5 is below the low of bars 3 and 4, which is 11: no.
    # bar 6 touches the low of bars 5 and 4, which is 11.5; bar 7 is below the low of three bars: short at once.
    assert signals_of(closes, 3, 2, feature_lag=0) == [0.0] * 4 + [1.0] * 3 + [-1.0, -1.0, -1.0]


def test_the_exit_channel_alone_leaves_it_flat() -> None:
    closes = [10.0, 9.0, 9.5, 9.2, 12.0, 12.5, 12.2, 11.9, 12.0, 13.0]
    # bar 4 is above 10; bar 7 is below 12.2, the low of two bars, but above the low of four; bar 9 is above 12.5.
    assert signals_of(closes, 4, 2, feature_lag=0) == [0.0] * 4 + [1.0] * 3 + [0.0, 0.0, 1.0]


def features(close: list[float], **levels: float) -> list[float]:
    columns = {name: [level] * len(close) for name, level in levels.items()}
    return given(strategy("donchian_breakout"), matrix(0, close=close, **columns))


def test_at_a_level_nothing_happens() -> None:
    levels = {"upper": 110.0, "lower": 90.0, "exit_upper": 105.0, "exit_lower": 95.0}
    assert features([110.0, 111.0, 95.0, 94.0], **levels) == [0.0, 1.0, 1.0, 0.0]
    assert features([90.0, 89.0, 105.0, 106.0], **levels) == [0.0, -1.0, -1.0, 0.0]
    assert features([111.0, NAN, 89.0, 111.0], **levels) == [1.0, 1.0, -1.0, 1.0]


@settings(derandomize=True, deadline=None, max_examples=300)
@forall(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(1, 3))
def test_the_kernel_equals_its_twin(seed: int, rows: int, assets: int) -> None:
    arrays = np.random.default_rng(seed).choice([NAN, 1.0, 2.0, 3.0, 4.0], (5, rows, assets))
    assert_array_equal(breakout(*arrays), breakout_plain(*arrays), strict=True)

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from engine.data.bars import Bars
from engine.features import feature_matrix
from engine.features.base import lagged
from engine.features.indicators import SimpleMovingAverage
from tests.engine.test_pipeline import dataset, gappy, series


def bars(count: int = 50) -> Bars:
    return Bars.of("A", gappy().slice(0, count), dataset().conventions)


@pytest.mark.parametrize("lag", [1, 2, 5, 6, 1000])
def test_a_lag_moves_rows_later_and_leaves_nan(lag: int) -> None:
    raw = np.arange(1.0, 6.0).reshape(-1, 1)
    shifted = lagged(raw, lag)
    kept = max(0, 5 - lag)
    assert np.isnan(shifted[: 5 - kept]).all()
    assert_array_equal(shifted[5 - kept :], raw[:kept])


def test_no_lag_is_no_change() -> None:
    raw = np.arange(3.0).reshape(-1, 1)
    assert_array_equal(lagged(raw, 0), raw)


@pytest.mark.parametrize("lag", [0, 1, 3])
def test_warmup_ends_where_every_value_is_there(lag: int) -> None:
    matrix = feature_matrix(bars(), {"a": SimpleMovingAverage(4), "b": SimpleMovingAverage(9)}, lag)
    assert matrix.warmup == 9 - 1 + lag
    undefined = np.isnan(matrix["a"]) | np.isnan(matrix["b"])
    assert undefined[: matrix.warmup].all()
    assert not undefined[matrix.warmup :].any()


def test_without_features_there_is_no_warmup() -> None:
    matrix = feature_matrix(bars(), {}, 1)
    assert (matrix.warmup, matrix.shape) == (0, (50, 1))


def test_an_average_sees_its_window_and_no_later_bar() -> None:
    made = SimpleMovingAverage(2).compute(Bars.of("A", series([1.0, 3.0, 5.0]), dataset().conventions))
    assert np.isnan(made[0, 0])
    assert made[1:, 0].tolist() == [2.0, 4.0]
    long, short = bars(50), bars(30)
    for column in ("open", "high", "low", "close"):
        feature = SimpleMovingAverage(7, column)
        assert_array_equal(feature.compute(long)[:30], feature.compute(short))

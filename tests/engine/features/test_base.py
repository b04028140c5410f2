from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from engine.data.bars import Bars, Series
from engine.features import feature_matrix
from engine.features.base import ROOM, lagged, roomy
from engine.features.indicators import Donchian, SimpleMovingAverage
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


@pytest.mark.parametrize("lag", [1, 2, 5, ROOM, ROOM + 1, 100])
@pytest.mark.parametrize("rows", [1, 5, 50])
@pytest.mark.parametrize("assets", [1, 3])
def test_an_array_with_room_moves_as_a_copy_does(rows: int, assets: int, lag: int) -> None:
    values = np.arange(1.0, rows * assets + 1).reshape(rows, assets)
    raw = roomy(rows, assets)
    raw[:] = values
    shifted = lagged(raw, lag)
    assert_array_equal(shifted, lagged(values, lag))
    assert (shifted.base is raw.base) == (lag <= ROOM)
    assert raw.base is not None
    assert lag > ROOM or np.isnan(raw.base[rows + ROOM - lag :]).all()


def test_part_of_an_array_with_room_is_copied() -> None:
    raw = roomy(9, 1)
    raw[:] = 1.0
    for part in (raw[1:], raw[:-1], raw[::2], raw[:, 0]):
        assert not np.shares_memory(lagged(part, 1), raw)


@pytest.mark.parametrize("feature", [SimpleMovingAverage(3), Donchian(3, "middle", before=2), Donchian(4, "lower")])
def test_rows_without_a_price_are_left_out_of_a_window(feature: SimpleMovingAverage | Donchian) -> None:
    whole = bars(40)
    holes = np.zeros(40, dtype=np.bool_)
    holes[[0, 7, 8, 20]] = True
    names = ("open", "high", "low", "close", "volume")
    rows: dict[str, Any] = {n: np.where(holes, np.nan, getattr(whole, n)[:, 0]) for n in names}
    made = feature.compute(Bars.of("A", Series(whole.time, **rows), whole.conventions))[:, 0]
    kept: dict[str, Any] = {n: rows[n][~holes] for n in names}
    expected = feature.compute(Bars.of("A", Series(whole.time[~holes], **kept), whole.conventions))[:, 0]
    assert np.isnan(made[holes]).all()
    assert_array_equal(made[~holes], expected)

from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from engine.errors import ConfigError, FieldError
from engine.validation.days import RUINED, Daily
from engine.validation.grids import Grid, Params, grid_returns, points
from engine.validation.inputs import no_tick

GRID: TypeAdapter[dict[str, tuple[Any, ...]]] = TypeAdapter(Grid)


def test_points_do_not_depend_on_the_order_of_names() -> None:
    one, other = ({"b": (1, 2), "a": ("x", 0.5)}, {"a": ("x", 0.5), "b": (1, 2)})
    assert points(one) == points(other)
    assert points(one) == [{"a": "x", "b": 1}, {"a": "x", "b": 2}, {"a": 0.5, "b": 1}, {"a": 0.5, "b": 2}]


@pytest.mark.parametrize(
    "grid",
    [
        {},
        {"a": []},
        {"a": 3},
        {"a": [1, 1]},
        {"a": [3, 3.0]},
        {"a": [float("nan")]},
        {"a": [None]},
        {"a": list(range(101)), "b": list(range(100))},
    ],
)
def test_grids_that_make_no_sense_are_refused(grid: Any) -> None:
    with pytest.raises(ValidationError):
        GRID.validate_python(grid)


def test_a_value_that_is_none_has_one_error_at_its_place() -> None:
    with pytest.raises(ValidationError) as caught:
        GRID.validate_python({"a": [1, None, [2]]})
    assert [error["loc"] for error in caught.value.errors()] == [("a", 1), ("a", 2)]


def test_values_keep_their_kind() -> None:
    values = GRID.validate_python({"a": [True, 1, 2.5, "x"]})["a"]
    assert [type(v) for v in values] == [bool, int, float, str]


def test_what_cannot_be_judged_is_counted() -> None:
    def daily_of(params: Params) -> Daily:
        if params["a"] == 2:
            raise ConfigError([FieldError("/a", "no", "no")])
        return Daily(np.empty(0), RUINED) if params["a"] == 3 else Daily(np.full(5, float(params["a"])))

    seen: list[tuple[int, int]] = []
    found = grid_returns({"a": (1, 2, 3, 4)}, daily_of, lambda done, total: seen.append((done, total)))
    assert found.counts() == {"strategies": 2, "refused": 1, "ruined": 1}
    assert found.points == ({"a": 1}, {"a": 4})
    np.testing.assert_array_equal(found.returns, np.tile([1.0, 4.0], (5, 1)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert grid_returns({"a": (2,)}, daily_of, no_tick).returns.shape == (0, 0)

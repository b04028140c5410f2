import math
from typing import Any

import numpy as np
import pytest

from engine.errors import ConfigError, FieldError
from engine.hooks import NoHooks
from engine.types import Floats
from engine.validation.base import Report
from engine.validation.days import RUINED, Daily, annual_sharpe
from engine.validation.grids import Params
from engine.validation.plateau import Plateau, neighbour, numeric

CHOSEN: dict[str, Any] = {"length": 20, "level": 2.0, "zero": 0.0, "step": 1, "name": "x", "on": True, "none": None}
BASE = np.random.default_rng(1).normal(0.001, 0.01, 400)


def returns(level: float) -> Floats:
    """Returns whose mean falls with the distance of ``level`` from 2."""
    return BASE - 0.01 * abs(level - 2.0)


def peak(params: Params) -> Daily:
    return Daily(returns(params["level"]))


def flat(params: Params) -> Daily:
    return Daily(BASE)


def evaluate(daily_of: Any, daily: Daily | None = None, **parameters: Any) -> Report:
    given = Daily(BASE) if daily is None else daily
    return Plateau.model_validate(parameters).evaluate(given, CHOSEN, daily_of, 252.0, 1, NoHooks())


def test_neighbours_lie_in_the_box() -> None:
    assert numeric(CHOSEN) == ["length", "level", "step", "zero"]
    seen = [neighbour(CHOSEN, 0.1, state) for state in range(3000)]
    assert {p["length"] for p in seen} == {18, 19, 20, 21, 22}
    assert {p["step"] for p in seen} == {0, 1, 2}
    levels, zeros = [p["level"] for p in seen], [p["zero"] for p in seen]
    assert 1.8 <= min(levels) < 1.801
    assert 2.199 < max(levels) <= 2.2
    assert -0.1 <= min(zeros) < -0.099
    assert {neighbour({"length": 90}, 0.7, state)["length"] for state in range(5000)} == set(range(27, 154))
    assert all((p["name"], p["on"], p["none"]) == ("x", True, None) for p in seen)


def test_a_plateau_scores_one_and_a_peak_little() -> None:
    level = evaluate(flat, points=15)
    assert (level.statistic, level.replicates) == (1.0, 15)
    assert (level.details["above_zero"], level.details["above_half"]) == (1.0, 1.0)
    sharp = evaluate(peak, points=15)
    values = [row["value"] for row in sharp.details["neighbours"]]
    expected = [annual_sharpe(returns(row["params"]["level"]), 252.0) for row in sharp.details["neighbours"]]
    assert values == expected
    chosen = annual_sharpe(BASE, 252.0)
    assert chosen is not None
    assert sharp.statistic == pytest.approx(float(np.median(values)) / chosen)
    assert sharp.statistic is not None
    assert sharp.statistic < 0.5
    near = evaluate(peak, points=15, radius=0.01)
    assert near.statistic is not None
    assert near.statistic > sharp.statistic
    assert evaluate(peak, metric="total_return").details["chosen"] == pytest.approx(float(np.prod(1 + BASE)) - 1)


def test_what_the_strategy_refuses_is_drawn_again() -> None:
    def strict(params: Params) -> Daily:
        if params["level"] > 2.0:
            raise ConfigError([FieldError("/level", "no", "no")])
        return Daily(BASE)

    found = evaluate(strict, points=10)
    assert found.replicates == 10
    assert found.details["refused"] > 0


def test_few_neighbours_are_taken_once() -> None:
    test = Plateau(radius=0.01, points=50)
    found = test.evaluate(Daily(BASE), {"length": 5}, flat, 252.0, 1, NoHooks())
    assert sorted(row["params"]["length"] for row in found.details["neighbours"]) == [4, 6]


def test_the_first_neighbours_do_not_depend_on_their_number() -> None:
    few, many = (evaluate(peak, points=n).details["neighbours"] for n in (4, 12))
    assert many[:4] == few


def test_a_neighbour_that_never_trades_earns_nothing() -> None:
    found = evaluate(idle)
    assert (found.statistic, found.details["above_zero"]) == (0.0, 0.0)
    assert evaluate(ruined).statistic == 0.0


def idle(params: Params) -> Daily:
    return Daily(np.zeros(400))


def ruined(params: Params) -> Daily:
    return Daily(np.empty(0), RUINED)


def refuse(params: Params) -> Daily:
    raise ConfigError([FieldError("/x", "no", "no")])


@pytest.mark.parametrize(
    ("daily", "daily_of", "reason"),
    [
        (Daily(np.empty(0), RUINED), flat, "sharpe of the chosen parameters is undefined"),
        (Daily(np.array([0.01])), flat, "sharpe of the chosen parameters is undefined"),
        (Daily(np.zeros(50)), flat, "sharpe of the chosen parameters is undefined"),
        (Daily(-np.abs(BASE)), flat, "sharpe is not above zero"),
        (Daily(BASE), refuse, "no neighbour could be run"),
    ],
)
def test_undefined_is_null_with_a_reason(daily: Daily, daily_of: Any, reason: str) -> None:
    found = evaluate(daily_of, daily)
    assert (found.statistic, found.reason) == (None, reason)
    assert not math.isnan(found.replicates)
    found.as_dict()


def test_a_strategy_without_numbers_has_no_neighbours() -> None:
    found = Plateau().evaluate(Daily(BASE), {"column": "close"}, flat, 252.0, 1, NoHooks())
    assert found.reason == "the strategy has no numeric parameter"

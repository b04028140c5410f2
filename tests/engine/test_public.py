"""What a notebook finds after ``import engine``."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

import engine
from engine.metrics.moments import moments
from engine.results import Metric
from tests.live import ROOT

RETURNS = np.random.default_rng(1).normal(0.003, 0.01, 300)
OF_RETURNS: dict[str, Callable[[Any], Metric]] = {
    "volatility": lambda r: engine.metrics.volatility(r, 252.0),
    "sharpe": lambda r: engine.metrics.sharpe(r, 252.0),
    "sharpe_standard_error": lambda r: engine.metrics.sharpe_standard_error(r, 252.0),
    "sharpe_lo": lambda r: engine.metrics.sharpe_lo(r, 252.0),
    "psr": lambda r: engine.metrics.psr(r, 252.0),
    "min_track_record_length": lambda r: engine.metrics.min_track_record_length(r, 252.0),
    "sortino": lambda r: engine.metrics.sortino(r, 252.0),
    "omega": engine.metrics.omega,
    "skewness": engine.metrics.skewness,
    "excess_kurtosis": engine.metrics.excess_kurtosis,
    "value_at_risk": engine.metrics.value_at_risk,
    "conditional_value_at_risk": engine.metrics.conditional_value_at_risk,
    "expected_shortfall": engine.metrics.expected_shortfall,
    "tail_ratio": engine.metrics.tail_ratio,
}


def test_rooms_are_there_before_anything_is_run() -> None:
    code = "import engine; print(engine.metrics.omega([0.01, -0.02]).value, engine.validation.holm([0.01]).p_values[0])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True, text=True)
    assert done.stdout.split() == ["0.5", "0.01"]
    assert {"metrics", "validation", "run"} <= set(dir(engine))


@pytest.mark.parametrize("room", [engine, engine.metrics, engine.validation])
def test_every_public_name_is_there_and_says_what_it_is(room: Any) -> None:
    assert sorted(room.__all__) == room.__all__
    undocumented = [name for name in room.__all__ if not (name.isupper() or getattr(room, name).__doc__)]
    assert undocumented == []


@pytest.mark.parametrize("name", OF_RETURNS)
def test_returns_may_be_an_array_a_list_a_series_or_two_too_few(name: str) -> None:
    expected = OF_RETURNS[name](RETURNS)
    assert expected.value is not None
    others: list[npt.ArrayLike] = [RETURNS.tolist(), pd.Series(RETURNS, index=pd.RangeIndex(5, 305)), RETURNS[::1]]
    assert [OF_RETURNS[name](other) for other in others] == [expected] * len(others)
    few = OF_RETURNS[name]([0.01])
    assert (few.value, few.reason) == (None, "fewer than two daily returns")
    with pytest.raises(ValueError, match="one axis"):
        OF_RETURNS[name](RETURNS.reshape(-1, 2))


def test_who_knows_the_moments_need_not_give_the_returns() -> None:
    assert engine.metrics.sharpe(moments(RETURNS), 252.0) == engine.metrics.sharpe(RETURNS, 252.0)

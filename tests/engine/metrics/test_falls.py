import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.metrics.drawdown import max_drawdown, underwater
from engine.metrics.falls import Falls, fall_sums, fall_sums_plain, falls_of
from engine.metrics.returns import cagr, calmar, martin
from engine.results import Metric
from engine.types import Floats

DAYS = 365.25
Z = 1.959963984540054


def both(logs: Floats, known: Falls | None) -> tuple[Metric, Metric]:
    """Calmar and Martin ratio of a path of daily log returns."""
    equity = np.exp(np.concatenate(([0.0], np.cumsum(logs))))
    growth = cagr(equity, len(logs) * 86_400.0)
    times = np.arange(1, len(equity))
    fall, ulcer = max_drawdown(equity), underwater(equity, 0, times)["ulcer_index"]
    return calmar(growth, fall, known), martin(growth, ulcer, known)


def known_of(logs: Floats) -> Falls:
    return falls_of(np.exp(np.concatenate(([0.0], np.cumsum(logs)))), len(logs) / DAYS)


def number(metric: Metric) -> float:
    assert metric.value is not None, metric.reason
    return metric.value


@settings(derandomize=True, deadline=None)
@given(st.lists(st.integers(-50, 50), min_size=1, max_size=60))
def test_sums_against_their_twin(hundredths: list[int]) -> None:
    equity = np.exp(np.concatenate(([0.0], np.cumsum(np.array(hundredths) / 100.0 + 1e-5))))
    np.testing.assert_allclose(fall_sums(equity), fall_sums_plain(equity), rtol=1e-9, atol=1e-12)


def test_errors_are_those_of_weighing_each_return_a_little_more() -> None:
    """Numerical derivatives of the ratios themselves: nothing is known here of peaks, troughs or weights."""
    logs = np.random.default_rng(3).normal(0.001, 0.01, 250)
    step, count = 1e-6, len(logs)
    found = both(logs, known_of(logs))
    ratios: tuple[Callable[[Floats], float], ...] = (
        lambda x: number(both(x, None)[0]),
        lambda x: number(both(x, None)[1]),
    )
    for metric, ratio in zip(found, ratios, strict=True):
        influence = np.array([(ratio(logs * (1.0 + step * unit)) - ratio(logs)) / step for unit in np.eye(count)])
        error = math.sqrt(float(np.sum((influence - influence.mean()) ** 2)))
        assert metric.interval is not None
        assert (metric.interval.high - metric.interval.low) / 2.0 == pytest.approx(Z * error, rel=1e-4)
        assert (metric.interval.high + metric.interval.low) / 2.0 == pytest.approx(number(metric), rel=1e-12)


def test_intervals_miss_on_one_side_and_as_often_as_said() -> None:
    """500 samples of a year and a half: the median of the ratios lies inside 85 to 96 %, and never below one."""
    generator = np.random.default_rng(4)
    samples = [generator.normal(0.0008, 0.01, 500) for _ in range(500)]
    found = [both(logs, known_of(logs)) for logs in samples]
    for metrics in zip(*found, strict=True):
        middle = float(np.median([number(metric) for metric in metrics]))
        intervals = [metric.interval for metric in metrics if metric.interval is not None]
        assert len(intervals) == len(metrics)
        assert 0.85 <= np.mean([i.low <= middle <= i.high for i in intervals]) <= 0.96
        assert np.mean([i.low > middle for i in intervals]) <= 0.01

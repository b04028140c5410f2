"""Every test rejects a true null hypothesis as often as it says, and a false one often.

The long version, with laws that no theory covers: ``python -m tests.benchmarks calibration``.
"""

from functools import cache

import numpy as np
import pytest

from engine.types import Floats
from tests.benchmarks.calibration import POWERS, SIZES, Study, distance, farthest, p_values, share
from tests.benchmarks.trials import LEVEL

SIMULATIONS = 250
UNIFORM = [study for study in SIZES if study.grid is not None]


@cache
def simulated(study: Study) -> Floats:
    return p_values(study, SIMULATIONS)


def named(study: Study) -> str:
    return f"{study.name}, {study.law}"


@pytest.mark.parametrize("study", SIZES, ids=named)
def test_size_is_within_three_standard_errors(study: Study) -> None:
    low, high = study.bounds(SIMULATIONS)
    assert study.target is not None or study.most < 2.0 * LEVEL
    assert low <= share(simulated(study)) <= high


@pytest.mark.parametrize("study", UNIFORM, ids=named)
def test_p_values_are_uniform_where_there_is_nothing(study: Study) -> None:
    values = simulated(study)
    assert float(values.min()) >= (study.grid or 0.0)
    assert distance(values, study.upto) < farthest(study, SIMULATIONS)


@pytest.mark.parametrize("study", POWERS, ids=named)
def test_what_is_there_is_found(study: Study) -> None:
    low, high = study.bounds(SIMULATIONS)
    assert low <= share(simulated(study)) <= high


def test_the_distance_is_that_of_kolmogorov() -> None:
    assert distance(np.array([0.5])) == 0.5
    assert distance(np.array([0.1, 0.4, 0.7])) == pytest.approx(0.3)  # 1 - 0.7
    assert distance(np.array([0.1, 0.4, 0.7]), upto=0.5) == pytest.approx(2 / 3 - 0.4)
    middle = (np.arange(100) + 0.5) / 100
    assert distance(middle) == pytest.approx(0.005)


def test_what_is_off_would_be_seen() -> None:
    """Liberal, conservative, and right at 5 % but nowhere else."""
    study = Study("made", "uniform", lambda seed: float(np.random.default_rng(seed).uniform()), grid=0.0)
    low, high = study.bounds(SIMULATIONS)
    values = simulated(study)
    assert low <= share(values) <= high
    assert distance(values) < farthest(study, SIMULATIONS)
    assert share(values / 2.5) > high
    assert share(np.minimum(1.0, values * 20.0)) < low
    bent = np.where(values <= 0.05, values, 0.05 + 0.95 * (np.maximum(values - 0.05, 0.0) / 0.95) ** 1.6)
    assert low <= share(bent) <= high
    assert distance(bent) > farthest(study, SIMULATIONS)

"""Every test rejects a true null hypothesis as often as it says. The long version: ``tests.benchmarks.calibration``."""

import pytest

from tests.benchmarks.calibration import SHORT, Study, share, tolerance

SIMULATIONS = 300


@pytest.mark.parametrize("study", SHORT, ids=lambda study: f"{study.name}, {study.law}")
def test_size_is_within_three_standard_errors(study: Study) -> None:
    assert study.target is not None
    assert share(study, SIMULATIONS) == pytest.approx(study.target, abs=tolerance(study.target, SIMULATIONS))

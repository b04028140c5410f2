import math
from statistics import NormalDist

import numpy as np
import pytest

from engine.hooks import NoHooks
from engine.types import Floats
from engine.validation.days import RUINED, Daily
from engine.validation.sharpe import deflated_sharpe, min_track_record_length, moments, psr
from engine.validation.track_record import SharpeTest, Trials

RETURNS = np.random.default_rng(4).standard_t(5, 500) * 0.01 + 0.0008
YEAR = 252.0
ROOT = math.sqrt(YEAR)


def two_valued(size: int, sharpe: float) -> Floats:
    """Returns of skewness 0, raw kurtosis 1 and this ratio: the error is that of a known formula."""
    unit = np.tile([1.0, -1.0], size // 2)
    return unit * math.sqrt((size - 1) / size) + sharpe


def test_everything_is_by_year() -> None:
    report = SharpeTest(benchmark=0.5).evaluate(Daily(RETURNS), YEAR, 1, NoHooks())
    of = moments(RETURNS)
    assert of.sharpe is not None
    assert report.statistic == of.sharpe * ROOT
    probability = psr(of, 0.5 / ROOT).value
    assert probability is not None
    assert report.p_value == 1.0 - probability
    assert report.details["psr"]["value"] == probability
    assert report.details["min_track_record"]["value"] == min_track_record_length(of, 0.5 / ROOT).value


def test_intervals_by_hand() -> None:
    # Lo: sqrt((1 + SR^2 / 2) / T); Mertens with g3 = 0, g4 = 1: sqrt(1 / T).
    values, z = two_valued(400, 0.5), NormalDist().inv_cdf(0.95)
    details = SharpeTest(confidence=0.9).evaluate(Daily(values), 4.0, 1, NoHooks()).details
    for name, error in (("lo", math.sqrt(1.125 / 400)), ("mertens", math.sqrt(1.0 / 400))):
        assert details[name]["lower"] == pytest.approx(2.0 * (0.5 - z * error))
        assert details[name]["upper"] == pytest.approx(2.0 * (0.5 + z * error))


def test_deflation_by_annual_ratios() -> None:
    # Bailey & Lopez de Prado 2014: annual SR 2.5, V 1/2, 5 years of 250 days, N 100: the benchmark is 1.79 a year.
    trials = Trials(number=100, variance=0.5)
    report = SharpeTest(trials=trials).evaluate(Daily(RETURNS), 250.0, 1, NoHooks())
    deflated = report.details["deflated"]
    assert deflated["benchmark"] == pytest.approx(math.sqrt(0.5) * 2.5306, abs=1e-4)
    assert deflated["variance"] == 0.5
    found = deflated_sharpe(moments(RETURNS), 100, 0.5 / 250.0).value
    assert found is not None
    assert deflated["value"] == found
    assert report.p_value == pytest.approx(1.0 - found, rel=1e-9)
    assert report.p_value > 1.0 - report.details["psr"]["value"]
    alone = SharpeTest(trials=Trials(number=1, variance=0.5)).evaluate(Daily(RETURNS), 250.0, 1, NoHooks())
    assert alone.details["deflated"]["value"] == pytest.approx(alone.details["psr"]["value"])


def test_a_p_value_keeps_its_digits_and_is_never_nought() -> None:
    # g3 = 0 and g4 = 1 leave z = SR sqrt(T - 1): 0.5 * 20 = 10, whose tail is 7.6e-24, and 50.
    ten = SharpeTest().evaluate(Daily(two_valued(401, 0.5)), YEAR, 1, NoHooks())
    fifty = SharpeTest().evaluate(Daily(two_valued(10_000, 0.5)), YEAR, 1, NoHooks())
    assert ten.p_value is not None
    assert 1e-24 < ten.p_value < 1e-22
    assert fifty.p_value == np.finfo(float).tiny
    deflated = SharpeTest(trials=Trials(number=1, variance=0.0)).evaluate(
        Daily(two_valued(10_000, 0.5)), YEAR, 1, NoHooks()
    )
    assert deflated.p_value == fifty.p_value


def test_what_is_undefined_says_why() -> None:
    details = SharpeTest(benchmark=90.0).evaluate(Daily(RETURNS), YEAR, 1, NoHooks()).details
    assert details["min_track_record"] == {"value": None, "reason": "the Sharpe ratio is not above the benchmark"}


@pytest.mark.parametrize(
    ("daily", "reason"),
    [
        (Daily(np.empty(0), RUINED), RUINED),
        (Daily(np.array([0.01])), "fewer than two returns"),
        (Daily(np.full(30, 0.01)), "returns do not vary"),
    ],
)
def test_undefined_is_null_with_a_reason(daily: Daily, reason: str) -> None:
    report = SharpeTest().evaluate(daily, YEAR, 1, NoHooks())
    assert (report.statistic, report.p_value, report.reason) == (None, None, reason)

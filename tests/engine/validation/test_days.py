import math
from dataclasses import replace

import numpy as np
import pytest

import engine
from engine.data.synthetic import market
from engine.results import Ledger
from engine.types import Floats
from engine.validation.days import RUINED, annual_sharpe, compounded, daily_returns, day_ends, measured
from tests.engine.test_pipeline import config, dataset, lively

RUN = engine.run(config(), dataset(A=lively(1)))


def ledger(equity: list[float] | Floats) -> Ledger:
    return replace(RUN.ledger, path=np.asarray(equity, dtype=np.float64))


def test_a_day_ends_with_its_last_bar() -> None:
    assert day_ends(RUN.bars).tolist() == [*range(23, 300, 24), 299]
    assert day_ends(RUN.bars.slice(0, 0)).tolist() == []
    weekdays = engine.run(
        config(dataset="synthetic", symbols=["SYNTH"]), market(bars=400, calendar="24x5", start="2020-01-03")
    )
    # The week ends on Friday 17:00 New York; what opens on Sunday evening belongs to Monday.
    closes = weekdays.bars.close_time[day_ends(weekdays.bars)]
    assert {str(np.datetime64(int(t), "ns"))[11:16] for t in closes[:-1]} == {"22:00"}


def test_returns_by_hand_and_from_a_day_on() -> None:
    book = ledger([100.0, 90.0, 110.0, 121.0, 60.5, 66.55])
    ends = np.array([1, 2, 4])
    np.testing.assert_allclose(daily_returns(book, ends).returns, [0.1, 0.1, -0.45])
    np.testing.assert_allclose(daily_returns(book, ends, 1).returns, [0.1, -0.45])
    assert daily_returns(book, ends, 3).returns.shape == (0,)


@pytest.mark.parametrize("lost", [0.0, -5.0])
def test_there_is_no_return_from_nothing(lost: float) -> None:
    found = daily_returns(ledger([100.0, 50.0, lost, 20.0]), np.array([0, 1, 2]))
    assert (found.reason, len(found.returns)) == (RUINED, 0)
    assert daily_returns(ledger([100.0, 50.0, lost, 20.0]), np.array([0, 2])).reason is None


def test_what_is_less_than_rounding_is_nothing() -> None:
    assert daily_returns(ledger([1e6, 1e6, 1e-12, 2e-12]), np.array([0, 1, 2])).reason == RUINED


def test_rounding_is_no_variation() -> None:
    steady: Floats = 100.0 * np.power(1.0001, np.arange(31))
    found = daily_returns(ledger(steady), np.arange(30))
    assert float(np.ptp(steady[1:] / steady[:-1])) > 0.0
    assert found.returns.tolist() == [found.returns[0]] * 30
    assert measured("sharpe", found.returns, 252.0) is None


def test_measures() -> None:
    returns = np.array([0.1, -0.05, 0.02])
    sharpe = returns.mean() / returns.std(ddof=1) * math.sqrt(252.0)
    assert annual_sharpe(returns, 252.0) == pytest.approx(float(sharpe))
    assert measured("sharpe", returns, 252.0) == annual_sharpe(returns, 252.0)
    assert measured("total_return", returns, 252.0) == compounded(returns) == pytest.approx(1.1 * 0.95 * 1.02 - 1.0)
    assert measured("total_return", np.empty(0), 252.0) is None
    assert measured("sharpe", np.array([0.1]), 252.0) is None
    assert measured("total_return", np.full(30, 1e12), 252.0) is None


def test_daily_returns_are_those_of_the_metrics() -> None:
    found = daily_returns(RUN.ledger, day_ends(RUN.bars))
    assert annual_sharpe(found.returns, 365.25) == pytest.approx(RUN.metrics["sharpe"].value, rel=1e-12)
    assert compounded(found.returns) == pytest.approx(RUN.metrics["total_return"].value, rel=1e-12)

"""How equity is divided from bar to bar: who is active, what a weighting is asked and when."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from engine.portfolio import Shares, shares
from engine.types import Bools, Floats
from tests.engine.portfolio.markets import bars, walk
from tests.engine.portfolio.matrices import weighting

WINDOW, MINIMUM = 40, 20
ESTIMATED = ["inverse_volatility", "risk_parity", "hrp", "min_variance", "max_diversification"]


def on(rows: int, assets: int, *at: int) -> Bools:
    """Decisions of all symbols at some bars."""
    decides = np.zeros((rows, assets), dtype=np.bool_)
    decides[list(at)] = True
    return decides


def made(name: str, close: Floats, decides: Bools, last: list[int] | None = None) -> Shares:
    ends = np.array([len(close) - 1] * close.shape[1] if last is None else last, dtype=np.int64)
    return shares(weighting(name), bars(close), decides, ends, WINDOW, MINIMUM, lambda _: None)


def at(found: Shares, t: int) -> list[float]:
    """Shares of a bar."""
    values: list[float] = found.values[found.row[t]].tolist()
    return values


def test_equal_shares_are_those_of_the_symbols_that_are_left() -> None:
    found = made("equal", walk(1, 50, 4), on(50, 4, 10, 30), [49, 19, 49, 39])
    assert at(found, 0) == at(found, 19) == [0.25] * 4
    assert at(found, 20) == at(found, 39) == pytest.approx([1 / 3, 0.0, 1 / 3, 1 / 3], abs=1e-15)
    assert at(found, 40) == at(found, 49) == [0.5, 0.0, 0.5, 0.0]
    assert (found.evaluations, found.fallbacks, found.reason) == (3, 0, None)


def test_one_that_failed_never_takes_part() -> None:
    found = made("equal", walk(2, 30, 3), on(30, 3, 5), [29, -1, 29])
    assert at(found, 0) == at(found, 29) == [0.5, 0.0, 0.5]
    assert at(made("equal", walk(2, 30, 2), on(30, 2, 5), [-1, -1]), 3) == [0.0, 0.0]


@pytest.mark.parametrize("name", ESTIMATED)
def test_estimates_are_made_at_decisions_and_hold_until_the_next(name: str) -> None:
    close = walk(3, 120, 4) ** np.array([1.0, 0.5, 2.0, 1.5])
    found = made(name, close, on(120, 4, 25, 70, 71, 110))
    assert found.evaluations == 4
    assert_array_equal(found.row, np.searchsorted([70, 71, 110], np.arange(120), side="right"))
    assert len(np.unique(found.values, axis=0)) == 4
    assert_allclose(found.values.sum(axis=1), 1.0, rtol=1e-12)
    assert (found.fallbacks, found.reason) == (0, None)
    assert found.residual <= 1e-8


def test_inverse_volatility_is_that_of_the_window() -> None:
    close = walk(4, 120, 3) ** np.array([1.0, 3.0, 0.2])
    returns = np.diff(np.log(close), axis=0)
    found = made("inverse_volatility", close, on(120, 3, 22, 60, 119))
    for t, rows in ((22, returns[:22]), (60, returns[20:60]), (119, returns[79:119])):
        inverse = 1.0 / rows.std(axis=0, ddof=1)
        assert at(found, t) == pytest.approx((inverse / inverse.sum()).tolist(), rel=1e-9)


@pytest.mark.parametrize("name", ESTIMATED)
def test_shares_are_equal_until_there_are_20_returns(name: str) -> None:
    found = made(name, walk(5, 60, 3), on(60, 3, 3, 19, 20, 40))
    assert at(found, 3) == at(found, 19) == pytest.approx([1 / 3] * 3, abs=1e-15)
    assert at(found, 20) != pytest.approx([1 / 3] * 3, abs=1e-3)
    assert (found.evaluations, found.fallbacks) == (4, 2)
    assert found.reason == "no volatility of A, B, C: weights are equal"


@pytest.mark.parametrize("name", ESTIMATED)
def test_a_symbol_that_ended_leaves_the_estimates(name: str) -> None:
    """The others divide all of it, as if it had never been."""
    close = walk(6, 100, 4)
    found = made(name, close, on(100, 4, 50, 80), [99, 99, 60, 99])
    rest = made(name, close[:, [0, 1, 3]], on(100, 3, 50, 80))
    assert at(found, 50)[2] > 0.0
    assert at(found, 80)[2] == 0.0
    assert_allclose(np.delete(at(found, 80), 2), at(rest, 80), rtol=1e-9)


@pytest.mark.parametrize("name", ["equal", *ESTIMATED])
def test_the_future_changes_nothing(name: str) -> None:
    close, other = walk(7, 100, 3), walk(8, 100, 3)
    other[:61] = close[:61]
    decides = on(100, 3, 30, 60, 90)
    one, two = made(name, close, decides), made(name, other, decides)
    assert all(at(one, t) == at(two, t) for t in range(90))
    short = made(name, close[:61], decides[:61])
    assert all(at(one, t) == at(short, t) for t in range(61))


def test_a_share_does_not_depend_on_who_decides() -> None:
    decides = on(100, 3, 50)
    alone = decides & np.array([False, True, False])
    one, two = (made("risk_parity", walk(9, 100, 3), who) for who in (decides, alone))
    assert at(one, 60) == at(two, 60)


def test_work_is_told_and_may_be_stopped() -> None:
    told: list[float] = []

    def stop(done: float) -> None:
        told.append(done)
        if done > 0.0:
            raise InterruptedError

    close = walk(10, 600, 2)
    everywhere, last = np.ones(close.shape, dtype=np.bool_), np.full(2, 599)
    with pytest.raises(InterruptedError):
        shares(weighting("inverse_volatility"), bars(close), everywhere, last, WINDOW, MINIMUM, stop)
    assert told == [0.0, 256 / 600]

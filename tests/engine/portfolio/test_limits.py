"""Limits by hand: they shrink what increases risk, count what is held and what waits, and leave reductions alone."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from engine.portfolio.limits import EXPOSURE_LIMIT, MAX_POSITIONS, Bounds, limit, limit_plain
from engine.results import Cause, Happening, Outcome, Reason
from engine.types import Bools
from tests.engine.portfolio.accounts import play

OFTEN = settings(derandomize=True, deadline=None, max_examples=500)
NONE = 0
NEVER = np.inf


def limited(
    weights: list[float], current: list[float] | None = None, decides: list[bool] | None = None, **bounds: Any
) -> tuple[list[float], list[int]]:
    """Weights and reasons after the limits; all decide and nothing is held unless told."""
    count = len(weights)
    wanted, now = np.array(weights), np.zeros(count) if current is None else np.array(current)
    deciding = np.ones(count, dtype=np.bool_) if decides is None else np.array(decides)
    symbol = np.array(bounds.pop("symbol", [NEVER] * count))
    rules = Bounds(**({"gross": NEVER, "net": NEVER, "positions": NEVER} | bounds), symbol=symbol)
    why = np.zeros(count, dtype=np.int64)
    limit(wanted, now, deciding, rules, np.empty(count), np.empty(count, dtype=np.int64), why)
    return wanted.tolist(), why.tolist()


def test_without_limits_nothing_happens() -> None:
    assert limited([3.0, -2.0, 0.0], [1.0, 1.0, -1.0]) == ([3.0, -2.0, 0.0], [NONE] * 3)


@pytest.mark.parametrize(
    ("weights", "current", "gross", "after"),
    [
        ([0.4, -0.4], [0.0, 0.0], 0.5, [0.25, -0.25]),
        ([0.6, 0.2], [0.0, 0.0], 0.4, [0.3, 0.1]),
        ([0.5, 0.5], [0.3, 0.0], 0.65, [0.4, 0.25]),
        ([0.5, 0.5], [0.9, 0.0], 0.5, [0.5, 0.0]),
        ([0.2, 0.5], [0.9, 0.0], 0.5, [0.2, 0.3]),
        ([-0.4, 0.4], [0.9, 0.0], 0.4, [-0.2, 0.2]),
        ([0.9, 0.0], [0.7, 0.4], 0.5, [0.7, 0.0]),
    ],
    ids=["new", "in proportion", "on top", "nothing left", "after a reduction", "a flip is new", "held stays"],
)
def test_gross_shrinks_increases_by_one_factor(
    weights: list[float], current: list[float], gross: float, after: list[float]
) -> None:
    found, _ = limited(weights, current, gross=gross)
    assert found == pytest.approx(after, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize(
    ("weights", "current", "net", "after"),
    [
        ([0.6, -0.2], [0.0, 0.0], 0.3, [0.5, -0.2]),
        ([0.2, -0.6], [0.0, 0.0], 0.3, [0.2, -0.5]),
        ([0.4, 0.4], [0.0, 0.0], 0.4, [0.2, 0.2]),
        ([0.5, 0.3], [0.4, 0.0], 0.5, [0.425, 0.075]),
        ([0.5, -0.1], [0.8, 0.0], 0.2, [0.5, -0.1]),
    ],
    ids=["longs", "shorts", "in proportion", "on top", "a reduction and a short"],
)
def test_net_shrinks_increases_of_its_side(
    weights: list[float], current: list[float], net: float, after: list[float]
) -> None:
    found, _ = limited(weights, current, net=net)
    assert found == pytest.approx(after, rel=1e-12, abs=1e-15)


def test_a_symbol_has_its_own_limit_and_keeps_what_is_more() -> None:
    symbol = [0.3, 0.3, 0.3, NEVER, 0.3]
    found = limited([0.5, -0.5, 0.5, 0.5, 0.3], [0.0, 0.0, 0.4, 0.0, 0.0], symbol=symbol)
    assert found == ([0.3, -0.3, 0.4, 0.5, 0.3], [EXPOSURE_LIMIT, EXPOSURE_LIMIT, EXPOSURE_LIMIT, NONE, NONE])


@pytest.mark.parametrize(
    ("weights", "current", "decides", "positions", "after"),
    [
        ([0.1, 0.3, -0.2], [0.0, 0.0, 0.0], [True] * 3, 2.0, [0.0, 0.3, -0.2]),
        ([0.2, 0.2, 0.2], [0.0, 0.0, 0.0], [True] * 3, 1.0, [0.2, 0.0, 0.0]),
        ([0.1, 0.3, 0.2], [0.2, 0.0, 0.0], [True] * 3, 2.0, [0.1, 0.3, 0.0]),
        ([0.1, 0.3, 0.2], [0.2, 0.0, 0.0], [False, True, True], 2.0, [0.2, 0.3, 0.0]),
        ([0.0, 0.3, 0.2], [0.2, 0.0, 0.0], [True] * 3, 2.0, [0.0, 0.3, 0.2]),
        ([0.1, 0.1, 0.2], [0.3, 0.3, 0.0], [True] * 3, 1.0, [0.1, 0.1, 0.0]),
    ],
    ids=["largest", "first", "held first", "others count", "an exit makes room", "held is not closed"],
)
def test_positions_beyond_the_limit_are_not_entered(
    weights: list[float], current: list[float], decides: list[bool], positions: float, after: list[float]
) -> None:
    found, why = limited(weights, current, decides, positions=positions)
    assert found == after
    cut = [wanted != left and own for wanted, left, own in zip(weights, after, decides, strict=True)]
    assert [code == MAX_POSITIONS for code in why] == cut


def test_what_waits_or_is_held_elsewhere_takes_its_room() -> None:
    """The second symbol does not decide: 0.4 of the 0.5 are its, and it is not touched."""
    found, why = limited([0.3, 0.0], [0.0, 0.4], [True, False], gross=0.5)
    assert found == pytest.approx([0.1, 0.4], rel=1e-12)
    assert why == [EXPOSURE_LIMIT, NONE]
    assert limited([0.3, 0.0], [0.0, 0.6], [True, False], gross=0.5) == ([0.0, 0.6], [EXPOSURE_LIMIT, NONE])


@pytest.mark.parametrize("bounds", [{"gross": 0.9}, {"net": 0.9}])
def test_what_meets_a_limit_is_not_cut(bounds: Any) -> None:
    """Thirds, and tenths, do not add up to 1 in binary."""
    for parts in (3, 7, 10, 49):
        weights = [0.9 / parts] * parts
        assert limited(weights, **bounds) == (weights, [NONE] * parts)


@OFTEN
@given(seed=st.integers(0, 2**32 - 1), assets=st.integers(1, 7))
def test_the_kernel_equals_its_twin(seed: int, assets: int) -> None:
    random = np.random.default_rng(seed)
    grid = [0.0, 0.1, -0.1, 0.25, 0.4]
    weights, current = (random.choice(grid, assets) * random.choice([1.0, 0.3, 1.7]) for _ in range(2))
    decides = random.random(assets) < 0.7
    bounds = Bounds(
        gross=float(random.choice([NEVER, 0.2, 0.7])),
        net=float(random.choice([NEVER, 0.1, 0.4])),
        symbol=random.choice([NEVER, 0.05, 0.2], assets),
        positions=float(random.choice([NEVER, 1.0, 2.0])),
    )
    why, wanted = np.zeros(assets, dtype=np.int64), weights.copy()
    limit(wanted, current, decides, bounds, np.empty(assets), np.empty(assets, dtype=np.int64), why)
    expected, reasons = limit_plain(weights, current, decides, bounds)
    assert_allclose(wanted, expected, rtol=1e-12, atol=1e-15)
    assert_array_equal(why, reasons)


# --- accounts --------------------------------------------------------------------------------------------------


def constant(rows: int, assets: int = 2) -> Any:
    return np.full((rows, assets), 16.0)


def test_an_order_that_was_cut_says_so() -> None:
    ledger = play(constant(4), [[0.0, 0.0], [0.6, 0.2], [0.6, 0.2], [0.6, 0.2]], limits={"max_gross_exposure": 0.4})
    assert ledger.orders.weight.tolist() == pytest.approx([0.3, 0.1], rel=1e-12)
    assert ledger.orders.scale.tolist() == pytest.approx([0.5, 0.5], rel=1e-12)
    assert ledger.orders.scale_reason.tolist() == [Reason.EXPOSURE_LIMIT] * 2
    assert ledger.orders.outcome.tolist() == [Outcome.FILLED] * 2


def test_a_position_too_many_is_refused_once() -> None:
    """B asks at every bar, and is told at the first; when A has left there is room."""
    signals = np.array([[0.2, 0.1]] * 4 + [[0.0, 0.1]] * 4)
    everywhere: Bools = np.ones(signals.shape, dtype=np.bool_)
    execution = {"rebalance": {"name": "every_bar"}}
    ledger = play(constant(8), signals, everywhere, execution=execution, limits={"max_positions": 1})
    rows = zip(ledger.orders.decided_bar, ledger.orders.asset, ledger.orders.reason, strict=True)
    assert list(rows) == [(0, 0, Reason.NONE), (0, 1, Reason.MAX_POSITIONS), (4, 0, Reason.NONE), (4, 1, Reason.NONE)]
    assert ledger.quantity[:, 1].tolist() == [0.0] * 5 + [6.4] * 3


@pytest.mark.parametrize(
    "limits",
    [
        {"max_gross_exposure": 0.5},
        {"max_net_exposure": 0.3},
        {"max_symbol_weight": 0.1},
        {"max_positions": 1},
        {"max_gross_exposure": 1.0 / 3.0, "max_symbol_weight": 0.3, "max_positions": 2},
    ],
)
@pytest.mark.parametrize("size_at", ["decision", "fill"])
def test_the_same_targets_twice_trade_nothing(limits: dict[str, float], size_at: str) -> None:
    signals = np.where(np.arange(10)[:, None] >= 2, [0.7, 0.23, -0.11], 0.0)
    everywhere: Bools = np.ones(signals.shape, dtype=np.bool_)
    execution = {"rebalance": {"name": "every_bar"}, "size_at": size_at}
    ledger = play(constant(10, 3), signals, everywhere, execution=execution, limits=limits)
    assert set(ledger.fills.bar.tolist()) == {3}
    filled = ledger.orders.outcome == Outcome.FILLED
    assert set(ledger.orders.decided_bar[filled].tolist()) == {2}


def test_a_days_loss_halts_a_symbol_until_the_next_day() -> None:
    """A quarter of 1024 in A loses a quarter at bar 3: 64 of 1024 are above 5 %. B goes on; A is back a day later."""
    closes = constant(12)
    closes[3:, 0] = 12.0
    signals = np.array([[0.25, 0.25]] * 4 + [[0.5, 0.25]] * 2 + [[0.25, 0.25]] * 6)
    ledger = play(closes, signals, days=6, limits={"max_symbol_daily_loss": 0.05})
    events = ledger.events
    assert list(zip(events.bar, events.asset, events.kind, strict=True)) == [(3, 0, Happening.HALTED)]
    assert ledger.quantity[:, 0].tolist() == [0.0] + [16.0] * 3 + [0.0] * 3 + [20.0] * 5
    assert ledger.quantity[:, 1].tolist() == [0.0] + [16.0] * 11
    rows = list(zip(ledger.orders.decided_bar, ledger.orders.cause, ledger.orders.reason, strict=True))
    assert rows[2:] == [
        (3, Cause.DAILY_LOSS, Reason.NONE),
        (4, Cause.SIGNAL, Reason.SYMBOL_HALTED),
        (6, Cause.SIGNAL, Reason.NONE),
    ]


def test_a_drawdown_flattens_the_account_for_good() -> None:
    """1024 rises to 1280 and falls to 1024: a fifth below the highest."""
    closes = constant(9)
    closes[2:, 0], closes[4:, 0] = 24.0, 16.0
    signals = np.array([[0.5, 0.25]] * 6 + [[0.5, -0.25]] * 3)
    ledger = play(closes, signals, limits={"max_drawdown": 0.2})
    events = ledger.events
    assert list(zip(events.bar, events.asset, events.kind, strict=True)) == [(4, -1, Happening.STOPPED)]
    assert ledger.equity.tolist() == [1024.0, 1024.0, 1280.0, 1280.0] + [1024.0] * 5
    assert np.all(ledger.quantity[5:] == 0.0)
    rows = list(zip(ledger.orders.decided_bar, ledger.orders.asset, ledger.orders.cause, strict=True))
    assert rows[2:] == [(4, 0, Cause.DRAWDOWN), (4, 1, Cause.DRAWDOWN), (6, 1, Cause.SIGNAL)]
    assert ledger.orders.reason.tolist()[-1] == Reason.PORTFOLIO_HALTED

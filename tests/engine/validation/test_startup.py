from collections.abc import Callable

import numpy as np
import pytest

from engine.data.bars import Bars
from engine.execution import Execution, simulate
from engine.hooks import NoHooks
from engine.results import Ledger, Targets
from engine.types import Floats
from engine.validation.base import Report
from engine.validation.startup import Startup, differences
from tests.engine.test_pipeline import lively, series
from tests.engine.validation.test_bar_permutation import bars_of

BARS = bars_of(lively(6, 200))


def evaluate(rule: Callable[[Bars], Floats], bars: Bars = BARS, warmup: int = 5, starts: int = 8) -> Report:
    def run(on: Bars) -> Ledger:
        signal = rule(on)
        return simulate(on, Targets(signal, np.ones(signal.shape, dtype=np.bool_), signal), Execution(), 1e5)

    return Startup(starts=starts).evaluate(bars, warmup, rule, run, 1, NoHooks())


def windowed(bars: Bars) -> Floats:
    """Long above the close five bars before: knows nothing older."""
    signal = np.zeros(bars.close.shape)
    signal[5:] = bars.close[5:] > bars.close[:-5]
    return signal


def counting(bars: Bars) -> Floats:
    """Long on every other bar from the start: as different as can be for an odd start."""
    signal = np.zeros(bars.close.shape)
    signal[5:] = (np.arange(5, len(bars)) % 2).reshape(-1, 1)
    return signal


def fading(bars: Bars) -> Floats:
    """A tenth as far from 0.5 with each bar since the start."""
    signal = np.zeros(bars.close.shape)
    signal[5:] = (0.5 + 0.5 * 0.1 ** np.arange(5, len(bars))).reshape(-1, 1)
    return signal


def test_a_rule_that_knows_a_few_bars_agrees_from_every_start() -> None:
    found = evaluate(windowed)
    assert found.statistic == 0.0
    assert [row["agrees_after"] for row in found.details["starts"]] == [0] * 8
    assert [row["bar"] for row in found.details["starts"]] == np.linspace(1, 100, 8).round().tolist()
    gaps = [abs(row["late"] - row["full"]) for row in found.details["starts"]]
    assert (
        found.details["largest_return_difference"] == max(gaps) < 0.05
    )  # what entering anew costs, and a bar without a position


def test_a_rule_that_hangs_on_its_start_is_shown() -> None:
    found = evaluate(counting)
    assert found.statistic == 1.0
    for row in found.details["starts"]:
        odd = row["bar"] % 2 == 1
        assert (row["largest"], row["share"]) == ((1.0, 1.0) if odd else (0.0, 0.0))
        assert row["agrees_after"] == (200 - row["bar"] - 5 if odd else 0)


def test_what_fades_agrees_after_some_bars() -> None:
    row = evaluate(fading, starts=1).details["starts"][0]
    # Started a bar later: 0.5 * 0.1^k against 0.5 * 0.1^(k + 1) from k = 5 on, a difference above 1e-9 until k = 8.
    assert row["largest"] == pytest.approx(0.45 * 0.1**5, rel=1e-9)
    assert row["agrees_after"] == 4


def test_differences_by_hand() -> None:
    full, late = np.array([[0.0], [1.0], [1.0], [-1.0]]), np.array([[0.0], [1.0], [-1.0], [-1.0]])
    assert differences(full, late) == {"largest": 2.0, "share": 0.25, "agrees_after": 3}
    assert differences(full, full) == {"largest": 0.0, "share": 0.0, "agrees_after": 0}


@pytest.mark.parametrize(
    ("bars", "reason"),
    [
        (bars_of(series([5.0])), "1 bars are too few for a later start"),
        (bars_of(series([5.0] * 6)), "6 bars are too few for a later start"),
        (bars_of(series([5.0] * 40)), "there is never a signal"),
    ],
)
def test_undefined_is_null_with_a_reason(bars: Bars, reason: str) -> None:
    found = evaluate(windowed, bars)
    assert (found.statistic, found.reason) == (None, reason)

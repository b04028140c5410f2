import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from engine.data.bars import Bars
from engine.data.synthetic import market
from engine.errors import ConfigError, FieldError
from engine.execution import Execution, simulate
from engine.hooks import NoHooks, Recorder
from engine.results import Ledger, Targets
from engine.types import Floats
from engine.validation.base import Report
from engine.validation.days import RUINED, Daily, annual_sharpe, daily_returns, day_ends
from engine.validation.splits import Window
from engine.validation.walk_forward import NOTHING_BEST, WalkForwardTest

DATA = market(bars=24 * 60 + 5, seed=3)
SERIES = DATA.series["SYNTH"]
BARS = Bars.of("SYNTH", SERIES, DATA.conventions)
ENDS = day_ends(BARS)
FREE = Execution(slippage_bps=0.0).model_copy(
    update={"commission": Execution().commission.model_copy(update={"bps": 0.0})}
)
YEAR = 365.25

CALLS: list[tuple[int, int, Mapping[str, Any]]] = []


def momentum(bars: Bars, lookback: int) -> Floats:
    signal = np.zeros(bars.close.shape)
    signal[lookback:] = np.sign(bars.close[lookback:] - bars.close[:-lookback])
    return signal


def refit(params: Mapping[str, Any], bars: Bars, first: int) -> Ledger:
    """Momentum that trades from a bar on."""
    CALLS.append((len(bars), first, params))
    lookback = params["lookback"]
    if lookback > 100:
        raise ConfigError([FieldError("/lookback", "too_long", "too long")])
    signal = momentum(bars, lookback)
    signal[:first] = 0.0
    return simulate(bars, Targets(signal, np.ones(signal.shape, dtype=np.bool_), signal), FREE, 1e5)


WHOLE = refit({"lookback": 20}, BARS, 0)
DAILY = daily_returns(WHOLE, ENDS)


def evaluate(daily: Daily = DAILY, bars: Bars = BARS, **parameters: Any) -> Report:
    test = WalkForwardTest.model_validate(parameters)
    return test.evaluate(bars, daily, {"lookback": 20}, refit, YEAR, 1, NoHooks())


@pytest.mark.parametrize("scheme", ["rolling", "anchored"])
@pytest.mark.parametrize(("windows", "share", "gap"), [(1, 0.5, 0), (5, 0.7, 0), (5, 0.7, 3), (7, 0.2, 1)])
def test_windows_tile_the_days_to_the_last(scheme: str, windows: int, share: float, gap: int) -> None:
    test = WalkForwardTest.model_validate({"windows": windows, "train_share": share, "gap": gap, "scheme": scheme})
    laid = test.laid(61)
    assert laid is not None
    assert len(laid) == windows
    assert laid[-1].test_end == 61
    sizes = {w.test_end - w.test_start for w in laid}
    assert len(sizes) == 1
    first = laid[0]
    train, size = first.train_end - first.train_start, sizes.pop()
    assert train / (train + size) == pytest.approx(share, abs=windows / (train + size))
    for k, w in enumerate(laid):
        assert w.test_start == first.test_start + k * size
        assert w.train_end + gap == w.test_start
        assert w.train_start == (0 if scheme == "anchored" else k * size)


@pytest.mark.parametrize("share", [0.5, 0.65, 0.7, 0.8, 0.9])
def test_windows_are_as_long_as_whole_days_allow(share: float) -> None:
    twentieths = round(20 * share)
    for windows in (1, 3, 5):
        for test in (20 - twentieths, 7 * (20 - twentieths)):
            train = test * twentieths // (20 - twentieths)
            laid = WalkForwardTest(windows=windows, train_share=share).laid(train + windows * test)
            assert laid is not None
            assert laid[0] == Window(0, train, train, train + test)


def test_too_few_days_have_no_windows() -> None:
    assert WalkForwardTest(windows=5).laid(6) is None
    assert WalkForwardTest(windows=1, train_share=0.5, gap=1).laid(3) == (Window(0, 1, 2, 3),)
    assert WalkForwardTest(windows=1, train_share=0.5, gap=1).laid(2) is None


def test_without_a_grid_the_windows_are_slices_of_the_run() -> None:
    found = evaluate(windows=4, train_share=0.5)
    laid = WalkForwardTest(windows=4, train_share=0.5).laid(len(DAILY.returns))
    assert laid is not None
    outside = DAILY.returns[laid[0].test_start :]
    assert found.statistic == pytest.approx(annual_sharpe(outside, YEAR))
    inside = [annual_sharpe(DAILY.returns[w.train_start : w.train_end], YEAR) for w in laid]
    assert [w["in_sample"] for w in found.details["windows"]] == inside
    assert found.details["days"] == len(outside)
    assert found.details["trials"] == 1
    growth = evaluate(windows=4, train_share=0.5, metric="total_return")
    assert growth.statistic == pytest.approx(float(np.prod(1.0 + outside)) - 1.0)


def test_with_one_point_each_test_window_is_a_run_that_begins_there() -> None:
    found = evaluate(windows=3, train_share=0.5, grid={"lookback": [30]}, metric="total_return")
    product = 1.0
    for window in found.details["windows"]:
        begin, end = (np.datetime64(window["test"][k][:-1], "ns").astype(np.int64) for k in ("start", "end"))
        inside = np.flatnonzero((BARS.time >= begin) & (BARS.time < end))
        # By hand: no costs, so equity is what the sign of the move over 30 bars earns from the next open on.
        signal = momentum(BARS, 30)
        signal[: inside[0]] = 0.0
        signal = signal[: inside[-1] + 1]
        asked = Targets(signal, np.ones(signal.shape, dtype=np.bool_), signal)
        ledger = simulate(BARS.slice(0, int(inside[-1]) + 1), asked, FREE, 1e5)
        earned = float(ledger.equity[-1]) / 1e5
        assert bool((ledger.fills.bar > inside[0]).all())
        assert window["out_of_sample"] == pytest.approx(earned - 1.0, rel=1e-9)
        product *= earned
    assert found.statistic == pytest.approx(product - 1.0, rel=1e-9)


@pytest.mark.parametrize("metric", ["sharpe", "total_return"])
def test_the_best_in_training_is_taken_and_only_it_is_tested(metric: str) -> None:
    CALLS.clear()
    grid = {"lookback": [5, 20, 60, 101]}
    found = evaluate(windows=3, train_share=0.5, grid=grid, metric=metric)
    laid = WalkForwardTest(windows=3, train_share=0.5).laid(len(ENDS))
    assert laid is not None
    calls = list(CALLS)
    assert len(calls) == 3 * (4 + 1)
    for k, (window, row) in enumerate(zip(laid, found.details["windows"], strict=True)):
        train, test = calls[5 * k : 5 * k + 4], calls[5 * k + 4]
        assert {(bars, first) for bars, first, _ in train} == {
            (int(ENDS[window.train_end - 1]) + 1, int(ENDS[window.train_start - 1]) + 1 if window.train_start else 0)
        }
        assert test[:2] == (int(ENDS[window.test_end - 1]) + 1, int(ENDS[window.test_start - 1]) + 1)
        values = {}
        for lookback in (5, 20, 60):
            ledger = refit({"lookback": lookback}, BARS.slice(0, train[0][0]), train[0][1])
            returns = daily_returns(ledger, ENDS[: window.train_end], window.train_start).returns
            values[lookback] = annual_sharpe(returns, YEAR) if metric == "sharpe" else float(np.prod(1 + returns)) - 1
        best = max(values, key=lambda n: values[n] or -math.inf)
        assert row["params"] == test[2] == {"lookback": best}
        assert row["in_sample"] == pytest.approx(values[best])
    assert found.details["trials"] == 4


def test_efficiency_is_the_rate_outside_over_the_rate_inside() -> None:
    found = evaluate(windows=3, train_share=0.5, grid={"lookback": [5, 20, 60]})
    inside = np.mean([w["in_sample"] for w in found.details["windows"]])
    assert found.details["in_sample"] == pytest.approx(float(inside))
    assert found.statistic is not None
    assert found.details["efficiency"] == pytest.approx(found.statistic / float(inside))
    losing = evaluate(Daily(-np.abs(DAILY.returns) - 1e-4))
    assert losing.details["efficiency"] is None
    assert losing.details["efficiency_reason"] == "not above zero in sample"


def test_steady_growth_is_perfectly_efficient() -> None:
    steady = Daily(np.full(60, 0.001))
    found = evaluate(steady, metric="total_return")
    assert found.details["efficiency"] == pytest.approx(1.0, rel=1e-12)
    assert found.details["profitable"] == 1.0
    assert evaluate(steady).reason == "out of sample: returns do not vary"


def test_where_nothing_has_a_value_nothing_is_held() -> None:
    found = evaluate(windows=2, grid={"lookback": [101]})
    assert [w["reason"] for w in found.details["windows"]] == [NOTHING_BEST] * 2
    assert [w["params"] for w in found.details["windows"]] == [None, None]
    assert (found.statistic, found.reason) == (None, "out of sample: returns do not vary")
    assert evaluate(windows=2, grid={"lookback": [101]}, metric="total_return").statistic == 0.0


def test_progress_rises_over_all_windows() -> None:
    hooks = Recorder()
    test = WalkForwardTest(windows=2, grid={"lookback": (5, 20)})
    test.evaluate(BARS, DAILY, {}, refit, YEAR, 1, hooks)
    assert [c[2] for c in hooks.calls if c[0] == "progress"] == [0.25, 0.5, 0.75, 1.0]


@pytest.mark.parametrize(
    ("daily", "reason"),
    [
        (Daily(np.empty(0), RUINED), RUINED),
        (Daily(np.array([0.01])), "1 days are too few for 5 windows"),
        (Daily(np.zeros(60)), "out of sample: returns do not vary"),
    ],
)
def test_undefined_is_null_with_a_reason(daily: Daily, reason: str) -> None:
    found = evaluate(daily)
    assert (found.statistic, found.reason) == (None, reason)
    found.as_dict()


def test_growth_beyond_any_number_says_so() -> None:
    found = evaluate(Daily(np.tile([1e25, 2e25], 30)), windows=2, metric="total_return")
    assert (found.statistic, found.reason) == (None, "out of sample: the value does not fit a float")
    assert found.details["profitable"] == 1.0
    assert found.details["windows"][0]["out_of_sample_reason"] == "the value does not fit a float"

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from engine.data.bars import Bars
from engine.execution import Execution, simulate
from engine.hooks import NoHooks
from engine.results import Ledger, Targets
from engine.streams import stream
from engine.types import Floats
from engine.validation.base import Report
from engine.validation.lookahead import Lookahead, draw_cuts, draw_noise, draw_noise_plain, with_noise
from tests.engine.test_pipeline import lively, series
from tests.engine.validation.test_bar_permutation import bars_of

KEY = stream(1, "x")
BARS = bars_of(lively(6, 200))
Rule = Callable[[Bars], Floats]


def evaluate(rule: Rule, bars: Bars = BARS, sized: Rule | None = None, **options: Any) -> Report:
    """Judge a rule from bars to signals; ``sized`` gives the weights where they are not the signals."""

    def run(on: Bars) -> Ledger:
        signals = rule(on)
        weights = signals if sized is None else sized(on) * signals
        decides = np.ones(signals.shape, dtype=np.bool_)
        rules = Execution(end_policy=options.get("end_policy", "mark"))
        return simulate(on, Targets(weights, decides, signals), rules, 1e5)

    test = Lookahead(cuts=options.get("cuts", 20))
    return test.evaluate(bars, options.get("lag", 0), rule, run, options.get("seed", 1), NoHooks())


def shifted(by: int) -> Rule:
    """Long where the close ``by`` bars later (earlier for a negative number) is above this one."""

    def rule(bars: Bars) -> Floats:
        close = bars.close[:, 0]
        other = np.full(len(close), -np.inf)
        if by >= 0:
            other[: len(close) - by] = close[by:]
        else:
            other[-by:] = close[:by]
        return (other > close).astype(np.float64).reshape(-1, 1)

    return rule


def standardised(bars: Bars) -> Floats:
    """Long above the mean of all bars there are: the look-ahead of a scaler that was fitted on everything."""
    above: Floats = (bars.close > bars.close.mean()).astype(np.float64)
    return above


def running(bars: Bars) -> Floats:
    """Long above the mean so far: sums over all bars, but no look-ahead."""
    means: Floats = np.cumsum(bars.close, axis=0) / np.arange(1, len(bars) + 1).reshape(-1, 1)
    above: Floats = (bars.close > means).astype(np.float64)
    return above


@pytest.mark.parametrize("rule", [shifted(-1), shifted(-7), running])
def test_a_causal_rule_passes(rule: Rule) -> None:
    for end_policy in ("mark", "close"):
        found = evaluate(rule, end_policy=end_policy, cuts=60)
        assert (found.statistic, found.details["failures"], found.p_value) == (0.0, [], None)
        assert found.replicates == 2 * 60


@pytest.mark.parametrize("rule", [shifted(1), shifted(3), standardised])
def test_a_rule_that_sees_later_bars_is_caught_at_nearly_every_cut(rule: Rule) -> None:
    found = evaluate(rule, cuts=30)
    assert found.statistic == len(found.details["failures"]) > 20
    for failure in found.details["failures"]:
        assert failure["future"] in ("truncated", "noise")
        places = [bar for bar in (failure["signals"], failure["fills"]) if bar is not None]
        assert places
        assert max(places) < failure["bar"]
    assert {f["future"] for f in found.details["failures"]} == {"truncated", "noise"}


def test_a_rule_that_sees_one_bar_is_wrong_at_that_bar_only() -> None:
    failures = evaluate(shifted(1), cuts=100).details["failures"]
    assert {f["bar"] - f["signals"] for f in failures if f["signals"] is not None} == {1}


def test_a_size_that_sees_later_bars_is_caught_in_the_fills() -> None:
    def size(bars: Bars) -> Floats:
        return np.full(bars.close.shape, 50.0 / float(bars.close.max()))

    failures = evaluate(shifted(-1), sized=size, cuts=30).details["failures"]
    assert len(failures) > 20
    assert all(f["signals"] is None and f["fills"] is not None for f in failures)


def test_a_lag_that_hides_a_bar_is_held_to_it() -> None:
    # The rule says that it is two bars late, and is one: nothing it decides sees the future, but noise shows it.
    assert evaluate(shifted(-1), lag=0).statistic == 0.0
    found = evaluate(shifted(-1), lag=2, cuts=40)
    assert found.details["failures"]
    assert {f["future"] for f in found.details["failures"]} == {"noise"}


def test_every_bar_may_be_a_cut_and_the_first_ones_are_drawn_alike() -> None:
    assert draw_cuts(5, 100, 3, 20) == list(range(3, 20))
    cuts = draw_cuts(5, 10, 3, 200)
    assert cuts == sorted(set(cuts))
    assert len(cuts) == 10
    assert 3 <= cuts[0] <= cuts[-1] < 200
    assert draw_cuts(6, 10, 3, 200) != cuts


def test_noise_keeps_the_past_and_the_coherence_of_bars() -> None:
    np.testing.assert_allclose(draw_noise(KEY, 7, 30)[0], draw_noise_plain(int(KEY), 7, 30)[0], rtol=1e-12)
    assert draw_noise(KEY, 7, 30)[1].tolist() == draw_noise_plain(int(KEY), 7, 30)[1]
    other = with_noise(BARS, 120, KEY)
    for name in ("open", "high", "low", "close", "volume", "tradable"):
        np.testing.assert_array_equal(getattr(other, name)[:120], getattr(BARS, name)[:120])
        assert not np.array_equal(getattr(other, name)[120:], getattr(BARS, name)[120:])
    assert bool((other.close[120:] != BARS.close[120:]).all())
    assert bool((other.high >= np.maximum(other.open, other.close)).all())
    assert bool((other.low <= np.minimum(other.open, other.close)).all())
    assert other.valid.all()


def test_the_seed_decides_and_repeats() -> None:
    assert evaluate(standardised) == evaluate(standardised)
    assert evaluate(standardised, seed=2).details != evaluate(standardised).details


@pytest.mark.parametrize(
    ("bars", "reason"),
    [(bars_of(series([5.0] * 30)), "there is never a signal"), (bars_of(series([5.0])), "there is never a signal")],
)
def test_undefined_is_null_with_a_reason(bars: Bars, reason: str) -> None:
    found = evaluate(shifted(-1), bars)
    assert (found.statistic, found.reason) == (None, reason)


def test_a_signal_at_the_last_bar_has_no_future() -> None:
    found = evaluate(lambda bars: np.ones(bars.close.shape), bars_of(series([5.0])))
    assert (found.statistic, found.reason) == (None, "no bar follows the first signal")

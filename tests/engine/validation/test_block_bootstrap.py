import math

import numpy as np
import pytest

from engine.hooks import NoHooks, Recorder
from engine.metrics.ratios import sharpe
from engine.streams import stream
from engine.types import Floats
from engine.validation import block_bootstrap
from engine.validation.block_bootstrap import BlockBootstrap, resampled_means
from engine.validation.bootstrap import automatic_blocks, bootstrap_sharpe
from engine.validation.days import RUINED, Daily
from engine.validation.inputs import no_tick
from engine.validation.resample import Blocks, draw_indices, long_run_variance


def returns(seed: int, rows: int = 250, mean: float = 0.0005) -> Floats:
    return np.random.default_rng(seed).standard_t(5, rows) * 0.01 + mean


@pytest.mark.parametrize("blocks", [Blocks(), Blocks("stationary", 6.5), Blocks("circular", 7)])
def test_means_are_those_of_the_rows_drawn(blocks: Blocks) -> None:
    values, key = returns(1, 90), stream(1, "x")
    rows = draw_indices(key, 0, 50, 90, blocks.survival(90), blocks.fixed)
    means = resampled_means(values, blocks, key, 50, no_tick)
    np.testing.assert_allclose(means, values[rows].mean(axis=1), rtol=0.0, atol=1e-15)


def test_the_spread_of_the_means_is_the_long_run_variance() -> None:
    values, blocks = returns(2), Blocks("stationary", 5.0)
    means = resampled_means(values, blocks, stream(2, "x"), 20_000, no_tick)
    exact = float(long_run_variance(values[:, None], blocks)[0]) / len(values)
    assert float(means.var()) == pytest.approx(exact, rel=4 * math.sqrt(2 / 20_000))


@pytest.mark.parametrize("method", ["stationary", "circular"])
def test_the_report_is_the_bootstrap_by_year(method: str) -> None:
    values = returns(3)
    test = BlockBootstrap.model_validate({"n": 300, "method": method})
    report = test.evaluate(Daily(values), 252.0, 9, NoHooks())
    found = bootstrap_sharpe(values, 9, blocks=automatic_blocks(values, test.method), replicates=300)
    root = math.sqrt(252.0)
    assert report.statistic == pytest.approx(sharpe(values, 252.0).value, rel=1e-12)
    assert found.p_value is not None
    assert (report.p_value, report.standard_error) == (found.p_value.value, found.p_value.standard_error)
    for name in ("percentile", "bca", "studentised"):
        interval, own = report.details["sharpe"][name], getattr(found, name)
        assert (interval["lower"], interval["upper"]) == (own.lower * root, own.upper * root)
        assert interval["lower"] < report.statistic < interval["upper"]
    mean = report.details["mean_return"]
    assert mean["value"] == pytest.approx(float(values.mean()) * 252.0)
    assert mean["percentile"]["lower"] < mean["value"] < mean["percentile"]["upper"]


def test_intervals_narrow_with_confidence_and_blocks_are_as_told() -> None:
    values = Daily(returns(4))

    def width(**changes: object) -> float:
        test = BlockBootstrap.model_validate({"n": 500, "block_length": 4.5} | changes)
        interval = test.evaluate(values, 252.0, 1, NoHooks()).details["sharpe"]["percentile"]
        return float(interval["upper"] - interval["lower"])

    assert width(confidence=0.5) < width(confidence=0.9) < width(confidence=0.99)
    circular = BlockBootstrap(n=100, method="circular", block_length=4.5).evaluate(values, 252.0, 1, NoHooks())
    assert circular.details["block_length"] == 5


def test_results_do_not_depend_on_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    values = Daily(returns(5))
    whole = BlockBootstrap(n=200).evaluate(values, 252.0, 1, NoHooks())
    monkeypatch.setattr(block_bootstrap, "COUNTS", 250 * 7)
    hooks = Recorder()
    assert BlockBootstrap(n=200).evaluate(values, 252.0, 1, hooks) == whole
    assert BlockBootstrap(n=200).evaluate(values, 252.0, 2, NoHooks()) != whole
    fractions = [c[2] for c in hooks.calls if c[0] == "progress"]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


@pytest.mark.parametrize("method", ["stationary", "circular"])
@pytest.mark.parametrize(("days", "longest"), [(27, 9), (100, 30), (81, 27), (400, 60)])
def test_blocks_are_no_longer_than_the_automatic_ones_may_be(method: str, days: int, longest: int) -> None:
    """min(3 sqrt(D), D / 3); of blocks as long as the data, each resample is the data turned around."""
    values = Daily(np.random.default_rng(days).normal(0.0005, 0.01, days))
    for length in (longest, longest + 1, days, 10_000):
        test = BlockBootstrap.model_validate({"n": 100, "method": method, "block_length": length})
        report = test.evaluate(values, 252.0, 1, NoHooks())
        if length == longest:
            assert report.details["block_length"] == longest
        else:
            assert report.reason == f"blocks of {length} days are too long for {days} days"
            assert (report.statistic, report.p_value) == (None, None)


@pytest.mark.parametrize(
    ("daily", "reason"),
    [
        (Daily(np.empty(0), RUINED), RUINED),
        (Daily(np.empty(0)), "there are no days"),
        (Daily(np.array([0.01])), "fewer than two returns"),
        (Daily(np.array([0.01, 0.02])), "fewer than 12 returns"),
        (Daily(np.zeros(40)), "returns do not vary"),
    ],
)
def test_undefined_is_null_with_a_reason(daily: Daily, reason: str) -> None:
    report = BlockBootstrap().evaluate(daily, 252.0, 1, NoHooks())
    assert (report.statistic, report.p_value, report.reason) == (None, None, reason)
    report.as_dict()

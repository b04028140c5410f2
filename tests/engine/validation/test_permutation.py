import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from engine.errors import CancelledError
from engine.hooks import NoHooks, Recorder, Stage
from engine.streams import stream
from engine.types import Floats
from engine.validation import permutation
from engine.validation.base import Report
from engine.validation.permutation import (
    Permutation,
    draw_shifts,
    draw_shifts_plain,
    shift_kernel,
    shift_plain,
)

SIMULATIONS = 1000


def evaluate(weights: Floats, returns: Floats, n: int = 1000, seed: int = 42) -> Report:
    return Permutation(n=n).evaluate(weights, returns, seed, NoHooks())


def number(value: float | None) -> float:
    assert value is not None
    assert type(value) is float
    return value


def holds(rng: np.random.Generator, length: int, hold: int = 20) -> Floats:
    """Long, flat or short, for ``hold`` bars each."""
    sides = rng.choice([-1.0, 0.0, 1.0], size=length // hold + 1)
    return np.asarray(np.repeat(sides, hold)[:length])


@pytest.mark.parametrize("length", [3, 4, 5, 8, 17, 101])
def test_kernels_equal_their_twins(length: int) -> None:
    rng = np.random.default_rng(length)
    weights, returns = rng.normal(size=length), rng.normal(size=length)
    shifts, twice = np.arange(length), np.concatenate((weights, weights))
    means = shift_kernel(twice, returns, shifts)
    np.testing.assert_array_equal(means, shift_kernel.py_func(twice, returns, shifts))
    np.testing.assert_allclose(means, shift_plain(weights, returns, shifts), atol=1e-15)
    key = stream(length, "x")
    drawn = draw_shifts(key, 50, length)
    np.testing.assert_array_equal(drawn, draw_shifts_plain(int(key), 50, length))
    assert (drawn.min() >= 1, drawn.max() <= length - 1) == (True, True)


def test_shifts_are_uniform_and_the_first_ones_do_not_depend_on_their_number() -> None:
    key = stream(1, permutation.STREAM)
    shifts = draw_shifts(key, 9000, 10)
    counts = np.bincount(shifts, minlength=10)
    assert counts[0] == 0
    assert float(((counts[1:] - 1000.0) ** 2 / 1000.0).sum()) < 26.12  # 99.9 %, 8 degrees of freedom
    np.testing.assert_array_equal(draw_shifts(key, 100, 10), shifts[:100])


def test_by_hand() -> None:
    # Held on the one rising bar of four: of the four shifts only the identity earns it.
    report = evaluate(np.array([0.0, 0.0, 1.0, 0.0]), np.array([0.0, -0.01, 0.04, 0.0]))
    assert (report.p_value, report.statistic, report.exact) == (0.25, 0.01, True)
    assert (report.replicates, report.standard_error, report.reason) == (4, 0.0, None)


@pytest.mark.parametrize("seed", range(12))
def test_enumeration_equals_brute_force(seed: int) -> None:
    rng = np.random.default_rng(seed)
    length = int(rng.integers(3, 13))
    weights = rng.integers(-1, 2, length).astype(np.float64)
    weights[0] = 1.0
    returns = rng.integers(-3, 4, length).astype(np.float64)  # whole numbers: ties are common, and exact
    returns[0] = 4.0
    own = sum(w * r for w, r in zip(weights, returns, strict=True))
    others = [sum(weights[(t - k) % length] * returns[t] for t in range(length)) >= own for k in range(length)]
    report = evaluate(weights, returns * 0.01, n=length - 1)
    assert report.exact
    assert report.p_value == sum(others) / length
    assert not evaluate(weights, returns, n=length - 2 or 1).exact or length == 3


def test_sampling_adds_one_and_agrees_with_enumeration() -> None:
    rng = np.random.default_rng(5)
    weights, returns = holds(rng, 3000), rng.normal(0.0, 0.01, 3000)
    sampled, full = evaluate(weights, returns, n=2000), evaluate(weights, returns, n=2999)
    p, error = number(sampled.p_value), number(sampled.standard_error)
    assert (sampled.exact, full.exact, sampled.replicates, full.replicates) == (False, True, 2000, 3000)
    assert p * 2001 == pytest.approx(round(p * 2001))
    assert error == pytest.approx(math.sqrt(p * (1 - p) / 2001))
    assert abs(p - number(full.p_value)) < 4 * error
    assert sampled.statistic == full.statistic == pytest.approx(float(np.mean(weights * returns)))
    quantiles = [sampled.percentiles[q] for q in ("p05", "p25", "p50", "p75", "p95")]
    assert quantiles == sorted(quantiles)


@pytest.mark.parametrize("n", [200, 5000])
@pytest.mark.parametrize("weight", [1.0, 0.1, -1 / 3])
def test_a_position_that_never_changes_has_no_timing(n: int, weight: float) -> None:
    returns = np.random.default_rng(2).normal(0.001, 0.01, 1001)
    assert evaluate(np.full(1001, weight), returns, n=n).p_value == 1.0


def test_ties_by_rounding_are_ties() -> None:
    # Every shift earns the same three returns in another order of addition.
    returns = np.tile([0.1, 0.2, 0.3], 41)
    weights = np.repeat([1.0, 0.0], [3, 120])
    assert evaluate(weights, returns, n=1000).p_value == 1.0


@pytest.mark.parametrize(
    ("weights", "returns", "reason"),
    [
        (np.zeros(50), np.linspace(-1, 1, 50), "there is never a position"),
        (np.linspace(0, 1, 50), np.full(50, 0.01), "market returns do not vary"),
        (np.ones(2), np.array([0.1, 0.2]), "fewer than 3 bars"),
        (np.ones(0), np.ones(0), "fewer than 3 bars"),
    ],
)
def test_undefined_is_null_with_a_reason(weights: Floats, returns: Floats, reason: str) -> None:
    report = evaluate(weights, returns)
    assert report.reason == reason
    assert (report.p_value, report.statistic, report.standard_error, report.percentiles) == (None,) * 3 + ({},)


def test_arrays_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="one length"):
        evaluate(np.ones(5), np.ones(4))
    with pytest.raises(ValueError, match="finite"):
        evaluate(np.array([1.0, np.nan, 1.0]), np.ones(3))


@pytest.mark.parametrize("kind", [list, tuple, pd.Series])
def test_whatever_holds_numbers_is_taken(kind: Any) -> None:
    plain = Permutation().evaluate(
        np.array([1.0, 0.0, 1.0, 0.0, 0.0]), np.array([1.0, 2.0, 3.0, -1.0, 0.0]), 1, NoHooks()
    )
    assert Permutation().evaluate(kind([1, 0, 1, 0, 0]), kind([1, 2, 3, -1, 0]), 1, NoHooks()) == plain


def test_results_do_not_depend_on_chunks_or_strides(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(8)
    weights, returns = holds(rng, 997), rng.normal(0.0, 0.01, 997)
    whole = evaluate(weights, returns, n=500)
    column = np.stack([returns, returns], axis=1)[:, 0]
    assert evaluate(weights, column, n=500) == whole
    for products in (1, 997 * 7, 997 * 499):
        monkeypatch.setattr(permutation, "PRODUCTS_PER_CHUNK", products)
        assert evaluate(weights, returns, n=500) == whole
    assert evaluate(weights, returns, n=500, seed=43).p_value != whole.p_value


def test_hooks_hear_of_every_chunk_and_can_stop_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(permutation, "PRODUCTS_PER_CHUNK", 100 * 40)
    rng = np.random.default_rng(8)
    weights, returns = holds(rng, 100), rng.normal(0.0, 0.01, 100)
    recorder = Recorder()
    Permutation(n=90).evaluate(weights, returns, 1, recorder)
    assert [c[2]["done"] for c in recorder.calls if c[0] == "event"] == [40, 80, 90]
    fractions = [c[2] for c in recorder.calls if c[:2] == ("progress", "validation")]
    assert fractions == [40 / 90, 80 / 90, 1.0]

    class Stopping(Recorder):
        def progress(self, stage: Stage, fraction: float) -> None:
            super().progress(stage, fraction)
            raise CancelledError("stop")

    stopping = Stopping()
    with pytest.raises(CancelledError):
        Permutation(n=90).evaluate(weights, returns, 1, stopping)
    assert len(stopping.calls) == 2


@pytest.mark.parametrize("n", [0, 100_001, True, "1000", 10.5, None])
def test_bad_parameters_are_refused(n: object) -> None:
    with pytest.raises(ValidationError):
        Permutation.model_validate({"n": n})


def test_parameters_have_defaults_and_take_whole_floats() -> None:
    assert Permutation().model_dump() == {"n": 1000, "method": "cyclic"}
    dumped: Mapping[str, Any] = Permutation.model_validate({"n": 200.0}).model_dump()
    assert type(dumped["n"]) is int
    with pytest.raises(ValidationError):
        Permutation.model_validate({"method": "shuffle"})


def test_the_report_is_plain() -> None:
    report = evaluate(holds(np.random.default_rng(1), 300), np.random.default_rng(2).normal(size=300)).as_dict()
    assert report["parameters"] == {"n": 1000, "method": "cyclic"}
    assert (report["name"], report["seed"], report["exact"]) == ("permutation", 42, True)


def null_p_values(autocorrelation: float, length: int, n: int) -> list[float]:
    """p-values of positions drawn without a look at the returns."""
    values = []
    for seed in range(SIMULATIONS):
        rng = np.random.default_rng([seed, length])
        returns = rng.normal(0.0, 0.01, length)
        for t in range(1, length) if autocorrelation else ():
            returns[t] += autocorrelation * returns[t - 1]
        values.append(number(evaluate(holds(rng, length), returns, n=n, seed=seed).p_value))
    return values


def test_calibration_under_independent_returns() -> None:
    values = np.sort(null_p_values(0.0, length=1000, n=199))
    rate, error = float(np.mean(values <= 0.05)), math.sqrt(0.05 * 0.95 / SIMULATIONS)
    assert abs(rate - 0.05) <= 3 * error
    steps = np.arange(SIMULATIONS + 1) / SIMULATIONS
    distance = max(float((steps[1:] - values).max()), float((values - steps[:-1]).max()))
    assert distance < 1.63 / math.sqrt(SIMULATIONS) + 1 / 200  # Kolmogorov 1 %, plus the grid of 1/(B+1)


def test_calibration_under_autocorrelated_returns() -> None:
    rate = float(np.mean(np.array(null_p_values(0.5, length=600, n=599)) <= 0.05))
    assert abs(rate - 0.05) <= 3 * math.sqrt(0.05 * 0.95 / SIMULATIONS)


def test_power_and_direction() -> None:
    rejected = 0
    for seed in range(50):
        rng = np.random.default_rng(seed)
        returns = rng.normal(0.0, 0.01, 1000)
        foresight = np.repeat(np.sign(returns.reshape(50, 20).sum(axis=1)), 20)
        rejected += number(evaluate(foresight, returns, n=199).p_value) <= 0.05
        assert number(evaluate(-foresight, returns, n=199).p_value) > 0.95
    assert rejected == 50


def test_p_falls_as_foresight_grows() -> None:
    rng = np.random.default_rng(3)
    returns = rng.normal(0.0, 0.01, 2000)
    base = holds(rng, 2000)
    edges = [base + share * np.sign(returns) for share in (0.0, 0.05, 0.2)]
    values = [number(evaluate(w, returns).p_value) for w in edges]
    assert all(later <= earlier for earlier, later in pairwise(values))

"""What cannot be known is null with a reason, in every metric and every test; nothing non-finite leaves."""

import math
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np
import pytest

import engine
from engine.canonical import canonical_bytes, plain
from engine.data.bars import Series
from engine.metrics.core import DEFINITIONS
from engine.outcome import Result
from engine.validation.suite import SEARCHES, TESTS
from tests.engine.test_pipeline import FREE, HOLD, config, dataset, lively, series
from tests.engine.validation.test_suite import GRID, NEVER, SMALL

BARS = 800
FAR = {"stop_loss": 0.9, "take_profit": 0.9}
GRIDS = ("walk_forward", *SEARCHES)
IDLE = {"slow": [99_998, 99_999]}
ONCE = {"allow_short": False}


def asked(grid: Mapping[str, Any] | None) -> dict[str, Any]:
    """Every test; those over a grid only where there is one, for not every strategy has parameters."""
    kept: dict[str, Any] = {name: values for name, values in SMALL.items() if name not in GRIDS}
    if grid is None:
        return kept | {"walk_forward": {"windows": 3}}
    return kept | {name: dict(SMALL[name]) | {"grid": grid} for name in GRIDS}


def run(prices: Series, *, grid: Mapping[str, Any] | None = None, **changes: Any) -> Result:
    execution = FAR | changes.pop("execution", {})
    return engine.run(config(validation=asked(grid), execution=execution, **changes), dataset(A=prices))


def pierced(rows: slice, count: int = BARS) -> Series:
    """A market without prices in some bars."""
    prices = lively(3, count)
    for name in ("open", "high", "low", "close"):
        getattr(prices, name)[rows] = np.nan
    return prices


def steps(days: int = 33) -> Series:
    """Holding from the open of the second bar on earns the same every day."""
    closes = np.repeat(100.0 * 1.001 ** np.arange(1, days + 1), 24)
    closes[0] = 100.0
    return series(closes, np.concatenate(([100.0, 100.0], closes[1:-1])))


FALL_AND_RISE = np.concatenate((100.0 * 0.99 ** np.arange(100.0), 36.6 * 1.001 ** np.arange(700.0)))
LATE = np.concatenate((np.full(550, 100.0), lively(3, 250).close))
SHORT_AND_RUINED = np.concatenate((100.0 * 0.999 ** np.arange(300.0), np.full(500, 900.0)))
CASES: dict[str, Callable[[], Result]] = {
    "no trades": lambda: run(lively(3, BARS), strategy=NEVER, grid=IDLE),
    "one trade": lambda: run(series(FALL_AND_RISE), grid=GRID, execution=ONCE),
    "one trade held": lambda: run(lively(3, BARS), strategy=HOLD),
    "late": lambda: run(series(LATE), grid=GRID),
    "late, without a grid": lambda: run(series(LATE)),
    "flat": lambda: run(series([10.0] * BARS), grid=GRID, execution=FREE),
    "flat and held": lambda: run(series([10.0] * BARS), strategy=HOLD, execution=FREE),
    "constant returns": lambda: run(steps(), strategy=HOLD, execution=FREE),
    "total loss": lambda: run(series(SHORT_AND_RUINED), grid=GRID, execution=FREE),
    "one bar": lambda: run(series([10.0]), grid=GRID),
    "one bar held": lambda: run(series([10.0]), strategy=HOLD),
    "two bars": lambda: run(series([10.0, 11.0]), strategy=HOLD),
    "NaN at first": lambda: run(pierced(slice(0, 50)), grid=GRID),
    "NaN in the middle": lambda: run(pierced(slice(100, 140)), grid=GRID),
    "NaN but for three bars": lambda: run(pierced(slice(3, None)), grid=GRID),
    "NaN throughout": lambda: run(pierced(slice(None)), grid=GRID),
    "NaN throughout, held": lambda: run(pierced(slice(None)), strategy=HOLD),
    "one bar of NaN": lambda: run(pierced(slice(None), 1), strategy=HOLD),
}


@cache
def result(case: str) -> Result:
    return CASES[case]()


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Everything inside a value that is no mapping and no sequence, by where it is."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from leaves(inner, f"{path}/{key}")
    elif isinstance(value, (list, tuple)):
        for i, inner in enumerate(value):
            yield from leaves(inner, f"{path}/{i}")
    elif isinstance(value, np.ndarray):
        yield from leaves(value.tolist(), path)
    else:
        yield path, value


def not_finite(value: Any) -> list[str]:
    return [path for path, leaf in leaves(value) if isinstance(leaf, (float, np.floating)) and not math.isfinite(leaf)]


NO_NUMBERS = ("reason", "warning", "params", "signals", "fills", "parameters", "note")
"""What may be null without a reason: words, a reason itself, and bars at which nothing differs."""


def unexplained(value: Any, path: str = "", why: bool = False) -> list[str]:
    """Nulls with no ``reason`` beside them or above, and no ``<name>_reason``."""
    if isinstance(value, Mapping):
        told = why or bool(value.get("reason"))
        return [
            place
            for key, inner in value.items()
            if not key.endswith(NO_NUMBERS)
            for place in unexplained(inner, f"{path}/{key}", told or bool(value.get(f"{key}_reason")))
        ]
    if isinstance(value, (list, tuple)):
        return [place for i, inner in enumerate(value) for place in unexplained(inner, f"{path}/{i}", why)]
    return [path] if value is None and not why else []


@pytest.mark.parametrize("name", TESTS)
@pytest.mark.parametrize("case", CASES)
def test_every_test_knows_or_says_why_not(case: str, name: str) -> None:
    found = {report.name: report for report in result(case).validation}
    if name not in found:
        assert name in GRIDS, "only tests over a grid are left out"
        return
    report = found[name]
    assert not_finite(vars(report)) == []
    canonical_bytes(report.as_dict())
    assert unexplained(report.details, why=report.reason is not None) == []
    if report.statistic is None:
        assert report.reason
        assert (report.p_value, report.standard_error) == (None, None)
    if report.p_value is not None:
        assert 0.0 < report.p_value <= 1.0 or report.exact
    if report.reason is not None:
        assert report.reason.strip() == report.reason != ""
        assert report.p_value is None


@pytest.mark.parametrize("name", DEFINITIONS)
@pytest.mark.parametrize("case", CASES)
def test_every_metric_is_known_or_says_why_not(case: str, name: str) -> None:
    metric = result(case).metrics.get(name)
    if metric is None:
        assert name not in result("one trade").metrics
        return
    assert (metric.value is None) == bool(metric.reason)
    assert not_finite(metric.as_dict()) == []


@pytest.mark.parametrize("case", CASES)
def test_nothing_else_that_leaves_is_not_finite(case: str) -> None:
    of = result(case)
    for value in (of.summary(), of.data_report, of.snapshots(), list(of.warnings)):
        assert not_finite(value) == []
        canonical_bytes(plain(value))
    assert not_finite([of.ledger.path, of.ledger.cash, of.trades.pnl_net, of.targets.weights, of.signals.values]) == []


TRADED = {"no trades": 0, "one trade": 1, "one trade held": 1, "flat": 0, "flat and held": 1, "constant returns": 1}


@pytest.mark.parametrize("case", TRADED)
def test_the_cases_are_what_they_are_called(case: str) -> None:
    assert len(result(case).trades) == TRADED[case]


def test_constant_returns_are_those_of_a_bank() -> None:
    of = result("constant returns")
    days = of.ledger.path[::24]
    assert days[1:] / days[:-1] == pytest.approx(1.001, rel=1e-12)
    reasons = {report.name: report.reason for report in of.validation}
    assert reasons["block_bootstrap"] == reasons["sharpe"] == "returns do not vary"
    assert of.metrics["sharpe"].reason == "daily returns do not vary"
    assert float(result("total loss").ledger.path.min()) < 0.0


def test_the_walk_would_see_what_is_wrong() -> None:
    assert not_finite({"a": [1.0, {"b": np.float64("nan")}], "c": np.array([math.inf])}) == ["/a/1/b", "/c/0"]
    assert unexplained({"a": None, "b": {"value": None, "reason": "so"}, "c": None, "c_reason": "so"}) == ["/a"]

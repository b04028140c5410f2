"""The tests of a result on real runs: what they catch, what they leave alone, and that they repeat to the bit."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pytest
from pydantic import create_model

import engine
from engine.canonical import canonical_bytes
from engine.config import RunConfig
from engine.data.bars import Bars, Dataset, Series
from engine.data.synthetic import market
from engine.features.base import Feature, FeatureMatrix
from engine.registry import Frozen
from engine.strategies import Strategy, strategies
from engine.types import Floats
from engine.validation.base import Report
from tests.engine.test_pipeline import FREE, HOUR, START, config, dataset, lively
from tests.engine.validation.test_suite import EXITS, SMALL

MARKET = market(bars=24 * 150, seed=5)
BASE: dict[str, Any] = {
    "dataset": "synthetic",
    "symbols": ["SYNTH"],
    "strategy": {"name": "dual_sma", "params": {"fast": 10, "slow": 30}},
}


def reports(validation: dict[str, Any], data: Dataset = MARKET, **changes: Any) -> dict[str, Report]:
    return {r.name: r for r in engine.run(BASE | changes | {"validation": validation}, data).validation}


# --- a strategy that sees the future ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Later:
    """The close some bars later: what a negative shift in a data frame gives."""

    bars: int
    lookback: int = 1
    columns: tuple[str, ...] = ("close",)
    recursive: bool = False

    def compute(self, bars: Bars) -> Floats:
        later = bars.close.copy()
        later[: max(0, len(bars) - self.bars)] = bars.close[self.bars :]
        return later


class ClairvoyantParams(Frozen):
    ahead: int = 3


class Clairvoyant(Strategy):
    """Long before a rise, short before a fall."""

    name: Literal["clairvoyant"]
    params: ClairvoyantParams = ClairvoyantParams()

    def features(self) -> Mapping[str, Feature]:
        return {"later": Later(self.params.ahead), "now": Later(0)}

    def raw_signals(self, features: FeatureMatrix) -> Floats:
        signs: Floats = np.sign(features["later"] - features["now"])
        return signs


@pytest.fixture
def clairvoyant() -> Iterator[type[RunConfig]]:
    """A configuration that knows the strategy besides the others."""
    known = strategies.members()
    strategies.register(Clairvoyant)
    yield create_model("Wide", __base__=RunConfig, strategy=(strategies.union(), ...))
    del strategies._members["clairvoyant"]
    assert strategies.members() == known


@pytest.mark.parametrize("ahead", [1, 2, 5])
def test_a_strategy_that_sees_the_future_is_caught(clairvoyant: type[RunConfig], ahead: int) -> None:
    strategy = {"name": "clairvoyant", "params": {"ahead": ahead}}
    made = clairvoyant.model_validate(BASE | {"strategy": strategy, "validation": {"lookahead": True}})
    result = engine.run(made, MARKET)
    (found,) = result.validation
    failures = found.details["failures"]
    assert found.statistic == len(failures) > 5
    assert {f["bar"] for f in failures} <= set(range(len(MARKET.series["SYNTH"])))
    assert all(f["signals"] is not None or f["fills"] is not None for f in failures)
    # Two bars are taken up by the lags: a fill knows no more than its own bar.
    assert any(f["fills"] is not None for f in failures) == (ahead > 2)
    if ahead > 1:  # one bar ahead, one bar late: what is decided knows nothing that is not known by then
        earned = result.metrics["total_return"].value
        assert earned is not None
        assert earned > 1.0


@pytest.mark.parametrize("rules", [{}, {"feature_lag": 0}, {"end_policy": "close", **EXITS}, {"size_at": "fill"}])
@pytest.mark.parametrize("name", ["dual_sma", "ema_cross", "donchian_breakout", "rsi_reversion"])
def test_the_strategies_here_do_not_see_it(name: str, rules: dict[str, Any]) -> None:
    for risk in ("fixed_fraction", "volatility_target"):
        found = reports(
            {"lookahead": {"cuts": 15}}, strategy={"name": name}, execution=rules, risk={"name": risk, "params": {}}
        )["lookahead"]
        assert (found.statistic, found.details["failures"], found.replicates) == (0.0, [], 30)


# --- luck --------------------------------------------------------------------------------------------------------


def noise(seed: int) -> Dataset:
    """A random walk of 400 bars, and scores that know nothing of it."""
    rng = np.random.default_rng([seed, 77])
    closes = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, 400)))
    opens = np.concatenate(([100.0], closes[:-1]))
    score = np.repeat(rng.uniform(-1.0, 1.0, 40), 10)
    rows = (opens, np.maximum(opens, closes), np.minimum(opens, closes), closes, np.ones(400))
    return dataset("1d", A=Series(START + 24 * HOUR * np.arange(400, dtype=np.int64), *rows, extra={"score": score}))


@pytest.fixture(scope="module")
def lucky() -> dict[str, Floats]:
    """p-values of a random strategy without costs, by test."""
    random = {"name": "signal", "params": {"column": "score", "long_above": 0.2, "short_below": -0.2}}
    found: dict[str, list[float]] = {}
    for seed in range(120):
        for method in ("cyclic", "holding_periods"):
            tests: dict[str, Any] = {"permutation": {"n": 99, "method": method}}
            if method == "cyclic":
                tests |= {"bar_permutation": {"n": 29}, "block_bootstrap": {"n": 199}, "sharpe": {}}
            asked = config(strategy=random, validation=tests, execution=FREE, seed=seed)
            for report in engine.run(asked, noise(seed)).validation:
                name = method if report.name == "permutation" else report.name
                assert report.p_value is not None
                found.setdefault(name, []).append(report.p_value)
    return {name: np.sort(values) for name, values in found.items()}


@pytest.mark.parametrize(
    ("name", "grid"),
    [("cyclic", 100), ("holding_periods", 100), ("bar_permutation", 30), ("block_bootstrap", 200), ("sharpe", 10**9)],
)
def test_a_random_strategy_has_uniform_p_values(lucky: dict[str, Floats], name: str, grid: int) -> None:
    values = lucky[name]
    steps = np.arange(len(values) + 1) / len(values)
    distance = max(float((steps[1:] - values).max()), float((values - steps[:-1]).max()))
    assert distance < 1.63 / math.sqrt(len(values)) + 1 / grid  # Kolmogorov 1 %, plus the grid of 1/(B+1)


# --- what the reports are taken from -----------------------------------------------------------------------------


def test_a_grid_is_whole_runs_with_other_parameters() -> None:
    grid = {"fast": [5, 10, 40], "slow": [30, 60]}
    found = reports({"superiority": {"grid": grid, "n": 50}, "overfitting": {"grid": grid, "n": 10}})
    assert found["superiority"].details["refused"] == found["overfitting"].details["refused"] == 1
    best = found["superiority"].details["best"]
    runs = {
        (f, s): engine.run(BASE | {"strategy": {"name": "dual_sma", "params": {"fast": f, "slow": s}}}, MARKET)
        for f in grid["fast"]
        for s in grid["slow"]
        if f < s
    }
    # Of runs of one length with next to no autocorrelation the best statistic is nearly that of the best Sharpe ratio.
    ratios = {point: run.metrics["sharpe"].value or 0.0 for point, run in runs.items()}
    assert ratios[best["fast"], best["slow"]] > max(ratios.values()) - 0.3
    assert found["superiority"].details["strategies"] == len(runs) == 5


@pytest.mark.parametrize("seed", range(4))
def test_a_point_that_never_trades_earns_interest_and_no_ratio(seed: int) -> None:
    """Its returns are those of idle cash, beyond which nothing was earned: it is chosen in none of 10 splits."""
    grid = {"fast": [3], "slow": [8, 1000]}
    tests: dict[str, Any] = {
        "walk_forward": {"windows": 3, "grid": grid},
        "overfitting": {"grid": grid, "blocks": 4, "n": 20},
        "superiority": {"grid": grid, "n": 50},
        "cross_validation": {"grid": grid, "groups": 5, "tests": 2},
        "multiplicity": {"grid": grid},
        "plateau": {"points": 4},
    }
    asked = config(validation=tests, execution=FREE | {"cash_rate": 0.03}, seed=seed)
    found = {report.name: report for report in engine.run(asked, dataset(A=lively(seed, 960))).validation}
    chosen = found["cross_validation"].details["chosen"]
    assert {row["params"]["slow"]: row["splits"] for row in chosen} == {8: 10}
    assert found["cross_validation"].statistic is not None
    assert list(found) == list(tests)


def test_a_plateau_compares_with_runs_of_the_neighbours() -> None:
    changes = {"strategy": {"name": "dual_sma", "params": {"fast": 23, "slow": 59}}}
    found = reports({"plateau": {"points": 3, "metric": "total_return"}}, market(bars=5000), **changes)["plateau"]
    for row in found.details["neighbours"]:
        other = engine.run(BASE | {"strategy": {"name": "dual_sma", "params": row["params"]}}, market(bars=5000))
        assert row["value"] == pytest.approx(other.metrics["total_return"].value, rel=1e-9)


def test_a_walk_forward_window_knows_what_was_before_it() -> None:
    grid = {"fast": [10], "slow": [30]}
    found = reports({"walk_forward": {"windows": 3, "grid": grid, "metric": "total_return"}})["walk_forward"]
    for window in found.details["windows"]:
        # Warmed up by the bars before, the run trades within a day or two and not only after thirty bars.
        start = np.datetime64(window["test"]["start"][:-1]).astype("datetime64[ns]").astype(np.int64)
        bars = MARKET.series["SYNTH"].between(int(start), None)
        fresh = engine.run(BASE | {"start": window["test"]["start"], "end": window["test"]["end"]}, MARKET)
        assert len(bars) > 0
        assert window["out_of_sample"] != fresh.metrics["total_return"].value
        assert fresh.ledger.fills.bar[0] > 30


def test_startup_shows_what_a_recursive_indicator_forgets() -> None:
    ema = {"name": "ema_cross", "params": {"fast": 50, "slow": 400}}
    found = reports({"startup": {"starts": 10}}, strategy=ema)["startup"]
    assert found.statistic is not None
    assert found.statistic > 0.0
    assert reports({"startup": {"starts": 10}})["startup"].statistic == 0.0


# --- the same to the bit -----------------------------------------------------------------------------------------


def told(validation: dict[str, Any], **changes: Any) -> bytes:
    result = engine.run(config(validation=validation, execution=EXITS, **changes), dataset(A=lively(11, 800)))
    return canonical_bytes([report.as_dict() for report in result.validation])


def test_two_runs_are_identical() -> None:
    assert told(SMALL) == told(SMALL)


@pytest.mark.parametrize("name", SMALL)
def test_a_test_says_the_same_alone_as_among_others(name: str) -> None:
    together = engine.run(config(validation=SMALL, execution=EXITS), dataset(A=lively(11, 800))).validation
    alone = engine.run(config(validation={name: SMALL[name]}, execution=EXITS), dataset(A=lively(11, 800))).validation
    assert [report for report in together if report.name == name] == list(alone)


DRAWN = ("permutation", "bar_permutation", "block_bootstrap", "monte_carlo", "overfitting", "superiority", "plateau")


@pytest.mark.parametrize("name", SMALL)
def test_only_what_is_drawn_hangs_on_the_seed(name: str) -> None:
    one, two = (
        engine.run(
            config(validation={name: SMALL[name]}, execution=EXITS, seed=seed), dataset(A=lively(11, 800))
        ).validation[0]
        for seed in (1, 2)
    )
    plain = [report.as_dict() | {"seed": 0} for report in (one, two)]
    assert (plain[0] != plain[1]) == (name in DRAWN)


@pytest.mark.parametrize("align", ["intersection", "union"])
@pytest.mark.parametrize("name", [name for name in SMALL if name != "ambiguity"])
def test_every_test_judges_an_account_of_several_symbols(name: str, align: str) -> None:
    data = dataset(A=lively(11, 400), B=lively(12, 420).slice(20, 420), C=lively(13, 400))
    portfolio = {"align": align, "redundancy": "scale", "limits": {"max_gross_exposure": 0.9}}
    asked = config(symbols=["A", "B", "C"], portfolio=portfolio, validation={name: SMALL[name]}, execution=EXITS)
    (report,) = engine.run(asked, data).validation
    assert (report.statistic is None) == (report.reason is not None)
    assert canonical_bytes(report.as_dict())

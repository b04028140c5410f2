"""A sweep is its children, and each child is the run of its configuration to the bit."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import engine
from engine.config import RunConfig, parse_config
from engine.data.bars import COLUMNS, Bars, Dataset
from engine.errors import CancelledError, ConfigError, DataError
from engine.execution import round_trips
from engine.features import FeatureCache
from engine.features.cache import Key
from engine.hooks import NoHooks, Recorder, Stage
from engine.outcome import Result
from engine.pieces import NOTHING, Shared
from engine.pipeline import Market, market_of
from engine.results import Ledger
from engine.subject import Ran, subject_of
from engine.sweeps import Sweep
from engine.types import Floats
from engine.validation.days import daily_returns, day_ends
from engine.validation.suite import Subject
from tests.engine.strategies.cases import OTHER, SMALL
from tests.engine.test_pipeline import config, dataset, gappy, lively, series

COUNT = 900
DATA = dataset(A=lively(1, COUNT), B=lively(2, COUNT).slice(7, COUNT), C=lively(3, COUNT).slice(0, COUNT - 90))
GRID = {"fast": [3, 5], "slow": [8, 12]}
ALL = {"symbols": ["A", "B", "C"]}
CASES: dict[str, dict[str, Any]] = {
    "one symbol": {},
    "no feature lag": {"execution": {"feature_lag": 0, "stop_loss": 0.02}},
    "bars of four hours": {"timeframe": "4h"},
    "a part of the period": {"start": "2020-01-05T00:00:00Z", "fraction": 0.5, "portion": 2},
    "a benchmark": {"benchmark": "B"},
    "limits": {"portfolio": {"limits": {"max_drawdown": 0.1}}},
    "a sizing that looks back": {"risk": {"name": "volatility_target", "params": {"lookback": 15}}},
    "an indicator beside": {"indicators": [{"name": "ema", "params": {"length": 9}, "as": "mean"}]},
    "common bars of three": ALL,
    "all bars of three": ALL | {"portfolio": {"align": "union", "weighting": "hrp"}},
    "own parameters": ALL | {"portfolio": {"parameters": {"B": {"fast": 4}}}},
    "with tests": {"validation": {"permutation": {"n": 20}}},
}


def child(asked: Mapping[str, Any], params: Mapping[str, Any]) -> Result:
    """The run of a point, as somebody writes it who knows nothing of sweeps."""
    strategy = dict(asked["strategy"])
    return engine.run({**asked, "strategy": strategy | {"params": strategy.get("params", {}) | params}}, DATA)


def assert_runs(found: Sweep, asked: Mapping[str, Any]) -> None:
    """Every child is the run of its point, and its column that run's daily returns."""
    assert found.returns is not None
    columns = dict(zip(found.columns, found.returns.T, strict=True))
    for k, one in enumerate(found.children):
        run = child(asked, one.params)
        assert (one.hash, one.run_id) == (run.hash, run.run_id)
        assert list(one.metrics.items()) == list(run.metrics.items())
        assert one.warnings == run.warnings
        daily = daily_returns(run.ledger, day_ends(run.bars))
        assert (k in columns) == (daily.reason is None)
        if k in columns:
            assert columns[k].tobytes() == daily.returns.tobytes()


@pytest.mark.parametrize("case", CASES)
def test_a_child_is_the_run_of_its_configuration_to_the_bit(case: str) -> None:
    asked = config(**CASES[case])
    found = engine.sweep(asked, DATA, GRID, returns=True)
    assert [dict(one.params) for one in found.children] == [
        {"fast": fast, "slow": slow} for fast in GRID["fast"] for slow in GRID["slow"]
    ]
    assert len(found.columns) == 4
    assert_runs(found, asked)


@pytest.mark.parametrize("name", [name for name in SMALL if SMALL[name]])
def test_every_strategy_can_be_swept(name: str) -> None:
    asked = config(strategy={"name": name, "params": SMALL[name]})
    parameter = next(iter(SMALL[name]))
    values = [SMALL[name][parameter], OTHER[name][parameter]]
    assert_runs(engine.sweep(asked, DATA, {parameter: values}, returns=True), asked)


def test_threads_and_a_cache_of_any_size_change_nothing() -> None:
    asked = config(**ALL)
    plain = engine.sweep(asked, DATA, GRID, returns=True)
    with ThreadPoolExecutor(3) as pool:
        threaded = engine.sweep(asked, DATA, GRID, returns=True, mapper=pool.map)
    for other in (threaded, engine.sweep(asked, DATA, GRID, returns=True, cache=FeatureCache(0))):
        assert other.children == plain.children
        assert other.returns is not None
        assert plain.returns is not None
        assert other.returns.tobytes() == plain.returns.tobytes()
    assert engine.sweep(asked, DATA, GRID).returns is None


class TestRefusals:
    def test_what_the_strategy_refuses_is_listed_and_the_rest_runs(self) -> None:
        found = engine.sweep(config(), DATA, {"fast": [3, 8, 9], "slow": [8, 10]}, returns=True)
        refused = [dict(one.params) for one in found.children if one.reason is not None]
        assert refused == [{"fast": 8, "slow": 8}, {"fast": 9, "slow": 8}]
        for place, one in enumerate(found.children):
            assert (one.hash is None) == (one.metrics == {}) == (one.reason is not None)
            assert (place in found.columns) == (one.reason is None)
        assert "fast" in str(found.children[2].reason)

    def test_what_only_the_whole_configuration_refuses_is_listed_too(self) -> None:
        asked = config(**ALL, portfolio={"parameters": {"B": {"fast": 6}}})
        found = engine.sweep(asked, DATA, {"slow": [5, 8]})
        assert [one.hash is None for one in found.children] == [True, False]
        score = {"name": "signal", "params": {"column": "close", "long_above": 1.0}}
        columns = engine.sweep(config(strategy=score), DATA, {"column": ["nothing", "close"]})
        assert columns.children[0].reason is not None
        assert "A has no column 'nothing'" in columns.children[0].reason

    @pytest.mark.parametrize(
        ("grid", "pointer", "says"),
        [
            ({"fast": [9, 10]}, "/grid", "none of 2 points can be run; the first because"),
            ({"fats": [3], "slow": [9]}, "/grid/fats", "Did you mean 'fast'"),
            ({"fast": [3, 3]}, "/grid", "twice"),
            ({"fast": []}, "/grid/fast", "at least 1"),
            ({"a/b": [1]}, "/grid/a~1b", "no such parameter"),
            ({}, "/grid", "at least 1"),
            ({"fast": list(range(1, 1001)), "slow": list(range(1001, 1012))}, "/grid", "more than 10000"),
        ],
    )
    def test_a_grid_that_is_none(self, grid: dict[str, list[Any]], pointer: str, says: str) -> None:
        with pytest.raises(ConfigError) as caught:
            engine.sweep(config(), DATA, grid)
        assert caught.value.fields[0].pointer == pointer
        assert says in caught.value.message

    def test_accounts_that_are_independent(self) -> None:
        with pytest.raises(ConfigError, match="sweep each symbol by itself"):
            engine.sweep(config(**ALL, portfolio={"mode": "independent"}), DATA, GRID)

    def test_what_a_run_refuses(self) -> None:
        with pytest.raises(DataError, match="no symbol Z"):
            engine.sweep(config(symbols=["Z"]), DATA, GRID)
        with pytest.raises(ConfigError, match="no bar is left"):
            engine.sweep(config(start="2030-01-01T00:00:00Z"), DATA, GRID)


@pytest.mark.parametrize(
    "values", [range(3, 6), np.arange(3, 6), pd.Series([3, 4, 5]), [np.int64(3), 4, np.int32(5)]], ids=type
)
def test_values_as_a_notebook_has_them(values: Any) -> None:
    plain = engine.sweep(config(), DATA, {"fast": [3, 4, 5]})
    assert engine.sweep(config(), DATA, {"fast": values}) == plain
    single: Any = np.array(3)
    with pytest.raises(ConfigError, match="a list is needed"):
        engine.sweep(config(), DATA, {"fast": single})


def test_a_ruined_child_has_metrics_and_no_returns() -> None:
    data = dataset(A=series([*np.linspace(100.0, 50.0, 30), *[300.0] * 10]))
    found = engine.sweep(config(), data, {"slow": [8, 39]}, returns=True)
    assert [w["code"] for w in found.children[0].warnings][:1] == ["RUIN"]
    assert found.children[0].metrics["sharpe"].reason == "equity is at or below zero"
    assert found.columns == (1,)
    assert found.returns is not None
    assert found.returns.shape == (2, 1)


def test_a_frame_has_a_row_for_each_point() -> None:
    frame = engine.sweep(config(), DATA, {"fast": [3, 9], "slow": [8, 12]}).to_frame()
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns[:4]) == ["fast", "slow", "hash", "total_return"]
    assert frame[["fast", "slow"]].to_numpy().tolist() == [[3, 8], [3, 12], [9, 8], [9, 12]]
    assert frame["sharpe"].isna().tolist() == frame["hash"].isna().tolist() == [False, False, True, False]
    assert frame["reason"].notna().tolist() == [False, False, True, False]
    table = frame.pivot_table(index="fast", columns="slow", values="sharpe")
    assert table.loc[3, 12] == child(config(), {"slow": 12}).metrics["sharpe"].value


# --- what is computed once ---------------------------------------------------------------------------------------


class Counting(FeatureCache):
    """Says which features were computed."""

    def __init__(self) -> None:
        super().__init__(10**8)
        self.computed: list[Key] = []

    def put(self, key: Key, values: Floats) -> Floats:
        self.computed.append(key)
        return super().put(key, values)


@pytest.mark.parametrize("case", ["one symbol", "common bars of three", "all bars of three"])
def test_every_feature_is_computed_once_and_a_second_sweep_only_computes_what_is_new(case: str) -> None:
    asked, cache = config(**CASES[case]), Counting()
    symbols = len(asked["symbols"])
    engine.sweep(asked, DATA, GRID, cache=cache)
    assert len(cache.computed) == len(set(cache.computed)) == 4 * symbols  # averages of 3, 5, 8 and 12
    engine.sweep(asked, DATA, {"fast": [3, 5], "slow": [8, 12, 15]}, cache=cache)
    assert len(cache.computed) == len(set(cache.computed)) == 5 * symbols
    engine.run(asked, DATA, cache=cache)
    assert len(cache.computed) == 5 * symbols


def test_features_of_common_bars_are_not_those_of_all() -> None:
    cache = Counting()
    both = [config(**CASES[case]) for case in ("common bars of three", "all bars of three", "one symbol")]
    for asked in (*both, *both):
        cached, plain = engine.run(asked, DATA, cache=cache), engine.run(asked, DATA)
        assert cached.signals.values.tobytes() == plain.signals.values.tobytes()
    assert len(cache.computed) == 2 * (3 + 3)  # A of one symbol has the rows that A of all bars has


def test_searches_in_a_run_share_its_features() -> None:
    tests = {
        "walk_forward": {"windows": 3, "grid": GRID},
        "overfitting": {"grid": GRID, "blocks": 2, "n": 5},
        "superiority": {"grid": {"fast": [3, 5], "slow": [8, 12, 20]}, "n": 5},
    }
    cache = Counting()
    found = engine.run(config(validation=tests), DATA, cache=cache)
    assert len(cache.computed) == len(set(cache.computed)) == 5
    alone = engine.run(config(validation=tests), DATA, cache=FeatureCache(0))
    assert [report.as_dict() for report in found.validation] == [report.as_dict() for report in alone.validation]


# --- runs again, inside a run ------------------------------------------------------------------------------------


def subject(cache: FeatureCache | None, **changes: Any) -> tuple[Subject, RunConfig, Market]:
    """What the tests of a run may ask of it."""
    asked = parse_config(config(**changes)).resolve(DATA)
    market = market_of(asked, DATA, asked.window.bars(DATA))
    run = engine.run(asked, DATA)
    ran = Ran(run.signals, run.targets, run.together, run.ledger, run.trades)
    shared = NOTHING if cache is None else Shared(market.digests, cache, whole=market.panel)
    return subject_of(asked, market.panel, ran, shared, NoHooks()), asked, market


def account(ledger: Ledger, bars: Bars) -> list[bytes]:
    """Everything that happened on an account."""
    trades = round_trips(ledger, bars)
    parts = [vars(ledger.orders), vars(ledger.fills), vars(trades)]
    return [ledger.path.tobytes(), *(v.tobytes() for part in parts for v in part.values() if isinstance(v, np.ndarray))]


def copied(bars: Bars) -> Bars:
    """The same bars in other memory."""
    arrays = {name: getattr(bars, name).copy() for name in ("time", *COLUMNS, "tradable")}
    return replace(bars, **arrays)


@pytest.mark.parametrize("case", ["one symbol", "common bars of three", "all bars of three", "own parameters"])
def test_a_run_again_is_the_run(case: str) -> None:
    cache = Counting()
    of, _, market = subject(cache, **CASES[case])
    for params in ({"fast": 3, "slow": 8}, {"fast": 5}, {"fast": 5, "slow": 12}):
        again = of.refit(params, of.bars, 0)
        run = child(config(**CASES[case]), params)
        assert account(again, market.panel.bars) == account(run.ledger, run.bars)
    assert len(cache.computed) == len(set(cache.computed)) > 0


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("symbols", [["A"], ["A", "B", "C"]])
def test_the_beginning_of_the_bars_gives_what_those_bars_alone_give(name: str, symbols: list[str]) -> None:
    cache = Counting()
    params: dict[str, Any] = {"params": SMALL[name]} if SMALL[name] else {}
    of = subject(cache, symbols=symbols, strategy={"name": name} | params)[0]
    count = len(of.bars)
    for end, first in ((count, 0), (count, 300), (700, 300), (301, 300), (700, 0), (20, 0), (1, 0)):
        shared = of.bars.slice(0, end)
        computed = len(cache.computed)
        once = of.refit(OTHER[name], shared, first)
        alone = of.refit(OTHER[name], copied(shared), first)
        assert account(once, shared) == account(alone, shared)
        assert not np.any(once.orders.decided_bar < first)
        assert (len(cache.computed) == computed) or end == count
    assert of.refit(OTHER[name], of.bars, 300).path.tolist() != of.refit(OTHER[name], of.bars, 0).path.tolist()


def test_bars_that_only_look_alike_are_computed_anew() -> None:
    """The test of look-ahead asks what other bars at the same times give: nothing kept may answer."""
    cache = Counting()
    of = subject(cache)[0]
    of.refit({"fast": 5}, of.bars, 0)
    computed = len(cache.computed)
    other = replace(copied(of.bars), close=of.bars.close[::-1].copy())
    for bars in (other, copied(of.bars), of.bars.slice(1, len(of.bars))):
        assert not bars.begins(of.bars)
        of.refit({"fast": 5}, bars, 0)
        of.rerun(bars)
        of.signals_of(bars)
    of.rerun(of.bars)
    of.signals_of(of.bars)
    assert len(cache.computed) == computed
    assert of.refit({"fast": 5}, other, 0).path.tolist() != of.refit({"fast": 5}, of.bars, 0).path.tolist()


def test_which_bars_begin_others() -> None:
    one = market_of(*_asked(DATA)).panel.bars
    assert one.begins(one)
    assert one.slice(0, 5).begins(one)
    assert one.slice(0, 0).begins(one)
    assert not one.begins(one.slice(0, 5))
    assert not one.slice(1, 5).begins(one)
    assert not copied(one).begins(one)
    assert not replace(one, volume=one.volume.copy()).begins(one)
    assert not replace(one, symbols=("Z",)).begins(one)
    assert not replace(one, extra={"score": one.close}).begins(one)


def _asked(data: Dataset) -> tuple[RunConfig, Dataset, Any]:
    asked = parse_config(config()).resolve(data)
    return asked, data, asked.window.bars(data)


def test_refused_parameters_are_refused_again() -> None:
    of = subject(FeatureCache(10**8))[0]
    with pytest.raises(ConfigError, match="fast"):
        of.refit({"fast": 30}, of.bars, 0)


# --- what the outside is told ------------------------------------------------------------------------------------


def test_hooks_see_progress_and_no_stage_of_a_child() -> None:
    hooks = Recorder()
    engine.sweep(config(), DATA, GRID, hooks=hooks)
    stages = [(name, ended) for kind, name, ended in hooks.calls if kind == "stage"]
    assert stages == [("data", False), ("data", True), ("execution", False), ("execution", True)]
    told = [value for kind, name, value in hooks.calls if kind == "progress"]
    assert told == sorted(told)
    assert set(told) >= {0.25, 0.5, 0.75, 1.0}
    assert not [name for kind, name, _ in hooks.calls if kind == "event"]


def test_a_hook_stops_it_between_children_and_inside_one() -> None:
    class Stop(NoHooks):
        def __init__(self, after: int) -> None:
            self.left = after

        def progress(self, stage: Stage, fraction: float) -> None:
            del stage, fraction
            self.left -= 1
            if self.left < 0:
                raise CancelledError("enough")

    whole = Recorder()
    engine.sweep(config(**ALL), DATA, GRID, hooks=whole)
    calls = sum(kind == "progress" for kind, *_ in whole.calls)
    assert calls > 4 * 4
    for after in (0, 1, calls // 2, calls - 1):
        with pytest.raises(CancelledError):
            engine.sweep(config(**ALL), DATA, GRID, hooks=Stop(after))


def test_a_market_that_stands_still_can_be_swept() -> None:
    found = engine.sweep(config(), dataset(A=series([5.0] * 40)), GRID, returns=True)
    assert found.returns is not None
    assert not found.returns.any()
    assert {one.metrics["sharpe"].value for one in found.children} == {None}
    short = engine.sweep(config(), dataset(A=gappy(count=1)), GRID, returns=True)
    assert short.columns == (0, 1, 2, 3)

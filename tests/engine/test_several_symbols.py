"""Several symbols through the whole engine: one account for all, or one for each."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar, Literal

import numpy as np
import pytest

import engine
from engine.canonical import canonical_bytes, plain
from engine.data.bars import Series
from engine.errors import ConfigError
from engine.features.base import Column, Feature, FeatureMatrix
from engine.hooks import Recorder
from engine.outcome import Result
from engine.results import Cause, Reason
from engine.strategies import Strategy, strategies
from engine.types import Floats
from tests.engine.test_pipeline import HOLD, HOUR, START, config, dataset, gappy, lively, series

THREE = {"symbols": ["A", "B", "C"]}
DATA = dataset(A=lively(1), B=lively(2), C=lively(3))


def together(data: Any = DATA, portfolio: Mapping[str, Any] | None = None, **changes: Any) -> Result:
    return engine.run(config(**(THREE | changes), portfolio=dict(portfolio or {})), data)


def bytes_of(result: Result) -> bytes:
    tables = {name: frame.rows() for name, frame in result.tables.items()}
    return canonical_bytes(plain(result.summary())) + repr(tables).encode()


class TestIndependent:
    def test_every_part_is_the_run_of_its_symbol_alone(self) -> None:
        result = together(portfolio={"mode": "independent"})
        assert list(result.parts) == ["A", "B", "C"]
        for symbol, part in result.parts.items():
            alone = engine.run(config(symbols=[symbol]), DATA)
            assert part.hash == alone.hash
            assert bytes_of(part) == bytes_of(alone)

    def test_the_whole_is_the_sum_of_its_parts(self) -> None:
        late = lively(3).slice(50, 300)
        result = together(dataset(A=lively(1), B=lively(2).slice(0, 200), C=late), {"mode": "independent"})
        assert result.ledger.initial_capital == 300_000.0
        for part in result.parts.values():
            at = np.searchsorted(result.bars.time, part.bars.time)
            assert (np.diff(at) == 1).all()
        final = sum(float(part.ledger.equity[-1]) for part in result.parts.values())
        assert float(result.ledger.equity[-1]) == pytest.approx(final, rel=1e-12)
        assert len(result.trades) == sum(len(part.trades) for part in result.parts.values())
        assert result.trades.pnl_net.sum() == pytest.approx(final - 300_000.0)
        bars = [part.ledger.fills.bar for part in result.parts.values()]
        assert len(result.ledger.fills) == sum(map(len, bars))
        assert (np.diff(result.ledger.fills.bar) >= 0).all()

    def test_marks_are_those_of_the_parts_on_the_clock_of_all(self) -> None:
        late = lively(3).slice(50, 300)
        result = together(dataset(A=lively(1), B=lively(2).slice(0, 200), C=late), {"mode": "independent"})
        marks = [result.ledger.mark_of(i) for i in range(3)]
        for symbol, mark in zip("ABC", marks, strict=True):
            part = result.parts[symbol]
            at = np.searchsorted(result.bars.time, part.bars.time)
            np.testing.assert_array_equal(mark[at], part.ledger.mark[:, 0])
        assert np.isnan(marks[2][:50]).all()
        assert (marks[1][200:] == marks[1][199]).all()
        np.testing.assert_array_equal(result.ledger.mark, np.column_stack(marks))
        with pytest.raises(AttributeError, match="remarks"):
            _ = result.ledger.remarks  # type: ignore[attr-defined]

    def test_a_symbol_that_cannot_be_run_is_left_out_with_a_warning(self) -> None:
        scored = Series(*(getattr(lively(2), c) for c in ("time", "open", "high", "low", "close", "volume")),
                        extra={"score": np.sin(np.arange(300.0))})  # fmt: skip
        rule = {"name": "signal", "params": {"column": "score", "long_above": 0.5}}
        result = together(dataset(A=lively(1), B=scored, C=lively(3)), {"mode": "independent"}, strategy=rule)
        assert list(result.parts) == ["B"]
        assert [w["code"] for w in result.warnings][:2] == ["SYMBOL_SKIPPED", "SYMBOL_SKIPPED"]
        assert "A is left out: A has no column 'score'" in result.warnings[0]["message"]
        with pytest.raises(ConfigError, match=r"A has no column 'score'.*C has no column 'score'"):
            together(dataset(A=lively(1), B=scored, C=lively(3)), strategy=rule)

    def test_a_symbol_without_bars_in_the_period_is_left_out_and_refuses_a_portfolio(self) -> None:
        data = dataset(A=lively(1), B=lively(2).slice(0, 100), C=lively(3).slice(0, 120))
        period: dict[str, Any] = {"start": "2020-01-10T00:00:00Z"}
        result = together(data, {"mode": "independent"}, **period)
        assert list(result.parts) == ["A"]
        with pytest.raises(ConfigError, match=r"no bar is left of B.*no bar is left of C"):
            together(data, **period)

    @pytest.mark.parametrize("mode", ["portfolio", "independent"])
    def test_threads_change_nothing(self, mode: str) -> None:
        asked = config(**THREE, portfolio={"mode": mode})
        with ThreadPoolExecutor(3) as pool:
            threaded = engine.run(asked, DATA, mapper=pool.map)
        assert bytes_of(threaded) == bytes_of(engine.run(asked, DATA))


class Broken(Strategy):
    """Fails on prices above a bound."""

    name: Literal["broken_above"] = "broken_above"
    params: ClassVar[Any] = None

    def features(self) -> Mapping[str, Feature]:
        return {"close": Column("close")}

    def raw_signals(self, features: FeatureMatrix) -> Floats:
        if np.nanmax(features["close"]) > 1000.0:
            raise ZeroDivisionError
        return np.sign(features["close"] - np.nanmean(features["close"][:20]))


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package's strategy that cannot bear high prices."""
    monkeypatch.setattr(engine.config.run.RunConfig, "strategy_of", lambda *_: Broken())
    assert "broken_above" not in strategies.members()


@pytest.mark.parametrize("mode", ["portfolio", "independent"])
def test_an_error_in_one_symbol_stays_there(broken: None, mode: str) -> None:
    dear = series(5000.0 + 10.0 * np.arange(300.0))
    result = together(dataset(A=lively(1), B=dear, C=lively(3)), {"mode": mode})
    codes = [w["code"] for w in result.warnings]
    assert ("SYMBOL_FAILED" if mode == "portfolio" else "SYMBOL_SKIPPED") in codes
    assert any("ZeroDivisionError" in w["message"] for w in result.warnings)
    traded = {result.bars.symbols[i] for i in result.ledger.fills.asset.tolist()}
    assert traded == {"A", "C"}
    if mode == "portfolio":
        told = [(e["symbol"], e["state"], e["reason"]) for e in result.summary()["events"]]
        assert told == [("B", "failed", "its computation failed")]
        assert "SYMBOL_ENDED" not in codes
        # It is not active, so the others share all of the account.
        assert result.weighting is not None
        assert result.weighting.values.tolist() == [[0.5, 0.0, 0.5]]


class TestClock:
    def test_the_intersection_is_taken_before_features_and_losses_are_reported(self) -> None:
        holes = np.r_[0:100, 110:300]
        data = dataset(A=gappy(1), B=gappy(2).take(holes), C=gappy(3))
        result = together(data)
        assert len(result.bars) == 290
        rows = result.data_report["symbols"]
        assert [rows[s]["lost_to_alignment"] for s in "ABC"] == [10, 0, 10]
        only = engine.run(config(symbols=["A"]), dataset(A=gappy(1).take(holes)))
        np.testing.assert_array_equal(result.signals.values[:, 0], only.signals.values[:, 0])

    def test_under_a_union_features_use_own_bars_and_missing_ones_are_untradable(self) -> None:
        holes = np.r_[0:100, 110:300]
        data = dataset(A=gappy(1), B=gappy(2).take(holes), C=gappy(3))
        result = together(data, {"align": "union"})
        assert len(result.bars) == 300
        own = engine.run(config(symbols=["B"]), data)
        np.testing.assert_array_equal(result.signals.values[holes, 1], own.signals.values[:, 0])
        assert not result.bars.tradable[100:110, 1].any()
        fills = result.ledger.fills
        assert not set(fills.bar[fills.asset == 1].tolist()) & set(range(100, 110))
        np.testing.assert_array_equal(result.ledger.mark[100:110, 1], result.bars.close[99, 1])

    def test_a_symbol_that_ends_is_closed_at_its_last_close_on_the_next_bar(self) -> None:
        data = dataset(A=gappy(1), B=gappy(2).slice(0, 120), C=gappy(3))
        result = together(data, {"align": "union"}, strategy=HOLD)
        ended = result.ledger.orders.cause == Cause.ENDED
        assert result.ledger.orders.asset[ended].tolist() == [1]
        (fill,) = np.flatnonzero(result.ledger.fills.order == np.flatnonzero(ended)[0])
        assert result.ledger.fills.bar[fill] == 120
        assert result.ledger.fills.price[fill] == pytest.approx(data.series["B"].close[119] * (1 - 1e-4))
        assert result.ledger.fills.commission[fill] > 0.0
        (event,) = result.summary()["events"]
        assert (event["symbol"], event["state"]) == ("B", "inactive")
        assert result.weighting is not None
        assert result.weighting.values.tolist() == [[1 / 3, 1 / 3, 1 / 3], [0.5, 0.0, 0.5]]
        assert result.snapshots()[-1]["inactive"] == ["B"]

    @pytest.mark.parametrize(
        "model", [{"name": "participation_rate", "params": {"impact": 0.2}}, {"name": "square_root"}]
    )
    def test_a_symbol_that_ends_moves_the_market_of_its_last_bar(self, model: dict[str, Any]) -> None:
        """The panel bar it leaves on has no volume: the whole impact would be 20 %, or 99 %."""
        own = lively(2).slice(0, 120)
        data = dataset(A=lively(1), B=own, C=lively(3))
        result = together(data, {"align": "union"}, strategy=HOLD, execution={"slippage": model, "slippage_bps": 0.0})
        assert result.bars.volume[120, 1] == 0.0
        fills = result.ledger.fills
        fill = np.flatnonzero((fills.asset == 1) & (fills.bar == 120))[0]
        held, close = -float(fills.quantity[fill]), own.close
        assert 0.0 < held < own.volume[119]
        impact = 0.2 * held / own.volume[119]
        if model["name"] == "square_root":
            returns = close[100:] / close[99:-1] - 1.0
            impact = float(np.std(returns, ddof=1) * np.sqrt(held / np.mean(own.volume[100:])))
        assert fills.price[fill] == pytest.approx(close[119] * (1.0 - impact), rel=1e-12)

    def test_no_common_bar_is_refused(self) -> None:
        data = dataset(A=gappy(1).slice(0, 100), B=gappy(2).slice(100, 300), C=gappy(3))
        with pytest.raises(ConfigError, match="no bar that all symbols have"):
            together(data)

    @pytest.mark.parametrize("align", ["intersection", "union"])
    def test_a_portion_is_one_span_of_time_for_all(self, align: str) -> None:
        data = dataset(A=gappy(1), B=gappy(2).slice(100, 300), C=gappy(3))
        result = together(data, {"align": align}, fraction=0.5, portion=2)
        clock = 300 if align == "union" else 200
        assert len(result.bars) == clock // 2
        assert result.bars.time[-1] == START + 299 * HOUR


def test_per_symbol_parameters_costs_and_limits() -> None:
    own = {"parameters": {"B": {"fast": 5}}, "limits": {"per_symbol": {"C": {"max_symbol_weight": 0.05}}}}
    costs = {"per_symbol": {"A": {"commission": {"bps": 50.0}}}}
    result = together(portfolio=own, execution=costs)
    alone = engine.run(config(symbols=["B"], strategy={"name": "dual_sma", "params": {"fast": 5, "slow": 8}}), DATA)
    np.testing.assert_array_equal(result.signals.values[:, 1], alone.signals.values[:, 0])
    orders = result.ledger.orders
    assert np.abs(orders.weight[orders.asset == 2]).max() <= 0.05 * (1 + 1e-12)
    fills = result.ledger.fills
    rate = fills.commission / np.abs(fills.quantity * fills.price)
    assert rate[fills.asset == 0] == pytest.approx(5e-3)
    assert rate[fills.asset == 1] == pytest.approx(5e-4)


def test_a_pair_that_moves_as_one_is_halved_and_says_with_whom() -> None:
    """rho is 1: each of two equal weights is divided by 1 + 1."""
    path = gappy(4)
    prices = [2.0 * getattr(path, c) for c in ("open", "high", "low", "close")]
    twin = Series(path.time, prices[0], prices[1], prices[2], prices[3], path.volume)
    data = dataset(A=path, B=twin, C=gappy(9))
    free = together(data, {"redundancy": "off"}, strategy=HOLD, execution={"rebalance": {"name": "every_bar"}})
    scaled = together(data, strategy=HOLD, execution={"rebalance": {"name": "every_bar"}})
    at = 60  # a window of 60 returns is there, provisional
    weights = {}
    for name, result in (("free", free), ("scaled", scaled)):
        orders = result.ledger.orders
        mine = (orders.asset == 0) & (orders.decided_bar == at)
        weights[name] = float(orders.weight[mine][0])
    assert weights["scaled"] == pytest.approx(weights["free"] / 2.0)
    table = scaled.tables["orders"].filter(scaled.tables["orders"]["symbol"] == "A").to_dicts()
    told = next(row for row in table if row["correlation_partner"] is not None)
    assert (told["correlation_partner"], told["scale_reason"]) == ("B", "CORRELATED")
    assert (told["correlation"], told["correlation_factor"]) == (pytest.approx(1.0), pytest.approx(0.5))
    assert together(data, {"redundancy": "off"}).tables["trades"]["correlation_adjusted"].any() is False


def test_limits_stop_and_say_so() -> None:
    falling = series(np.r_[np.full(20, 100.0), 100.0 * 0.97 ** np.arange(280)])
    data = dataset(A=falling, B=gappy(2), C=gappy(3))
    result = together(data, {"limits": {"max_drawdown": 0.1}, "redundancy": "off"}, strategy=HOLD)
    causes = result.ledger.orders.cause.tolist()
    assert causes.count(Cause.DRAWDOWN) == 3
    assert float(result.ledger.equity[-1]) == pytest.approx(float(result.ledger.cash[-1]))
    assert result.summary()["events"][-1]["symbol"] is None
    daily = together(data, {"limits": {"max_symbol_daily_loss": 0.01}}, strategy={"name": "dual_sma"})
    assert Cause.DAILY_LOSS in daily.ledger.orders.cause.tolist()
    most = together(portfolio={"limits": {"max_positions": 1}})
    assert Reason.MAX_POSITIONS in most.ledger.orders.reason.tolist()
    assert np.count_nonzero(most.ledger.quantity, axis=1).max() == 1


def test_snapshots_say_what_the_account_was() -> None:
    result = together(portfolio={"snapshot_interval": 40, "limits": {"max_gross_exposure": 0.8}})
    lines = result.snapshots()
    assert len(lines) == 300 // 40
    equity = result.ledger.equity
    for k, line in enumerate(lines):
        t = 40 * (k + 1) - 1
        assert line["portfolio_pnl"] == pytest.approx(float(equity[t]) - 100_000.0)
        values = result.ledger.values[t]
        assert line["exposure"]["gross"] == pytest.approx(np.abs(values).sum() / equity[t])
        assert line["positions"] == {
            s: pytest.approx(q) for s, q in zip("ABC", result.ledger.quantity[t].tolist(), strict=True) if q
        }
        assert line["limits"]["max_gross_exposure"]["limit"] == 0.8
        assert line["diversification_ratio"] is None or line["diversification_ratio"] >= 1.0
    assert [line["corr_window"] for line in lines][-1] == 100
    canonical_bytes(plain(lines))
    unrealised = sum(lines[-1]["unrealized"].values())
    held = result.trades.exit_bar < 0
    assert (unrealised != 0.0) == bool(held.any())


def test_attribution_adds_up() -> None:
    result = together(execution={"borrow_rate": 0.1, "cash_rate": 0.0})
    rows = result.tables["symbols"]
    earned = float(result.ledger.equity[-1]) - result.ledger.initial_capital
    assert rows["pnl_net"].sum() == pytest.approx(earned, abs=1e-6)
    assert rows["commission"].sum() == pytest.approx(float(result.ledger.fills.commission.sum()))
    assert rows["borrow_cost"].sum() == pytest.approx(result.ledger.borrow)
    risk = result.summary()["risk"]
    if risk["portfolio_volatility"] is not None:
        assert sum(risk["contributions"].values()) == pytest.approx(risk["portfolio_volatility"])


def test_prices_that_stand_still_are_reported() -> None:
    prices = [101.0 + i % 7 for i in range(300)]
    still = prices[:100] + [100.0] * 61 + prices[161:]
    data = dataset(A=lively(1), B=series(still), C=series([50.0] * 300))
    told = {w["code"]: w["message"] for w in together(data, {"correlation_window": 60}).warnings}
    assert "B (61 bars), C (300 bars)" in told["CONSTANT_PRICES"]
    told = {w["code"]: w["message"] for w in together(data, {"correlation_window": 61}).warnings}
    assert "B (" not in told["CONSTANT_PRICES"]
    assert "CONSTANT_PRICES" not in {w["code"] for w in together().warnings}
    one_bar = dataset(A=lively(1).slice(0, 1), B=lively(2).slice(0, 1), C=lively(3).slice(0, 1))
    assert "CONSTANT_PRICES" not in {w["code"] for w in together(one_bar).warnings}
    assert "CONSTANT_PRICES" not in {w["code"] for w in engine.run(config(symbols=["C"]), data).warnings}


def test_symbols_may_be_named_in_any_order() -> None:
    one, other = together(), together(symbols=["C", "A", "B"])
    assert one.hash == other.hash
    assert bytes_of(one) == bytes_of(other)
    assert one.config.symbols == ("A", "B", "C")


def test_what_befell_symbols_is_told() -> None:
    recorder = Recorder()
    data = dataset(A=gappy(1), B=gappy(2).slice(0, 120), C=gappy(3))
    engine.run(config(**THREE, portfolio={"align": "union"}), data, recorder)
    told = [value for name, kind, value in recorder.calls if (name, kind) == ("event", "symbol")]
    assert [(t["symbol"], t["state"]) for t in told] == [("B", "inactive")]


@pytest.mark.parametrize("name", ["inverse_volatility", "risk_parity", "hrp", "min_variance", "max_diversification"])
def test_every_weighting_runs_and_reports_its_residual(name: str) -> None:
    result = together(portfolio={"weighting": name})
    found = result.summary()["weighting"]
    assert found["evaluations"] > 10
    assert 0 < found["equal_for_want_of_estimates"] < found["evaluations"]
    assert found["largest_residual"] <= 1e-8
    assert result.config.plain()["portfolio"]["weighting"] == name
    assert result.weighting is not None
    assert result.weighting.values.sum(axis=1) == pytest.approx(1.0)


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "one symbol": ({"symbols": ["A"], "portfolio": {"redundancy": "filter"}}, "/portfolio/redundancy", "one symbol"),
    "apart": ({"portfolio": {"mode": "independent", "weighting": "hrp"}}, "/portfolio/weighting", "independent"),
    "off": ({"portfolio": {"redundancy": "off", "redistribute": True}}, "/portfolio/redistribute", "redundancy is off"),
    "pair order": (
        {"portfolio": {"correlation_overrides": {"B:A": 0.5}}},
        "correlation_overrides/B:A",
        "order of names",
    ),
    "pair": ({"portfolio": {"correlation_overrides": {"A:Z": 0.5}}}, "correlation_overrides/A:Z", "not in symbols"),
    "three": ({"portfolio": {"correlation_overrides": {"A:B:C": 0.5}}}, "correlation_overrides/A:B:C", "one pair"),
    "slash": ({"portfolio": {"parameters": {"A/Z": {}}}}, "/portfolio/parameters/A~1Z", "'A/Z' is not in symbols"),
    "limits": ({"portfolio": {"limits": {"per_symbol": {"Z": {}}}}}, "limits/per_symbol/Z", "not in symbols"),
    "positions": (
        {"portfolio": {"mode": "independent", "limits": {"max_positions": 2}}},
        "/portfolio/limits/max_positions",
        "holds one symbol",
    ),
    "unknown own": ({"portfolio": {"parameters": {"B": {"fsat": 2}}}}, "parameters/B/fsat", "Did you mean 'fast'?"),
    "own order": ({"portfolio": {"parameters": {"B": {"fast": 999}}}}, "parameters/B/fast", "must be below"),
    "unknown cost": (
        {"execution": {"per_symbol": {"B": {"slipage_bps": 1.0}}}},
        "/execution/per_symbol/B/slipage_bps",
        "Did you mean 'slippage_bps'?",
    ),
    "no weights": ({"portfolio": {"weighting": "custom"}}, "/portfolio/weighting/params", "required"),
    "parameters": ({"portfolio": {"parameters": {"Z": {}}}}, "parameters/Z", "not in symbols"),
    "own": ({"portfolio": {"parameters": {"B": {"fast": 0}}}}, "parameters/B/fast", "greater than"),
    "minimum": ({"portfolio": {"correlation_minimum": 200}}, "correlation_minimum", "above correlation_window"),
    "twice": ({"symbols": ["A", "A"]}, "/symbols", "named twice"),
    "weights": (
        {"portfolio": {"weighting": {"name": "custom", "params": {"weights": {"A": 1.0}}}}},
        "weighting/params/weights",
        "'B' needs a weight",
    ),
    "weighting": ({"portfolio": {"weighting": "equals"}}, "/portfolio/weighting", "unknown name"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_or_has_no_effect_is_refused(case: str) -> None:
    changes, pointer, says = REFUSED[case]
    with pytest.raises(ConfigError) as error:
        engine.run(config(**(THREE | changes)), DATA)
    (found,) = error.value.fields
    assert pointer in found.pointer
    assert says in found.message


def test_accounts_apart_are_told_by_stages_of_the_whole() -> None:
    """What is read before, the accounts one after another, and what they add up to."""
    recorder = Recorder()
    engine.run(config(symbols=["A", "B"], portfolio={"mode": "independent"}), DATA, recorder)
    stages = [(what, ended) for name, what, ended in recorder.calls if name == "stage"]
    assert stages == [(stage, ended) for stage in ("data", "execution", "metrics") for ended in (False, True)]

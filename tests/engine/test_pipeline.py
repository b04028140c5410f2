from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import engine
from engine.canonical import canonical_bytes, plain
from engine.data.bars import Conventions, Dataset, Series
from engine.data.synthetic import market as synthetic
from engine.errors import CancelledError, ConfigError, DataError
from engine.hooks import NoHooks, Recorder, Stage
from engine.outcome import Result
from engine.types import Floats

HOUR = 3_600 * 10**9
DAY = 24 * HOUR
START = 1_577_836_800 * 10**9  # 2020-01-01
STAGES = ["data", "features", "strategy", "sizing", "execution", "metrics", "validation"]


def series(closes: Sequence[float] | Floats, opens: Any = None, volume: Any = None, bar: int = HOUR) -> Series:
    close = np.asarray(closes, dtype=np.float64)
    opened = close.copy() if opens is None else np.asarray(opens, dtype=np.float64)
    return Series(
        START + bar * np.arange(len(close), dtype=np.int64),
        opened,
        np.maximum(opened, close),
        np.minimum(opened, close),
        close,
        np.zeros(len(close)) if volume is None else np.asarray(volume, dtype=np.float64),
    )


def dataset(timeframe: str = "1h", **symbols: Series) -> Dataset:
    return Dataset("made", Conventions(timeframe=timeframe, calendar="24x7"), symbols)


def gappy(seed: int = 7, count: int = 300) -> Series:
    """A market whose opens are not the closes before them."""
    rng = np.random.default_rng(seed)
    closes = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, count)))
    return series(closes, closes * np.exp(rng.normal(0.0, 0.005, count)))


def lively(seed: int = 7, count: int = 300) -> Series:
    """A gappy market whose bars range far, with volume, and none of it in every tenth bar."""
    prices, rng = gappy(seed, count), np.random.default_rng(seed)
    volume = rng.uniform(1e4, 1e6, count)
    volume[rng.permutation(count)[: count // 10]] = 0.0
    high = np.maximum(prices.open, prices.close) * rng.uniform(1.0, 1.02, count)
    low = np.minimum(prices.open, prices.close) * rng.uniform(0.98, 1.0, count)
    return Series(prices.time, prices.open, high, low, prices.close, volume)


def config(**changes: Any) -> dict[str, Any]:
    sma = {"name": "dual_sma", "params": {"fast": 3, "slow": 8}}
    return {"dataset": "made", "symbols": ["A"], "strategy": sma} | changes


def backtest(prices: Series, **changes: Any) -> Result:
    return engine.run(config(**changes), dataset(A=prices))


HOLD = {"name": "buy_and_hold"}
FREE = {"slippage_bps": 0.0, "commission": {"bps": 0.0}}


def codes(result: Result) -> list[str]:
    return [w["code"] for w in result.warnings]


def test_hooks_see_every_stage_in_order_and_the_events_inside() -> None:
    hooks = Recorder()
    engine.run(config(validation={"permutation": {"n": 20}}), dataset(A=gappy()), hooks)
    stages = [(name, ended) for kind, name, ended in hooks.calls if kind == "stage"]
    assert stages == [(name, ended) for name in STAGES for ended in (False, True)]
    assert [name for kind, name, _ in hooks.calls if kind == "event"] == [
        "equity",
        "metrics",
        "validation_progress",
        "warning",
    ]
    points = next(value["points"] for kind, name, value in hooks.calls if name == "equity")
    assert len(points) == 100


@pytest.mark.parametrize("stage", STAGES)
def test_a_hook_stops_the_run(stage: str) -> None:
    class Stop(NoHooks):
        def stage(self, stage: Stage, *, ended: bool) -> None:
            seen.append(stage.value)
            if ended and stage == last:
                raise CancelledError("enough")

    seen: list[str] = []
    last = stage
    with pytest.raises(CancelledError):
        engine.run(config(), dataset(A=gappy()), Stop())
    assert seen[-1] == stage
    assert set(seen) == set(STAGES[: STAGES.index(stage) + 1])


def test_buy_and_hold_decides_at_the_first_close_and_fills_at_the_next_open() -> None:
    result = backtest(series([10.0, 12.0, 15.0], [9.0, 10.0, 14.0]), strategy=HOLD, execution=FREE)
    fills = result.tables["fills"]
    assert fills["price"].to_list() == [10.0]
    assert fills["quantity"].to_list() == [10_000.0]
    assert result.ledger.equity.tolist() == [100_000.0, 120_000.0, 150_000.0]


def test_a_result_is_the_same_for_equal_inputs_and_hashes_only_the_rows_it_uses() -> None:
    prices = gappy()
    result = backtest(prices, end="2020-01-05T00:00:00Z")
    other = replace(prices, close=np.where(np.arange(len(prices)) < 96, prices.close, 1.0))
    again = backtest(other, end="2020-01-05T00:00:00Z")
    assert result.hash == again.hash
    assert result.run_id == result.hash[:32]
    assert result.tables["equity"].equals(again.tables["equity"])
    assert backtest(prices).hash != result.hash


def test_portions_cut_the_period_before_anything_is_computed() -> None:
    prices = gappy(count=100)
    half = backtest(prices, fraction=0.5, portion=2)
    assert half.bars.time.tolist() == prices.time[50:].tolist()
    assert half.signals.values[: half.signals.warmup].tolist() == [[0.0]] * 8
    fresh = backtest(prices.slice(50, 100))
    assert half.tables["fills"].equals(fresh.tables["fills"])


def test_start_is_inclusive_and_end_exclusive() -> None:
    result = backtest(gappy(), start="2020-01-01T02:00:00Z", end="2020-01-01T05:00:00Z")
    assert result.bars.time.tolist() == [START + h * HOUR for h in (2, 3, 4)]
    assert result.summary()["period"] == {
        "start": "2020-01-01T02:00:00Z",
        "end": "2020-01-01T05:00:00Z",
        "rows": 3,
    }


@pytest.mark.parametrize(("start", "end"), [("2030-01-01T00:00:00Z", None), (None, "0001-01-01T00:00:00Z")])
def test_a_period_without_bars_is_refused(start: str | None, end: str | None) -> None:
    with pytest.raises(ConfigError) as caught:
        backtest(gappy(), start=start, end=end)
    assert caught.value.fields[0].code == "empty_period"


def test_far_dates_are_only_far() -> None:
    wide = backtest(gappy(), start="0001-01-01T00:00:00Z", end="9999-12-31T00:00:00Z")
    assert len(wide.bars) == 300


def test_an_unknown_symbol_names_the_known() -> None:
    with pytest.raises(DataError) as caught:
        engine.run(config(symbols=["B"]), dataset(A=gappy()))
    assert caught.value.details == {"symbols": ["B"], "known": ["A"]}


def test_frame_is_pandas() -> None:
    result = backtest(gappy())
    for name, table in result.tables.items():
        frame = result.frame(name)
        assert isinstance(frame, pd.DataFrame)
        assert list(frame.columns) == table.columns
        assert len(frame) == len(table)
    open_trade = result.frame("trades").iloc[-1]
    assert open_trade["status"] == "open"
    assert pd.isna(open_trade["exit_time"])
    assert pd.isna(open_trade["exit_price"])


def test_a_run_without_a_fill_says_why() -> None:
    short = backtest(gappy(count=5))
    assert codes(short) == ["NO_FILLS", "SHORT_PERIOD"]
    assert "8 bars of warm-up and the period has 5" in short.warnings[0]["message"]
    assert "never changed" in backtest(series([5.0] * 40)).warnings[0]["message"]
    luckless = {"name": "kelly_fraction", "params": {"win_prob": 0.1, "reward_risk": 1.0}}
    assert "sized to nothing" in backtest(gappy(), risk=luckless).warnings[0]["message"]
    late = backtest(gappy(count=1), strategy=HOLD)
    assert "no order was filled: END_OF_DATA" in late.warnings[0]["message"]
    assert late.funnel["unfilled"] == {"END_OF_DATA": 1}


def ruin() -> Series:
    """Falls until the averages are short, then rises fivefold."""
    return series([*np.linspace(100.0, 50.0, 30), *[300.0] * 10])


def test_ruin_closes_everything_and_ends_trading() -> None:
    result = backtest(ruin())
    assert "RUIN" in codes(result)
    assert result.ledger.equity[-1] < 0.0
    last = result.tables["orders"].row(-1, named=True)
    assert (last["target_weight"], last["outcome"]) == (0.0, "FILLED")
    assert result.tables["fills"]["reason"].to_list()[-1] == "ruin"
    assert result.ledger.quantity[-1].tolist() == [0.0]
    assert result.metrics["sharpe"].value is None


def test_a_year_is_not_short() -> None:
    daily = gappy(count=366)
    years = replace(daily, time=START + DAY * np.arange(366, dtype=np.int64))
    result = engine.run(config(), dataset("1d", A=years))
    assert "SHORT_PERIOD" not in codes(result)
    assert "SHORT_PERIOD" in codes(engine.run(config(end="2020-12-01T00:00:00Z"), dataset("1d", A=years)))


DEGENERATE = {
    "one bar": series([10.0]),
    "two bars": series([10.0, 11.0]),
    "flat": series([10.0] * 60),
    "total loss": ruin(),
    "nearly nothing": series([1e-9] * 60),
    "no volume but one bar": series(np.linspace(1.0, 2.0, 60), volume=[0.0] * 59 + [1.0]),
    "jumps": series(np.where(np.arange(60) % 7 < 3, 1e-4, 1e9)),
}
DEAR = {"slippage_bps": 9_999.0, "commission": {"bps": 10_000.0}}


@pytest.mark.parametrize("costs", [FREE, DEAR], ids=["free", "dear"])
@pytest.mark.parametrize("name", DEGENERATE)
@pytest.mark.parametrize("strategy", [HOLD, config()["strategy"]], ids=["hold", "sma"])
def test_what_leaves_a_degenerate_run_is_finite(name: str, strategy: Any, costs: dict[str, Any]) -> None:
    validation = {"permutation": {"n": 10}}
    result = backtest(DEGENERATE[name], strategy=strategy, execution=costs, validation=validation)
    canonical_bytes(plain(result.summary()))
    canonical_bytes(plain({k: m.as_dict() for k, m in result.metrics.items()}))
    canonical_bytes([r.as_dict() for r in result.validation])
    canonical_bytes(plain(result.data_report))
    for table in result.tables.values():
        for column in table.select(c for c, t in table.schema.items() if t.is_float()):
            assert column.is_nan().sum() == 0, column.name
            assert column.is_infinite().sum() == 0, column.name


def test_the_summary_states_the_lags_and_the_conventions() -> None:
    data = synthetic(bars=60)
    result = engine.run(config(symbols=["SYNTH"], execution={"feature_lag": 0, "fill_lag": 3}), data)
    text = "\n".join(result.summary()["assumptions"])
    assert "feature_lag 0" in text
    assert "fill_lag 3" in text
    assert "open of a bar of 1h" in text
    assert "calendar 24x7" in text
    assert "risk-free" not in text
    banked = engine.run(config(symbols=["SYNTH"], execution={"cash_rate": 0.03}), data).summary()["assumptions"]
    assert "idle cash earns 0.03 a year" in "\n".join(banked)

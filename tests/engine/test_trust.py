"""What a reader relies on without looking: equal identity is equal bytes, and a p-value means what it says."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import engine
from engine.canonical import canonical_bytes, plain
from engine.data.bars import Conventions, Dataset, Series
from engine.data.synthetic import market
from engine.types import NANOSECONDS_PER_DAY, Floats

PRICES = ("open", "high", "low", "close")
STRATEGY = {"name": "dual_sma", "params": {"fast": 5, "slow": 20}}
FREE = {"slippage_bps": 0.0, "commission": {"bps": 0.0}}


def written(result: engine.Result) -> bytes:
    """The JSON artifacts that could show where the data came from."""
    return canonical_bytes(plain({"summary": result.summary(), "data": result.data_report}))


def frame(rows: Series) -> pl.DataFrame:
    times = pl.Series(values=rows.time, dtype=pl.Int64).cast(pl.Datetime("ns")).dt.replace_time_zone("UTC")
    return pl.DataFrame(
        {"timestamp": times} | {c: getattr(rows, c) for c in ("open", "high", "low", "close", "volume")}
    )


def test_equal_rows_give_equal_bytes_however_they_were_imported(tmp_path: Path) -> None:
    """Inferred or declared conventions, and rows outside the period, are not part of a run."""
    rows = market(bars=700).series["SYNTH"]
    frame(rows).head(500).write_parquet(tmp_path / "short.parquet")
    frame(rows).write_parquet(tmp_path / "long.parquet")
    declared: dict[str, Any] = {"timeframe": "60m", "label": "open", "calendar": "24x7", "adjustment": "none"}
    datasets = [
        engine.load(tmp_path / "short.parquet", symbol="X", name="d"),
        engine.load(tmp_path / "short.parquet", symbol="X", name="d", **declared),
        engine.load(tmp_path / "long.parquet", symbol="X", name="d"),
    ]
    end = str(np.datetime64(int(rows.time[500]), "ns"))[:19] + "Z"
    config = {"dataset": "d", "symbols": ["X"], "end": end, "strategy": STRATEGY}
    results = [engine.run(config, data) for data in datasets]
    assert len({result.hash for result in results}) == 1
    assert len({written(result) for result in results}) == 1


def walk(seed: int, bars: int = 1000) -> Dataset:
    """A driftless daily random walk of simple returns: no timing can be better than another."""
    random = np.random.default_rng(seed)
    close: Floats = np.asarray(100.0 * np.cumprod(1.0 + 0.03 * random.standard_normal(bars)), dtype=np.float64)
    opens = np.concatenate(([100.0], close[:-1]))
    time = np.arange(bars, dtype=np.int64) * NANOSECONDS_PER_DAY
    series = Series(time, opens, np.maximum(opens, close), np.minimum(opens, close), close, np.ones(bars))
    return Dataset("walk", Conventions("1d", "24x7"), {"W": series})


@pytest.mark.parametrize(
    ("fraction", "allow_short"), [(1.0, True), (0.5, False)], ids=["long and short", "half, long only"]
)
def test_the_permutation_test_keeps_its_size_on_the_whole_pipeline(fraction: float, allow_short: bool) -> None:
    """A weight taken after the return it multiplies would put these far from 5 % (0 % and 14 % were measured)."""
    runs, level = 300, 0.05
    values: list[float] = []
    for seed in range(runs):
        config = {
            "dataset": "walk",
            "symbols": ["W"],
            "strategy": STRATEGY,
            "risk": {"name": "fixed_fraction", "params": {"fraction": fraction}},
            "execution": FREE | {"allow_short": allow_short},
            "validation": {"permutation": {"n": 199}},
            "seed": seed,
        }
        p_value = engine.run(config, walk(seed)).validation[0].p_value
        assert p_value is not None
        values.append(p_value)
    error = np.sqrt(level * (1.0 - level) / runs)
    assert abs(np.mean(np.array(values) <= level) - level) <= 3.0 * error
    assert abs(np.mean(values) - 0.5) <= 3.0 / np.sqrt(12.0 * runs)


def test_bars_longer_than_a_day_are_not_annualised_as_days() -> None:
    daily = walk(1, 3500)
    rows = daily.series["W"]

    def weekly(values: Floats) -> Floats:
        return values[6::7]

    first = rows.open[::7]
    series = Series(rows.time[::7], first, np.maximum(first, weekly(rows.close)), np.minimum(first, weekly(rows.close)),
                    weekly(rows.close), np.ones(len(first)))  # fmt: skip
    weeks = replace(daily, conventions=Conventions("1w", "24x7"), series={"W": series})
    config = {"dataset": "walk", "symbols": ["W"], "strategy": {"name": "buy_and_hold"}, "execution": FREE}
    by_day, by_week = (engine.run(config, data).metrics["volatility"].value for data in (daily, weeks))
    assert by_day is not None
    assert by_week is not None
    assert by_week / by_day == pytest.approx(1.0, abs=0.15)


def test_a_jump_in_the_rows_of_a_run_is_a_warning() -> None:
    data = walk(2)
    rows = data.series["W"]
    split = {
        c: np.where(np.arange(len(rows)) >= 500, 0.25, 1.0) * getattr(rows, c) for c in ("open", "high", "low", "close")
    }
    jumped = replace(data, series={"W": Series(rows.time, **split, volume=rows.volume)})
    config = {"dataset": "walk", "symbols": ["W"], "strategy": STRATEGY}
    codes = [[w["code"] for w in engine.run(config, d).warnings] for d in (data, jumped)]
    assert "PRICE_JUMPS" not in codes[0]
    assert "PRICE_JUMPS" in codes[1]
    assert "PRICE_SPIKES" not in codes[0] + codes[1]
    early = config | {"end": "1971-01-01T00:00:00Z"}
    assert "PRICE_JUMPS" not in [w["code"] for w in engine.run(early, jumped).warnings]


def test_a_spike_in_the_rows_of_a_run_is_a_warning_with_its_count() -> None:
    data = walk(2)
    rows = data.series["W"]
    high, low = rows.high.copy(), rows.low.copy()
    high[700], low[800] = 4.0 * high[700], low[800] / 4.0
    spiked = replace(data, series={"W": replace(rows, high=high, low=low)})
    result = engine.run({"dataset": "walk", "symbols": ["W"], "strategy": STRATEGY}, spiked)
    said = {w["code"]: w["message"] for w in result.warnings}
    assert said["PRICE_SPIKES"].startswith("2 bars ")
    assert "PRICE_JUMPS" not in said
    assert result.data_report["symbols"]["W"]["price_spikes"] == 2

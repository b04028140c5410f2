"""Ten million rows from a CSV to a normalised dataset, mapped again; and a feature asked for twice."""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import polars as pl

import engine
from engine.config import IndicatorUse
from engine.data import synthetic
from engine.data.bars import Bars
from engine.data.columnar import open_mapped, write
from engine.features import FeatureCache, feature_matrix
from tests.benchmarks.tables import show
from tests.live import ROOT

ROWS = 10_000_000
FEATURES = {"sma": {"length": 50}, "rsi": {"length": 14}, "rolling_rank": {"length": 50}, "bbands": {"length": 20}}


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "market.csv"
        _csv(path)
        done = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.data", str(path)], cwd=ROOT, stdout=subprocess.PIPE, check=True
        )
    measured: dict[str, Any] = json.loads(done.stdout)
    show(f"a CSV of {ROWS:,} minute bars, seconds", ("step", "s"), list(measured["data"].items()))
    rows = [(name, first * 1e3, second * 1e3, second / first) for name, first, second in measured["features"]]
    show("a feature of 1,000,000 bars, ms", ("feature", "first", "second", "ratio"), rows)


def _csv(path: Path) -> None:
    rows = next(iter(synthetic.market(bars=ROWS, timeframe="1m").series.values()))
    stamps = pl.Series("timestamp", rows.time).cast(pl.Datetime("ns", "UTC"))
    columns = [pl.Series(c, getattr(rows, c)) for c in ("open", "high", "low", "close", "volume")]
    pl.DataFrame([stamps, *columns]).write_csv(path, datetime_format="%Y-%m-%d %H:%M:%S")


def _measure(path: Path) -> dict[str, Any]:
    marks = [time.perf_counter()]
    data = engine.load(path, symbol="X", timeframe="1m")
    marks.append(time.perf_counter())
    write(data, path.parent / "columns")
    marks.append(time.perf_counter())
    open_mapped(path.parent / "columns")
    marks.append(time.perf_counter())
    steps = ("read, check and sort", "write columns", "map columns")
    seconds = {step: b - a for step, a, b in zip(steps, marks[:-1], marks[1:], strict=True)}
    return {"data": seconds, "features": [_twice(name) for name in FEATURES]}


def _twice(name: str) -> tuple[str, float, float]:
    """Seconds of a feature's first and second use, after the compiler has seen it."""
    features = IndicatorUse.model_validate({"name": name, "params": FEATURES[name], "as": name}).features()
    market = synthetic.market(bars=1_000_000)
    symbol, rows = next(iter(market.series.items()))
    bars = Bars.of(symbol, rows, market.conventions)
    feature_matrix(bars.slice(0, 1000), features, 1, None, "warm")
    cache, seconds = FeatureCache(1 << 30), []
    for _ in range(2):
        began = time.perf_counter()
        feature_matrix(bars, features, 1, cache, "digest")
        seconds.append(time.perf_counter() - began)
    return name, seconds[0], seconds[1]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_measure(Path(sys.argv[1]))))

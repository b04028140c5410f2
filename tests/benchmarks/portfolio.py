"""Several symbols: against one, against the clock, and 250 of them beside a peer with cash sharing."""

import ctypes
import importlib
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import engine
from engine.data import synthetic
from engine.data.bars import Conventions, Dataset, Series
from tests.benchmarks.engine import RAW_BYTES, Stopwatch
from tests.benchmarks.tables import quantile, show
from tests.live import ROOT

BARS, REPEATS = 100_000, 5
MANY, MANY_BARS = 250, 98_280
STRATEGY = {"name": "dual_sma", "params": {"fast": 20, "slow": 50}}


def main() -> None:
    show("ms, warm, 100,000 bars", ("run", "ms", "times one symbol"), _ratios())
    show("whole process, s", ("run", "s"), [("ten symbols, a year of days", _cold_year())])
    measured = _in_a_process("many")
    rows = [(name, *values) for name, values in measured["rows"].items()]
    title = f"{MANY} symbols, {MANY_BARS:,} minute bars each, shared capital, every day rebalanced"
    show(title, ("run", "s", "peak growth, GiB"), rows)


def _in_a_process(part: str) -> dict[str, Any]:
    """Measured in a process of its own: the peak of memory is a process's."""
    command = [sys.executable, "-m", "tests.benchmarks.portfolio", part]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


def _markets(count: int, bars: int, timeframe: str = "1m") -> Dataset:
    """Markets that share a factor, on one clock."""
    rng = np.random.default_rng(7)
    first = synthetic.market(bars=bars, timeframe=timeframe)
    time_of = next(iter(first.series.values())).time
    common = rng.normal(0.0, 0.0005, bars)
    made = {}
    for k in range(count):
        close = 100.0 * np.exp(np.cumsum(common + rng.normal(0.0, 0.0005, bars)))
        opened = np.concatenate(([100.0], close[:-1]))
        high, low = np.maximum(opened, close) * 1.0001, np.minimum(opened, close) * 0.9999
        made[f"S{k:03}"] = Series(time_of, opened, high, low, close, np.full(bars, 1000.0))
    return Dataset("many", Conventions(timeframe=timeframe, calendar="24x7"), made)


def _ratios() -> list[tuple[str, float, float]]:
    data = _markets(3, BARS)
    names = list(data.series)
    runs: dict[str, dict[str, Any]] = {
        "one symbol": {"symbols": names[:1]},
        "three, independent": {"symbols": names, "portfolio": {"mode": "independent"}},
        "three, portfolio": {"symbols": names, "portfolio": {"snapshot_interval": 1_000_000}},
        "three, portfolio, snapshots": {"symbols": names},
    }
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for k in range(REPEATS + 1):
        for name, changes in runs.items():
            began = time.perf_counter()
            engine.run({"dataset": data.name, "strategy": STRATEGY, **changes}, data)
            if k:
                seconds[name].append(time.perf_counter() - began)
    middle = {name: quantile(values, 0.5) for name, values in seconds.items()}
    return [(name, 1000 * value, value / middle["one symbol"]) for name, value in middle.items()]


def _cold_year() -> float:
    began = time.perf_counter()
    _in_a_process("year")
    return time.perf_counter() - began


def _year() -> dict[str, Any]:
    data = _markets(10, 365, "1d")
    result = engine.run({"dataset": data.name, "strategy": STRATEGY, "symbols": list(data.series)}, data)
    return {"rows": {"trades": len(result.trades)}}


def _many() -> dict[str, Any]:
    data = _markets(MANY, MANY_BARS)
    small = Dataset(data.name, data.conventions, {s: rows.slice(0, 2000) for s, rows in data.series.items()})
    config = {"dataset": data.name, "strategy": STRATEGY, "symbols": list(data.series)}
    config |= {"execution": {"rebalance": {"name": "daily", "band": 0.0}}, "portfolio": {"snapshot_interval": 5000}}
    engine.run(config, small)
    rows: dict[str, tuple[float, float]] = {}
    for redundancy in ("scale", "off"):
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
        before, watch = _kibibytes("VmRSS"), Stopwatch()
        began = time.perf_counter()
        result = engine.run(config | {"portfolio": {"snapshot_interval": 5000, "redundancy": redundancy}}, data, watch)
        rows[f"redundancy {redundancy}"] = (time.perf_counter() - began, (_kibibytes("VmHWM") - before) / 2**20)
        for stage, seconds in watch.seconds.items():
            rows[f"  {stage}"] = (seconds, 0.0)
        del result
    rows["raw bytes"] = (0.0, MANY * MANY_BARS * RAW_BYTES / 2**30)
    if importlib.util.find_spec("vectorbt") is not None:
        rows["vectorbt, cash sharing, no correlation"] = _vectorbt(data)
    return {"rows": rows}


def _vectorbt(data: Dataset) -> tuple[float, float]:
    vbt = importlib.import_module("vectorbt")
    close = np.column_stack([rows.close for rows in data.series.values()])
    size = np.full(close.shape, np.nan)
    size[::1440] = 1.0 / MANY
    began, before = time.perf_counter(), _kibibytes("VmRSS")
    portfolio = vbt.Portfolio.from_orders(
        close, size, size_type="targetpercent", cash_sharing=True, group_by=True, call_seq="auto", fees=5e-4
    )
    portfolio.value().to_numpy()
    return time.perf_counter() - began, (_kibibytes("VmHWM") - before) / 2**20


def _kibibytes(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


if __name__ == "__main__":
    sys.stdout.write(json.dumps({"year": _year, "many": _many}[sys.argv[1]]()))

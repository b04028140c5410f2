"""Several symbols: against one, against the clock, and 250 of them beside a peer with cash sharing."""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import orjson

import engine
from app.executors.base import Emit, Message
from app.runs.worker import Watch
from engine.data import synthetic
from engine.data.bars import Conventions, Dataset, Series
from engine.data.columnar import open_mapped, write
from tests.benchmarks.engine import RAW_BYTES, Stopwatch
from tests.benchmarks.tables import quantile, show
from tests.live import ROOT

BARS, REPEATS = 100_000, 5
MANY, MANY_BARS = 250, 98_280
ONE = "one symbol, bars of three"
TOLD = "three, portfolio, snapshots, every event written"
STRATEGY = {"name": "dual_sma", "params": {"fast": 20, "slow": 50}}


def main() -> None:
    show(f"ms, warm, {BARS:,} bars each", ("run", "ms", "times one symbol of as many bars"), _ratios())
    show("whole process, s", ("run", "s"), [("ten symbols, a year of days", _cold_year())])
    with tempfile.TemporaryDirectory() as scratch:
        _in_a_process("store", scratch)
        parts = [_in_a_process("many", scratch)]
        if importlib.util.find_spec("vectorbt") is not None:
            parts.append(_in_a_process("peer", scratch))
    rows = [(name, *values) for part in parts for name, values in part["rows"].items()]
    title = f"{MANY} symbols, {MANY_BARS:,} minute bars each, mapped, shared capital, every day rebalanced"
    show(title, ("run", "s", "peak of the process, GB"), rows)


def _in_a_process(part: str, *arguments: str) -> dict[str, Any]:
    """Measured in a process of its own: the peak of memory is a process's."""
    command = [sys.executable, "-m", "tests.benchmarks.portfolio", part, *arguments]
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
    data, long = _markets(3, BARS), _markets(1, 3 * BARS)
    names = list(data.series)
    runs: dict[str, tuple[Dataset, dict[str, Any]]] = {
        ONE: (long, {"symbols": names[:1]}),
        "one symbol": (data, {"symbols": names[:1]}),
        "three, independent": (data, {"symbols": names, "portfolio": {"mode": "independent"}}),
        "three, portfolio": (data, {"symbols": names, "portfolio": {"snapshot_interval": 1_000_000}}),
        "three, portfolio, snapshots": (data, {"symbols": names}),
        TOLD: (data, {"symbols": names}),
    }
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for k in range(REPEATS + 1):
        for name, (market, changes) in runs.items():
            config = {"dataset": market.name, "strategy": STRATEGY, **changes}
            with Path(os.devnull).open("wb") as log:
                began = time.perf_counter()
                engine.run(config, market, Watch(_writer(log)) if name == TOLD else None)
                took = time.perf_counter() - began
            if k:
                seconds[name].append(took)
    middle = {name: quantile(values, 0.5) for name, values in seconds.items()}
    return [(name, 1000 * value, value / middle[ONE]) for name, value in middle.items()]


def _writer(log: BinaryIO) -> Emit:
    def write(message: Message) -> None:
        log.write(orjson.dumps(message))

    return write


def _cold_year() -> float:
    began = time.perf_counter()
    _in_a_process("year")
    return time.perf_counter() - began


def _year(_: str) -> dict[str, Any]:
    data = _markets(10, 365, "1d")
    result = engine.run({"dataset": data.name, "strategy": STRATEGY, "symbols": list(data.series)}, data)
    return {"rows": {"trades": len(result.trades)}}


def _store(directory: str) -> dict[str, Any]:
    write(_markets(MANY, MANY_BARS), Path(directory))
    return {}


def _many(directory: str) -> dict[str, Any]:
    data = open_mapped(Path(directory))
    small = Dataset(data.name, data.conventions, {s: rows.slice(0, 2000) for s, rows in data.series.items()})
    config = {"dataset": data.name, "strategy": STRATEGY, "symbols": list(data.series)}
    config |= {"execution": {"rebalance": {"name": "daily", "band": 0.0}}, "portfolio": {"snapshot_interval": 5000}}
    engine.run(config, small)
    rows: dict[str, tuple[float, float]] = {}
    for name, redundancy in (("scale, first run", "scale"), ("scale", "scale"), ("off", "off")):
        Path("/proc/self/clear_refs").write_text("5")
        watch, began = Stopwatch(), time.perf_counter()
        result = engine.run(config | {"portfolio": {"snapshot_interval": 5000, "redundancy": redundancy}}, data, watch)
        rows[f"redundancy {name}"] = (time.perf_counter() - began, _peak())
        for stage, seconds in watch.seconds.items():
            rows[f"  {name}: {stage}"] = (seconds, 0.0)
        del result
    rows["raw bytes"] = (0.0, MANY * MANY_BARS * RAW_BYTES / 1e9)
    return {"rows": rows}


def _vectorbt(directory: str) -> dict[str, Any]:
    vbt = importlib.import_module("vectorbt")
    close = np.column_stack([rows.close for rows in open_mapped(Path(directory)).series.values()])
    size = np.full(close.shape, np.nan)
    size[::1440] = 1.0 / MANY
    seconds = []
    for rows in (2000, len(close)):  # the first compiles
        began = time.perf_counter()
        portfolio = vbt.Portfolio.from_orders(
            close[:rows],
            size[:rows],
            size_type="targetpercent",
            cash_sharing=True,
            group_by=True,
            call_seq="auto",
            fees=5e-4,
        )
        portfolio.value().to_numpy()
        seconds.append(time.perf_counter() - began)
    return {"rows": {"vectorbt, cash sharing, no correlation": (seconds[-1], _peak())}}


def _peak() -> float:
    """The most memory the process had in use, GB."""
    return _kibibytes("VmHWM") * 1024 / 1e9


def _kibibytes(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


PARTS: dict[str, Callable[[str], dict[str, Any]]] = {"year": _year, "store": _store, "many": _many, "peer": _vectorbt}

if __name__ == "__main__":
    part, directory = (*sys.argv[1:], "")[:2]
    sys.stdout.write(json.dumps(PARTS[part](directory)))

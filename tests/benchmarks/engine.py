"""A warm run in memory, by size: stages, peak memory, and a bare pass over the same prices to compare with."""

import ctypes
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from engine import run
from engine.data import synthetic
from engine.data.bars import Dataset
from engine.hooks import Stage
from tests.benchmarks.tables import quantile, show
from tests.live import ROOT

SIZES = {6_000: 40, 100_000: 10, 1_000_000: 3}
FAST, SLOW = 20, 50
RAW_BYTES = 6 * 8


@dataclass
class Stopwatch:
    """Hooks that keep the seconds of each stage."""

    seconds: dict[str, float] = field(default_factory=dict)
    _began: float = 0.0

    def stage(self, stage: Stage, *, ended: bool) -> None:
        if ended:
            self.seconds[stage.value] = time.perf_counter() - self._began
        self._began = time.perf_counter()

    def progress(self, stage: Stage, fraction: float) -> None:
        """Do nothing."""

    def event(self, kind: str, data: Mapping[str, Any]) -> None:
        """Do nothing."""


def main() -> None:
    measured = {bars: _in_a_process(bars) for bars in SIZES}
    names = list(next(iter(measured.values()))["ms"])
    rows = [(name, *(m["ms"][name] for m in measured.values())) for name in names]
    rows.append(("whole / bare pass", *(m["ms"]["whole run"] / m["ms"]["bare numpy pass"] for m in measured.values())))
    rows.append(("peak growth, MiB", *(m["growth"] / 2**20 for m in measured.values())))
    rows.append(("growth / raw bytes", *(m["growth"] / (bars * RAW_BYTES) for bars, m in measured.items())))
    show("engine.run in memory, warm, median ms", ("bars", *(f"{bars:,}" for bars in measured)), rows)


def _in_a_process(bars: int) -> dict[str, Any]:
    """Measured in a process of its own: the peak of memory is a process's."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.engine", str(bars)], cwd=ROOT, capture_output=True, check=True
    )
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


def _measure(bars: int) -> dict[str, Any]:
    config = {"symbols": ["SYNTH"], "strategy": {"name": "dual_sma", "params": {"fast": FAST, "slow": SLOW}}}
    warm, data = synthetic.market(bars=1000), synthetic.market(bars=bars)
    config["dataset"] = data.name
    run(config, warm)
    ctypes.CDLL(None).malloc_trim(0)  # what the making of the market left free would hide growth
    Path("/proc/self/clear_refs").write_text("5")  # and its peak too
    before = _kibibytes("VmRSS")
    result = run(config, data)
    growth = (_kibibytes("VmHWM") - before) * 1024
    del result
    runs = [_timed(config, data) for _ in range(SIZES[bars])]
    middle = {name: quantile([one[name] for one in runs], 0.5) for name in runs[0]}
    return {"ms": {name: 1000 * seconds for name, seconds in middle.items()}, "growth": growth}


def _timed(config: dict[str, Any], data: Dataset) -> dict[str, float]:
    watch, series = Stopwatch(), next(iter(data.series.values()))
    began = time.perf_counter()
    run(config, data, watch)
    whole = time.perf_counter() - began
    began = time.perf_counter()
    _bare(series.open, series.close)
    bare = time.perf_counter() - began
    return {"whole run": whole} | watch.seconds | {"bare numpy pass": bare}


def _bare(opens: np.ndarray[Any, Any], closes: np.ndarray[Any, Any]) -> float:
    """The same idea without orders, costs or an account: two averages, a position, its returns."""
    sums = np.concatenate(([0.0], np.cumsum(closes)))
    fast = (sums[SLOW:] - sums[SLOW - FAST : -FAST]) / FAST
    slow = (sums[SLOW:] - sums[:-SLOW]) / SLOW
    held = np.sign(fast - slow)[:-2]
    returns = opens[SLOW + 1 :] / opens[SLOW:-1] - 1.0
    return float(np.prod(1.0 + held * returns))


def _kibibytes(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_measure(int(sys.argv[1]))))

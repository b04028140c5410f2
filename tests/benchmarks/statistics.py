"""``python -m tests.benchmarks.statistics``: milliseconds of the validation statistics, beside arch where it is there.

arch is in the ``parity`` group; its bootstrap takes a Python function of each resample.
"""

import importlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from engine.streams import stream
from engine.types import Floats
from engine.validation.bootstrap import bootstrap_sharpe, sharpe_replicates
from engine.validation.overfitting import probability_of_overfitting
from engine.validation.resample import Blocks, optimal_block_length
from engine.validation.spa import superiority
from tests.benchmarks.tables import Cell, quantile, show

ROWS, BLOCK = 2520, 10.0
SLOW = 1.0
THREADS = 2


def main() -> None:
    peer = _arch()
    returns = np.random.default_rng(1).normal(0.0005, 0.01, ROWS)
    many = np.random.default_rng(2).normal(0.0, 0.01, (ROWS, 1000))
    hundred, blocks = np.ascontiguousarray(many[:, :100]), Blocks("stationary", BLOCK)
    key = stream(1, "benchmark")
    jobs: list[tuple[str, Callable[[], object], Callable[[], object] | None, float]] = [
        (
            "10,000 Sharpe ratios, T 2,520",
            lambda: sharpe_replicates(returns, blocks, key, 10_000, errors=False),
            lambda: _arch_sharpe(peer, returns),
            100.0,
        ),
        ("the same with intervals", lambda: bootstrap_sharpe(returns, 1, blocks=blocks), None, 0.0),
        ("block length", lambda: optimal_block_length(returns), lambda: peer.optimal_block_length(returns), 0.0),
        (
            "SPA, RC, step-down; k 100, B 10,000",
            lambda: superiority(hundred, 1, blocks=blocks),
            lambda: _arch_spa(peer, hundred),
            500.0,
        ),
        ("PBO, S 16, N 100", lambda: probability_of_overfitting(hundred, 1, replicates=0), None, 0.0),
        ("PBO, S 16, N 1,000", lambda: probability_of_overfitting(many, 1, replicates=0), None, 1000.0),
        ("PBO with band, S 16, N 100", lambda: probability_of_overfitting(hundred, 1), None, 0.0),
    ]
    pool = ThreadPoolExecutor(THREADS)
    jobs += [
        (f"SPA in {THREADS} threads", lambda: superiority(hundred, 1, blocks=blocks, mapper=pool.map), None, 0.0),
        (
            f"PBO with band in {THREADS} threads",
            lambda: probability_of_overfitting(hundred, 1, mapper=pool.map),
            None,
            0.0,
        ),
    ]
    rows: list[tuple[Cell, ...]] = []
    for name, own, other, limit in jobs:
        theirs = "" if other is None or peer is None else 1000.0 * _seconds(other)
        rows.append((name, 1000.0 * _seconds(own), theirs, limit or ""))
    pool.shutdown()
    show("validation statistics, warm, median ms", ("job", "engine", "arch", "limit"), rows)


def _seconds(job: Callable[[], object]) -> float:
    times = []
    job()
    for _ in range(5):
        began = time.perf_counter()
        job()
        times.append(time.perf_counter() - began)
        if times[-1] > SLOW:
            break
    return quantile(times, 0.5)


def _arch() -> Any:
    try:
        return importlib.import_module("arch.bootstrap")
    except ImportError:
        return None


def _arch_sharpe(peer: Any, returns: Floats) -> object:
    return peer.StationaryBootstrap(BLOCK, returns, seed=1).apply(lambda r: r.mean() / r.std(ddof=1), 10_000)


def _arch_spa(peer: Any, excess: Floats) -> object:
    test = peer.SPA(np.zeros(len(excess)), -excess, block_size=BLOCK, reps=10_000, seed=1)
    return test.compute()


if __name__ == "__main__":
    main()

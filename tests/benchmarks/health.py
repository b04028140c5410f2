"""How long /healthz takes at rest, and while two long runs compute."""

import tempfile
import time
from pathlib import Path

from tests.benchmarks.tables import quantile, show
from tests.live import LiveServer

REQUESTS, PER_SECOND = 400, 100
BARS = 300_000


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch, LiveServer(Path(scratch) / "data", workers=2) as server:
        server.put_market("large", bars=BARS)
        idle = _probe(server)
        ids = [_start(server, seed) for seed in range(2)]
        for run_id in ids:
            server.wait_for(run_id, "validation_progress")
        busy = _probe(server)
        still = [server.run(run_id)["status"] for run_id in ids].count("running")
        for run_id in ids:
            server.client.post(f"/runs/{run_id}/cancel")
            server.wait(run_id)
    rows = [_row("idle", idle), _row(f"two runs ({still} until the end)", busy)]
    show(f"GET /healthz, {REQUESTS} times at {PER_SECOND}/s", ("ms", "p50", "p99", "max"), rows)


def _start(server: LiveServer, seed: int) -> str:
    config = {
        "dataset": "large",
        "symbols": ["SYNTH"],
        "strategy": {"name": "dual_sma", "params": {"fast": 20, "slow": 50}},
        "validation": {"permutation": {"n": 100_000}},
        "seed": seed,
    }
    return str(server.post(config).json()["id"])


def _probe(server: LiveServer) -> list[float]:
    took = []
    for _ in range(REQUESTS):
        began = time.perf_counter()
        assert server.get("/healthz").status_code == 200
        spent = time.perf_counter() - began
        took.append(1000 * spent)
        time.sleep(max(0.0, 1 / PER_SECOND - spent))
    return took


def _row(name: str, took: list[float]) -> tuple[str, float, float, float]:
    return name, quantile(took, 0.5), quantile(took, 0.99), max(took)

"""From POST to ``completed`` on the event stream, and where the time goes."""

import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count, pairwise
from pathlib import Path
from typing import Any

from tests.benchmarks.tables import quantile, show
from tests.live import LiveServer, Sse

BARS = 6_000
WARM_UPS, FRESH, REPEATED = 8, 30, 200
PERMUTATIONS = (None, 1000)
_seeds = count()

Spans = dict[str, float]


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch, LiveServer(Path(scratch) / "data") as server:
        server.put_market("hourly", bars=BARS)
        for permutations in PERMUTATIONS:
            for _ in range(WARM_UPS):
                server.completed(_config(permutations))
            _report(permutations, [_measure(server, _config(permutations)) for _ in range(FRESH)])
        _repeat(server)


def _config(permutations: int | None) -> dict[str, Any]:
    validation = {} if permutations is None else {"validation": {"permutation": {"n": permutations}}}
    strategy = {"name": "dual_sma", "params": {"fast": 20, "slow": 50}}
    return {"dataset": "hourly", "symbols": ["SYNTH"], "strategy": strategy, "seed": next(_seeds)} | validation


def _measure(server: LiveServer, config: dict[str, Any]) -> Spans:
    """Milliseconds of a run: of the whole, of what surrounds the work, and of its stages."""
    posted = time.time()
    run_id = server.post(config).json()["id"]
    answered = time.time()
    with server.follow(run_id) as stream:
        events = list(_until_completed(stream))
    ended = time.time()
    at = {event.event: _seconds(event) for event in reversed(events)}
    begun = {event.data["stage"]: _seconds(event) for event in reversed(events) if event.event == "stage"}
    stages = server.get(f"/runs/{run_id}/artifacts/benchmark.json").json()["seconds"]
    work = sum(stages.values())
    spans = {
        "POST to completed": ended - posted,
        "(POST to answer)": answered - posted,
        "queue+start": begun["data"] - posted,
        "  POST to queued": at["queued"] - posted,
        "  queued to started": at["started"] - at["queued"],
        "  started to data": begun["data"] - at["started"],
    }
    spans |= {f"stage {name}": seconds for name, seconds in stages.items()}
    spans |= {
        "record+stream": ended - begun["data"] - work,
        "  completed to client": ended - at["completed"],
    }
    return {name: 1000 * seconds for name, seconds in spans.items()}


def _until_completed(stream: Iterator[Sse]) -> Iterator[Sse]:
    for event in stream:
        yield event
        if event.event == "completed":
            return


def _seconds(event: Sse) -> float:
    return datetime.fromisoformat(event.data["ts"]).astimezone(UTC).timestamp()


def _report(permutations: int | None, runs: list[Spans]) -> None:
    whole = quantile([run["POST to completed"] for run in runs], 0.5)
    rows = []
    for name in runs[0]:
        values = [run[name] for run in runs]
        middle = quantile(values, 0.5)
        rows.append((name, middle, quantile(values, 0.9), f"{100 * middle / whole:.0f} %"))
    test = "no validation" if permutations is None else f"permutation n={permutations}"
    show(f"run over {BARS:,} bars, {test}, {len(runs)} fresh", ("ms", "median", "p90", "share"), rows)


def _repeat(server: LiveServer) -> None:
    """The same POST again and again."""
    config = _config(None)
    server.completed(config)
    times = [time.perf_counter()]
    for _ in range(REPEATED):
        assert server.post(config).status_code == 200
        times.append(time.perf_counter())
    took = [1000 * (b - a) for a, b in pairwise(times)]
    row = ("repeated POST", quantile(took, 0.5), quantile(took, 0.99), max(took))
    show(f"POST of a completed run, {REPEATED} times", ("ms", "median", "p99", "max"), [row])

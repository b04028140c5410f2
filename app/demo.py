"""The main job end to end: a service of our own, a dataset, a run through the API, its stream as a progress bar."""

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import httpx
import polars as pl
from httpx_sse import connect_sse
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from app.settings import Settings
from engine.data import synthetic
from engine.data.options import LoadOptions
from engine.data.sources import dataset_name
from engine.errors import EngineError

SYNTHETIC_BARS = 6000
SYNTHETIC_NAME = "synthetic-demo"
PERMUTATIONS = 1000
READ_SECONDS = 45.0
"""Longer than the heartbeat of the stream."""


class DemoError(EngineError):
    """The service refused something, or did not start."""

    code = "demo_failed"


@dataclass(frozen=True)
class DemoOutcome:
    """The finished run, and what to tell about where things are."""

    run: dict[str, Any]
    lines: list[str]


def run_demo(
    console: Console, settings: Settings, file: Path | None, options: LoadOptions, *, keep: bool
) -> DemoOutcome:
    """Start the service, run a backtest through it, and stop it unless it is to be kept."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    log = settings.data_dir / "server.log"
    with console.status("starting the service; the first start compiles the kernels"):
        server, url = _start(settings, log)
    done = False
    try:
        console.print(f"service at {url}, API docs at {url}/docs", highlight=False)
        with httpx.Client(base_url=url, timeout=httpx.Timeout(300.0, read=READ_SECONDS)) as client:
            dataset = _register(console, client, file, options)
            run = _run(console, client, dataset)
        done = True
    finally:
        if not (keep and done):
            server.terminate()
            server.wait()
    place = settings.data_dir / "runs" / run["id"]
    lines = [f"run {run['id']}", f"artifacts in {place}", f"           {url}{run['links']['artifacts']}"]
    state = f"running as process {server.pid}: stop it with kill {server.pid}" if keep else "stopped"
    return DemoOutcome(run, [*lines, f"API docs at {url}/docs", f"the service is {state}; its log is {log}"])


def _start(settings: Settings, log: Path) -> tuple[subprocess.Popen[str], str]:
    """Start the service in a session of its own, so that it can outlive this command."""
    command = [sys.executable, "-m", "app", "serve", "--port", str(settings.port)]
    command += ["--data-dir", str(settings.data_dir)]
    with log.open("a") as output:
        server = subprocess.Popen(  # noqa: S603 - our own program
            command, stdout=subprocess.PIPE, stderr=output, text=True, start_new_session=True
        )
    line = server.stdout.readline() if server.stdout is not None else ""
    if not line.startswith("ready "):
        server.wait()
        raise DemoError(f"the service did not start; {log} says why:\n{_tail(log)}")
    return server, line.split()[1]


def _tail(log: Path) -> str:
    return "\n".join(log.read_text().splitlines()[-3:])


def _register(console: Console, client: httpx.Client, file: Path | None, options: LoadOptions) -> dict[str, Any]:
    """Put the file, or the synthetic market, into the service."""
    if file is not None:
        name = dataset_name(file.stem)
        given = options.model_dump(exclude_none=True)
        answer = _put(client, name, file, given)
        if answer.status_code == 422 and answer.json().get("option") == "symbol":
            answer = _put(client, name, file, given | {"symbol": file.stem})
    else:
        with tempfile.TemporaryDirectory() as scratch:
            answer = _put(client, SYNTHETIC_NAME, _synthetic_file(Path(scratch)), {"calendar": "24x7", "label": "open"})
    dataset = _ok(answer)
    kind = "a SYNTHETIC market (seeded, no real prices)" if file is None else str(file)
    symbols = ", ".join(s["symbol"] for s in dataset["symbols"])
    console.print(f"dataset {dataset['name']}: {kind}, {symbols}, {dataset['rows']:,} bars of {dataset['timeframe']}")
    return dataset


def _synthetic_file(directory: Path) -> Path:
    market = synthetic.market(symbol="SYNTHETIC", bars=SYNTHETIC_BARS)
    path = directory / "synthetic.parquet"
    frames = []
    for symbol, rows in market.series.items():
        times = pl.Series(values=rows.time, dtype=pl.Int64).cast(pl.Datetime("ns")).dt.replace_time_zone("UTC")
        prices = {c: getattr(rows, c) for c in ("open", "high", "low", "close", "volume")}
        frames.append(pl.DataFrame({"timestamp": times, **prices}).with_columns(pl.lit(symbol).alias("symbol")))
    pl.concat(frames).write_parquet(path)
    return path


def _put(client: httpx.Client, name: str, file: Path, params: Mapping[str, Any]) -> httpx.Response:
    return client.put(
        f"/datasets/{name}",
        params=dict(params),
        content=file.read_bytes(),
        headers={"Content-Type": "application/octet-stream"},
    )


def _run(console: Console, client: httpx.Client, dataset: Mapping[str, Any]) -> dict[str, Any]:
    """POST a run and follow its stream to the end."""
    config = {
        "dataset": dataset["name"],
        "symbols": [dataset["symbols"][0]["symbol"]],
        "strategy": {"name": "dual_sma", "params": {"fast": 20, "slow": 50}},
        "validation": {"permutation": {"n": PERMUTATIONS}},
    }
    run = _ok(client.post("/runs", json=config))
    columns = (TextColumn("{task.description:<12}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        task = progress.add_task("queued", total=1.0)
        with connect_sse(client, "GET", run["links"]["events"]) as source:
            for message in source.iter_sse():
                event = message.json()
                progress.update(task, completed=event["progress"], description=event["stage"] or event["type"])
    finished = _ok(client.get(run["links"]["self"]))
    if finished["status"] != "completed":
        raise DemoError(f"the run {finished['status']}: {(finished['error'] or {}).get('message', '')}")
    return finished


def _ok(answer: httpx.Response) -> dict[str, Any]:
    if answer.is_error:
        _refused(answer)
    body: dict[str, Any] = answer.json()
    return body


def _refused(answer: httpx.Response) -> NoReturn:
    raise DemoError(answer.json()["detail"])

"""The real server as a process, for tests that look at the service from outside.

::

    with LiveServer(tmp_path / "data", executor="thread", workers=1) as server:
        server.put_market("synth", bars=500)
        run = server.post({"dataset": "synth", ...}).json()
        assert server.wait(run["id"])["status"] == "completed"
        server.kill()       # SIGKILL, and reaped
        server.restart()    # on the same directory; server.url and server.client are new

Keyword arguments are settings: ``workers=1`` sets ``TPLUSONE_WORKERS=1``.
"""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx
import polars as pl

from engine.data import synthetic

ROOT = Path(__file__).resolve().parents[1]
CLI = (sys.executable, "-m", "app")
FINAL = ("completed", "failed", "cancelled", "interrupted")
PARQUET = "application/vnd.apache.parquet"
CSV = "text/csv"
STOP_SECONDS = 30.0
READ_SECONDS = 30.0
"""Longer than the longest heartbeat."""


@dataclass(frozen=True)
class Sse:
    """One event of a stream as it came over the wire."""

    id: str
    event: str
    data: dict[str, Any]


def market_frame(
    *, symbol: str | None = "SYNTH", bars: int = 1000, seed: int = 42, timeframe: str = "1h", start: str = "2020-01-01"
) -> pl.DataFrame:
    """A synthetic market as a table; ``symbol=None`` leaves the symbol column out."""
    name = symbol or "SYNTH"
    rows = synthetic.market(symbol=name, bars=bars, seed=seed, timeframe=timeframe, start=start).series[name]
    times = pl.Series("timestamp", rows.time, dtype=pl.Int64).cast(pl.Datetime("ns")).dt.replace_time_zone("UTC")
    prices = {column: getattr(rows, column) for column in ("open", "high", "low", "close", "volume")}
    frame = pl.DataFrame({"timestamp": times, **prices})
    return frame if symbol is None else frame.with_columns(pl.lit(symbol).alias("symbol"))


def parquet_bytes(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def csv_bytes(frame: pl.DataFrame) -> bytes:
    return frame.write_csv(datetime_format="%Y-%m-%dT%H:%M:%SZ").encode()


def environment(settings: Mapping[str, object] | None = None) -> dict[str, str]:
    """The environment of a program of ours: no setting but those given."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TPLUSONE_")}
    return inherited | {f"TPLUSONE_{name.upper()}": str(value) for name, value in (settings or {}).items()}


def cli(*arguments: object, seconds: float = 60.0, **settings: object) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [*CLI, *map(str, arguments)],
        cwd=ROOT,
        env=environment(settings) | {"COLUMNS": "250"},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


class LiveServer:
    """``tplusone serve`` on a free port, with a client for it."""

    url: str
    client: httpx.Client
    process: subprocess.Popen[str]

    def __init__(self, data_dir: Path, **settings: object) -> None:
        self.data_dir, self.settings = data_dir, settings
        self.log = data_dir.with_name(f"{data_dir.name}.log")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.terminate()

    def start(self) -> None:
        """Start the process and wait until it says it is ready."""
        self.data_dir.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [*CLI, "serve", "--port", "0", "--data-dir", str(self.data_dir)],
                cwd=ROOT,
                env=environment(self.settings),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line.startswith("ready http://"):
            self._end(signal.SIGKILL)
            raise AssertionError(f"the server did not start: {line!r}\n{self.log.read_text()}")
        self.url = line.split()[1]
        self.client = httpx.Client(base_url=self.url, timeout=httpx.Timeout(60.0, read=READ_SECONDS * 2))

    def kill(self) -> int:
        """SIGKILL the server; returns when it is gone."""
        return self._end(signal.SIGKILL)

    def terminate(self) -> int:
        """SIGTERM the server and wait; returns the exit status. Nothing happens to one that is gone."""
        return self._end(signal.SIGTERM)

    def restart(self) -> None:
        """Start again on the same directory, after ``terminate`` unless it is gone already."""
        self.terminate()
        self.start()

    def _end(self, number: signal.Signals) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            status = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            if self.process.stdout is not None:
                self.process.stdout.close()
            if hasattr(self, "client"):
                self.client.close()
        return status

    # -- calls -------------------------------------------------------------------------------------

    def put_market(self, name: str = "synth", **market: Any) -> dict[str, Any]:
        """Upload a synthetic market (``bars``, ``seed``, ``symbol``, ``timeframe``, ``start``); returns the dataset."""
        return self.put_frame(name, market_frame(**market))

    def put_frame(self, name: str, frame: pl.DataFrame, **params: str) -> dict[str, Any]:
        """Upload a table as Parquet; returns the dataset."""
        answer = self.put(name, parquet_bytes(frame), PARQUET, **({"calendar": "24x7", "label": "open"} | params))
        assert answer.status_code in (200, 201), answer.text
        dataset: dict[str, Any] = answer.json()
        return dataset

    def put(self, name: str, content: bytes, kind: str, **params: str) -> httpx.Response:
        """Upload a file as it is."""
        return self.client.put(f"/datasets/{name}", content=content, params=params, headers={"Content-Type": kind})

    def patch(self, name: str, content: bytes, kind: str, **params: str) -> httpx.Response:
        """Add the rows of a file to a dataset."""
        return self.client.patch(f"/datasets/{name}", content=content, params=params, headers={"Content-Type": kind})

    def post(self, config: Mapping[str, Any], **headers: str) -> httpx.Response:
        """POST a run; ``idempotency_key="x"`` is the header Idempotency-Key."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post("/runs", json=config, headers=named)

    def get(self, path: str, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.get(path, headers=named)

    def run(self, run_id: str) -> dict[str, Any]:
        """A run as it is now."""
        answer = self.client.get(f"/runs/{run_id}")
        assert answer.status_code == 200, answer.text
        run: dict[str, Any] = answer.json()
        return run

    def wait(self, run_id: str, seconds: float = 60.0) -> dict[str, Any]:
        """The run once its newest attempt is final; follows its events."""
        with self.follow(run_id, seconds=seconds) as events:
            for _ in events:
                pass
        run = self.run(run_id)
        assert run["status"] in FINAL, run
        return run

    def wait_for(self, run_id: str, *kinds: str, seconds: float = 60.0) -> Sse:
        """The first event of one of these types."""
        with self.follow(run_id, seconds=seconds) as events:
            for event in events:
                if event.event in kinds:
                    return event
        raise AssertionError(f"the stream ended without {' or '.join(kinds)}")

    def cancel(self, run_id: str) -> dict[str, Any]:
        """Ask a run to stop; returns it as it is then."""
        answer = self.client.post(f"/runs/{run_id}/cancel")
        assert answer.status_code == 202, answer.text
        run: dict[str, Any] = answer.json()
        return run

    def completed(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """POST a run and wait until it is completed."""
        answer = self.post(config)
        assert answer.status_code in (200, 202), answer.text
        run = self.wait(answer.json()["id"])
        assert run["status"] == "completed", run
        return run

    def events(self, run_id: str, last_event_id: str | None = None) -> list[Sse]:
        """The whole stream, to its end."""
        with self.follow(run_id, last_event_id) as events:
            return list(events)

    def events_until(self, run_id: str, kind: str, last_event_id: str | None = None) -> list[Sse]:
        """The stream up to and with the first event of a type."""
        found = []
        with self.follow(run_id, last_event_id) as events:
            for event in events:
                found.append(event)
                if event.event == kind:
                    break
        return found

    @contextmanager
    def follow(
        self, run_id: str, last_event_id: str | None = None, *, seconds: float = 60.0
    ) -> Iterator[Iterator[Sse]]:
        """The stream of a run, event by event."""
        headers = {"Accept": "text/event-stream"}
        if last_event_id is not None:
            headers["Last-Event-ID"] = last_event_id
        timeout = httpx.Timeout(60.0, read=READ_SECONDS)
        with self.client.stream("GET", f"/runs/{run_id}/events", headers=headers, timeout=timeout) as answer:
            assert answer.status_code in (200, 204), answer.read()
            yield parse(answer.iter_lines(), time.monotonic() + seconds)


@dataclass
class _Frame:
    fields: dict[str, str] = field(default_factory=dict)


def parse(lines: Iterator[str], deadline: float = float("inf")) -> Iterator[Sse]:
    """Events of a stream's lines. Comments and ``retry`` are passed over; fields are single lines here."""
    frame = _Frame()
    for line in lines:
        assert time.monotonic() < deadline, "the stream took too long"
        if not line:
            if "data" in frame.fields:
                yield Sse(frame.fields["id"], frame.fields["event"], json.loads(frame.fields["data"]))
            frame = _Frame()
        elif not line.startswith(":"):
            name, _, value = line.partition(": ")
            assert name == "retry" or name not in frame.fields, f"a second {name} line in one event"
            frame.fields[name] = value

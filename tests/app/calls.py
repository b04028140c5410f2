"""What the tests of the service ask for, and what they expect of every refusal."""

import itertools
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx
import polars as pl
import pytest

from app import cli
from tests.live import LiveServer

Config = dict[str, Any]

_seeds = itertools.count(1000)


def fresh(**fields: Any) -> Config:
    """A configuration no test has used before, on the shared market."""
    return config(seed=next(_seeds)) | fields


def config(**fields: Any) -> Config:
    """A configuration on the shared market."""
    strategy = {"name": "dual_sma", "params": {"fast": 5, "slow": 20}}
    return {"dataset": "synth", "symbols": ["SYNTH"], "strategy": strategy} | fields


def lengthy(**fields: Any) -> Config:
    """A configuration that computes for a quarter of a minute, unless it is stopped."""
    return fresh(dataset="long", validation={"permutation": {"n": 100_000}}) | fields


def problem(answer: httpx.Response, status: int, code: str | None = None) -> dict[str, Any]:
    """The problem of an answer, after checking that it is a whole one."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert {"type", "title", "status", "detail", "instance", "code"} <= body.keys()
    assert body["status"] == status
    assert body["type"] == f"urn:tplusone:problem:{body['code']}"
    assert body["instance"] == f"urn:tplusone:request:{answer.headers['x-request-id']}"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "Traceback" not in answer.text
    if code is not None:
        assert body["code"] == code
    if status == 503:
        assert int(answer.headers["retry-after"]) > 0
    return body


def field_errors(answer: httpx.Response, code: str | None = None) -> dict[str, Mapping[str, Any]]:
    """The entries of a 422 by their JSON pointer."""
    entries: list[Mapping[str, Any]] = problem(answer, 422, code)["errors"]
    return {entry["pointer"]: entry for entry in entries}


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """Run a command of the command line in this process; returns its exit code."""
    monkeypatch.setattr(sys, "argv", ["tplusone", *map(str, arguments)])
    with pytest.raises(SystemExit) as exited:
        cli.main()
    return int(exited.value.code or 0)


RUN_FIELDS = {
    "id", "hash", "status", "stage", "progress", "attempt", "reused", "created_at", "started_at", "finished_at",
    "config", "tags", "note", "pinned", "metrics", "trials", "warnings", "error", "manifest_hash", "links",
}  # fmt: skip
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
AT_ONCE = 50


def identity(server: LiveServer, posted: Config) -> str:
    answer = server.client.post("/runs", json=posted, params={"dry_run": True})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["hash"])


def count_runs(server: LiveServer, **query: str) -> int:
    total, params = 0, {"limit": "100"} | query
    while True:
        page = server.client.get("/runs", params=params).json()
        total += len(page["runs"])
        if page["next_cursor"] is None:
            return total
        params["cursor"] = page["next_cursor"]


def cancelled(server: LiveServer, posted: Config) -> dict[str, Any]:
    run = server.post(posted).json()
    server.cancel(run["id"])
    run = server.wait(run["id"])
    assert run["status"] == "cancelled"
    return run


@contextmanager
def leaves_nothing(server: LiveServer) -> Iterator[None]:
    """Whatever is tried, the list and the directories are as before."""

    def state() -> tuple[Any, list[str], list[str]]:
        held = sorted(str(path) for path in (server.data_dir / "datasets").glob("*/*"))
        return server.get("/datasets").json(), held, list(map(str, (server.data_dir / "uploads").iterdir()))

    before = state()
    yield
    assert state() == before
    assert before[2] == []


def changed(frame: pl.DataFrame, row: int, **values: object) -> pl.DataFrame:
    """The frame with some cells of one row replaced."""
    at = pl.int_range(pl.len()) == row
    return frame.with_columns(pl.when(at).then(pl.lit(v)).otherwise(pl.col(c)).alias(c) for c, v in values.items())

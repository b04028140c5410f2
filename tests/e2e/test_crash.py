"""kill -9 of the server at any moment: nothing half-done is visible after the next start."""

import random
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.processes import all_gone, family, until
from tests.e2e.work import brief, check_log, medium, post, small
from tests.live import CSV, LiveServer, csv_bytes, market_frame

GONE_SECONDS = 2.0
Config = dict[str, Any]
Moment = Callable[[LiveServer, str, str], None]


def crash(server: LiveServer) -> None:
    """SIGKILL; what the server started goes as well. Then start again on the same directory."""
    processes = family(server.process.pid)
    server.kill()
    all_gone(processes, GONE_SECONDS)
    with closing(sqlite3.connect(server.data_dir / "tplusone.sqlite3")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    server.restart()


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def completed_ids(server: LiveServer) -> set[str]:
    """Every completed run, over all pages."""
    found: set[str] = set()
    url: str | None = "/runs?status=completed&limit=100"
    while url is not None:
        answer = server.get(url)
        found |= {run["id"] for run in answer.json()["runs"]}
        url = answer.links["next"]["url"] if "next" in answer.links else None
    return found


def interrupted_ids(server: LiveServer) -> set[str]:
    """Runs that the crash interrupted."""
    return {run["id"] for run in server.get("/runs?status=interrupted&limit=100").json()["runs"]}


def check_after(server: LiveServer, configs: Sequence[Config]) -> None:
    """Every accepted run is completed or interrupted, whole or without artifacts; all can be completed."""
    runs = [server.post(config, prefer="wait=60").json() for config in configs]  # a wait starts no new attempt
    for run in runs:
        assert run["status"] in ("completed", "interrupted"), run
        assert run["attempt"] == 1
        check_log(server.events(run["id"]))
        artifacts = server.get(f"/runs/{run['id']}/artifacts")
        if run["status"] == "interrupted":
            assert run["started_at"] is not None
            assert artifacts.status_code == 409
        else:
            assert artifacts.status_code == 200
            assert server.get(f"/runs/{run['id']}/verify").json() == {"ok": True, "mismatches": []}
    nothing_half_done(server)
    for run, config in zip(runs, configs, strict=True):
        if run["status"] == "interrupted":
            again = server.post(config)
            assert again.status_code == 202
            assert (again.json()["id"], again.json()["attempt"]) == (run["id"], 2)
    for run in runs:
        ended = server.wait(run["id"])
        assert ended["status"] == "completed", ended
        check_log(server.events(run["id"]), ended["attempt"])
        assert server.get(f"/runs/{run['id']}/verify").json()["ok"]
    nothing_half_done(server)


def nothing_half_done(server: LiveServer) -> None:
    assert names(server.data_dir / "runs") == completed_ids(server)
    assert names(server.data_dir / "aside") == set()
    assert names(server.data_dir / "uploads") == set()


# Each moment gets the server, a run of half a second and a run of two seconds.


def at_queued(_server: LiveServer, _short: str, _long: str) -> None:
    """As soon as the last POST is answered."""


def at_started(server: LiveServer, _short: str, long: str) -> None:
    server.wait_for(long, "started")


def in_validation(server: LiveServer, _short: str, long: str) -> None:
    server.wait_for(long, "validation_progress")


def while_artifacts_are_written(server: LiveServer, short: str, _long: str) -> None:
    with server.follow(short) as events:
        next(event for event in events if event.data["stage"] == "artifacts")


def once_artifacts_are_renamed(server: LiveServer, short: str, _long: str) -> None:
    """Within the transaction that completes the run, or right after it."""
    published = server.data_dir / "runs" / short
    until(published.exists, "artifacts are published", 30.0)


@pytest.mark.parametrize(
    "moment", [at_queued, at_started, in_validation, while_artifacts_are_written, once_artifacts_are_renamed]
)
def test_five_runs_survive_a_crash_of_the_server(server: LiveServer, moment: Moment) -> None:
    done = small()
    server.completed(done)
    waiting = [brief(), medium(), small(), small()]
    ids = [post(server, config) for config in waiting]
    moment(server, ids[0], ids[1])
    queued = {run["id"] for run in server.get("/runs?status=queued").json()["runs"]}
    crash(server)
    for run_id in queued - interrupted_ids(server):
        run = server.wait(run_id)
        assert (run["status"], run["attempt"]) == ("completed", 1)
    check_after(server, [done, *waiting])


@pytest.mark.parametrize("seed", range(8))
def test_a_crash_at_a_random_moment_of_a_stream_of_posts_loses_nothing(server: LiveServer, seed: int) -> None:
    chance = random.Random(seed)
    accepted: list[Config] = []
    enough = threading.Event()

    def go_on_posting(url: str) -> None:
        try:
            with httpx.Client(base_url=url) as client:
                for number in count():
                    config = brief() if number % 6 == 0 else small()
                    if enough.is_set() or client.post("/runs", json=config).status_code != 202:
                        return
                    accepted.append(config)
        except httpx.TransportError:
            return  # the server is gone: that is the test

    poster = threading.Thread(target=go_on_posting, args=(server.url,))
    poster.start()
    until(lambda: accepted, "a run is accepted")
    poster.join(chance.uniform(0.0, 0.3))  # it does not end: this is the random moment
    crash(server)
    enough.set()
    poster.join()
    check_after(server, accepted)


@pytest.mark.parametrize("sign", ["upload", "columns"])
def test_an_upload_that_a_crash_cut_off_leaves_nothing(server: LiveServer, sign: str) -> None:
    name, content = f"cut-{sign}", csv_bytes(market_frame(bars=60_000))
    client = httpx.Client(base_url=server.url, timeout=30.0)

    def upload() -> None:
        try:
            client.put(f"/datasets/{name}", content=content, headers={"Content-Type": CSV})
        except httpx.TransportError:
            return

    sender = threading.Thread(target=upload)
    sender.start()
    waiting = server.data_dir / "uploads"
    until(lambda: any(waiting.glob(f"*/{sign}")), f"{sign} of an upload is there")
    crash(server)
    sender.join()
    client.close()
    nothing_half_done(server)
    assert server.get(f"/datasets/{name}").status_code in (404, 200)
    answer = server.put(name, content, CSV)
    assert answer.status_code in (200, 201)
    assert answer.json()["rows"] == 60_000

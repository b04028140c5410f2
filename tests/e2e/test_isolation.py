"""What happens to one run, or to one process, does not happen to the others."""

import os
import signal
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Start
from tests.e2e.processes import all_gone, family, fork_server, until, worker_of
from tests.e2e.work import brief, check_log, endless, medium, post, small
from tests.live import LiveServer, cli

SANE_EXITS = (0, -signal.SIGTERM, 128 + signal.SIGTERM)
WINDOW_SECONDS = 0.2


def cpu_seconds(pid: int) -> float:
    return sum(process.cpu_seconds for process in family(fork_server(pid).pid))


def workers_rest(pid: int) -> bool:
    """Whether no worker uses the processor for a fifth of a second."""
    before = cpu_seconds(pid)
    time.sleep(WINDOW_SECONDS)  # a window to measure in, not a wait for something
    return cpu_seconds(pid) - before <= 0.02


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
def test_a_worker_that_dies_takes_only_its_run(server: LiveServer, number: signal.Signals) -> None:
    config = medium()
    victim, other = post(server, config), post(server, brief())
    server.wait_for(victim, "started")
    os.kill(worker_of(server.process.pid, victim).pid, number)
    failed = server.wait(victim)
    assert failed["status"] == "failed"
    assert failed["error"]["code"] == "crash"
    check_log(server.events(victim))
    assert server.get(f"/runs/{victim}/artifacts").status_code == 409
    assert server.wait(other)["status"] == "completed"
    again = server.post(config).json()
    assert (again["id"], again["attempt"], again["reused"]) == (victim, 2, False)
    ended = server.wait(victim)
    assert (ended["status"], ended["error"]) == ("completed", None)
    assert list((server.data_dir / "aside").iterdir()) == []


def test_limits_end_a_run_and_the_server_lives(start: Start) -> None:
    server = start()
    server.put_market("huge", bars=1_000_000)  # under the usual limits: imports have them as well
    server.settings |= {"workers": 1, "run_seconds": 3, "run_memory_mb": 64}
    server.restart()
    slow = server.wait(post(server, endless()))
    assert (slow["status"], slow["error"]["code"]) == ("failed", "time_limit")
    hungry = server.wait(post(server, small(dataset="huge")))
    assert hungry["status"] == "failed"
    assert hungry["error"]["code"] in ("memory_limit", "crash")
    for run in (slow, hungry):
        check_log(server.events(run["id"]))
        assert server.get(f"/runs/{run['id']}/artifacts").status_code == 409
    # The one worker has met both limits: neither may be felt by the runs after it.
    for _ in range(3):
        assert server.wait(post(server, small()))["error"] is None
    until(lambda: workers_rest(server.process.pid), "the workers of ended runs are at rest")
    assert list((server.data_dir / "aside").iterdir()) == []


def test_cancel_stops_the_computation_within_a_second(server: LiveServer) -> None:
    ids = [post(server, endless()) for _ in range(2)]
    for run_id in ids:
        server.wait_for(run_id, "validation_progress")
    workers = [worker_of(server.process.pid, run_id) for run_id in ids]
    for run_id in ids:
        assert server.client.post(f"/runs/{run_id}/cancel").status_code == 202
    all_gone(workers, 1.0)
    for run_id in ids:
        assert server.wait(run_id, 1.0)["status"] == "cancelled"
    until(lambda: workers_rest(server.process.pid), "no worker computes")


def test_cancel_at_any_moment_leaves_no_files_and_lets_the_run_be_posted_again(server: LiveServer) -> None:
    for number in range(15):
        config = small(dataset="medium")
        run_id = post(server, config)
        server.wait_for(run_id, "started")
        time.sleep(0.003 * number)  # another moment of the run each time
        assert server.client.post(f"/runs/{run_id}/cancel").status_code == 202
        ended = server.wait(run_id)["status"]
        assert ended in ("cancelled", "completed")
        assert server.post(config).json()["attempt"] == (2 if ended == "cancelled" else 1)
        assert server.wait(run_id)["status"] == "completed"
    until(lambda: workers_rest(server.process.pid), "no worker computes")
    assert list((server.data_dir / "aside").iterdir()) == []


def test_the_next_run_works_after_the_fork_server_was_killed(server: LiveServer) -> None:
    config = medium()
    run_id = post(server, config)
    server.wait_for(run_id, "validation_progress")
    processes = family(fork_server(server.process.pid).pid)
    os.kill(processes[0].pid, signal.SIGKILL)
    all_gone(processes, 2.0)
    failed = server.wait(run_id)
    assert (failed["status"], failed["error"]["code"]) == ("failed", "crash")
    for _ in range(3):
        assert server.wait(post(server, small()))["status"] == "completed"
    assert server.post(config).json()["attempt"] == 2
    assert server.wait(run_id)["status"] == "completed"


def test_the_next_run_works_after_the_fork_server_was_killed_at_rest(server: LiveServer) -> None:
    server.completed(small())
    processes = family(fork_server(server.process.pid).pid)
    os.kill(processes[0].pid, signal.SIGKILL)
    all_gone(processes, 2.0)
    run = server.wait(post(server, small()))
    assert run["status"] == "completed", run


def test_sigterm_ends_two_running_runs_and_leaves_no_process(server: LiveServer) -> None:
    running, queued = [post(server, endless()) for _ in range(2)], post(server, small())
    for run_id in running:
        server.wait_for(run_id, "validation_progress")
    processes = family(server.process.pid)
    with server.follow(queued) as events:
        assert next(events).event == "queued"
        began = time.monotonic()
        status = server.terminate()
    assert time.monotonic() - began < 3.0
    assert status in SANE_EXITS
    all_gone(processes, 1.0)
    assert list((server.data_dir / "aside").iterdir()) == []
    server.restart()
    for run_id in running:
        run = server.run(run_id)
        assert (run["status"], run["attempt"]) == ("interrupted", 1)
        check_log(server.events(run_id))
    assert server.wait(queued)["status"] == "completed"


def test_sigterm_does_not_wait_for_those_who_wait_for_a_run(server: LiveServer) -> None:
    waiting = [endless(), endless(), small()]
    with ThreadPoolExecutor(len(waiting)) as pool:
        for config in waiting[:2]:
            pool.submit(post_and_wait, server.url, config)
        until(lambda: len(server.get("/runs?status=running").json()["runs"]) == 2, "two runs compute")
        pool.submit(post_and_wait, server.url, waiting[2])
        until(lambda: server.get("/runs?status=queued").json()["runs"], "one waits for them")
        began = time.monotonic()
        server.terminate()
        elapsed = time.monotonic() - began
    with closing(sqlite3.connect(server.data_dir / "tplusone.sqlite3")) as database:
        left = database.execute("SELECT status FROM runs WHERE status IN ('running', 'queued')").fetchall()
    server.restart()
    for config in waiting[:2]:
        run = server.post(config, prefer="wait=1").json()
        assert (run["status"], run["attempt"]) == ("interrupted", 1)
    assert server.completed(waiting[2])["attempt"] == 1
    assert left == [("queued",)]
    assert elapsed < 3.0


def post_and_wait(url: str, config: dict[str, Any]) -> None:
    with suppress(httpx.TransportError), httpx.Client(base_url=url, timeout=60.0) as client:
        client.post("/runs", json=config, headers={"Prefer": "wait=60"})


def test_a_second_server_is_refused_until_the_first_is_gone(server: LiveServer) -> None:
    refused = cli("serve", "--port", "0", "--data-dir", server.data_dir)
    assert refused.returncode == 2
    assert str(server.data_dir.name) in refused.stderr
    assert "another server is using" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert refused.stdout == ""
    assert server.get("/healthz").status_code == 200
    server.kill()
    server.start()
    assert server.completed(small())["status"] == "completed"

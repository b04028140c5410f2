"""Many clients at once."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from tests.e2e.work import brief, check_log, endless, post, small
from tests.live import LiveServer


def post_at_once(url: str, configs: Sequence[dict[str, Any]]) -> list[httpx.Response]:
    """Each over a connection of its own, all at the same moment."""
    barrier = threading.Barrier(len(configs))

    def send(config: dict[str, Any]) -> httpx.Response:
        with httpx.Client(base_url=url, timeout=60.0) as client:
            client.get("/healthz")
            barrier.wait(30.0)
            return client.post("/runs", json=config)

    with ThreadPoolExecutor(len(configs)) as pool:
        return list(pool.map(send, configs))


def test_fifty_identical_posts_at_once_make_one_run(server: LiveServer) -> None:
    config = small()
    answers = post_at_once(server.url, [config] * 50)
    assert {answer.status_code for answer in answers} <= {200, 202}
    ids = {answer.json()["id"] for answer in answers}
    assert len(ids) == 1
    assert [answer.json()["reused"] for answer in answers].count(False) == 1
    run = server.wait(ids.pop())
    assert (run["status"], run["attempt"]) == ("completed", 1)
    check_log(server.events(run["id"]))


def test_twenty_configurations_at_once_all_complete(server: LiveServer) -> None:
    configs = [small() for _ in range(20)]
    answers = post_at_once(server.url, configs)
    assert [answer.status_code for answer in answers] == [202] * 20
    ids = [answer.json()["id"] for answer in answers]
    assert len(set(ids)) == 20
    for run_id in ids:
        run = server.wait(run_id)
        assert (run["status"], run["attempt"]) == ("completed", 1)
        check_log(server.events(run_id))


def test_posts_while_the_queue_drains_find_their_runs(server: LiveServer) -> None:
    configs = [small() for _ in range(12)]
    ids = [post(server, config) for config in configs]
    while True:
        answers = [server.post(config) for config in configs]
        assert [answer.json()["id"] for answer in answers] == ids
        assert {answer.status_code for answer in answers} <= {200, 202}
        assert all(answer.json()["reused"] for answer in answers)
        if all(answer.status_code == 200 for answer in answers):
            break
        assert server.wait(post(server, small()))["status"] == "completed"
    assert {server.run(run_id)["attempt"] for run_id in ids} == {1}


def test_failed_and_cancelled_attempts_posted_again_at_once_start_one_attempt(server: LiveServer) -> None:
    config = brief()
    run_id = post(server, config)
    server.wait_for(run_id, "started")
    server.client.post(f"/runs/{run_id}/cancel")
    assert server.wait(run_id)["status"] == "cancelled"
    answers = post_at_once(server.url, [config] * 10)
    assert {(answer.json()["id"], answer.json()["attempt"]) for answer in answers} == {(run_id, 2)}
    assert [answer.json()["reused"] for answer in answers].count(False) == 1
    assert server.wait(run_id)["status"] == "completed"


def test_health_keeps_answering_while_two_runs_compute(server: LiveServer) -> None:
    ids = [post(server, endless()) for _ in range(2)]
    for run_id in ids:
        server.wait_for(run_id, "validation_progress")
    for _ in range(200):
        assert server.get("/healthz").json() == {"status": "ok"}
    assert [server.run(run_id)["status"] for run_id in ids] == ["running", "running"]
    for run_id in ids:
        assert server.client.post(f"/runs/{run_id}/cancel").status_code == 202
        assert server.wait(run_id)["status"] == "cancelled"

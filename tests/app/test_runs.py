"""The table of POST /runs from outside: what is found, what is queued, what is counted."""

import random
import re
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from time import monotonic

import httpx
import pytest

from tests.app.calls import (
    AT_ONCE,
    INSTANT,
    RUN_FIELDS,
    Config,
    cancelled,
    config,
    count_runs,
    fresh,
    identity,
    lengthy,
    problem,
)
from tests.live import LiveServer


class TestPost:
    def test_new_then_under_way_then_completed(self, limited: LiveServer) -> None:
        posted = fresh(dataset="long", validation={"permutation": {"n": 4000}})
        first = limited.post(posted)
        assert first.status_code == 202
        run = first.json()
        assert run.keys() == RUN_FIELDS
        assert re.fullmatch("[0-9a-f]{32}", run["id"])
        assert run["hash"].startswith(run["id"])
        assert len(run["hash"]) == 64
        assert first.headers["location"] == f"/runs/{run['id']}"
        assert int(first.headers["retry-after"]) >= 1
        assert (run["status"], run["attempt"], run["reused"]) == ("queued", 1, False)
        assert run["metrics"] == {}
        assert run["error"] is run["manifest_hash"] is run["started_at"] is run["finished_at"] is None

        limited.wait_for(run["id"], "started")
        again = limited.post(posted)
        assert again.status_code == 202
        assert again.headers["location"] == first.headers["location"]
        assert int(again.headers["retry-after"]) >= 1
        assert (again.json()["id"], again.json()["reused"], again.json()["attempt"]) == (run["id"], True, 1)

        final = limited.wait(run["id"])
        assert final["status"] == "completed"
        last = limited.post(posted)
        assert last.status_code == 200
        assert "retry-after" not in last.headers
        assert last.json() == final | {"reused": True}
        assert final["created_at"] <= final["started_at"] <= final["finished_at"]
        assert all(INSTANT.fullmatch(final[name]) for name in ("created_at", "started_at", "finished_at"))
        assert (final["progress"], final["stage"]) == (1.0, None)
        for link in final["links"].values():
            assert limited.get(link).status_code == 200

    def test_the_body_is_the_resolved_configuration(self, server: LiveServer) -> None:
        run = server.completed(fresh())
        assert run["config"]["timeframe"] == "1h"
        assert run["config"]["execution"]["fill_lag"] == 1
        again = server.post(run["config"])
        assert (again.status_code, again.json()["id"]) == (200, run["id"])

    def test_a_longer_timeframe_than_the_dataset_has(self, server: LiveServer) -> None:
        run = server.completed(fresh(timeframe="240m"))
        assert run["config"]["timeframe"] == "4h"
        summary = server.get(f"/runs/{run['id']}/artifacts/summary.json").json()
        assert summary["hash"] == run["hash"]
        assert any("bars of 4h are made of bars of 1h" in line for line in summary["assumptions"])

    def test_identical_posts_at_once_make_one_run(self, processes: LiveServer) -> None:
        posted = fresh(note="at once")
        together = Barrier(AT_ONCE)

        def post(_: int) -> httpx.Response:
            together.wait()
            return client.post("/runs", json=posted)

        limits = httpx.Limits(max_connections=AT_ONCE)
        with (
            httpx.Client(base_url=processes.url, limits=limits, timeout=60.0) as client,
            ThreadPoolExecutor(AT_ONCE) as pool,
        ):
            answers = list(pool.map(post, range(AT_ONCE)))
        assert {answer.status_code for answer in answers} <= {200, 202}
        bodies = [answer.json() for answer in answers]
        assert len({body["id"] for body in bodies}) == 1
        assert [body["reused"] for body in bodies].count(False) == 1
        assert {body["attempt"] for body in bodies} == {1}
        run = processes.wait(bodies[0]["id"])
        assert (run["status"], run["attempt"]) == ("completed", 1)
        assert [event.event for event in processes.events(run["id"])].count("started") == 1

    def test_different_posts_at_once_are_all_taken(self, processes: LiveServer) -> None:
        posted = [fresh() for _ in range(20)]
        with ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(processes.post, posted))
        assert {answer.status_code for answer in answers} == {202}
        names = [answer.json()["id"] for answer in answers]
        assert len(set(names)) == 20
        assert {processes.wait(name)["status"] for name in names} == {"completed"}

    @pytest.mark.parametrize(
        "variant",
        [
            {"initial_capital": 100000},
            {"initial_capital": 1e5},
            {"seed": 42.0},
            {"strategy": {"name": "dual_sma", "params": {"fast": 5.0, "slow": 20.0}}},
            {"strategy": {"params": {"slow": 20, "fast": 5}, "name": "dual_sma"}},
            {"start": None, "end": None, "timeframe": None, "fraction": 1, "portion": 1},
            {"timeframe": "1h"},
            {"execution": {}},
            {"execution": {"commission": {"bps": 5}, "fill_lag": 1}},
            {"validation": {"permutation": None}},
            {"risk": {"name": "fixed_fraction"}},
            {"tags": ["a"], "note": "outside the hash"},
        ],
    )
    def test_the_same_question_has_the_same_hash(self, server: LiveServer, variant: Config) -> None:
        assert identity(server, config() | variant) == identity(server, config())

    def test_key_order_and_written_defaults_do_not_matter(self, server: LiveServer) -> None:
        resolved = server.client.post("/runs", json=config(), params={"dry_run": True}).json()["config"]
        keys = list(resolved)
        random.Random(1).shuffle(keys)
        assert identity(server, {key: resolved[key] for key in keys}) == identity(server, config())

    @pytest.mark.parametrize(
        "variant",
        [
            {"initial_capital": 100001},
            {"seed": 43},
            {"execution": {"fill_lag": 2}},
            {"validation": {"permutation": {}}},
            {"fraction": 0.5},
            {"start": "2020-01-02T00:00:00Z"},
            {"timeframe": "4h"},
        ],
    )
    def test_another_question_has_another_hash(self, server: LiveServer, variant: Config) -> None:
        assert identity(server, config() | variant) != identity(server, config())

    def test_offsets_of_one_instant_are_one_question(self, server: LiveServer) -> None:
        utc = identity(server, config(start="2020-01-03T10:00:00Z"))
        assert utc == identity(server, config(start="2020-01-03T12:00:00+02:00"))
        assert utc == identity(server, config(start="2020-01-03T10:00:00.000+00:00"))

    def test_tags_merge_and_the_note_is_replaced(self, server: LiveServer) -> None:
        posted = fresh()
        first = server.post(posted | {"tags": ["one", "two", "one"], "note": "first"}).json()
        assert (sorted(first["tags"]), first["note"]) == (["one", "two"], "first")
        server.wait(first["id"])
        merged = server.post(posted | {"tags": ["two", "three"]}).json()
        assert (merged["id"], merged["reused"], merged["note"]) == (first["id"], True, "first")
        assert sorted(merged["tags"]) == ["one", "three", "two"]
        assert server.post(posted | {"note": "second"}).json()["note"] == "second"
        kept = server.run(first["id"])
        assert (sorted(kept["tags"]), kept["note"]) == (["one", "three", "two"], "second")

    def test_a_dry_run_stores_nothing(self, server: LiveServer) -> None:
        before = count_runs(server)
        posted = fresh(start="2020-01-05T00:00:00Z")
        dry = server.client.post("/runs", json=posted, params={"dry_run": True})
        assert dry.status_code == 200
        body = dry.json()
        assert body["hash"].startswith(body["id"])
        assert body["config"]["timeframe"] == "1h"
        assert (body["rows"], body["known"]) == (1000 - 4 * 24, False)
        assert body["start"] == "2020-01-05T00:00:00Z"
        assert body["end"] == "2020-02-11T16:00:00Z"
        assert body["estimated_memory_bytes"] > 0
        assert body["estimated_seconds"] > 0
        assert count_runs(server) == before
        problem(server.get(f"/runs/{body['id']}"), 404, "not_found")
        real = server.completed(posted)
        assert (real["id"], real["hash"], real["config"]) == (body["id"], body["hash"], body["config"])
        again = server.client.post("/runs", json=posted, params={"dry_run": True})
        assert again.json() == body | {"known": True}


class TestAttempts:
    def test_a_cancelled_run_is_tried_again(self, server: LiveServer) -> None:
        posted = lengthy()
        run = cancelled(server, posted)
        again = server.post(posted)
        assert again.status_code == 202
        assert (again.json()["id"], again.json()["attempt"]) == (run["id"], 2)
        assert (again.json()["status"], again.json()["reused"]) == ("queued", False)
        assert again.json()["finished_at"] is None
        assert again.json()["error"] is None
        cancelled(server, posted)

    def test_waiting_never_starts_an_attempt(self, server: LiveServer) -> None:
        posted = lengthy()
        run = cancelled(server, posted)
        answer = server.post(posted, prefer="wait=10")
        assert answer.status_code == 200
        assert answer.headers["preference-applied"] == "wait=10"
        assert answer.json() == run | {"reused": True}

    def test_waiting_answers_with_the_final_run(self, server: LiveServer) -> None:
        answer = server.post(fresh(), prefer="respond-async, wait=30")
        assert answer.status_code == 200
        assert answer.headers["preference-applied"] == "wait=30"
        assert answer.headers["location"] == f"/runs/{answer.json()['id']}"
        assert "retry-after" not in answer.headers
        assert (answer.json()["status"], answer.json()["reused"]) == ("completed", False)
        assert answer.json() == server.run(answer.json()["id"])

    @pytest.mark.parametrize("wait", ["0", "1"])
    def test_waiting_ends_with_the_run_as_it_is(self, server: LiveServer, wait: str) -> None:
        began = monotonic()
        answer = server.post(lengthy(), prefer=f"wait={wait}")
        assert int(wait) <= monotonic() - began < int(wait) + 3
        assert answer.status_code == 202
        assert answer.headers["preference-applied"] == f"wait={wait}"
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.json()["status"] in ("queued", "running")
        server.cancel(answer.json()["id"])

    def test_a_wait_is_cut_to_sixty_seconds(self, server: LiveServer, finished: str) -> None:
        answer = server.post(config(), prefer="wait=100000")
        assert answer.headers["preference-applied"] == "wait=60"
        assert answer.json()["id"] == finished

    @pytest.mark.parametrize("prefer", ["wait", "wait=-1", "wait=soon", "respond-async"])
    def test_a_preference_not_understood_is_ignored(self, server: LiveServer, finished: str, prefer: str) -> None:
        answer = server.post(config(), prefer=prefer)
        assert (answer.status_code, answer.json()["id"]) == (200, finished)
        assert "preference-applied" not in answer.headers

    def test_the_time_limit_fails_an_attempt_and_the_next_may_be_tried(self, limited: LiveServer) -> None:
        posted = lengthy()
        run = limited.wait(limited.post(posted).json()["id"])
        assert run["status"] == "failed"
        assert run["error"]["code"] == "time_limit"
        assert "6 s" in run["error"]["message"]
        terminal = limited.events(run["id"])[-1]
        assert (terminal.event, terminal.data["data"]) == ("failed", run["error"])
        assert limited.post(posted, prefer="wait=10").json() == run | {"reused": True}
        problem(limited.get(f"/runs/{run['id']}/artifacts"), 409, "conflict")
        problem(limited.get(f"/runs/{run['id']}/verify"), 409, "conflict")
        problem(limited.client.post(f"/runs/{run['id']}/recompute"), 409, "conflict")
        assert limited.post(posted).json()["attempt"] == 2
        cancelled(limited, posted)


class TestIdempotencyKey:
    @pytest.mark.parametrize("sent", ["key-{}", '"key-{}"'])
    def test_a_key_belongs_to_one_configuration(self, server: LiveServer, sent: str) -> None:
        posted, other = fresh(), fresh()
        key = sent.format(posted["seed"])
        first = server.post(posted, idempotency_key=key)
        assert first.status_code == 202
        server.wait(first.json()["id"])
        again = server.post(posted, idempotency_key=key)
        assert (again.status_code, again.json()["id"], again.json()["reused"]) == (200, first.json()["id"], True)
        problem(server.post(other, idempotency_key=key), 422, "idempotency_key_reused")
        problem(server.get(f"/runs/{identity(server, other)[:32]}"), 404)

    def test_quoted_and_bare_are_one_key(self, server: LiveServer) -> None:
        posted = fresh()
        server.post(posted, idempotency_key=f"{posted['seed']}")
        problem(server.post(fresh(), idempotency_key=f'"{posted["seed"]}"'), 422, "idempotency_key_reused")

    def test_a_refused_post_does_not_take_the_key(self, server: LiveServer) -> None:
        posted = fresh()
        key = f"refused-{posted['seed']}"
        problem(server.post(posted | {"dataset": "nowhere"}, idempotency_key=key), 422)
        assert server.post(posted, idempotency_key=key).status_code == 202

    @pytest.mark.parametrize("key", [b"", b'""', b"two words", b"k" * 256, "é".encode(), b"tab\tbed"])
    def test_a_bad_key_is_refused(self, server: LiveServer, key: bytes) -> None:
        posted = fresh()
        problem(server.client.post("/runs", json=posted, headers={b"Idempotency-Key": key}), 422, "invalid_request")
        problem(server.get(f"/runs/{identity(server, posted)[:32]}"), 404)

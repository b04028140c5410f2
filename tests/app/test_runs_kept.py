"""Runs that are there: read, listed, changed, cancelled, deleted; and the service around them."""

import base64
import re
from collections.abc import Iterator
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.app.calls import (
    Config,
    config,
    field_errors,
    fresh,
    lengthy,
    problem,
)
from tests.live import LiveServer


class TestCancel:
    def test_a_queued_run(self, busy: LiveServer) -> None:
        run = busy.post(fresh()).json()
        answer = busy.client.post(f"/runs/{run['id']}/cancel")
        assert answer.status_code == 202
        assert answer.json()["status"] == "cancelled"
        final = busy.wait(run["id"])
        assert (final["status"], final["started_at"], final["error"]) == ("cancelled", None, None)
        assert [event.event for event in busy.events(run["id"])] == ["queued", "cancelled"]

    @pytest.mark.parametrize("executor", ["server", "processes", "shared_threads", "shared_processes"])
    def test_a_running_run_stops_within_a_second(self, executor: str, request: pytest.FixtureRequest) -> None:
        live: LiveServer = request.getfixturevalue(executor)
        run = live.post(lengthy()).json()
        live.wait_for(run["id"], "started")
        began = monotonic()
        assert live.client.post(f"/runs/{run['id']}/cancel").status_code == 202
        final = live.wait(run["id"])
        assert monotonic() - began < 1.0
        assert (final["status"], final["error"]) == ("cancelled", None)
        assert live.events(run["id"])[-1].event == "cancelled"
        assert live.completed(fresh())["status"] == "completed"
        assert not list((live.data_dir / "runs").glob(f"{run['id']}*"))

    def test_a_final_run_stays_as_it_is(self, server: LiveServer, finished: str) -> None:
        before = server.run(finished)
        answer = server.client.post(f"/runs/{finished}/cancel")
        assert answer.status_code == 202
        assert answer.json() == before == server.run(finished)
        assert server.events(finished)[-1].event == "completed"


class TestRead:
    def test_the_entity_tag_follows_the_run(self, server: LiveServer) -> None:
        run = server.completed(fresh())
        answer = server.get(f"/runs/{run['id']}")
        tag = answer.headers["etag"]
        assert re.fullmatch(r'"[^"]+"', tag)
        for sent in (tag, f"W/{tag}", f'"other", {tag}', "*"):
            unchanged = server.get(f"/runs/{run['id']}", if_none_match=sent)
            assert (unchanged.status_code, unchanged.content) == (304, b"")
            assert unchanged.headers["etag"] == tag
        server.client.patch(f"/runs/{run['id']}", json={"note": "changed"})
        changed = server.get(f"/runs/{run['id']}", if_none_match=tag)
        assert changed.status_code == 200
        assert changed.headers["etag"] != tag

    def test_patch(self, server: LiveServer) -> None:
        run = server.completed(fresh(tags=["old"], note="old"))
        path = f"/runs/{run['id']}"
        assert run["pinned"] is False

        def patch(values: Config) -> dict[str, Any]:
            answer = server.client.patch(path, json=values)
            assert answer.status_code == 200, answer.text
            assert answer.json() == server.run(run["id"])
            body: dict[str, Any] = answer.json()
            return body

        changed = patch({"tags": ["new", "b"], "pinned": True})
        assert (sorted(changed["tags"]), changed["note"], changed["pinned"]) == (["b", "new"], "old", True)
        assert patch({}) == changed
        assert patch({"note": None})["note"] is None
        assert patch({"tags": [], "pinned": False})["tags"] == []
        same = {key: value for key, value in run.items() if key not in ("tags", "note")}
        assert {key: value for key, value in server.run(run["id"]).items() if key in same} == same

    @pytest.mark.parametrize(
        "values",
        [{"status": "failed"}, {"pinned": "maybe"}, {"tags": "text"}, {"tags": [""]}, {"tags": ["a,b"]}, {"note": 1}],
    )
    def test_patch_refuses(self, server: LiveServer, finished: str, values: Config) -> None:
        before = server.run(finished)
        assert field_errors(server.client.patch(f"/runs/{finished}", json=values))
        assert server.run(finished) == before


@pytest.fixture(scope="module")
def tagged(server: LiveServer) -> list[dict[str, Any]]:
    """Seven runs under one tag, oldest first; one strategy leaves metrics undefined."""
    server.put_market("synth-two", bars=800, seed=7, symbol="TWO")
    posted = [
        config(strategy={"name": "dual_sma", "params": {"fast": fast, "slow": 30}}, seed=500) for fast in (3, 4, 6, 7)
    ]
    posted += [config(strategy={"name": "buy_and_hold"}, seed=seed) for seed in (501, 502)]
    posted += [config(dataset="synth-two", symbols=["TWO"], seed=503)]
    return [server.completed(values | {"tags": ["listed", f"n{n}"]}) for n, values in enumerate(posted)]


class TestList:
    def listed(self, server: LiveServer, **query: object) -> list[str]:
        answer = server.client.get("/runs", params={key: str(value) for key, value in query.items()})
        assert answer.status_code == 200, answer.text
        return [run["id"] for run in answer.json()["runs"]]

    def pages(self, server: LiveServer, **query: str) -> Iterator[list[dict[str, Any]]]:
        """Every page, by following the Link header."""
        answer = server.client.get("/runs", params=query)
        while True:
            assert answer.status_code == 200, answer.text
            body = answer.json()
            yield body["runs"]
            link = answer.headers.get("link")
            assert (link is None) == (body["next_cursor"] is None)
            if link is None:
                return
            match = re.fullmatch(r'<(/runs\?[^>]+)>; rel="next"', link)
            assert match is not None
            answer = server.get(match[1])

    def test_newest_first(self, server: LiveServer, tagged: list[dict[str, Any]]) -> None:
        assert self.listed(server, tag="listed") == [run["id"] for run in reversed(tagged)]

    def test_rows_are_whole_runs(self, server: LiveServer, tagged: list[dict[str, Any]]) -> None:
        rows = server.client.get("/runs", params={"tag": "listed"}).json()["runs"]
        assert rows == [server.run(run["id"]) for run in reversed(tagged)]

    def test_filters(self, server: LiveServer, tagged: list[dict[str, Any]]) -> None:
        names = [run["id"] for run in tagged]
        assert self.listed(server, tag="n2") == [names[2]]
        assert self.listed(server, tag="listed", strategy="buy_and_hold") == [names[5], names[4]]
        assert self.listed(server, tag="listed", symbol="TWO") == [names[6]]
        assert self.listed(server, tag="listed", dataset="synth-two") == [names[6]]
        assert self.listed(server, tag="listed", dataset="synth", symbol="TWO") == []
        assert len(self.listed(server, tag="listed", status="completed")) == 7
        assert self.listed(server, tag="listed", status="failed") == []
        assert self.listed(server, tag="nobody") == []

    def test_every_status_can_be_asked_for(self, server: LiveServer) -> None:
        for status in ("queued", "running", "completed", "failed", "cancelled", "interrupted"):
            answer = server.client.get("/runs", params={"status": status})
            assert {run["status"] for run in answer.json()["runs"]} <= {status}

    @pytest.mark.parametrize("descending", [False, True])
    def test_every_metric_sorts(self, server: LiveServer, tagged: list[dict[str, Any]], descending: bool) -> None:
        metrics = [metric["name"] for metric in server.get("/catalog").json()["metrics"]]
        assert metrics == list(tagged[0]["metrics"])
        undefined = 0
        for metric in metrics:
            sort = f"-{metric}" if descending else metric
            found = [run for page in self.pages(server, tag="listed", sort=sort, limit="2") for run in page]
            assert sorted(run["id"] for run in found) == sorted(run["id"] for run in tagged), metric
            values = [run["metrics"][metric] for run in found]
            defined = [value for value in values if value is not None]
            undefined += len(values) - len(defined)
            assert values[: len(defined)] == defined, "undefined comes last"
            assert defined == sorted(defined, reverse=descending), metric
        assert undefined > 0

    @pytest.mark.parametrize("limit", [1, 2, 3, 6, 7, 100])
    def test_pages_lose_and_repeat_nothing(self, server: LiveServer, tagged: list[dict[str, Any]], limit: int) -> None:
        pages = list(self.pages(server, tag="listed", limit=str(limit)))
        assert [run["id"] for page in pages for run in page] == [run["id"] for run in reversed(tagged)]
        assert all(len(page) == limit for page in pages[:-1])
        assert pages[-1]

    def test_a_new_run_does_not_shift_the_pages(self, server: LiveServer, tagged: list[dict[str, Any]]) -> None:
        first = server.client.get("/runs", params={"tag": "listed", "limit": 3}).json()
        late = server.completed(fresh(tags=["listed"]))
        rest = self.listed(server, tag="listed", limit=100, cursor=first["next_cursor"])
        server.client.patch(f"/runs/{late['id']}", json={"tags": []})
        assert [run["id"] for run in first["runs"]] + rest == [run["id"] for run in reversed(tagged)]

    @pytest.mark.usefixtures("tagged")
    def test_a_cursor_belongs_to_its_sort(self, server: LiveServer) -> None:
        cursor = server.client.get("/runs", params={"sort": "sharpe", "limit": 1}).json()["next_cursor"]
        for sort in ({}, {"sort": "-sharpe"}, {"sort": "cagr"}):
            problem(server.client.get("/runs", params={"cursor": cursor} | sort), 422, "invalid_request")

    @pytest.mark.parametrize(
        "cursor", ["", "x", "%%%", "é", "AAAA", base64.urlsafe_b64encode(b'[null,"a",1]').decode()]
    )
    def test_a_bad_cursor(self, server: LiveServer, cursor: str) -> None:
        problem(server.client.get("/runs", params={"cursor": cursor}), 422, "invalid_request")

    @pytest.mark.parametrize("sort", ["", "-", "shape", "id", "created_at; drop table runs"])
    def test_a_bad_sort_names_what_there_is(self, server: LiveServer, sort: str) -> None:
        body = problem(server.client.get("/runs", params={"sort": sort}), 422, "invalid_request")
        assert "sharpe" in body["allowed"]

    @pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "101"}, {"limit": "x"}, {"status": "done"}])
    def test_a_bad_query(self, server: LiveServer, query: dict[str, str]) -> None:
        (entry,) = field_errors(server.client.get("/runs", params=query)).values()
        assert entry["in"] == "query"


class TestDelete:
    def test_a_deleted_run_leaves_a_tombstone(self, server: LiveServer) -> None:
        posted = fresh()
        run = server.completed(posted)
        path = f"/runs/{run['id']}"
        assert (server.data_dir / "runs" / run["id"]).is_dir()
        answer = server.client.delete(path)
        assert (answer.status_code, answer.content) == (204, b"")
        assert not (server.data_dir / "runs" / run["id"]).exists()
        gone = [
            server.get(path),
            server.get(f"{path}/events"),
            server.client.get(f"{path}/events", params={"format": "json"}),
            server.get(f"{path}/artifacts"),
            server.get(f"{path}/artifacts/equity.parquet"),
            server.get(f"{path}/verify"),
            server.client.post(f"{path}/recompute"),
            server.client.post(f"{path}/cancel"),
            server.client.patch(path, json={"note": "x"}),
            server.client.delete(path),
        ]
        for answer in gone:
            tombstone = problem(answer, 410, "gone")["tombstone"]
            assert {key: tombstone[key] for key in ("id", "hash", "attempt", "status", "metrics", "manifest_hash")} == {
                key: run[key] for key in ("id", "hash", "attempt", "status", "metrics", "manifest_hash")
            }
            assert tombstone["reason"] == "deleted"
            assert tombstone["removed_at"]
        again = server.post(posted)
        assert again.status_code == 202
        assert (again.json()["id"], again.json()["attempt"], again.json()["reused"]) == (run["id"], 2, False)
        final = server.wait(run["id"])
        assert (final["status"], final["manifest_hash"]) == ("completed", run["manifest_hash"])
        assert server.events(run["id"])[0].id == "2-1"

    def test_not_while_it_is_unfinished(self, busy: LiveServer) -> None:
        queued = busy.post(fresh()).json()
        (running,) = busy.client.get("/runs", params={"status": "running"}).json()["runs"]
        for run in (queued, running):
            problem(busy.client.delete(f"/runs/{run['id']}"), 409, "conflict")
            assert busy.run(run["id"])["status"] == run["status"]
        cancelled_run = busy.client.post(f"/runs/{queued['id']}/cancel").json()
        assert busy.client.delete(f"/runs/{cancelled_run['id']}").status_code == 204


class TestRestart:
    def test_queued_runs_go_on_and_running_ones_are_interrupted(self, restarted: LiveServer) -> None:
        done, long, short = fresh(), lengthy(), fresh()
        kept = restarted.completed(done)
        running = restarted.post(long).json()["id"]
        restarted.wait_for(running, "validation_progress", "progress")
        queued = restarted.post(short, idempotency_key="kept").json()["id"]
        seen = restarted.client.get(f"/runs/{running}/events", params={"format": "json"}).json()
        began = monotonic()
        restarted.restart()
        assert monotonic() - began < 30

        assert restarted.run(kept["id"]) == kept
        assert restarted.get(f"/runs/{kept['id']}/verify").json()["ok"] is True
        rest = restarted.events(running, f"1-{len(seen)}")
        assert [event.data["seq"] for event in rest] == list(range(len(seen) + 1, len(seen) + len(rest) + 1))
        assert rest[-1].event == "interrupted"
        whole = restarted.client.get(f"/runs/{running}/events", params={"format": "json"}).json()
        assert whole[: len(seen)] == seen
        assert whole[len(seen) :] == [event.data for event in rest]
        ended = restarted.run(running)
        assert (ended["status"], ended["attempt"]) == ("interrupted", 1)
        assert ended["finished_at"] is not None

        assert restarted.wait(queued)["status"] == "completed"
        assert restarted.run(queued)["attempt"] == 1
        problem(restarted.post(done, idempotency_key="kept"), 422, "idempotency_key_reused")
        again = restarted.post(long)
        assert (again.status_code, again.json()["id"], again.json()["attempt"]) == (202, running, 2)
        event = restarted.events_until(running, "started", f"1-{len(whole)}")[0]
        assert (event.id, event.event) == ("2-0", "resync")
        restarted.cancel(running)
        assert restarted.wait(running)["status"] == "cancelled"


class TestService:
    def test_health_readiness_and_versions(self, server: LiveServer) -> None:
        assert server.get("/healthz").json() == {"status": "ok"}
        ready = server.get("/readyz").json()
        assert (ready["ready"], ready["executor"], ready["queued"]) == (True, "thread", 0)
        versions = server.get("/version").json()
        assert {"version", "schema_version", "semantics_version", "python", "libraries"} <= versions.keys()
        assert {"numpy", "numba", "polars"} <= versions["libraries"].keys()

    def test_links_are_relative_to_the_service(self, server: LiveServer, finished: str) -> None:
        for link in server.run(finished)["links"].values():
            assert urlsplit(link).netloc == ""
            assert link.startswith(f"/runs/{finished}")

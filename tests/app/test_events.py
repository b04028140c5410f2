"""The event stream from outside: what comes, in which form, and that a cut costs nothing."""

import json
import re
from datetime import datetime, timedelta
from itertools import islice, pairwise
from typing import Any

import httpx
import pytest

from tests.app.calls import fresh, lengthy, problem
from tests.live import LiveServer, Sse, parse

STAGES = ["data", "features", "strategy", "sizing", "execution", "metrics", "validation", "artifacts"]
FIELDS = {"run_id", "attempt", "seq", "ts", "type", "stage", "progress", "message", "data"}
SEVERAL_UPDATES = {"dataset": "long", "validation": {"permutation": {"n": 8_000}}}
"""Computes for more than a second."""


def listing(server: LiveServer, run_id: str, **headers: str) -> httpx.Response:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return server.client.get(f"/runs/{run_id}/events", params={"format": "json"}, headers=sent)


def stream(server: LiveServer, run_id: str, query: str = "", **headers: str) -> httpx.Response:
    """A stream that ends, as bytes."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return server.client.get(f"/runs/{run_id}/events{query}", headers={"Accept": "text/event-stream"} | sent)


def events(answer: httpx.Response) -> list[Sse]:
    assert answer.status_code == 200
    return list(parse(iter(answer.text.split("\n"))))


@pytest.fixture(scope="module")
def whole(server: LiveServer, finished: str) -> list[Sse]:
    """The whole stream of a completed run."""
    return server.events(finished)


@pytest.fixture(scope="module")
def second(server: LiveServer) -> str:
    """A run whose second attempt is final; both were cancelled."""
    posted = lengthy()
    for _ in range(2):
        run_id = str(server.post(posted).json()["id"])
        server.cancel(run_id)
        server.wait(run_id)
    assert server.run(run_id)["attempt"] == 2
    return run_id


class TestContent:
    def test_types_and_order(self, server: LiveServer, finished: str, whole: list[Sse]) -> None:
        kinds = [event.event for event in whole]
        assert kinds[:2] == ["queued", "started"]
        assert kinds[-2:] == ["artifacts", "completed"]
        assert [event.data["stage"] for event in whole if event.event == "stage"] == STAGES
        for kind in ("queued", "started", "equity", "metrics", "artifacts", "completed"):
            assert kinds.count(kind) == 1
        others = {"stage", "warning", "equity", "metrics", "progress", "validation_progress"}
        assert set(kinds[2:-2]) <= others
        run = server.run(finished)
        terminal = whole[-1].data["data"]
        assert terminal["manifest_hash"] == run["manifest_hash"]
        assert terminal["metrics"] == run["metrics"]
        made = next(event.data["data"] for event in whole if event.event == "artifacts")
        manifest = server.get(f"/runs/{finished}/artifacts").json()
        assert made["files"] == [file["name"] for file in manifest["files"]]
        assert made["manifest_hash"] == run["manifest_hash"]
        warnings = [event.data["data"] for event in whole if event.event == "warning"]
        assert warnings == run["warnings"]

    def test_ids_count_without_a_gap(self, whole: list[Sse]) -> None:
        assert [event.id for event in whole] == [f"1-{seq}" for seq in range(1, len(whole) + 1)]

    def test_every_event_is_whole(self, finished: str, whole: list[Sse]) -> None:
        for event in whole:
            assert event.data.keys() == FIELDS
            assert event.id == f"{event.data['attempt']}-{event.data['seq']}"
            assert event.event == event.data["type"]
            assert event.data["run_id"] == finished
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", event.data["ts"])
            assert event.data["stage"] in (None, *STAGES)
            assert 0.0 <= event.data["progress"] <= 1.0
        assert all(a.data["progress"] <= b.data["progress"] for a, b in pairwise(whole))
        assert all(a.data["ts"] <= b.data["ts"] for a, b in pairwise(whole))

    def test_the_curve_is_down_sampled(self, whole: list[Sse]) -> None:
        points = next(event.data["data"]["points"] for event in whole if event.event == "equity")
        assert 2 <= len(points) <= 100
        assert all(a[0] < b[0] for a, b in pairwise(points))

    @pytest.mark.parametrize("executor", ["server", "processes"])
    def test_at_most_four_updates_a_second(self, executor: str, request: pytest.FixtureRequest) -> None:
        live: LiveServer = request.getfixturevalue(executor)
        run = live.completed(fresh() | SEVERAL_UPDATES | {"validation": {"permutation": {"n": 14_000}}})
        found = [event.data for event in live.events(run["id"]) if event.event.endswith("progress")]
        assert len(found) >= 5
        times = [datetime.fromisoformat(event["ts"]) for event in found]
        # Five in less than a second would be too many; stamps are those of the commit, which may come late.
        assert all(after - before > timedelta(seconds=0.7) for before, after in zip(times, times[4:], strict=False))
        done = [event["data"]["done"] for event in found if event["type"] == "validation_progress"]
        assert done == sorted(done)

    def test_attempts_count_on(self, server: LiveServer, second: str) -> None:
        found = server.events(second)
        assert [event.id for event in found] == [f"2-{seq}" for seq in range(1, len(found) + 1)]
        assert (found[0].event, found[-1].event) == ("queued", "cancelled")


class TestWire:
    def test_bytes(self, server: LiveServer, finished: str) -> None:
        answer = stream(server, finished)
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] in ("no-store", "no-cache")
        assert answer.headers["x-accel-buffering"] == "no"
        raw = answer.content
        assert b"\r" not in raw
        assert raw.endswith(b"\n\n")
        blocks = [block for block in raw.decode().split("\n\n") if block]
        assert blocks[0].startswith("retry: 2000\n")
        assert raw.count(b"retry:") == 1
        for block in blocks:
            names = [line.partition(": ")[0] for line in block.split("\n") if not line.startswith((":", "retry"))]
            assert names in (["id", "event", "data"], [])
        for block in blocks:
            (data,) = [line for line in block.split("\n") if line.startswith("data: ")]
            json.loads(data.removeprefix("data: "), parse_constant=pytest.fail)

    def test_an_idle_stream_has_a_heartbeat(self, busy: LiveServer) -> None:
        run_id = busy.post(fresh()).json()["id"]
        with busy.client.stream("GET", f"/runs/{run_id}/events") as answer:
            comments = list(islice((line for line in answer.iter_lines() if line.startswith(":")), 3))
        assert len(comments) == 3
        busy.cancel(run_id)
        assert [event.event for event in busy.events(run_id)] == ["queued", "cancelled"]


class TestResume:
    def test_from_every_position(self, server: LiveServer, finished: str, whole: list[Sse]) -> None:
        for position in range(len(whole)):
            assert server.events(finished, f"1-{position}") == whole[position:]
        for query in ("?last_event_id=1-3", "?last_event_id=1-3&format=sse"):
            assert events(stream(server, finished, query)) == whole[3:]

    @pytest.mark.parametrize("executor", ["server", "processes"])
    def test_a_stream_cut_after_every_event(self, executor: str, request: pytest.FixtureRequest) -> None:
        live: LiveServer = request.getfixturevalue(executor)
        run_id = live.post(fresh() | SEVERAL_UPDATES).json()["id"]
        seen: list[Sse] = []
        while not seen or seen[-1].event != "completed":
            with live.follow(run_id, seen[-1].id if seen else None) as incoming:
                seen += islice(incoming, 1)
        assert [event.data for event in seen] == listing(live, run_id).json()
        assert live.events(run_id) == seen

    def test_many_follow_one_run(self, server: LiveServer) -> None:
        run_id = server.post(fresh() | SEVERAL_UPDATES).json()["id"]
        with server.follow(run_id) as first, server.follow(run_id) as other:
            assert list(first) == list(other) == server.events(run_id)

    def test_the_end_is_204(self, server: LiveServer, finished: str, whole: list[Sse]) -> None:
        for answer in (
            stream(server, finished, last_event_id=whole[-1].id),
            stream(server, finished, f"?last_event_id={whole[-1].id}"),
        ):
            assert (answer.status_code, answer.content) == (204, b"")

    def test_the_header_beats_the_query(self, server: LiveServer, finished: str, whole: list[Sse]) -> None:
        assert events(stream(server, finished, "?last_event_id=1-2", last_event_id="1-7")) == whole[7:]
        assert events(stream(server, finished, f"?last_event_id={whole[-1].id}", last_event_id="1-7")) == whole[7:]

    @pytest.mark.parametrize(
        "seen",
        ["2-1", "0-1", "1-9999", "1-999999999", "1", "-", "1-", "1--1", "1-1-1", "x-y", "1-1 ", "a" * 4000, "%00"],
    )
    def test_what_was_never_sent_gives_a_resync(
        self, server: LiveServer, finished: str, whole: list[Sse], seen: str
    ) -> None:
        sent = {"last_event_id": seen}
        answer = server.client.get(f"/runs/{finished}/events", params=sent)
        found = events(answer)
        assert answer.text.startswith("retry: 2000\n")
        assert (found[0].id, found[0].event) == ("1-0", "resync")
        assert found[0].data.keys() == FIELDS
        assert found[1:] == whole
        if seen == seen.strip():
            assert events(stream(server, finished, last_event_id=seen))[1:] == whole

    def test_an_id_of_an_earlier_attempt(self, server: LiveServer, second: str) -> None:
        now = server.events(second)
        found = server.events(second, "1-1")
        assert (found[0].id, found[0].event, found[0].data["attempt"]) == ("2-0", "resync", 2)
        assert found[1:] == now

    def test_a_resync_can_be_resumed(self, server: LiveServer, second: str) -> None:
        assert server.events(second, "2-0") == server.events(second)


class TestListing:
    def test_by_accept_and_by_format(self, server: LiveServer, finished: str, whole: list[Sse]) -> None:
        rows: list[dict[str, Any]] = [event.data for event in whole]
        by_format = listing(server, finished)
        by_accept = server.get(f"/runs/{finished}/events", accept="application/json")
        for answer in (by_format, by_accept):
            assert answer.headers["content-type"] == "application/json"
            assert answer.json() == rows
        assert by_accept.headers["etag"] == by_format.headers["etag"]
        assert listing(server, finished, last_event_id="1-4").json() == rows[4:]
        assert listing(server, finished, last_event_id=whole[-1].id).json() == []

    def test_polling(self, busy: LiveServer) -> None:
        run_id = busy.post(fresh()).json()["id"]
        first = listing(busy, run_id)
        tag = first.headers["etag"]
        unchanged = listing(busy, run_id, if_none_match=tag)
        assert (unchanged.status_code, unchanged.content, unchanged.headers["etag"]) == (304, b"", tag)
        busy.cancel(run_id)
        changed = listing(busy, run_id, if_none_match=tag)
        assert changed.status_code == 200
        assert changed.headers["etag"] != tag
        assert [row["type"] for row in changed.json()] == ["queued", "cancelled"]


class TestRefusals:
    @pytest.mark.parametrize("accept", ["text/event-stream", "application/json", "*/*"])
    def test_an_unknown_run(self, server: LiveServer, accept: str) -> None:
        problem(server.get("/runs/ffff/events", accept=accept), 404, "not_found")

    def test_an_unknown_format(self, server: LiveServer, finished: str) -> None:
        problem(stream(server, finished, "?format=xml"), 422)

"""What POST /runs refuses, and what it does when the queue is full."""

import json

import polars as pl
import pytest

from tests.app.calls import Config, config, count_runs, field_errors, fresh, identity, problem
from tests.live import LiveServer, market_frame


class TestRefusals:
    def test_every_wrong_field_has_its_entry(self, server: LiveServer) -> None:
        before = count_runs(server)
        strategy = {"name": "dual_sma", "params": {"fast": 0, "slow": 20}}
        wrong = config(strategy=strategy, initial_capital=-1, seed="s", symbols=[], sede=1)
        errors = field_errors(server.post(wrong), "invalid_configuration")
        expected = {"/strategy/params/fast", "/initial_capital", "/seed", "/symbols", "/sede"}
        assert errors.keys() == expected
        assert all(entry["code"] and entry["message"] for entry in errors.values())
        assert errors["/sede"]["code"] == "unknown_field"
        assert "seed" in errors["/sede"]["message"]
        assert count_runs(server) == before

    def test_unknown_names_list_what_there_is(self, server: LiveServer) -> None:
        entry = field_errors(server.post(config(strategy={"name": "dual_smma"})))["/strategy/name"]
        assert entry["code"] == "unknown_name"
        assert {"dual_sma", "buy_and_hold"} <= set(entry["allowed"])
        assert "dual_sma" in entry["message"]

    @pytest.mark.parametrize(
        ("pointer", "value"),
        [
            ("/preset", {"preset": "mine"}),
            ("/report", {"report": True}),
        ],
    )
    def test_a_field_not_built_yet_is_unknown(self, server: LiveServer, pointer: str, value: Config) -> None:
        assert field_errors(server.post(config() | value))[pointer]["code"] == "unknown_field"

    def test_an_unknown_dataset_and_symbol(self, server: LiveServer) -> None:
        entry = field_errors(server.post(config(dataset="sinth")), "invalid_configuration")["/dataset"]
        assert entry["code"] == "unknown_dataset"
        assert "synth" in entry["message"]
        entry = field_errors(server.post(config(symbols=["SINTH"])))["/symbols/0"]
        assert (entry["code"], entry["allowed"]) == ("unknown_symbol", ["SYNTH"])
        assert "SINTH" in entry["message"]

    def test_what_the_data_refuses(self, server: LiveServer) -> None:
        assert field_errors(server.post(config(timeframe="15m")))["/timeframe"]["allowed"][0] == "1h"
        for period in ({"start": "2030-01-01T00:00:00Z"}, {"end": "2010-01-01T00:00:00Z"}):
            assert field_errors(server.post(config() | period))["/start"]["code"] == "empty_period"

    @pytest.mark.parametrize(
        "fields",
        [
            {"initial_capital": "MARKER-7c1"},
            {"strategy": {"name": "MARKER-7c1"}},
            {"strategy": "MARKER-7c1"},
            {"execution": {"fill_price": "MARKER-7c1"}},
            {"start": "MARKER-7c1"},
            {"tags": "MARKER-7c1"},
            {"tags": [",MARKER-7c1"]},
            {"note": ["MARKER-7c1"]},
            {"note": "MARKER-7c1" * 2000},
            {"seed": {"MARKER-7c1": "MARKER-7c1"}},
        ],
    )
    def test_a_refused_value_is_not_echoed(self, server: LiveServer, fields: Config) -> None:
        assert "MARKER" not in problem(server.post(config() | fields), 422, "invalid_configuration")["detail"]
        assert "MARKER" not in server.post(config() | fields).text

    @pytest.mark.parametrize(
        "body",
        [
            pytest.param(b'{"initial_capital": NaN, ', id="NaN"),
            pytest.param(b'{"initial_capital": -Infinity, ', id="infinity"),
            pytest.param(b'{"initial_capital": 1e999, ', id="1e999"),
            pytest.param(b'{"seed": 9007199254740992, ', id="2^53"),
            pytest.param(b'{"seed": 0.5, ', id="half a seed"),
            pytest.param(b'{"seed": true, ', id="true"),
            pytest.param(b'{"note": "\\ud800", ', id="surrogate note"),
            pytest.param(b'{"tags": ["\\udc00"], ', id="surrogate tag"),
            pytest.param(b'{"\\ud800": 1, ', id="surrogate name"),
            pytest.param(b'{"execution": {"\\ud800": 1}, ', id="surrogate name inside"),
        ],
    )
    def test_values_json_cannot_hold(self, server: LiveServer, body: bytes) -> None:
        whole = body + json.dumps(config())[1:].encode()
        answer = server.client.post("/runs", content=whole, headers={"Content-Type": "application/json"})
        field_errors(answer, "invalid_configuration")

    @pytest.mark.parametrize(
        "body",
        [
            pytest.param(b"", id="empty"),
            pytest.param(b"hello", id="words"),
            pytest.param(b'{"dataset": ', id="cut"),
            pytest.param(b"null", id="null"),
            pytest.param(b"[]", id="list"),
            pytest.param(b'"text"', id="text"),
            pytest.param(b'{"dataset": "\xff\xfe"}', id="no UTF-8"),
            pytest.param(b"[" * 100_000, id="open nesting"),
            pytest.param(b"[" * 100_000 + b"]" * 100_000, id="nesting"),
            pytest.param(b'{"a":' * 100_000 + b"1" + b"}" * 100_000, id="nested objects"),
            pytest.param(b'{"seed": ' + b"9" * 10_000 + b"}", id="long number"),
        ],
    )
    def test_bodies_that_are_no_configuration(self, server: LiveServer, body: bytes) -> None:
        answer = server.client.post("/runs", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in (400, 422)
        problem(answer, answer.status_code)

    @pytest.mark.parametrize("kind", ["text/plain", "application/xml", "application/x-www-form-urlencoded", None])
    def test_a_body_of_another_kind(self, server: LiveServer, kind: str | None) -> None:
        headers = {} if kind is None else {"Content-Type": kind}
        answer = server.client.post("/runs", content=json.dumps(config()), headers=headers)
        assert answer.status_code in (415, 422)
        problem(answer, answer.status_code)

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("GET", "/nothing", 404),
            ("GET", "/runs/0123", 404),
            ("GET", "/runs/%00", 404),
            ("GET", "/runs/%ff%fe", 404),
            ("GET", "/runs/..%2f..%2fetc%2fpasswd", 404),
            ("PATCH", "/runs/0123", 404),
            ("DELETE", "/runs/0123", 404),
            ("POST", "/runs/0123/cancel", 404),
            ("GET", "/runs/0123/verify", 404),
            ("POST", "/runs/0123/recompute", 404),
            ("GET", "/runs/0123/events", 404),
            ("GET", "/runs/0123/artifacts", 404),
            ("GET", "/runs/0123/artifacts/equity.parquet", 404),
            ("PUT", "/runs", 405),
            ("DELETE", "/runs", 405),
            ("POST", "/runs/0123", 405),
            ("GET", "/runs/0123/cancel", 405),
            ("POST", "/healthz", 405),
        ],
    )
    def test_no_such_thing(self, server: LiveServer, method: str, path: str, status: int) -> None:
        answer = server.client.request(method, path, json={} if method == "PATCH" else None)
        problem(answer, status, {404: "not_found", 405: "method_not_allowed"}[status])
        if status == 405:
            assert answer.headers["allow"]

    def test_every_request_has_its_own_id(self, server: LiveServer) -> None:
        answers = [server.get("/healthz"), server.get("/nothing"), server.get("/runs")]
        assert len({answer.headers["x-request-id"] for answer in answers}) == 3


class TestQueue:
    def test_a_full_queue_refuses_and_stores_nothing(self, busy: LiveServer) -> None:
        waiting, refused = fresh(), fresh()
        queued = busy.post(waiting).json()
        assert queued["status"] == "queued"
        assert busy.get("/readyz").json()["queued"] == 1
        before = count_runs(busy)
        problem(busy.post(refused, idempotency_key=f"full-{refused['seed']}"), 503, "queue_full")
        assert count_runs(busy) == before
        problem(busy.get(f"/runs/{identity(busy, refused)[:32]}"), 404)
        known = busy.post(waiting)
        assert (known.status_code, known.json()["reused"]) == (202, True)
        busy.cancel(queued["id"])
        assert busy.wait(queued["id"])["status"] == "cancelled"
        taken = busy.post(fresh(), idempotency_key=f"full-{refused['seed']}")
        assert taken.status_code == 202
        busy.cancel(taken.json()["id"])


class TestSize:
    def test_too_many_symbols(self, limited: LiveServer) -> None:
        limited.put_frame("crowd", pl.concat([market_frame(symbol=s, bars=50) for s in "ABCD"]))
        answer = limited.post(config(dataset="crowd", symbols=list("ABCD")))
        entry = field_errors(answer)["/symbols"]
        assert (entry["code"], "more than the 3" in entry["message"]) == ("too_many_symbols", True)

    def test_too_many_bars_times_symbols(self, limited: LiveServer) -> None:
        """Symbols that never trade at the same time make the longest panel."""
        frames = [market_frame(symbol=s, bars=80_000, start=f"{year}-01-01") for s, year in (("A", 1990), ("B", 2000))]
        limited.put_frame("apart", pl.concat(frames))
        portfolio = {"align": "union"}
        asked = config(dataset="apart", symbols=["A", "B"], portfolio=portfolio)
        entry = field_errors(limited.post(asked))["/symbols"]
        assert entry["code"] == "too_many_bars"
        assert "more than the 300000" in entry["message"]
        shorter = limited.client.post("/runs", json=asked | {"timeframe": "1d"}, params={"dry_run": True})
        assert shorter.status_code == 200, shorter.text

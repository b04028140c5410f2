"""Uploads from outside: what is taken, in which version, and that a refused file leaves nothing."""

import random
from collections.abc import Iterator

import orjson
import polars as pl
import pytest

from tests.app.calls import changed, config, field_errors, leaves_nothing, problem
from tests.live import CSV, PARQUET, LiveServer, csv_bytes, market_frame, parquet_bytes

SHORT = 200
ORDER = ["timestamp", "symbol", "open", "high", "low", "close", "volume"]


class TestVersions:
    def test_new_same_and_changed(self, server: LiveServer) -> None:
        frame = market_frame(bars=SHORT)
        first = server.put("versions", parquet_bytes(frame), PARQUET)
        assert first.status_code == 201
        body = first.json()
        assert (body["name"], body["version"], body["rows"], body["timeframe"]) == ("versions", 1, SHORT, "1h")
        assert body["start"] == "2020-01-01T00:00:00Z"
        assert body["end"] == "2020-01-09T08:00:00Z"
        (symbol,) = body["symbols"]
        assert (symbol["symbol"], symbol["rows"], symbol["start"]) == ("SYNTH", SHORT, body["start"])
        assert body["report"]["rows_kept"] == SHORT
        assert server.get("/datasets/versions").json() == body
        assert body in server.get("/datasets").json()["datasets"]

        same = server.put("versions", csv_bytes(frame), CSV)
        assert (same.status_code, same.json()) == (200, body), "content counts, not the format"

        other = server.put("versions", parquet_bytes(market_frame(bars=SHORT, seed=9)), PARQUET)
        assert (other.status_code, other.json()["version"]) == (201, 2)
        assert other.json()["digest"] != body["digest"]
        assert server.get("/datasets/versions").json() == other.json()

    def test_a_changed_convention_is_a_new_version(self, server: LiveServer) -> None:
        content = parquet_bytes(market_frame(bars=SHORT))
        assert server.put("conventions", content, PARQUET, adjustment="none").status_code == 201
        other = server.put("conventions", content, PARQUET, adjustment="split")
        assert (other.status_code, other.json()["version"], other.json()["adjustment"]) == (201, 2, "split")

    def test_runs_keep_the_version_they_used(self, server: LiveServer) -> None:
        server.put_market("moving", bars=SHORT)
        old = server.completed(config(dataset="moving"))
        server.put_market("moving", bars=SHORT, seed=77)
        new = server.completed(config(dataset="moving"))
        assert new["id"] != old["id"]
        for run in (old, new):
            verdict = server.client.post(f"/runs/{run['id']}/recompute").json()
            assert verdict == {"result": "identical", "difference": None}
        server.put_market("moving", bars=SHORT)
        assert server.completed(config(dataset="moving"))["id"] == old["id"]

    def test_rows_outside_the_period_do_not_matter(self, server: LiveServer) -> None:
        frame = market_frame(bars=SHORT)
        period = {"start": "2020-01-02T00:00:00Z", "end": "2020-01-05T00:00:00Z"}
        server.put_frame("outside", frame)
        run = server.completed(config(dataset="outside", **period))
        server.put_frame("outside", changed(frame, 199, volume=12345.0))
        again = server.post(config(dataset="outside", **period))
        assert (again.status_code, again.json()["id"]) == (200, run["id"])


class TestConventions:
    def test_what_is_not_declared_is_assumed_and_reported(self, server: LiveServer) -> None:
        body = server.put("assumed", csv_bytes(market_frame(bars=SHORT)), CSV).json()
        assumed = {entry["field"]: entry for entry in body["report"]["assumed"]}
        assert assumed.keys() == {"timeframe", "label", "calendar", "adjustment"}
        assert all(entry["reason"] for entry in assumed.values())
        assert (body["label"], body["calendar"], body["adjustment"], body["timezone"]) == (
            "open",
            "24x7",
            "none",
            "UTC",
        )

    def test_declared(self, server: LiveServer) -> None:
        given = {"timeframe": "1h", "label": "close", "calendar": "24x7", "adjustment": "total", "timezone": "UTC"}
        answer = server.put("declared", csv_bytes(market_frame(bars=SHORT)), CSV, **given)
        assert answer.status_code == 201
        body = answer.json()
        assert {key: body[key] for key in given} == given
        assert body["report"]["assumed"] == []
        # Stamped at the close: the first bar opened an hour before its stamp.
        assert (body["start"], body["end"]) == ("2019-12-31T23:00:00Z", "2020-01-09T07:00:00Z")

    def test_wall_clocks_are_resolved_in_their_zone(self, server: LiveServer) -> None:
        frame = market_frame(bars=SHORT)
        naive = frame.with_columns(pl.col("timestamp").dt.strftime("%Y-%m-%d %H:%M:%S"))
        body = server.put("zone", csv_bytes(naive), CSV, timezone="America/New_York", calendar="24x7").json()
        assert (body["timezone"], body["start"]) == ("America/New_York", "2020-01-01T05:00:00Z")

    def test_a_file_without_symbols_needs_one(self, server: LiveServer) -> None:
        content = csv_bytes(market_frame(symbol=None, bars=SHORT))
        with leaves_nothing(server):
            assert problem(server.put("nameless", content, CSV), 422, "invalid_data")["option"] == "symbol"
        answer = server.put("nameless", content, CSV, symbol="EURUSD")
        assert answer.status_code == 201
        assert [symbol["symbol"] for symbol in answer.json()["symbols"]] == ["EURUSD"]

    def test_several_symbols(self, server: LiveServer) -> None:
        frames = [market_frame(symbol=name, bars=bars, seed=bars) for name, bars in (("BBB", 300), ("AAA", 200))]
        body = server.put_frame("several", pl.concat(frames))
        assert [(symbol["symbol"], symbol["rows"]) for symbol in body["symbols"]] == [("AAA", 200), ("BBB", 300)]
        assert body["rows"] == 500
        runs = [server.completed(config(dataset="several", symbols=[name])) for name in ("AAA", "BBB")]
        assert runs[0]["id"] != runs[1]["id"]
        assert set(field_errors(server.post(config(dataset="several", symbols=["CCC"])))) == {"/symbols/0"}
        only = server.put("only", parquet_bytes(pl.concat(frames)), PARQUET, symbol="AAA").json()
        assert [symbol["symbol"] for symbol in only["symbols"]] == ["AAA"]

    def test_another_symbol_of_the_file_is_no_part_of_a_run(self, server: LiveServer) -> None:
        alone = market_frame(symbol="AAA", bars=SHORT)
        server.put_frame("alone", alone)
        run = server.completed(config(dataset="alone", symbols=["AAA"]))
        server.put_frame("alone", pl.concat([alone, market_frame(symbol="BBB", bars=SHORT, seed=3)]))
        assert server.post(config(dataset="alone", symbols=["AAA"])).json()["id"] == run["id"]

    @pytest.mark.parametrize("kind", ["text/csv; charset=utf-8", "application/octet-stream", "", "TEXT/CSV"])
    def test_kinds_that_are_taken(self, server: LiveServer, kind: str) -> None:
        assert server.put("kinds", csv_bytes(market_frame(bars=SHORT)), kind).status_code in (200, 201)

    def test_rows_as_json_are_the_rows_of_csv(self, server: LiveServer) -> None:
        frame = market_frame(bars=SHORT)
        rows = [[int(t.timestamp() * 1000), *prices] for t, _, *prices in frame.select(ORDER).iter_rows()]
        taken = server.put("as-json", orjson.dumps(rows), "application/json", symbol="SYNTH")
        assert taken.status_code == 201
        assert server.put("as-json", parquet_bytes(frame), PARQUET).json()["digest"] == taken.json()["digest"]

    def test_a_run_may_follow_a_column_somebody_brought(self, server: LiveServer) -> None:
        scored = market_frame(bars=SHORT).with_columns(score=(pl.int_range(pl.len()) % 7).cast(pl.Float64))
        answer = server.put("scored", csv_bytes(scored), CSV)
        assert answer.json()["report"]["extra_columns"] == ["score"]
        rule = {"name": "signal", "params": {"column": "score", "long_above": 3.0}}
        indicator = {"name": "rsi", "params": {"length": 5}, "as": "rsi"}
        run = server.completed(config(dataset="scored", strategy=rule, indicators=[indicator]))
        assert run["metrics"]["trade_count"] > 20
        wrong = {"name": "signal", "params": {"column": "scor", "long_above": 3.0}}
        entry = field_errors(server.post(config(dataset="scored", strategy=wrong)))["/strategy/params/column"]
        assert "Did you mean 'score'?" in entry["message"]


class TestRefusals:
    @pytest.mark.parametrize(
        ("row", "cells", "code"),
        [
            (5, {"high": 0.001}, "ohlc_incoherent"),
            (5, {"close": float("nan")}, "non_finite_price"),
            (5, {"open": -1.0}, "non_positive_price"),
            (5, {"volume": -1.0}, "non_finite_volume"),
        ],
    )
    def test_bad_rows_are_reported(self, server: LiveServer, row: int, cells: dict[str, float], code: str) -> None:
        content = parquet_bytes(changed(market_frame(bars=SHORT), row, **cells))
        with leaves_nothing(server):
            body = problem(server.put("bad-rows", content, PARQUET), 422, "invalid_data")
        findings = body["report"]["symbols"]["SYNTH"]["findings"]
        refusing = [finding for finding in findings if finding["action"] == "refuse"]
        assert code in [finding["code"] for finding in refusing]
        assert all((finding["rows"], finding["count"]) == ([row + 1], 1) for finding in refusing)
        problem(server.get("/datasets/bad-rows"), 404, "not_found")

    def test_duplicates_and_order(self, server: LiveServer) -> None:
        frame = market_frame(bars=SHORT)
        for content in (pl.concat([frame[:9], frame[8:]]), pl.concat([frame[9:], frame[:9]])):
            with leaves_nothing(server):
                problem(server.put("bad-order", parquet_bytes(content), PARQUET), 422, "invalid_data")

    def test_bad_rows_can_be_dropped(self, server: LiveServer) -> None:
        content = parquet_bytes(changed(market_frame(bars=SHORT), 5, high=0.001))
        answer = server.put("dropped", content, PARQUET, on_bad_rows="drop")
        assert (answer.status_code, answer.json()["rows"]) == (201, SHORT - 1)
        (finding,) = [
            found for found in answer.json()["report"]["symbols"]["SYNTH"]["findings"] if found["action"] == "dropped"
        ]
        assert (finding["code"], finding["count"]) == ("ohlc_incoherent", 1)

    def test_a_refused_file_leaves_the_version_before(self, server: LiveServer) -> None:
        before = server.put_market("steady", bars=SHORT)
        with leaves_nothing(server):
            problem(server.put("steady", b"timestamp,open\n1,2\n", CSV), 422)
        assert server.get("/datasets/steady").json() == before

    @pytest.mark.parametrize("kind", ["application/xml", "text/html", "application/x-tar", "image/png"])
    def test_kinds_that_cannot_be_read(self, server: LiveServer, kind: str) -> None:
        with leaves_nothing(server):
            answer = server.put("kind", csv_bytes(market_frame(bars=SHORT)), kind)
            problem(answer, 415, "unsupported_media_type")

    @pytest.mark.parametrize(
        "content",
        [
            pytest.param(b"", id="empty"),
            pytest.param(b"\n\n", id="blank"),
            pytest.param(b"hello", id="words"),
            pytest.param(b'{"a": 1}', id="JSON"),
            pytest.param(b"PK\x03\x04" + b"\0" * 100, id="zip"),
            pytest.param(b"\x1f\x8b" + b"\0" * 100, id="gzip"),
            pytest.param(b"PAR1", id="magic only"),
            pytest.param(b"PAR1" + b"\xff" * 1000 + b"PAR1", id="magic around nothing"),
            pytest.param(b"timestamp,open,high,low,close\n", id="header only"),
            pytest.param(b"timestamp,open,high\n2020-01-01,1,2\n", id="columns missing"),
            pytest.param(b"\xff\xfe" + "timestamp".encode("utf-16-le"), id="UTF-16"),
            pytest.param(b"timestamp,open,high,low,close\n\xff\xff,1,1,1,1\n", id="no UTF-8"),
            pytest.param(b"timestamp,open,high,low,close\nx,y,z,a,b\nx,y,z,a,b\n", id="no numbers"),
        ],
    )
    def test_files_that_are_no_market(self, server: LiveServer, content: bytes) -> None:
        with leaves_nothing(server):
            body = problem(server.put("no-market", content, CSV), 422)
        assert str(server.data_dir) not in body["detail"]

    @pytest.mark.parametrize(
        "params",
        [
            {"timeframe": "7q"},
            {"label": "mid"},
            {"timezone": "Mars/Base"},
            {"timezone": "../../etc/passwd"},
            {"calendar": "sometimes"},
            {"adjustment": "some"},
            {"on_bad_rows": "hide"},
            {"symbol": "NOT-IN-FILE"},
            {"timeframe": "1d"},
        ],
    )
    def test_conventions_that_cannot_be(self, server: LiveServer, params: dict[str, str]) -> None:
        with leaves_nothing(server):
            problem(server.put("odd", csv_bytes(market_frame(bars=SHORT)), CSV, **params), 422)

    @pytest.mark.parametrize("name", ["Upper", "-dash", ".dot", "a" * 65, "sp%20ace", "n%c3%a9", "a%0a", "..", "a%00"])
    def test_bad_names(self, server: LiveServer, name: str) -> None:
        with leaves_nothing(server):
            for method in ("PUT", "GET", "DELETE"):
                content = csv_bytes(market_frame(bars=SHORT)) if method == "PUT" else None
                answer = server.client.request(method, f"/datasets/{name}", content=content)
                assert answer.status_code in (404, 405, 422)
                problem(answer, answer.status_code)

    @pytest.mark.parametrize("name", ["a", "0", "a" * 64, "a.b_c-d"])
    def test_good_names(self, server: LiveServer, name: str) -> None:
        assert server.put_market(name, bars=20)["name"] == name
        assert server.client.delete(f"/datasets/{name}").status_code == 204

    def test_unknown(self, server: LiveServer) -> None:
        body = problem(server.get("/datasets/sinth"), 404, "not_found")
        assert "synth" in body["detail"]
        problem(server.client.delete("/datasets/sinth"), 404, "not_found")


class TestDamage:
    """In a process of its own: a decoder that dies may not take the server with it."""

    def test_truncated(self, processes: LiveServer) -> None:
        content = parquet_bytes(market_frame(bars=SHORT))
        with leaves_nothing(processes):
            for length in (5, 100, len(content) // 2, len(content) - 9, len(content) - 1):
                problem(processes.put("truncated", content[:length], PARQUET), 422)
        assert processes.get("/healthz").status_code == 200

    def test_flipped_bytes(self, processes: LiveServer) -> None:
        content = parquet_bytes(market_frame(bars=SHORT))
        chance = random.Random(3)
        with leaves_nothing(processes):
            for _ in range(25):
                damaged = bytearray(content)
                for _ in range(12):
                    damaged[chance.randrange(4, len(content) - 8)] ^= chance.randrange(1, 256)
                answer = processes.put("flipped", bytes(damaged), PARQUET)
                if answer.status_code == 201:  # the flips made another market of it
                    assert processes.client.delete("/datasets/flipped").status_code == 204
                else:
                    problem(answer, 422, "invalid_data")
        assert processes.put("flipped", content, PARQUET).status_code == 201
        assert processes.client.delete("/datasets/flipped").status_code == 204

    def test_a_length_that_lies(self, processes: LiveServer) -> None:
        content = bytearray(parquet_bytes(market_frame(bars=SHORT)))
        for length in (0, 1, 2**31 - 1, 2**32 - 1):
            content[-8:-4] = length.to_bytes(4, "little")
            with leaves_nothing(processes):
                problem(processes.put("lying", bytes(content), PARQUET), 422)


class TestLimits:
    def test_an_upload_too_large(self, limited: LiveServer) -> None:
        limit = int(str(limited.settings["upload_bytes"]))

        def chunks() -> Iterator[bytes]:
            for _ in range(limit // 1_000_000 + 2):
                yield bytes(1_000_000)

        with leaves_nothing(limited):
            problem(limited.put("large", bytes(limit + 1), CSV), 413, "too_large")
            answer = limited.client.put("/datasets/large", content=chunks(), headers={"Content-Type": CSV})
            problem(answer, 413, "too_large")
        assert limited.get("/healthz").status_code == 200

    def test_too_many_rows(self, limited: LiveServer) -> None:
        rows = int(str(limited.settings["upload_rows"]))
        with leaves_nothing(limited):
            content = parquet_bytes(market_frame(bars=rows + 1, timeframe="1m"))
            body = problem(limited.put("rows", content, PARQUET), 422, "invalid_data")
        assert str(rows) in body["detail"]


class TestDelete:
    def test_not_while_runs_refer_to_it(self, server: LiveServer) -> None:
        server.put_market("doomed", bars=SHORT)
        old = server.completed(config(dataset="doomed"))
        server.put_market("doomed", bars=SHORT, seed=5)
        new = server.completed(config(dataset="doomed"))
        for left in ([old["id"], new["id"]], [old["id"]]):
            body = problem(server.client.delete("/datasets/doomed"), 409, "conflict")
            assert sorted(body["runs"]) == sorted(left)
            assert server.get("/datasets/doomed").status_code == 200
            server.client.delete(f"/runs/{left[-1]}")
        answer = server.client.delete("/datasets/doomed")
        assert (answer.status_code, answer.content) == (204, b"")
        problem(server.get("/datasets/doomed"), 404, "not_found")
        problem(server.client.delete("/datasets/doomed"), 404, "not_found")
        assert not (server.data_dir / "datasets" / "doomed").exists()
        assert "/dataset" in field_errors(server.post(config(dataset="doomed")))
        problem(server.get(f"/runs/{old['id']}"), 410, "gone")
        server.put_market("doomed", bars=SHORT)
        again = server.completed(config(dataset="doomed"))
        assert (again["id"], again["attempt"], again["manifest_hash"]) == (old["id"], 2, old["manifest_hash"])

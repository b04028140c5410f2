"""What a run leaves, read over HTTP and from the directory, and what happens when it is tampered with."""

import hashlib
import json
import math
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest
import rfc8785

from tests.app.calls import fresh, problem
from tests.live import LiveServer, market_frame

JSON_FILES = ["config.json", "data_report.json", "metrics.json", "summary.json", "validation.json"]
COLUMNS = {
    "equity": "timestamp equity cash positions_value gross_exposure net_exposure drawdown returns n_positions",
    "trades": "trade_id symbol side status entry_time entry_price exit_time exit_price quantity entry_commission "
    "exit_commission entry_slippage exit_slippage borrow_cost pnl_gross pnl_net return_pct bars_held exit_reason "
    "entry_signal exit_signal stop_level target_level mfe mae mfe_pct mae_pct correlation_adjusted "
    "correlation_partner",
    "fills": "fill_id order_id time symbol side leg quantity price commission slippage reason",
    "orders": "order_id symbol decided_at side target_weight quantity outcome reason filled_at fill_price "
    "filled_quantity commission slippage scale scale_reason",
    "rolling": "timestamp rolling_sharpe",
}
TIMES = {
    "equity": ["timestamp"],
    "trades": ["entry_time", "exit_time"],
    "fills": ["time"],
    "orders": ["decided_at", "filled_at"],
    "rolling": ["timestamp"],
}
FILES = sorted([*JSON_FILES, *(f"{name}.parquet" for name in COLUMNS)])
OUTSIDE = ["manifest.json", "SHA256SUMS", "benchmark.json"]


def artifact(server: LiveServer, run_id: str, name: str) -> bytes:
    answer = server.get(f"/runs/{run_id}/artifacts/{name}")
    assert answer.status_code == 200, answer.text
    return answer.content


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def kept(server: LiveServer) -> Iterator[tuple[str, Path]]:
    """A completed run of its own and its directory, to be tampered with."""
    posted = fresh(validation={"permutation": {"n": 50}})
    run_id = str(server.completed(posted)["id"])
    yield run_id, server.data_dir / "runs" / run_id
    server.client.delete(f"/runs/{run_id}")


def recompute(server: LiveServer, run_id: str) -> dict[str, Any]:
    answer = server.client.post(f"/runs/{run_id}/recompute")
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


class TestFiles:
    def test_the_manifest_lists_exactly_these(self, server: LiveServer, finished: str) -> None:
        manifest = server.get(f"/runs/{finished}/artifacts").json()
        assert [file["name"] for file in manifest["files"]] == FILES
        for file in manifest["files"]:
            content = artifact(server, finished, file["name"])
            assert (digest(content), len(content)) == (file["sha256"], file["size"])
        run = server.run(finished)
        dataset = server.get("/datasets/synth").json()
        assert (manifest["run_id"], manifest["hash"]) == (run["id"], run["hash"])
        assert manifest["manifest_hash"] == run["manifest_hash"]
        assert manifest["seed"] == run["config"]["seed"]
        versions = server.get("/version").json()
        assert manifest["schema"] == versions["schema_version"]
        assert manifest["semantics"] == versions["semantics_version"]
        (used,) = manifest["datasets"]
        assert (used["name"], used["symbols"]) == ("synth", ["SYNTH"])
        assert used["digest"] == dataset["symbols"][0]["digest"]

    def test_the_manifest_is_canonical_and_hashes_itself(self, server: LiveServer, finished: str) -> None:
        content = artifact(server, finished, "manifest.json")
        assert content == server.get(f"/runs/{finished}/artifacts").content
        manifest = json.loads(content)
        assert content == rfc8785.dumps(manifest)
        claimed = manifest.pop("manifest_hash")
        assert digest(rfc8785.dumps(manifest)) == claimed
        fields = {"run_id", "hash", "schema", "semantics", "datasets", "seed", "files"}
        assert manifest.keys() == fields, "no clock, host, path or attempt"

    def test_the_checksums_pass(self, server: LiveServer, finished: str, tmp_path: Path) -> None:
        for name in (*FILES, "SHA256SUMS"):
            (tmp_path / name).write_bytes(artifact(server, finished, name))
        checked = subprocess.run(
            ["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert checked.returncode == 0, checked.stderr
        assert checked.stdout.count(": OK") == len(FILES)

    @pytest.mark.parametrize("table", COLUMNS)
    def test_the_columns_of_a_table(self, server: LiveServer, finished: str, table: str) -> None:
        rows = pq.read_table(pa.BufferReader(artifact(server, finished, f"{table}.parquet")))
        assert rows.column_names == COLUMNS[table].split()
        assert (rows.num_rows > 0) == (table != "rolling"), "six weeks have no window of six months"
        for name in TIMES[table]:
            assert rows.schema.field(name).type == pa.timestamp("ns", tz="UTC")
        for field in rows.schema:
            assert not pa.types.is_nested(field.type)
            if pa.types.is_floating(field.type):
                assert all(v is None or math.isfinite(v) for v in rows.column(field.name).to_pylist()), field.name

    def test_times(self, server: LiveServer, finished: str) -> None:
        def column(table: str, name: str) -> list[int]:
            rows = pq.read_table(pa.BufferReader(artifact(server, finished, f"{table}.parquet")))
            values: list[int] = rows.column(name).cast(pa.int64()).to_pylist()
            return values

        opens = market_frame(bars=1000)["timestamp"].dt.epoch("ns").to_list()
        hour = 3600 * 10**9
        assert column("equity", "timestamp") == [time + hour for time in opens], "the close of every bar"
        assert set(column("fills", "time")) <= set(opens), "fills at opens"
        decided, filled = column("orders", "decided_at"), column("orders", "filled_at")
        # Decided at the close of bar t, which is the open of bar t + 1, where it fills.
        assert filled == decided

    def test_json_files_are_canonical_and_rounded(self, server: LiveServer, finished: str) -> None:
        def numbers(value: Any) -> Iterator[float]:
            if isinstance(value, dict):
                value = list(value.values())
            if isinstance(value, list):
                for item in value:
                    yield from numbers(item)
            elif isinstance(value, float):
                yield value

        for name in (*JSON_FILES, "benchmark.json"):
            content = artifact(server, finished, name)
            value = json.loads(content, parse_constant=pytest.fail)
            assert content == rfc8785.dumps(value), name
            assert all(float(f"{number:.12g}") == number for number in numbers(value)), name

    def test_what_the_json_files_say(self, server: LiveServer, finished: str) -> None:
        run = server.run(finished)
        value = {name: json.loads(artifact(server, finished, name)) for name in (*JSON_FILES, "benchmark.json")}
        assert value["config.json"] == run["config"]
        metrics, summary = value["metrics.json"], value["summary.json"]
        assert metrics.keys() == run["metrics"].keys()
        for name, metric in metrics.items():
            assert metric.keys() - {"interval"} == {"value", "unit", "reason"}
            if "interval" in metric:
                assert metric["interval"]["low"] <= metric["value"] <= metric["interval"]["high"], name
            assert (metric["value"] is None) == bool(metric["reason"]), name
            if metric["value"] is None:
                assert run["metrics"][name] is None
            else:
                assert metric["value"] == pytest.approx(run["metrics"][name], rel=1e-11)
        assert metrics["sharpe"].keys() > {"interval"}
        assert metrics["sharpe"]["interval"].keys() == {"level", "low", "high", "method"}
        assert {
            "run_id",
            "hash",
            "period",
            "metrics",
            "assumptions",
            "warnings",
            "funnel",
            "validation",
        } <= summary.keys()
        assert (summary["run_id"], summary["hash"]) == (run["id"], run["hash"])
        assert summary["period"]["rows"] == 1000
        assert summary["warnings"] == run["warnings"]
        benchmark = value["benchmark.json"]
        assert {"rows", "trades", "peak_memory_bytes", "peak_memory_ratio", "runtime", "seconds"} <= benchmark.keys()
        assert benchmark["rows"] == 1000
        assert benchmark["trades"] == metrics["trade_count"]["value"]
        assert benchmark["seconds"].keys() >= {"data", "execution", "metrics", "artifacts"}
        assert value["validation.json"] == {}

    def test_a_validation_is_reported(self, server: LiveServer, kept: tuple[str, Path]) -> None:
        report = json.loads(artifact(server, kept[0], "validation.json"))["permutation"]
        assert 0.0 < report["p_value"] <= 1.0
        assert report["replicates"] == report["parameters"]["n"] == 50
        assert report["percentiles"]

    def test_metrics_without_a_value_say_why(self, server: LiveServer) -> None:
        run = server.completed(fresh(strategy={"name": "buy_and_hold"}))
        metrics = json.loads(artifact(server, run["id"], "metrics.json"))
        undefined = {name for name, metric in metrics.items() if metric["value"] is None}
        assert "win_rate" in undefined
        assert all(metrics[name]["reason"] for name in undefined)
        assert {name for name, value in run["metrics"].items() if value is None} == undefined


class TestHttp:
    @pytest.mark.parametrize("name", [*FILES, *OUTSIDE])
    def test_the_entity_tag_is_the_digest(self, server: LiveServer, finished: str, name: str) -> None:
        path = f"/runs/{finished}/artifacts/{name}"
        answer = server.get(path)
        tag = answer.headers["etag"]
        assert tag == f'"{digest(answer.content)}"'
        kinds = {".json": "application/json", ".parquet": "application/vnd.apache.parquet", "": "text/plain"}
        assert answer.headers["content-type"].partition(";")[0] == kinds[Path(name).suffix]
        assert answer.headers["accept-ranges"] == "bytes"
        head = server.client.head(path)
        assert (head.status_code, head.content) == (200, b"")
        for header in ("etag", "content-length", "content-type"):
            assert head.headers[header] == answer.headers[header]
        unchanged = server.get(path, if_none_match=f'"x", {tag}')
        assert (unchanged.status_code, unchanged.content, unchanged.headers["etag"]) == (304, b"", tag)
        assert server.get(path, if_none_match='"x"').status_code == 200

    def test_the_manifest_has_an_entity_tag(self, server: LiveServer, finished: str) -> None:
        answer = server.get(f"/runs/{finished}/artifacts")
        assert answer.headers["content-type"].startswith("application/json")
        unchanged = server.get(f"/runs/{finished}/artifacts", if_none_match=answer.headers["etag"])
        assert unchanged.status_code == 304

    @pytest.mark.parametrize(
        ("sent", "part"),
        [("bytes=0-9", slice(0, 10)), ("bytes=100-", slice(100, None)), ("bytes=-7", slice(-7, None))],
    )
    def test_ranges(self, server: LiveServer, finished: str, sent: str, part: slice) -> None:
        path = f"/runs/{finished}/artifacts/equity.parquet"
        whole = server.get(path)
        answer = server.get(path, range=sent)
        assert answer.status_code == 206
        assert answer.content == whole.content[part]
        first, last, _ = part.indices(len(whole.content))
        assert answer.headers["content-range"] == f"bytes {first}-{last - 1}/{len(whole.content)}"
        assert answer.headers["etag"] == whole.headers["etag"]

    def test_a_range_of_what_it_was(self, server: LiveServer, finished: str) -> None:
        path = f"/runs/{finished}/artifacts/equity.parquet"
        whole = server.get(path)
        same = server.get(path, range="bytes=0-9", if_range=whole.headers["etag"])
        assert (same.status_code, same.content) == (206, whole.content[:10])
        changed = server.get(path, range="bytes=0-9", if_range='"other"')
        assert (changed.status_code, changed.content) == (200, whole.content)

    def test_a_range_outside(self, server: LiveServer, finished: str) -> None:
        path = f"/runs/{finished}/artifacts/equity.parquet"
        size = len(server.get(path).content)
        answer = server.get(path, range=f"bytes={size}-")
        assert answer.status_code == 416
        assert answer.headers["content-range"] == f"bytes */{size}"

    @pytest.mark.parametrize(
        "name",
        [
            "",
            ".",
            "..",
            "nothing.json",
            "profile.json",
            "report.html",
            "manifest.json/",
            "./manifest.json",
            "%2e/manifest.json",
            "..%2f..%2fetc/passwd",
            "..%2f..%2ftplusone.sqlite3",
            "../../tplusone.sqlite3",
            "%2fetc%2fpasswd",
            "/etc/passwd",
            "manifest.json%00",
            "EQUITY.PARQUET",
            "equity.parquet%20",
            "%ff",
            "a" * 5000,
        ],
    )
    def test_nothing_else_exists(self, server: LiveServer, finished: str, name: str) -> None:
        host, _, port = server.url.removeprefix("http://").partition(":")
        request = f"GET /runs/{finished}/artifacts/{name} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        received = b""
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(request.encode())  # httpx would tidy the path
            while chunk := connection.recv(65_536):
                received += chunk
        head, _, body = received.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 404 ")
        assert b"content-type: application/problem+json" in head
        assert json.loads(body)["code"] == "not_found"

    def test_an_unfinished_run_has_none(self, busy: LiveServer) -> None:
        run_id = busy.post(fresh()).json()["id"]
        for path in ("artifacts", "artifacts/equity.parquet", "artifacts/manifest.json", "verify"):
            problem(busy.get(f"/runs/{run_id}/{path}"), 409, "conflict")
        problem(busy.client.post(f"/runs/{run_id}/recompute"), 409, "conflict")
        busy.cancel(run_id)

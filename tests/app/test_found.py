"""What was once wrong, seen from outside, and is not to come back."""

import base64
import json
import math
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import rfc8785

from app.artifacts.compare import _values
from tests.app.calls import call, config, fresh, lengthy, problem
from tests.live import PARQUET, LiveServer, market_frame, parquet_bytes


def test_body_too_large_is_413(limited: LiveServer) -> None:
    big = b'{"note": "' + b"x" * 30_000 + b'"}'
    kind = {"Content-Type": "application/json"}
    chunked = (big[i : i + 1000] for i in range(0, len(big), 1000))
    for content in (big, chunked):
        answer = httpx.post(f"{limited.url}/runs", content=content, headers=kind)
        problem(answer, 413, "too_large")


def test_patch_pinned_null_is_no_500(server: LiveServer, finished: str) -> None:
    answer = httpx.patch(f"{server.url}/runs/{finished}", json={"pinned": None})
    assert answer.status_code < 500


@pytest.mark.parametrize("keys", [[None, 2**64 - 1, "x"], [None, -(2**63) - 1, "x"], [None, True, "x"]])
def test_cursor_beyond_sql(server: LiveServer, keys: list[object]) -> None:
    cursor = base64.urlsafe_b64encode(json.dumps(keys).encode()).decode().rstrip("=")
    problem(httpx.get(f"{server.url}/runs", params={"cursor": cursor}), 422, "invalid_request")


def test_double_minus_is_no_sort(server: LiveServer) -> None:
    problem(server.client.get("/runs", params={"sort": "--sharpe"}), 422)


def test_a_500_carries_its_request_id_and_keeps_the_connection_honest(server: LiveServer) -> None:
    run_id = server.completed(fresh())["id"]
    (server.data_dir / "runs" / run_id / "manifest.json").write_bytes(b"{")
    answer = httpx.get(f"{server.url}/runs/{run_id}/verify")
    assert "x-request-id" in answer.headers


@pytest.mark.parametrize("content", [None, b"{", "seed"])
def test_verify_a_damaged_manifest(server: LiveServer, content: bytes | str | None) -> None:
    run_id = server.completed(fresh())["id"]
    path = server.data_dir / "runs" / run_id / "manifest.json"
    if content is None:
        path.unlink()
    elif isinstance(content, str):
        path.write_bytes(rfc8785.dumps(json.loads(path.read_bytes()) | {"seed": 7}))
    else:
        path.write_bytes(content)
    answer = httpx.get(f"{server.url}/runs/{run_id}/verify")
    assert answer.status_code == 200
    assert answer.json()["ok"] is False


def test_recompute_without_benchmark(server: LiveServer) -> None:
    run_id = server.completed(fresh())["id"]
    directory = server.data_dir / "runs" / run_id
    (directory / "benchmark.json").unlink()
    (directory / "metrics.json").write_bytes(b"{}")
    assert httpx.post(f"{server.url}/runs/{run_id}/recompute").status_code == 200


@pytest.mark.parametrize("sent", ["bytes=99999999-", "bytes=a-b", "lines=0-1"])
def test_bad_ranges_are_problems(server: LiveServer, finished: str, sent: str) -> None:
    answer = server.get(f"/runs/{finished}/artifacts/equity.parquet", range=sent)
    assert answer.status_code in (200, 416)
    assert answer.status_code == 200 or answer.headers["content-type"] == "application/problem+json"


def test_tombstone_times_are_rfc_3339(server: LiveServer) -> None:
    run_id = server.completed(fresh())["id"]
    server.client.delete(f"/runs/{run_id}")
    stamp = problem(server.get(f"/runs/{run_id}"), 410)["tombstone"]["removed_at"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT.*Z", str(stamp))


def test_progress_moves_during_validation(server: LiveServer) -> None:
    run = server.completed(fresh(dataset="long", validation={"permutation": {"n": 8000}}))
    during = [e.data["progress"] for e in server.events(run["id"]) if e.event.endswith("progress")]
    assert len(set(during)) > 1


def test_a_requeued_run_can_be_cancelled(processes: LiveServer) -> None:
    for _ in range(15):  # a race: about one in five
        two = [processes.post(lengthy()).json()["id"] for _ in range(2)]
        for name in two:
            processes.wait_for(name, "started")
        posted = lengthy()
        name = processes.post(posted).json()["id"]
        processes.client.post(f"/runs/{name}/cancel")
        assert processes.post(posted).json()["attempt"] == 2
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda other: processes.client.post(f"/runs/{other}/cancel"), two))
        processes.wait_for(name, "started")
        processes.client.post(f"/runs/{name}/cancel")
        assert processes.wait(name)["status"] == "cancelled"


@pytest.mark.parametrize("name", ["../x", "Bad Name"])
def test_import_checks_the_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    (tmp_path / "m.parquet").write_bytes(parquet_bytes(market_frame(bars=50)))
    assert call(monkeypatch, "data", "import", name, tmp_path / "m.parquet", "--data-dir", tmp_path / "var") == 2


def test_one_hash_has_one_manifest(server: LiveServer, processes: LiveServer) -> None:
    content = parquet_bytes(market_frame(bars=200))
    server.put("declared-or-not", content, PARQUET)
    declared = {"timeframe": "1h", "calendar": "24x7", "label": "open", "adjustment": "none"}
    processes.put("declared-or-not", content, PARQUET, **declared)
    runs = [live.completed(config(dataset="declared-or-not")) for live in (server, processes)]
    assert runs[0]["hash"] == runs[1]["hash"]
    assert runs[0]["manifest_hash"] == runs[1]["manifest_hash"]


def test_integers_in_json_are_compared_with_tolerance() -> None:
    assert list(_values("f", "", 0, 1e-17, 1e-9)) == []
    assert list(_values("f", "", 1, math.nextafter(1.0, 2.0), 1e-9)) == []


def test_a_config_that_is_no_text(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "c.json").write_bytes(b"\xff\xfe")
    assert call(monkeypatch, "run", tmp_path / "c.json") == 2


def test_changed_bytes_on_one_runtime_are_different(server: LiveServer) -> None:
    run_id = server.completed(fresh())["id"]
    path = server.data_dir / "runs" / run_id / "metrics.json"
    path.write_bytes(path.read_bytes() + b" ")
    answer = server.client.post(f"/runs/{run_id}/recompute").json()
    assert (answer["result"], answer["difference"]["file"]) == ("different", "metrics.json")


def test_a_bad_setting_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("TPLUSONE_WORKERS", "abc")
    assert call(monkeypatch, "settings") == 2
    assert "TPLUSONE_WORKERS" in capsys.readouterr().err


def test_an_empty_option_is_no_declaration(server: LiveServer) -> None:
    problem(server.put("empty-option", parquet_bytes(market_frame(bars=50)), PARQUET, timeframe=""), 422)


def test_a_misspelt_parameter_changes_nothing_silently(server: LiveServer) -> None:
    body = problem(server.put("misspelt", parquet_bytes(market_frame(bars=50)), PARQUET, lable="close"), 422)
    assert "label" in body["detail"]
    assert server.client.get("/datasets/misspelt").status_code == 404


def test_a_key_said_twice_is_refused(server: LiveServer) -> None:
    posted = b'{"seed": 1, ' + json.dumps(fresh()).encode()[1:]
    kind = {"Content-Type": "application/json"}
    problem(httpx.post(f"{server.url}/runs", content=posted, headers=kind), 422)


def test_a_stream_ends_when_its_run_is_removed(server: LiveServer) -> None:
    """A reader that has not come to the end when the rows go must not wait for ever."""
    run_id = server.completed(fresh())["id"]
    with httpx.stream("GET", f"{server.url}/runs/{run_id}/events", timeout=20) as stream:
        lines = stream.iter_lines()
        next(lines)
        assert server.client.delete(f"/runs/{run_id}").status_code == 204
        for _ in lines:
            pass


@pytest.mark.parametrize("given", ["bytes=0-" + "9" * 5000, "bytes=" + "9" * 5000 + "-", "bytes=5-2", "lines=1-2"])
def test_a_range_that_makes_no_sense_is_forgotten(server: LiveServer, finished: str, given: str) -> None:
    answer = server.client.get(f"/runs/{finished}/artifacts/summary.json", headers={"Range": given})
    assert answer.status_code == 200


def test_what_is_said_twice_is_refused(server: LiveServer, finished: str) -> None:
    problem(server.client.get("/runs?tag=x&tag=y"), 422)
    kind = {"Content-Type": "application/json"}
    twice = b'{"note": "a", "note": "b"}'
    problem(httpx.patch(f"{server.url}/runs/{finished}", content=twice, headers=kind), 422)
    problem(httpx.post(f"{server.url}/runs", content=b'{"\\ud800": 1, "\\ud800": 2}', headers=kind), 422)


def test_a_manifest_that_is_no_manifest_is_a_difference(server: LiveServer) -> None:
    run_id = server.completed(fresh())["id"]
    path = server.data_dir / "runs" / run_id / "manifest.json"
    edited = json.loads(path.read_bytes()) | {"seed": 999}
    for content in ("[]", "{}", json.dumps(edited)):
        path.write_text(content)
        answer = server.client.post(f"/runs/{run_id}/recompute").json()
        assert (answer["result"], answer["difference"]["file"]) == ("different", "manifest.json")

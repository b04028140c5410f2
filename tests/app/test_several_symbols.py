"""Several symbols over HTTP: artifacts, their names, and what is refused."""

import json

import polars as pl

from tests.app.calls import config, field_errors
from tests.live import PARQUET, LiveServer, market_frame, parquet_bytes

BARS = 400
NAMES = ("AAA", "BBB", "C/D")
EACH = {"config.json", "data_report.json", "equity.parquet", "fills.parquet", "metrics.json", "orders.parquet"}
EACH |= {"rolling.parquet", "summary.json", "trades.parquet", "validation.json"}
SHARED = {"correlation.parquet", "positions.parquet", "snapshots.jsonl", "symbols.parquet"}


def upload(server: LiveServer) -> None:
    frames = [market_frame(symbol=name, bars=BARS, seed=seed) for seed, name in enumerate(NAMES)]
    server.put("several-symbols", parquet_bytes(pl.concat(frames)), PARQUET, calendar="24x7", label="open")


def names(server: LiveServer, run: str) -> set[str]:
    return {file["name"] for file in server.get(f"/runs/{run}/artifacts").json()["files"]}


def asked(**portfolio: object) -> dict[str, object]:
    return config(dataset="several-symbols", symbols=list(NAMES), portfolio=portfolio)


def test_one_account_for_all(server: LiveServer) -> None:
    upload(server)
    run = server.completed(asked(snapshot_interval=100))
    assert names(server, run["id"]) == EACH | SHARED
    lines = server.get(f"/runs/{run['id']}/artifacts/snapshots.jsonl").text.splitlines()
    assert len(lines) == 4
    assert json.loads(lines[-1])["corr_window"] == 100
    assert server.get(f"/runs/{run['id']}/verify").json() == {"ok": True, "mismatches": []}
    verdict = server.client.post(f"/runs/{run['id']}/recompute").json()
    assert verdict == {"result": "identical", "difference": None}
    found = server.client.get("/runs?symbol=C/D")
    assert run["id"] in [r["id"] for r in found.json()["runs"]]
    again = server.post(asked(snapshot_interval=100) | {"symbols": ["C/D", "BBB", "AAA"]})
    assert (again.status_code, again.json()["id"]) == (200, run["id"])
    posted_back = server.post(run["config"])
    assert (posted_back.status_code, posted_back.json()["id"]) == (200, run["id"])


def test_an_account_for_each(server: LiveServer) -> None:
    upload(server)
    run = server.completed(asked(mode="independent"))
    folders = ("AAA/", "BBB/", "C%2FD/", "")
    expected = {f"{folder}{name}" for folder in folders for name in EACH} | {"symbols.parquet"}
    assert names(server, run["id"]) == expected
    part = server.get(f"/runs/{run['id']}/artifacts/C%252FD/summary.json").json()
    assert part["symbols"] == ["C/D"]
    assert server.get(f"/runs/{run['id']}/artifacts/C%2FD/summary.json").json() == part
    alone = server.completed(config(dataset="several-symbols", symbols=["C/D"]))
    assert alone["id"] == part["run_id"]
    assert server.get(f"/runs/{alone['id']}/artifacts/summary.json").json() == part
    assert server.client.post(f"/runs/{run['id']}/recompute").json()["result"] == "identical"


def test_unknown_symbols_are_all_named(server: LiveServer) -> None:
    upload(server)
    answer = server.post(asked() | {"symbols": ["AAA", "BBC", "ZZZ"]})
    assert set(field_errors(answer)) == {"/symbols/1", "/symbols/2"}
    assert "Did you mean 'BBB'" in field_errors(answer)["/symbols/1"]["message"]


def test_a_run_beside_a_benchmark(server: LiveServer) -> None:
    upload(server)
    wanted = asked() | {"symbols": ["AAA"]}
    run = server.completed(wanted | {"benchmark": "C/D"})
    assert run["metrics"]["beta"] is not None
    manifest = server.get(f"/runs/{run['id']}/artifacts").json()
    held = {s["symbol"]: s["digest"] for s in server.get("/datasets/several-symbols").json()["symbols"]}
    assert [(d["symbols"], d["digest"]) for d in manifest["datasets"]] == [([s], held[s]) for s in ("AAA", "C/D")]
    assert server.client.post(f"/runs/{run['id']}/recompute").json()["result"] == "identical"
    plain = server.completed(wanted)
    assert plain["id"] != run["id"]
    metrics = server.get(f"/runs/{plain['id']}/artifacts/metrics.json").json()
    assert metrics["beta"] == {"value": None, "unit": "ratio", "reason": "no benchmark is named"}
    entry = field_errors(server.post(wanted | {"benchmark": "C/E"}))["/benchmark"]
    assert (entry["code"], entry["allowed"]) == ("unknown_symbol", list(NAMES))
    named = {metric["name"] for metric in server.get("/catalog").json()["metrics"]}
    assert named == metrics.keys()


def test_a_profile_is_left_on_request_and_is_no_part_of_the_identity(server: LiveServer) -> None:
    upload(server)
    run = server.completed(asked(correlation_threshold=0.7) | {"profile": True})
    profile = server.get(f"/runs/{run['id']}/artifacts/profile.json").json()
    assert len(profile["hotspots"]) >= 10
    assert sum(spot["share"] for spot in profile["hotspots"]) <= 1.0 + 1e-9
    assert {phase["stage"] for phase in profile["phases"]} >= {"data", "execution", "artifacts"}
    assert "profile.json" not in names(server, run["id"])
    assert str(server.data_dir) not in json.dumps(profile)
    again = server.post(asked(correlation_threshold=0.7))
    assert again.json()["id"] == run["id"]
    benchmark = server.get(f"/runs/{run['id']}/artifacts/benchmark.json").json()
    assert benchmark["criteria"].keys() == {"peak_memory_ratio", "bars_per_second"}
    assert benchmark["symbols"] == 3


def test_a_symbol_that_ends_is_in_warning_event_and_log(server: LiveServer) -> None:
    frames = [market_frame(symbol=name, bars=bars, seed=bars) for name, bars in (("LONG", BARS), ("SHORT", BARS // 2))]
    server.put("one-ends", parquet_bytes(pl.concat(frames)), PARQUET, calendar="24x7", label="open")
    run = server.completed(config(dataset="one-ends", symbols=["LONG", "SHORT"], portfolio={"align": "union"}))
    ended = next(warning for warning in run["warnings"] if warning["code"] == "SYMBOL_ENDED")
    events = [(event["type"], event["data"]) for event in server.get(f"/runs/{run['id']}/events?format=json").json()]
    assert ("warning", ended) in events
    assert ("SHORT", "inactive") in [(data["symbol"], data["state"]) for kind, data in events if kind == "symbol"]
    assert f"WARNING tplusone.runs run {run['id']}: SYMBOL_ENDED {ended['message']}\n" in server.log.read_text()

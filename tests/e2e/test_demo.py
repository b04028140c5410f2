"""``demo``: one command from nothing to results."""

import os
import re
import signal
from pathlib import Path

import httpx
import pytest

from tests.e2e.processes import Process, all_gone, family
from tests.live import ROOT, cli, csv_bytes, market_frame

REAL = ROOT.parent / "shared" / "data" / "fx_h1" / "GBPUSD.parquet"
FILES = ["written.csv", *([str(REAL)] if REAL.exists() else [])]
METRICS = ("total_return", "sharpe", "max_drawdown")


def found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match is not None, f"no {pattern} in:\n{text}"
    return match[1]


def check_output(text: str, data_dir: Path) -> None:
    """Metrics, and artifacts where it says they are."""
    for metric in METRICS:
        assert metric in text
    place = Path(found(r"artifacts in (\S+)", text))
    assert place.parent == data_dir / "runs"
    assert place.name == found(r"run ([0-9a-f]{32})\b", text)
    assert {"manifest.json", "metrics.json", "equity.parquet"} <= {path.name for path in place.iterdir()}


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz").status_code == 200
    except httpx.ConnectError:
        return False


def test_demo_shows_metrics_and_artifacts_and_stops_the_service(tmp_path: Path) -> None:
    done = cli("demo", "--data-dir", tmp_path / "data")
    assert done.returncode == 0, done.stderr
    assert "SYNTHETIC" in done.stdout
    check_output(done.stdout, tmp_path / "data")
    assert not answers(found(r"service at (http://\S+?),", done.stdout))


def test_demo_can_leave_the_service_running(tmp_path: Path) -> None:
    done = cli("demo", "--keep", "--data-dir", tmp_path / "data")
    assert done.returncode == 0, done.stderr
    pid = int(found(r"running as process (\d+)", done.stdout))
    processes: list[Process] = family(pid)
    try:
        check_output(done.stdout, tmp_path / "data")
        url = found(r"service at (http://\S+?),", done.stdout)
        run = httpx.get(f"{url}/runs/{found(r'run ([0-9a-f]{32})', done.stdout)}").json()
        assert run["status"] == "completed"
        assert httpx.get(f"{url}/runs/{run['id']}/verify").json()["ok"]
    finally:
        os.kill(pid, signal.SIGTERM)
        all_gone(processes, 5.0)


@pytest.mark.parametrize("name", FILES, ids=lambda name: Path(name).name)
def test_demo_takes_a_file(tmp_path: Path, name: str) -> None:
    file = tmp_path / name  # an absolute name stays what it is
    if not file.exists():
        file.write_bytes(csv_bytes(market_frame(symbol=None, bars=3000)))
    done = cli("demo", "--data", file, "--data-dir", tmp_path / "data")
    assert done.returncode == 0, done.stderr
    assert file.stem in done.stdout
    check_output(done.stdout, tmp_path / "data")


@pytest.mark.parametrize("content", [b"this,is\nno,market\n", b""])
def test_demo_says_in_one_sentence_what_is_wrong_with_a_file(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "bad.csv"
    file.write_bytes(content)
    done = cli("demo", "--data", file, "--data-dir", tmp_path / "data")
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stdout + done.stderr
    assert found(r"service at (http://\S+?),", done.stdout)
    assert not answers(found(r"service at (http://\S+?),", done.stdout))

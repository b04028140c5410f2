"""What the command line says about a run beyond its configuration: symbols, accounts, slices, workers, reports."""

import json
import os
import pty
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.app.calls import call, config
from tests.live import CLI, environment, market_frame, parquet_bytes

REPORT = re.compile(r"backtest_(long|short|both)_([A-Za-z]+)_\d{8}_\d{6}\.(txt|json)")


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A market of three symbols, and a configuration of the first."""
    frames = [market_frame(symbol=s, bars=300, seed=i) for i, s in enumerate(("AAA", "BBB", "CCC"))]
    market, asked = tmp_path / "market.parquet", tmp_path / "c.json"
    market.write_bytes(parquet_bytes(pl.concat(frames)))
    asked.write_text(json.dumps(config(symbols=["AAA"])))
    return market, asked


def run(monkeypatch: pytest.MonkeyPatch, files: tuple[Path, Path], out: Path, *options: object) -> dict[str, Any]:
    """The configuration that was computed."""
    market, asked = files
    assert call(monkeypatch, "run", asked, "--data", market, "--out", out, *options) == 0
    resolved: dict[str, Any] = json.loads((out / "config.json").read_bytes())
    return resolved


def test_every_option_is_what_its_field_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, files: tuple[Path, Path]
) -> None:
    said = ("--symbols", "CCC, AAA", "--mode", "portfolio", "--snapshot-interval", 7, "--correlation-threshold", 0.6)
    made = run(monkeypatch, files, tmp_path / "options", *said, "--data-frac", 0.5, "--portion", 2)
    assert (made["symbols"], made["fraction"], made["portion"]) == (["AAA", "CCC"], 0.5, 2)
    portfolio = {"mode": "portfolio", "snapshot_interval": 7, "correlation_threshold": 0.6}
    assert {name: made["portfolio"][name] for name in portfolio} == portfolio

    written = config(symbols=["AAA", "CCC"], fraction=0.5, portion=2, portfolio=portfolio)
    files[1].write_text(json.dumps(written))
    run(monkeypatch, files, tmp_path / "fields")
    first, second = ((tmp_path / name / "manifest.json").read_bytes() for name in ("options", "fields"))
    assert first == second


def test_an_empty_block_is_as_good_as_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, files: tuple[Path, Path]
) -> None:
    market, _ = files
    text = tmp_path / "c.yaml"
    text.write_text("dataset: m\nsymbols: [AAA, BBB]\nstrategy: {name: buy_and_hold}\nportfolio:\n")
    made = run(monkeypatch, (market, text), tmp_path / "out", "--snapshot-interval", 9)
    assert made["portfolio"]["snapshot_interval"] == 9


def test_workers_are_capped_once_and_change_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, files: tuple[Path, Path]
) -> None:
    said = ("--symbols", "AAA,BBB,CCC", "--mode", "independent")
    run(monkeypatch, files, tmp_path / "one", *said)
    assert "warning" not in capsys.readouterr().err
    cores = os.cpu_count() or 1
    run(monkeypatch, files, tmp_path / "many", *said, "--max-workers", cores + 5)
    warned = " ".join(capsys.readouterr().err.split())
    assert warned.count("warning") == 1
    assert f"{cores + 5} workers are more than the {cores} cores" in warned
    first, second = ((tmp_path / name / "manifest.json").read_bytes() for name in ("one", "many"))
    assert first == second


def test_reports_have_the_names_of_the_contract(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, files: tuple[Path, Path]
) -> None:
    said = ("--symbols", "AAA,BBB")
    run(monkeypatch, files, tmp_path / "multi", *said)
    shown = "".join(capsys.readouterr().out.split())
    reports = sorted(path for path in (tmp_path / "multi").iterdir() if path.name.startswith("backtest_"))
    assert [path.suffix for path in reports] == [".json", ".txt"]
    for path in reports:
        matched = REPORT.fullmatch(path.name)
        assert matched is not None
        assert matched[2] == "multi"
        assert path.name in shown
    values, text = json.loads(reports[0].read_bytes()), reports[1].read_text()
    assert values["metrics"]["sharpe"].keys() >= {"value", "unit", "reason"}
    assert values["by_symbol"].keys() == {"AAA", "BBB"}
    assert "sharpe" in text
    assert "BBB" in text
    listed = {file["name"] for file in json.loads((tmp_path / "multi" / "manifest.json").read_bytes())["files"]}
    assert not any(name.startswith("backtest_") for name in listed), "a report holds the time of day"

    run(monkeypatch, files, tmp_path / "single")
    (report,) = (tmp_path / "single").glob("backtest_*.txt")
    assert "_AAA_" in report.name


def test_a_strategy_that_never_shorts_is_called_long(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, files: tuple[Path, Path]
) -> None:
    files[1].write_text(json.dumps(config(symbols=["AAA"], strategy={"name": "buy_and_hold"})))
    run(monkeypatch, files, tmp_path / "held")
    (report,) = (tmp_path / "held").glob("backtest_long_AAA_*.txt")
    assert report.is_file()


def test_profile_and_benchmark(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, files: tuple[Path, Path]) -> None:
    copy = tmp_path / "benchmark.json"
    run(monkeypatch, files, tmp_path / "out", "--profile", "--benchmark-out", copy)
    assert copy.read_bytes() == (tmp_path / "out" / "benchmark.json").read_bytes()
    benchmark = json.loads(copy.read_bytes())
    assert benchmark["seconds"].keys() >= {"data", "features", "execution", "metrics", "artifacts"}
    profile = json.loads((tmp_path / "out" / "profile.json").read_bytes())
    assert len(profile["hotspots"]) >= 10
    places = [(spot["place"], spot["function"]) for spot in profile["hotspots"]]
    assert len(set(places)) == len(places)
    assert (benchmark["rows"], benchmark["raw_bytes"]) == (300, 300 * 48)
    run(monkeypatch, files, tmp_path / "plain")
    assert (tmp_path / "plain" / "benchmark.json").is_file()
    assert not (tmp_path / "plain" / "profile.json").exists()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (("--symbols", "AAA,ZZZ"), "ZZZ"),
        (("--data-frac", "1.5"), "/fraction"),
        (("--data-frac", "0.5", "--portion", "3"), "/portion"),
        (("--snapshot-interval", "7"), "/portfolio/snapshot_interval"),
        (("--mode", "both"), "--mode"),
        (("--benchmark-out", "nowhere/benchmark.json"), "--benchmark-out"),
    ],
)
def test_what_cannot_be_is_refused_with_its_name(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    files: tuple[Path, Path],
    said: tuple[str, ...],
    words: str,
) -> None:
    market, asked = files
    assert call(monkeypatch, "run", asked, "--data", market, "--out", tmp_path / "out", *said) == 2
    assert words in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "out").exists()


def on_a_terminal(answers: dict[str, str], *arguments: object) -> str:
    """Run a command whose terminal answers each prompt once; returns what it showed."""
    ours, theirs = pty.openpty()
    command = [*CLI, *map(str, arguments)]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment()) as process:
        os.close(theirs)
        shown, waiting, deadline = "", dict(answers), time.monotonic() + 60.0
        while time.monotonic() < deadline:
            try:
                shown += os.read(ours, 4096).decode()
            except OSError:  # the terminal of a process that has ended
                break
            for prompt in [p for p in waiting if p in shown]:
                os.write(ours, f"{waiting.pop(prompt)}\n".encode())
        os.close(ours)
        assert process.wait(10.0) == 0, shown
    assert not waiting, shown
    return shown


def test_the_slice_is_asked_for_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, files: tuple[Path, Path]
) -> None:
    market, asked = files
    place = ("--data", market, "--out")
    answers = {"fraction of the data": "0.5", "portion, from 1": "2"}
    on_a_terminal(answers, "run", asked, *place, tmp_path / "asked")
    made = json.loads((tmp_path / "asked" / "config.json").read_bytes())
    assert (made["fraction"], made["portion"]) == (0.5, 2)
    shown = on_a_terminal({}, "run", asked, *place, tmp_path / "said", "--data-frac", 1.0)
    assert "fraction of the data" not in shown
    whole = run(monkeypatch, files, tmp_path / "quiet")
    assert (whole["fraction"], whole["portion"]) == (1.0, 1)

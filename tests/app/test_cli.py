"""The command line: data without a server, runs without a server, and refusals in a sentence.

A start of the program costs seconds, so most commands are called in this process.
"""

import json
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from app.db.scripts import newest_revision
from tests.app.calls import call, config
from tests.live import LiveServer, cli, csv_bytes, market_frame, parquet_bytes


@pytest.fixture
def market(tmp_path: Path) -> Path:
    path = tmp_path / "market.parquet"
    path.write_bytes(parquet_bytes(market_frame(bars=300)))
    return path


@pytest.fixture
def bad_market(tmp_path: Path) -> Path:
    path = tmp_path / "bad.csv"
    lines = csv_bytes(market_frame(bars=300)).splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:9], *lines[8:]]))
    return path


class TestData:
    def test_a_running_server_sees_an_import(self, server: LiveServer, market: Path) -> None:
        imported = cli("data", "import", "imported", market, "--data-dir", server.data_dir, "--calendar", "24x7")
        assert imported.returncode == 0, imported.stderr
        assert "imported, version 1, 300 rows, SYNTH" in imported.stdout
        assert "assumed timeframe 1h" in imported.stdout
        dataset = server.get("/datasets/imported").json()
        assert (dataset["version"], dataset["rows"]) == (1, 300)
        assert server.put_frame("imported", market_frame(bars=300)) == dataset
        assert server.completed(config(dataset="imported"))["status"] == "completed"

    def test_import_and_list(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, market: Path
    ) -> None:
        place = ("--data-dir", tmp_path / "var")
        assert call(monkeypatch, "data", "import", "one", market, *place) == 0
        assert "version 1" in capsys.readouterr().out
        assert call(monkeypatch, "data", "import", "one", market, *place) == 0
        assert "holds this content already" in capsys.readouterr().out
        market.write_bytes(parquet_bytes(market_frame(bars=301)))
        assert call(monkeypatch, "data", "import", "one", market, *place) == 0
        assert "version 2, 301 rows" in capsys.readouterr().out
        assert call(monkeypatch, "data", "list", *place) == 0
        assert re.search(r"one\W+2\W+1h\W+24x7\W+301\W+SYNTH", capsys.readouterr().out)

    def test_a_list_is_the_same_from_any_database_and_loads_none_of_its_code_for_the_usual_one(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, market: Path
    ) -> None:
        place = tmp_path / "var"
        assert call(monkeypatch, "data", "list", "--data-dir", place) == 0
        nothing = capsys.readouterr().out
        for name in ("two", "one"):
            assert call(monkeypatch, "data", "import", name, market, "--data-dir", place) == 0
        capsys.readouterr()
        assert call(monkeypatch, "data", "list", "--data-dir", place) == 0
        listed = capsys.readouterr().out
        assert "one" not in nothing
        assert 0 < listed.index("one") < listed.index("two")
        monkeypatch.setenv("TPLUSONE_DATABASE_URL", f"sqlite:///{place / 'tplusone.sqlite3'}")
        assert call(monkeypatch, "data", "list", "--data-dir", place) == 0
        assert capsys.readouterr().out == listed
        monkeypatch.delenv("TPLUSONE_DATABASE_URL")
        program = "import sys; from app.cli import app; app(standalone_mode=False); print('sqlalchemy' in sys.modules)"
        command = [sys.executable, "-c", program, "data", "list", "--data-dir", str(place)]
        alone = subprocess.run(command, capture_output=True, text=True, check=True)
        assert alone.stdout.splitlines()[-1] == "False"
        assert "one" in alone.stdout

    def test_a_list_brings_an_older_database_up_to_date(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, market: Path
    ) -> None:
        place = tmp_path / "var"
        assert call(monkeypatch, "data", "import", "one", market, "--data-dir", place) == 0
        with closing(sqlite3.connect(place / "tplusone.sqlite3")) as connection, connection:
            connection.execute("DROP TABLE trials")
            connection.execute("UPDATE alembic_version SET version_num = '0002'")
        assert call(monkeypatch, "data", "list", "--data-dir", place) == 0
        assert "SYNTH" in capsys.readouterr().out
        with closing(sqlite3.connect(place / "tplusone.sqlite3")) as connection:
            assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == (newest_revision(),)

    def test_a_refused_import_keeps_nothing(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, bad_market: Path
    ) -> None:
        place = ("--data-dir", tmp_path / "var")
        assert call(monkeypatch, "data", "import", "bad", bad_market, *place) == 2
        assert "duplicate_time" in capsys.readouterr().err
        assert not list((tmp_path / "var" / "datasets").iterdir())
        assert not list((tmp_path / "var" / "uploads").iterdir())
        assert call(monkeypatch, "data", "import", "bad", bad_market, "--on-bad-rows", "drop", *place) == 0
        assert "300 rows" in capsys.readouterr().out

    def test_check(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], market: Path, bad_market: Path
    ) -> None:
        before = sorted(market.parent.iterdir())
        assert call(monkeypatch, "data", "check", market) == 0
        assert "SYNTH: 300 rows, 2020-01-01T00:00:00Z to 2020-01-13T12:00:00Z" in capsys.readouterr().out
        assert call(monkeypatch, "data", "check", bad_market) == 2
        out, err = capsys.readouterr()
        assert "the time repeats" in out
        assert err.startswith("error: ")
        assert sorted(market.parent.iterdir()) == before


class TestRun:
    def test_json_and_yaml_are_one_run(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, market: Path
    ) -> None:
        (tmp_path / "c.json").write_text(json.dumps(config()))
        (tmp_path / "c.yaml").write_text(yaml.safe_dump(config()))
        manifests = []
        for form in ("json", "yaml"):
            out = tmp_path / form
            assert call(monkeypatch, "run", tmp_path / f"c.{form}", "--data", market, "--out", out) == 0
            shown = capsys.readouterr().out
            manifests.append((out / "manifest.json").read_bytes())
            assert f"run {json.loads(manifests[-1])['run_id']}" in shown
            assert f"artifacts in {out}" in shown
            assert "sharpe" in shown
            assert "SHORT_PERIOD" in shown
        assert manifests[0] == manifests[1]

    def test_on_a_dataset_of_the_data_directory(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, market: Path
    ) -> None:
        place = ("--data-dir", tmp_path / "var")
        (tmp_path / "c.json").write_text(json.dumps(config()))
        assert call(monkeypatch, "data", "import", "synth", market, *place) == 0
        assert call(monkeypatch, "run", tmp_path / "c.json", "--out", tmp_path / "kept", *place) == 0
        assert call(monkeypatch, "run", tmp_path / "c.json", "--data", market, "--out", tmp_path / "file") == 0
        first, second = ((tmp_path / name / "manifest.json").read_bytes() for name in ("kept", "file"))
        assert first == second

    def test_the_default_directory_is_the_id(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, market: Path
    ) -> None:
        (tmp_path / "c.json").write_text(json.dumps(config()))
        monkeypatch.chdir(tmp_path)
        assert call(monkeypatch, "run", "c.json", "--data", market) == 0
        (manifest,) = tmp_path.glob("*/manifest.json")
        assert manifest.parent.name == json.loads(manifest.read_bytes())["run_id"]

    def test_more_workers_than_cores_are_not_used_which_is_said_once(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, market: Path
    ) -> None:
        (tmp_path / "c.json").write_text(json.dumps(config(validation={"bar_permutation": {"n": 8}})))
        manifests, cores = [], os.cpu_count() or 1
        for workers in (1, cores, cores + 5):
            out = tmp_path / f"{workers}"
            asked = ("run", tmp_path / "c.json", "--data", market, "--out", out, "--max-workers", workers)
            assert call(monkeypatch, *asked) == 0
            said = capsys.readouterr().err
            warning = f"warning: {workers} workers are more than the {cores} cores; {cores} are used\n"
            assert said == (warning if workers > cores else "")
            manifests.append((out / "manifest.json").read_bytes())
        assert manifests == manifests[:1] * 3

    def test_nothing_is_overwritten(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, market: Path
    ) -> None:
        (tmp_path / "c.json").write_text(json.dumps(config()))
        (tmp_path / "out").mkdir()
        assert call(monkeypatch, "run", tmp_path / "c.json", "--data", market, "--out", tmp_path / "out") == 2
        assert "exists already" in capsys.readouterr().err
        assert not list((tmp_path / "out").iterdir())

    @pytest.mark.parametrize(
        ("name", "content", "words"),
        [
            ("c.json", "{", "is not valid json"),
            ("c.yaml", "a: [1", "is not valid yaml"),
            ("c.json", "[]", ""),
            ("c.yaml", "", ""),
            ("c.json", json.dumps(config(sede=1)), "there is no field 'sede'"),
            ("c.json", json.dumps(config(symbols=["OTHER"])), "OTHER"),
            ("c.json", json.dumps(config(start="2030-01-01T00:00:00Z")), "no bar is left"),
            ("c.json", json.dumps(config(initial_capital=-1)), "/initial_capital"),
        ],
    )
    def test_a_refusal_is_exit_2_and_says_why(
        self,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        tmp_path: Path,
        market: Path,
        name: str,
        content: str,
        words: str,
    ) -> None:
        (tmp_path / name).write_text(content)
        arguments = ("--data", market, "--out", tmp_path / "out", "--data-dir", tmp_path / "var")
        assert call(monkeypatch, "run", tmp_path / name, *arguments) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("error: ")
        assert words in " ".join(err.split())
        assert "Traceback" not in err
        assert not (tmp_path / "out").exists()

    def test_a_refusal_is_one_sentence_with_a_suggestion(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, market: Path
    ) -> None:
        (tmp_path / "c.json").write_text(json.dumps(config(strategy={"name": "dual_smma"})))
        assert call(monkeypatch, "run", tmp_path / "c.json", "--data", market) == 2
        out, err = capsys.readouterr()
        assert (out, len(err.strip().splitlines())) == ("", 1)
        assert "Did you mean 'dual_sma'?" in err

"""There is no Docker engine where these tests run: they hold the Dockerfile to what the README and settings say."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from app.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
LINES = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text()).splitlines()


def instructions(stage: int) -> list[tuple[str, str]]:
    """The instructions of one build stage, as (name, rest)."""
    found: list[list[tuple[str, str]]] = []
    for line in LINES:
        if re.match(r"[A-Z]+ ", line):
            name, rest = line.split(maxsplit=1)
            if name == "FROM":
                found.append([])
            found[-1].append((name, rest))
        elif found and re.match(r"\s+CMD ", line):
            found[-1].append(("HEALTHCHECK", line.strip()))
    return found[stage]


BUILD, FINAL = instructions(0), instructions(1)


def rest(name: str) -> list[str]:
    return [text for instruction, text in FINAL if instruction == name]


def environment() -> dict[str, str]:
    return dict(part.split("=", 1) for text in rest("ENV") for part in text.split())


def test_both_stages_have_the_same_base() -> None:
    bases = [text.split()[0] for stage in (BUILD, FINAL) for name, text in stage if name == "FROM"]
    assert bases == ["python:3.11-slim"] * 2


def test_the_lock_decides_what_is_installed() -> None:
    syncs = [text for name, text in BUILD if name == "RUN" and "uv sync" in text]
    assert syncs
    assert all("--locked" in text and "--no-dev" in text for text in syncs)


def test_every_copied_path_is_in_the_context() -> None:
    sources = [
        part for name, text in BUILD if name == "COPY" and not text.startswith("--from") for part in text.split()[:-1]
    ]
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert sorted(sources) == sorted(allowed)
    assert all((ROOT / source).exists() for source in sources)


def test_the_user_has_no_rights_and_is_the_one_the_readme_names() -> None:
    (user,) = rest("USER")
    number = user.split(":")[0]
    assert int(number) > 0
    assert f"user {number}" in README
    assert any(f"--uid {number}" in text for text in rest("RUN"))


def test_one_volume_which_is_the_data_directory() -> None:
    (volume,) = rest("VOLUME")
    assert environment()["TPLUSONE_DATA_DIR"] == volume
    assert f"volume `{volume}`" in README
    assert f":{volume} " in README
    assert any(f"-o 10001 -g 10001 {volume}" in text for text in rest("RUN"))


def test_the_port_is_the_settings_own() -> None:
    (port,) = rest("EXPOSE")
    assert int(port) == Settings.model_fields["port"].default == int(environment()["TPLUSONE_PORT"])
    assert f"port {port}" in README
    assert any(f"127.0.0.1:{port}/healthz" in text for text in rest("HEALTHCHECK"))


def test_every_setting_it_names_exists() -> None:
    named = {name.removeprefix("TPLUSONE_").lower() for name in environment() if name.startswith("TPLUSONE_")}
    assert named <= set(Settings.model_fields)


def test_it_does_not_listen_to_everyone_unless_the_operator_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match="TPLUSONE_TOKENS=off"):
        Settings()
    monkeypatch.setenv("TPLUSONE_TOKENS", "off")
    assert Settings().host == "0.0.0.0"
    assert "-e TPLUSONE_TOKENS=off" in README


def test_it_stops_at_sigterm_and_reaps_its_children() -> None:
    assert rest("STOPSIGNAL") == ["SIGTERM"]
    assert "docker run --init --read-only" in README


def test_the_entry_point_serves_from_a_copy_of_the_compiled_kernels(tmp_path: Path) -> None:
    """Run the entry point itself, with the image's directories moved and the program replaced by a listing."""
    shell, flag, script, name = json.loads(rest("ENTRYPOINT")[0])
    baked, scratch, programs = tmp_path / "baked", tmp_path / "scratch", tmp_path / "bin"
    for directory in (baked, scratch, programs):
        directory.mkdir()
    (baked / "kernel.nbi").write_text("compiled")
    program = programs / "tplusone"
    program.write_text('#!/bin/sh\necho "$@"; ls "$NUMBA_CACHE_DIR"\n')
    program.chmod(0o755)
    moved = script.replace("/tmp/", f"{scratch}/").replace("/opt/kernels", str(baked))
    cache = scratch / baked.name
    told = subprocess.run(
        [shell, flag, moved, name, *json.loads(rest("CMD")[0])],
        env={"PATH": f"{programs}:{os.environ['PATH']}", "NUMBA_CACHE_DIR": str(cache)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert told == ["serve", "kernel.nbi"]
    assert environment()["NUMBA_CACHE_DIR"] == "/tmp/kernels"
    assert script.startswith("cp -R /opt/kernels /tmp/ && exec tplusone")


def test_a_copied_cache_compiles_nothing(tmp_path: Path) -> None:
    """What the image bakes is taken as it is: a fresh process with the copy loads every kernel from it."""
    baked, copied = tmp_path / "baked", tmp_path / "copied"
    worker = [sys.executable, "-m", "app.warm"]
    subprocess.run(worker, cwd=ROOT, env={**os.environ, "NUMBA_CACHE_DIR": str(baked)}, check=True)
    before = sorted(path.name for path in baked.rglob("*.nb?"))
    assert before
    subprocess.run(["cp", "-R", str(baked), str(copied)], check=True)
    told = subprocess.run(
        worker,
        cwd=ROOT,
        env={**os.environ, "NUMBA_CACHE_DIR": str(copied), "NUMBA_DEBUG_CACHE": "1"},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert "data loaded from" in told
    assert "data saved to" not in told
    assert sorted(path.name for path in copied.rglob("*.nb?")) == before

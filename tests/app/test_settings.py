"""Settings from outside: listed, taken from the environment, and refused with a sentence."""

import os
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from app import cli
from app.settings import Settings, at_most_cores
from tests.app.calls import call, fresh
from tests.app.conftest import Fleet
from tests.live import LiveServer
from tests.live import cli as program


def test_every_setting_is_listed_with_its_value(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"WORKERS": "7", "TOKENS": "off", "HOST": "0.0.0.0", "HEARTBEAT_SECONDS": "0.5"}
    for name, value in given.items():
        monkeypatch.setenv(f"TPLUSONE_{name}", value)
    monkeypatch.setattr(cli.console, "width", 200)
    assert call(monkeypatch, "settings") == 0
    rows = dict(re.findall(r"(TPLUSONE_\w+)\W+(\S+)", capsys.readouterr().out))
    assert rows.keys() == {f"TPLUSONE_{name.upper()}" for name in Settings.model_fields}
    assert {name: rows[f"TPLUSONE_{name}"] for name in given} == given
    assert all(field.description for field in Settings.model_fields.values())


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_no_permission(host: str) -> None:
    assert Settings(host=host).host == host


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org", ""])
def test_another_host_needs_permission(host: str) -> None:
    with pytest.raises(ValueError, match="TPLUSONE_TOKENS=off"):
        Settings(host=host)
    assert Settings(host=host, tokens="off").host == host


def test_more_workers_of_a_run_than_cores_are_not_used_which_is_logged_once(fleet: Fleet) -> None:
    shared_threads = fleet("shared_threads")
    cores = os.cpu_count() or 1
    shared_threads.completed(fresh())
    said = f"256 workers are more than the {cores} cores; {cores} are used"
    assert shared_threads.log.read_text().count(said) == 1


@pytest.mark.parametrize(("workers", "given"), [(1, 1), (4, 4), (5, 4), (256, 4)])
def test_a_run_has_at_most_one_thread_for_each_core(monkeypatch: pytest.MonkeyPatch, workers: int, given: int) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    said: list[str] = []
    assert at_most_cores(workers, said.append) == given
    assert len(said) == (workers > 4)


def test_servers_that_are_refused(server: LiveServer) -> None:
    """Beyond loopback without permission, and a second one on a directory."""
    outside = ("serve", "--host", "0.0.0.0", "--port", "0", "--data-dir", server.data_dir.with_name("outside"))
    second = ("serve", "--port", "0", "--data-dir", server.data_dir)
    with ThreadPoolExecutor(2) as pool:
        refused = list(pool.map(lambda arguments: program(*arguments), (outside, second)))
    for command in refused:
        assert (command.returncode, command.stdout) == (2, "")
        assert command.stderr.startswith("error: ")
        assert "Traceback" not in command.stderr
    assert "TPLUSONE_TOKENS=off" in refused[0].stderr
    assert not server.data_dir.with_name("outside").exists()
    assert "another server is using" in refused[1].stderr
    assert str(server.data_dir) in refused[1].stderr.replace("\n", "")
    assert server.get("/healthz").status_code == 200

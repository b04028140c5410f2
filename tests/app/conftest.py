"""Servers that the tests of the service share. A start costs seconds, so those that are needed start together."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tests.app.calls import config, lengthy
from tests.engine.data.conftest import MARKET_DATA
from tests.live import LiveServer

collect_ignore = [] if MARKET_DATA.is_dir() else ["test_real_portfolios.py"]

LONG_BARS = 300_000
RETAIN = 3

SERVERS: Mapping[str, Mapping[str, object]] = {
    "server": {"executor": "thread", "workers": 2},
    "processes": {"executor": "process", "workers": 2},
    "limited": {
        "executor": "process",
        "workers": 1,
        "queue_limit": 1,
        "run_seconds": 6,
        "heartbeat_seconds": 0.2,
        "body_bytes": 20_000,
        "upload_bytes": 30_000_000,
        "upload_rows": LONG_BARS,
        "run_symbols": 3,
        "run_bars": LONG_BARS,
    },
    "keeper": {"executor": "thread", "workers": 2, "retain": RETAIN},
    "restarted": {"executor": "thread", "workers": 1},
    "shared_threads": {"executor": "thread", "workers": 1, "run_workers": 256},
    "shared_processes": {"executor": "process", "workers": 1, "run_workers": 2},
}
"""The settings of each server, by the fixture that gives it."""

Fleet = Callable[[str], LiveServer]


@pytest.fixture(scope="session")
def fleet(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Servers by name: those the collected tests name are started at once, others when asked for."""
    root = tmp_path_factory.mktemp("service")
    running: dict[str, LiveServer] = {}

    def get(name: str) -> LiveServer:
        if name not in running:
            running[name] = LiveServer(root / name, **SERVERS[name])
            running[name].start()
            running[name].put_market("synth", bars=1000)
            running[name].put_market("long", bars=LONG_BARS, timeframe="1m")
        return running[name]

    named = {name for item in request.session.items for name in getattr(item, "fixturenames", ())}
    with ExitStack() as stack:
        stack.callback(lambda: [server.terminate() for server in running.values()])
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(get, [name for name in SERVERS if name in named]))
        yield get


@pytest.fixture(scope="session")
def server(fleet: Fleet) -> LiveServer:
    """The server of most tests: two runs at once, in threads."""
    return fleet("server")


@pytest.fixture(scope="session")
def processes(fleet: Fleet) -> LiveServer:
    """Two runs at once, in processes, as by default."""
    return fleet("processes")


@pytest.fixture(scope="session")
def limited(fleet: Fleet) -> LiveServer:
    """One run at once, one in the queue, and every limit within reach."""
    return fleet("limited")


@pytest.fixture(scope="session")
def keeper(fleet: Fleet) -> LiveServer:
    """A server that keeps few runs."""
    return fleet("keeper")


@pytest.fixture(scope="session")
def restarted(fleet: Fleet) -> LiveServer:
    """A server for the one test that stops it."""
    return fleet("restarted")


@pytest.fixture(scope="session")
def shared_threads(fleet: Fleet) -> LiveServer:
    """A server whose runs may use all cores, and asked for more."""
    return fleet("shared_threads")


@pytest.fixture(scope="session")
def shared_processes(fleet: Fleet) -> LiveServer:
    """A server whose runs use two threads each, in processes."""
    return fleet("shared_processes")


@pytest.fixture
def busy(limited: LiveServer) -> Iterator[LiveServer]:
    """The limited server while its one worker computes."""
    run_id = limited.post(lengthy()).json()["id"]
    limited.wait_for(run_id, "started")
    yield limited
    limited.cancel(run_id)
    limited.wait(run_id)


@pytest.fixture(scope="session")
def finished(server: LiveServer) -> str:
    """The id of a completed run of the shared server."""
    return str(server.completed(config())["id"])

"""Servers with markets of three sizes in them."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.work import put_markets
from tests.live import LiveServer

Start = Callable[..., LiveServer]


@pytest.fixture(scope="session", autouse=True)
def _bytecode_is_kept() -> Iterator[None]:
    """Three dozen programs start here; without kept bytecode each compiles every library for five seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        patch.setenv("PYTHONPYCACHEPREFIX", str(Path(tempfile.gettempdir(), f"tplusone-bytecode-{os.getuid()}")))
        yield


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts servers with the settings given; they are stopped after the module."""
    with ExitStack() as stack:

        def begin(**settings: object) -> LiveServer:
            directory = tmp_path_factory.mktemp("live") / "data"
            server = stack.enter_context(LiveServer(directory, **({"workers": 2} | settings)))
            put_markets(server)
            return server

        yield begin


@pytest.fixture(scope="module")
def shared(start: Start) -> LiveServer:
    """One server for a module."""
    return start()


@pytest.fixture
def server(shared: LiveServer) -> LiveServer:
    """The module's server, running: a test that fails while it is stopped takes no other with it."""
    if shared.process.poll() is not None:
        shared.restart()
    return shared

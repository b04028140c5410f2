"""The server process: one uvicorn worker that says when it is ready and stops its work at the signal."""

import sys
from types import FrameType
from typing import cast

import uvicorn
from fastapi import FastAPI

from app.deps import Services
from app.main import create_app, lock_data_directory
from app.settings import Settings

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "loggers": {
        "tplusone": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
        "uvicorn": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
    },
}


class Server(uvicorn.Server):
    """uvicorn, with the two things it does not do by itself."""

    def __init__(self, app: FastAPI, settings: Settings) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=settings.host,
                port=settings.port,
                access_log=False,
                log_config=LOGGING,
                server_header=False,
                timeout_graceful_shutdown=settings.shutdown_seconds,
            )
        )
        self._application = app

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        """Listen, and say so as the first line on standard output."""
        await super().startup(sockets)  # type: ignore[arg-type]
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            name = f"[{host}]" if ":" in host else host
            sys.stdout.write(f"ready http://{name}:{port}\n")
            sys.stdout.flush()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop what computes first: uvicorn waits for background tasks before it shuts the application down."""
        services = cast("Services | None", getattr(self._application.state, "services", None))
        if services is not None:
            services.loop.call_soon_threadsafe(services.driver.stop)
        super().handle_exit(sig, frame)


def serve(settings: Settings) -> bool:
    """Serve until a signal; False when the port is taken. Raises ``DataDirectoryInUseError``."""
    server = Server(create_app(settings, lock_data_directory(settings)), settings)
    server.run()
    return server.started

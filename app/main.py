"""The application: everything is built and wired here, and nothing is decided here."""

import asyncio
import logging
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

from fastapi import Depends, FastAPI
from filelock import FileLock, Timeout

from app import errors, openapi
from app.artifacts import endpoints as artifacts
from app.artifacts.store import ArtifactStore
from app.catalog import endpoints as catalog
from app.datasets import endpoints as datasets
from app.datasets.service import DatasetService
from app.datasets.store import DatasetStore
from app.db.migration import migrate
from app.db.session import Database
from app.deps import Services, known_parameters
from app.events import endpoints as events
from app.events.broadcast import Broadcast
from app.executors.base import Executor
from app.executors.process import ProcessExecutor
from app.executors.thread import ThreadExecutor
from app.health import endpoints as health
from app.middleware import BodyLimit, RequestContext
from app.runs import endpoints as runs
from app.runs.driver import RunDriver
from app.runs.service import RunService
from app.settings import Settings
from engine.canonical import sha256_hex
from engine.features.talib import function_names

logger = logging.getLogger("tplusone")

WARM = "app.warm"
"""What compiles the kernels. The fork server loads it, and the program a worker is told to be part of."""


class DataDirectoryInUseError(RuntimeError):
    """Another server holds the data directory."""


def make_executor(settings: Settings, workers: int, purpose: str) -> Executor:
    """The executor the settings name; ``purpose`` tells two of one server apart."""
    if settings.executor == "thread":
        return ThreadExecutor(workers, settings.run_seconds, lambda: import_module(WARM))
    # Named pipes belong where every file system has them; one server holds a data directory, so the name is its own.
    name = sha256_hex(str(settings.data_dir.resolve()).encode())[:16]
    channels = Path(tempfile.gettempdir(), f"tplusone-{name}-{purpose}")
    return ProcessExecutor(workers, settings.run_seconds, settings.run_memory_mb, [WARM, "app.cli"], channels)


def lock_data_directory(settings: Settings) -> FileLock:
    """Hold the data directory for as long as the process lives. Raises ``DataDirectoryInUseError``."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    lock = FileLock(settings.data_dir / "server.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise DataDirectoryInUseError(
            f"another server is using {settings.data_dir}: stop it, or choose another TPLUSONE_DATA_DIR"
        ) from None
    return lock


def build(settings: Settings) -> Services:
    """Everything an endpoint may use."""
    database = Database(settings)
    migrate(database)
    artifacts_store, uploads = ArtifactStore(settings.data_dir), DatasetStore(settings.data_dir)
    dataset_service = DatasetService(settings, database, uploads)
    broadcast = Broadcast()
    executor, importer = make_executor(settings, settings.workers, "runs"), make_executor(settings, 1, "imports")
    return Services(
        settings=settings,
        database=database,
        artifacts=artifacts_store,
        uploads=uploads,
        datasets=dataset_service,
        runs=RunService(settings, database, artifacts_store, broadcast),
        driver=RunDriver(settings, database, artifacts_store, dataset_service, executor, broadcast),
        broadcast=broadcast,
        executor=executor,
        importer=importer,
        loop=asyncio.get_running_loop(),
    )


def create_app(settings: Settings, lock: FileLock | None = None) -> FastAPI:
    """The ASGI application for these settings; ``lock`` where the caller holds the data directory already."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        held = lock or lock_data_directory(settings)
        services = build(settings)
        app.state.services = services
        logger.info("starting the workers; the first start of an installation compiles for about a minute")
        for pool in (services.executor, services.importer):
            await services.database.call(pool.start)
        await services.database.call(services.datasets.recover)
        for name, attempt in await services.database.call(services.driver.recover):
            services.driver.start_now(name, attempt)
        # TA-Lib takes a second to import: in the background, not in somebody's first request.
        library = asyncio.ensure_future(services.database.call(function_names))
        yield
        await library
        services.driver.stop()
        await services.driver.stopped()
        await services.database.call(services.executor.close)
        await services.database.call(services.importer.close)
        services.database.close()
        held.release()

    app = FastAPI(
        title="tplusone",
        version=version("tplusone"),
        description="Backtests that can be trusted: decided at bar t, filled at t+1, the same bytes every time.",
        lifespan=lifespan,
        separate_input_output_schemas=False,
        max_body_size=None,
    )
    app.add_middleware(
        BodyLimit, limit=settings.body_bytes, upload_prefix="/datasets/", upload_limit=settings.upload_bytes
    )
    app.add_middleware(RequestContext)
    errors.install(app)
    app.state.routers = [room.router for room in (runs, events, artifacts, datasets, catalog, health)]
    for router in app.state.routers:
        app.include_router(router, dependencies=[Depends(known_parameters)])
    app.openapi = lambda: openapi.document(app)  # type: ignore[method-assign]
    return app

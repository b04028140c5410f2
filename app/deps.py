"""What endpoints ask for: the services of this application, built once in ``main``."""

import asyncio
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request

from app.artifacts.store import ArtifactStore
from app.datasets.service import DatasetService
from app.datasets.store import DatasetStore
from app.db.session import Database
from app.events.broadcast import Broadcast
from app.executors.base import Executor
from app.runs.service import RunService
from app.settings import Settings


@dataclass(frozen=True)
class Services:
    """Everything an endpoint may use."""

    settings: Settings
    database: Database
    artifacts: ArtifactStore
    uploads: DatasetStore
    datasets: DatasetService
    runs: RunService
    broadcast: Broadcast
    executor: Executor
    importer: Executor
    loop: asyncio.AbstractEventLoop


def services(request: Request) -> Services:
    """The services of the running application."""
    return cast("Services", request.app.state.services)


ServicesDep = Annotated[Services, Depends(services)]

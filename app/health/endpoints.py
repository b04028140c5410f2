"""Liveness, readiness, versions."""

import platform
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, Response

from app.artifacts.manifest import LIBRARIES
from app.deps import ServicesDep
from app.health.schemas import Health, Readiness, Version
from app.responses import json_response
from app.runs import repository
from engine.config import SCHEMA, SEMANTICS

router = APIRouter(tags=["service"])


@router.get("/healthz", operation_id="getHealth")
async def get_health() -> Health:
    """The process answers."""
    return Health(status="ok")


@router.get("/readyz", operation_id="getReadiness", response_model=Readiness)
async def get_readiness(services: ServicesDep) -> Response:
    """The database answers and the executor has started."""

    def queued() -> Any:
        with services.database.read() as connection:
            return repository.count_queued(connection)

    waiting = await services.database.call(queued)
    return json_response(Readiness(ready=services.executor.ready, executor=services.settings.executor, queued=waiting))


@router.get("/version", operation_id="getVersion")
async def get_version() -> Version:
    """Versions of the service, of what decides results, and of the libraries below."""
    return Version(
        version=version("tplusone"),
        schema_version=SCHEMA,
        semantics_version=SEMANTICS,
        python=platform.python_version(),
        libraries={name: version(name) for name in LIBRARIES},
    )

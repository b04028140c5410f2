"""What endpoints ask for: the services of this application, built once in ``main``."""

import asyncio
import json
from dataclasses import dataclass
from typing import Annotated, Any, cast

from fastapi import Depends, Request
from pydantic import BaseModel

from app.artifacts.store import ArtifactStore
from app.datasets.service import DatasetService
from app.datasets.store import DatasetStore
from app.db.session import Database
from app.errors import InvalidRequestError
from app.events.broadcast import Broadcast
from app.executors.base import Executor
from app.runs.driver import RunDriver
from app.runs.service import RunService
from app.settings import Settings
from engine.errors import nearest


@dataclass(frozen=True)
class Services:
    """Everything an endpoint may use."""

    settings: Settings
    database: Database
    artifacts: ArtifactStore
    uploads: DatasetStore
    datasets: DatasetService
    runs: RunService
    driver: RunDriver
    broadcast: Broadcast
    executor: Executor
    importer: Executor
    loop: asyncio.AbstractEventLoop


def services(request: Request) -> Services:
    """The services of the running application."""
    return cast("Services", request.app.state.services)


def known_parameters(request: Request) -> None:
    """Refuse a query parameter the call does not have: a misspelt one would silently change what happens."""
    route = request.scope["route"]
    known = sorted(name for field in route.dependant.query_params for name in _names(field))
    given = [name for name, _ in request.query_params.multi_items()]
    if len(given) > len(set(given)):
        raise InvalidRequestError("a query parameter is given twice")
    unknown = [name for name in given if name not in known]
    if unknown:
        entries = [
            {
                "in": "query",
                "pointer": f"/{name}",
                "code": "unknown_parameter",
                "message": f"there is no parameter '{name}'.{nearest(name, known)}",
                "allowed": known,
            }
            for name in unknown
        ]
        raise InvalidRequestError(" ".join(str(entry["message"]) for entry in entries), {"errors": entries})


def _names(field: Any) -> list[str]:
    """The parameter itself, or the fields of a model that gathers several."""
    model = field.field_info.annotation
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else [field.alias]


async def unique_keys(request: Request) -> None:
    """Refuse a JSON body that says the same key twice: the parser would silently take the last."""
    try:
        json.loads(await request.body(), object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        return  # not JSON at all: the model's own error says so


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    for key, value in pairs:
        if key in seen:
            raise InvalidRequestError("the body says one key of an object twice")
        seen[key] = value
    return seen


ServicesDep = Annotated[Services, Depends(services)]

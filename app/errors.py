"""What the service refuses, and THE table from error class to HTTP problem (RFC 9457).

::

    ServiceError
    ├── NotFoundError           404  there is nothing of that name
    ├── GoneError               410  it was there; its tombstone is in the problem
    ├── ConflictError           409  it is in use
    ├── KeyReusedError          422  the idempotency key belongs to another configuration
    ├── InvalidRequestError     422  a header or query parameter makes no sense
    ├── UnsupportedMediaError   415  a body of a kind that cannot be read
    ├── RangeError              416  a range outside the file
    └── QueueFullError          503  too many runs wait

Problems never echo the input, and never show a stack trace: they carry the id of the request, which the log has.
"""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, cast

import orjson
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route

from app.executors.base import ExecutorError
from engine.config import RunConfig, field_errors
from engine.errors import ConfigError, DataError, EngineError, UnknownNameError
from engine.registry import Frozen

PROBLEM = "application/problem+json"
log = logging.getLogger("tplusone")


class ServiceError(Exception):
    """The base of what the service refuses; ``details`` become members of the problem."""

    code = "error"

    def __init__(self, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = dict(details or {})


class NotFoundError(ServiceError):
    """There is nothing of that name."""

    code = "not_found"


class GoneError(ServiceError):
    """It was there and has been removed."""

    code = "gone"


class ConflictError(ServiceError):
    """It is in use, or not in the state the call needs."""

    code = "conflict"


class KeyReusedError(ServiceError):
    """The idempotency key belongs to another configuration."""

    code = "idempotency_key_reused"


class InvalidRequestError(ServiceError):
    """A header or query parameter makes no sense."""

    code = "invalid_request"


class UnsupportedMediaError(ServiceError):
    """A body of a kind that cannot be read."""

    code = "unsupported_media_type"


class RangeError(ServiceError):
    """A range outside the file."""

    code = "range_not_satisfiable"


class QueueFullError(ServiceError):
    """Too many runs wait already."""

    code = "queue_full"


STATUS: dict[type[Exception], HTTPStatus] = {
    NotFoundError: HTTPStatus.NOT_FOUND,
    GoneError: HTTPStatus.GONE,
    ConflictError: HTTPStatus.CONFLICT,
    KeyReusedError: HTTPStatus.UNPROCESSABLE_ENTITY,
    InvalidRequestError: HTTPStatus.UNPROCESSABLE_ENTITY,
    UnsupportedMediaError: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    RangeError: HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
    QueueFullError: HTTPStatus.SERVICE_UNAVAILABLE,
    ConfigError: HTTPStatus.UNPROCESSABLE_ENTITY,
    DataError: HTTPStatus.UNPROCESSABLE_ENTITY,
    UnknownNameError: HTTPStatus.UNPROCESSABLE_ENTITY,
    EngineError: HTTPStatus.UNPROCESSABLE_ENTITY,
    ExecutorError: HTTPStatus.SERVICE_UNAVAILABLE,
}
"""The nearest class of an error's tree decides."""

CODES = {HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "too_large"}
"""Codes of errors that come as a bare status, where the status has no good name."""

RETRY_SECONDS = 5


class FieldProblem(BaseModel):
    """One thing wrong with one field."""

    model_config = ConfigDict(extra="allow")

    pointer: str
    code: str
    message: str


class Problem(BaseModel):
    """An RFC 9457 problem. ``code`` is stable; ``instance`` carries the id of the request."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    errors: list[FieldProblem] | None = None


def problems(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of a route that may answer with these problems."""
    schema = {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {int(status): {"description": status.phrase, "content": schema} for status in statuses}


def render(
    request: Request, status: HTTPStatus, code: str, detail: str, members: Mapping[str, Any] | None = None
) -> Response:
    """A problem as a response."""
    body = {
        "type": f"urn:tplusone:problem:{code}",
        "title": status.phrase,
        "status": int(status),
        "detail": detail,
        "instance": f"urn:tplusone:request:{request.scope.get('request_id', '')}",
        "code": code,
        **(members or {}),
    }
    headers = {"Cache-Control": "no-store"}
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = str(RETRY_SECONDS)
    return Response(orjson.dumps(body), int(status), headers, PROBLEM)


def install(app: FastAPI) -> None:
    """Make every error of the application a problem."""
    for kind in (ServiceError, EngineError, ExecutorError):
        app.add_exception_handler(kind, _known)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


async def _known(request: Request, error: Exception) -> Response:
    known = cast("ServiceError | EngineError | ExecutorError", error)
    status = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    details = getattr(known, "details", {})
    response = render(request, status, known.code, str(error), details)
    if isinstance(error, RangeError):
        response.headers["Content-Range"] = f"bytes */{error.details['size']}"
    return response


async def _invalid(request: Request, error: Exception) -> Response:
    """A body, query or header that does not fit its model: one entry per field."""
    invalid = cast("RequestValidationError", error)
    entries = []
    for item in invalid.errors():
        place, *location = item["loc"]
        if item["type"] == "json_invalid":
            entries.append({"pointer": "", "code": "invalid_json", "message": "the body is not valid JSON"})
            continue
        details = cast("ErrorDetails", {**item, "loc": tuple(location)})
        entry = field_errors([details], _model(request, place))[0].as_dict()
        entries.append(entry if place == "body" else entry | {"in": place})
    message = "; ".join(f"{e['pointer'] or '/'}: {e['message']}" for e in entries)
    return render(request, HTTPStatus.UNPROCESSABLE_ENTITY, ConfigError.code, message, {"errors": entries})


def _model(request: Request, place: int | str) -> type[Frozen]:
    """The model of the route's body or query, for the names of its fields."""
    route = request.scope.get("route")
    if not isinstance(route, APIRoute):
        return RunConfig
    fields = route.dependant.query_params if place == "query" else [route.body_field]
    models = [field.field_info.annotation for field in fields if field is not None]
    return next((m for m in models if isinstance(m, type) and issubclass(m, Frozen)), RunConfig)


async def _http(request: Request, error: Exception) -> Response:
    raised = cast("HTTPException", error)
    status = HTTPStatus(raised.status_code)
    code = CODES.get(status, status.name.lower())
    response = render(request, status, code, str(raised.detail))
    response.headers.update(raised.headers or {})
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        response.headers["Allow"] = ", ".join(_methods(request))
    return response


def _methods(request: Request) -> list[str]:
    """Every method of the request's path: the router names those of the first route only."""
    found: set[str] = set()
    routers: Sequence[APIRouter] = request.app.state.routers
    for route in (route for router in routers for route in router.routes):
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE:
            found |= route.methods or set()
    return sorted(found)


def unexpected(request: Request, error: Exception) -> Response:
    """A problem for what nobody foresaw; the log has the rest."""
    log.error("request %s failed", request.scope.get("request_id", ""), exc_info=error)
    detail = "something went wrong here, not with your request; the log has it under this instance"
    return render(request, HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", detail)

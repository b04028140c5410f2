"""Answers as most endpoints give them."""

from collections.abc import Mapping
from http import HTTPStatus

import orjson
from fastapi import Response
from pydantic import BaseModel


def json_response(
    value: BaseModel, status: HTTPStatus = HTTPStatus.OK, headers: Mapping[str, str] | None = None
) -> Response:
    """A model as JSON, under the names its schema shows."""
    body = orjson.dumps(value.model_dump(mode="json", by_alias=True))
    return Response(body, int(status), dict(headers or {}), "application/json")


def matches(if_none_match: str | None, etag: str) -> bool:
    """Whether an If-None-Match header names the entity tag (weak comparison)."""
    given = [part.strip().removeprefix("W/") for part in (if_none_match or "").split(",")]
    return etag in given or given == ["*"]

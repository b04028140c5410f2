"""The manifest and the bytes of a run's artifacts."""

import re
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import FileResponse

from app.artifacts.manifest import MANIFEST
from app.artifacts.schemas import Manifest
from app.deps import Services, ServicesDep
from app.errors import RangeError, problems
from app.responses import matches

router = APIRouter(tags=["artifacts"])

RANGE = r"(?:\d{1,18}-\d{0,18}|-\d{1,18})"
PROBLEMS = problems(HTTPStatus.NOT_FOUND, HTTPStatus.GONE, HTTPStatus.CONFLICT)


@router.get(
    "/runs/{run_id}/artifacts", operation_id="getManifest", response_model=Manifest, responses={304: {}, **PROBLEMS}
)
async def get_manifest(
    run_id: str, request: Request, services: ServicesDep, if_none_match: Annotated[str | None, Header()] = None
) -> Response:
    """The manifest of a completed run."""
    return await _file(services, request, run_id, MANIFEST, if_none_match)


@router.api_route(
    "/runs/{run_id}/artifacts/{name:path}",
    methods=["GET"],
    operation_id="getArtifact",
    response_class=FileResponse,
    responses={
        200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}},
        206: {"description": "the range asked for"},
        304: {"description": "unchanged since the ETag"},
        **PROBLEMS,
        **problems(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE),
    },
)
@router.api_route("/runs/{run_id}/artifacts/{name:path}", methods=["HEAD"], include_in_schema=False)
async def get_artifact(
    run_id: str,
    name: str,
    request: Request,
    services: ServicesDep,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """The bytes of one artifact. Names are the manifest's; nothing else exists."""
    return await _file(services, request, run_id, name, if_none_match)


async def _file(services: Services, request: Request, run_id: str, name: str, if_none_match: str | None) -> Response:
    artifact = await services.database.call(services.runs.artifact, run_id, name)
    headers = {"ETag": f'"{artifact.sha256}"', "Cache-Control": "no-cache"}
    if matches(if_none_match, headers["ETag"]):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    _check_range(request, artifact.size)
    return FileResponse(artifact.path, headers=headers, media_type=artifact.media_type)


def _check_range(request: Request, size: int) -> None:
    """Refuse a range outside the file, and forget one that is not understood (RFC 9110 section 14.2)."""
    given = request.headers.get("range")
    if given is None or "if-range" in request.headers:
        return
    ranges = re.fullmatch(rf"bytes=({RANGE}(?:\s*,\s*{RANGE})*)", given)
    if ranges is None or any(_backwards(part) for part in ranges[1].split(",")):
        request.scope["headers"] = [pair for pair in request.scope["headers"] if pair[0] != b"range"]
    elif not any(_reaches(part.strip(), size) for part in ranges[1].split(",")):
        raise RangeError(f"the file has {size} bytes", {"size": size})


def _backwards(part: str) -> bool:
    first, _, last = part.strip().partition("-")
    return bool(first and last) and int(last) < int(first)


def _reaches(part: str, size: int) -> bool:
    first, _, last = part.partition("-")
    return int(first) < size if first else int(last) > 0 and size > 0

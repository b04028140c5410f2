"""The manifest and the bytes of a run's artifacts."""

from http import HTTPStatus
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Header, Response
from fastapi.responses import FileResponse

from app.artifacts.manifest import BENCHMARK, CHECKSUMS, JSON, MANIFEST, TEXT
from app.artifacts.schemas import Manifest
from app.deps import Services, ServicesDep
from app.errors import NotFoundError, problems
from app.runs.headers import matches
from engine.canonical import file_digest

router = APIRouter(tags=["artifacts"])

MEDIA_TYPES = {MANIFEST: JSON, BENCHMARK: JSON, CHECKSUMS: TEXT}
PROBLEMS = problems(HTTPStatus.NOT_FOUND, HTTPStatus.GONE, HTTPStatus.CONFLICT)


@router.get(
    "/runs/{run_id}/artifacts", operation_id="getManifest", response_model=Manifest, responses={304: {}, **PROBLEMS}
)
async def get_manifest(
    run_id: str, services: ServicesDep, if_none_match: Annotated[str | None, Header()] = None
) -> Response:
    """The manifest of a completed run."""
    return await _file(services, run_id, MANIFEST, if_none_match)


@router.api_route(
    "/runs/{run_id}/artifacts/{name:path}",
    methods=["GET"],
    operation_id="getArtifact",
    response_class=FileResponse,
    responses={
        200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}},
        206: {"description": "the range asked for"},
        304: {"description": "unchanged since the ETag"},
        416: {"description": "a range outside the file"},
        **PROBLEMS,
    },
)
@router.api_route("/runs/{run_id}/artifacts/{name:path}", methods=["HEAD"], include_in_schema=False)
async def get_artifact(
    run_id: str,
    name: str,
    services: ServicesDep,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """The bytes of one artifact. Names are the manifest's; nothing else exists."""
    return await _file(services, run_id, name, if_none_match)


async def _file(services: Services, run_id: str, name: str, if_none_match: str | None) -> Response:
    await services.database.call(services.runs.completed, run_id)
    found = await services.database.call(_find, services, run_id, name)
    if found is None:
        raise NotFoundError(f"the run has no artifact '{name}'; its manifest lists what there is")
    path, digest, media_type = found
    headers = {"ETag": f'"{digest}"', "Cache-Control": "no-cache"}
    if matches(if_none_match, headers["ETag"]):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return FileResponse(path, headers=headers, media_type=media_type)


def _find(services: Services, run_id: str, name: str) -> tuple[Path, str, str] | None:
    """Where an artifact is, the SHA-256 of its bytes, and its kind."""
    path = services.artifacts.path(run_id, name)
    if path is None:
        return None
    listed = {file["name"]: file for file in services.artifacts.manifest(run_id)["files"]}
    if name in listed:
        return path, listed[name]["sha256"], listed[name]["media_type"]
    return path, file_digest(path), MEDIA_TYPES[name]

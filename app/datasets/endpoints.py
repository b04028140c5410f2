"""Upload, list, read and delete datasets."""

import uuid
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi import Path as PathParameter

from app.datasets.repository import Version
from app.datasets.schemas import DatasetInfo, DatasetList, view
from app.datasets.worker import Import, Imported, import_file
from app.deps import Services, ServicesDep
from app.errors import InvalidRequestError, UnsupportedMediaError, problems
from app.executors.base import CrashError, MemoryLimitError
from app.responses import json_response
from engine.config import NAME_PATTERN
from engine.data.options import LoadOptions
from engine.errors import DataError

router = APIRouter(tags=["datasets"])

MEDIA_TYPES = (
    "text/csv",
    "application/vnd.apache.parquet",
    "application/vnd.apache.arrow.stream",
    "application/vnd.apache.arrow.file",
    "application/json",
    "application/zip",
    "application/gzip",
)
LENIENT_TYPES = ("application/octet-stream", "application/x-www-form-urlencoded", "")
"""What curl sends when nobody said what the file is; the content decides."""

UPLOAD_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in MEDIA_TYPES},
    }
}
UPLOAD_PROBLEMS = problems(
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.SERVICE_UNAVAILABLE,
)

Name = Annotated[str, PathParameter(pattern=NAME_PATTERN)]


@router.get("/datasets", operation_id="listDatasets", response_model=DatasetList)
async def list_datasets(services: ServicesDep) -> Response:
    """Every dataset, by name."""
    versions = await services.database.call(services.datasets.list)
    return json_response(DatasetList(datasets=[view(version) for version in versions]))


@router.get(
    "/datasets/{name}",
    operation_id="getDataset",
    response_model=DatasetInfo,
    responses=problems(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY),
)
async def get_dataset(name: Name, services: ServicesDep) -> Response:
    """The newest version of a dataset, with the report of its import."""
    return json_response(view(await services.database.call(services.datasets.get, name)))


@router.put(
    "/datasets/{name}",
    operation_id="putDataset",
    response_model=DatasetInfo,
    responses={
        200: {"model": DatasetInfo, "description": "the dataset holds this content already"},
        201: {"model": DatasetInfo, "description": "a new dataset or version"},
        **UPLOAD_PROBLEMS,
    },
    openapi_extra=UPLOAD_BODY,
)
async def put_dataset(
    name: Name,
    request: Request,
    services: ServicesDep,
    options: Annotated[LoadOptions, Query()],
    content_type: Annotated[str, Header()] = "",
) -> Response:
    """Import a file, whole or not at all. What is not declared is inferred where it can be, and reported."""
    return await _take(name, request, services, options, content_type, None)


@router.patch(
    "/datasets/{name}",
    operation_id="patchDataset",
    response_model=DatasetInfo,
    responses={
        200: {"model": DatasetInfo, "description": "the dataset holds these rows already"},
        201: {"model": DatasetInfo, "description": "a new version"},
        **UPLOAD_PROBLEMS,
        **problems(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
    },
    openapi_extra=UPLOAD_BODY,
)
async def patch_dataset(
    name: Name,
    request: Request,
    services: ServicesDep,
    options: Annotated[LoadOptions, Query()],
    content_type: Annotated[str, Header()] = "",
) -> Response:
    """Add the symbols or rows of a file. Conventions are the dataset's; rows it has already must be equal."""
    base = await services.database.call(services.datasets.get, name)
    return await _take(name, request, services, options, content_type, base)


async def _take(
    name: str, request: Request, services: Services, options: LoadOptions, content_type: str, base: Version | None
) -> Response:
    """Receive a file, import it aside, and make it the newest version."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in (*MEDIA_TYPES, *LENIENT_TYPES):
        raise UnsupportedMediaError(f"cannot read '{kind}': send {' or '.join(MEDIA_TYPES)}")
    limits = services.settings
    aside = await services.database.call(services.uploads.aside)
    try:
        await _receive(request, aside / "upload")
        job = Import(
            file=aside / "upload",
            name=name,
            options=options,
            most_symbols=limits.upload_symbols,
            most_rows=limits.upload_rows,
            aside=aside / "columns",
            base=None if base is None else services.datasets.path(name, base.digest),
        )
        imported = await _import(services, job)
        made_from = None if base is None else base.digest
        added = await services.database.call(services.datasets.add, name, imported, aside / "columns", made_from)
    finally:
        await services.database.call(services.uploads.discard, aside)
    version = await services.database.call(services.datasets.get, name)
    return json_response(view(version), HTTPStatus.CREATED if added else HTTPStatus.OK)


async def _import(services: Services, job: Import) -> Imported:
    """Read the file where it cannot hurt: a damaged one may take its process down, but nothing else."""
    try:
        return await services.importer.run(uuid.uuid4().hex, import_file, job, lambda _message: None)
    except (CrashError, MemoryLimitError) as error:
        raise DataError(f"the file cannot be read: {error}; it is damaged, or decodes to more than fits") from error


async def _receive(request: Request, path: Path) -> None:
    """Write the body to a file as it comes."""
    received = 0
    with path.open("wb") as file:
        async for chunk in request.stream():
            received += file.write(chunk)
    if received == 0:
        raise InvalidRequestError("the body is empty: send the file itself, as with curl --data-binary @FILE")


@router.delete(
    "/datasets/{name}",
    operation_id="deleteDataset",
    status_code=HTTPStatus.NO_CONTENT,
    response_class=Response,
    responses=problems(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY),
)
async def delete_dataset(name: Name, services: ServicesDep) -> Response:
    """Remove a dataset that no kept run refers to."""
    await services.database.call(services.datasets.remove, name)
    return Response(status_code=HTTPStatus.NO_CONTENT)

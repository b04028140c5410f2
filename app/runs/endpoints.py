"""POST, list, read, change, cancel, delete, verify and recompute runs."""

import hashlib
from dataclasses import asdict
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Depends, Header, Query, Response

from app.deps import ServicesDep, unique_keys
from app.errors import problems
from app.responses import json_response, matches
from app.runs import headers
from app.runs.repository import Filter
from app.runs.schemas import (
    DryRun,
    FirstDifference,
    Mismatch,
    Recompute,
    Run,
    RunList,
    RunPatch,
    RunRequest,
    Verification,
    estimate,
    view,
)
from app.runs.service import Claim, Request
from app.runs.state import FINAL, Status
from engine.metrics.core import DEFINITIONS

router = APIRouter(tags=["runs"])

POLL_SECONDS = 1
MISSING = problems(HTTPStatus.NOT_FOUND, HTTPStatus.GONE)


@router.post(
    "/runs",
    operation_id="createRun",
    status_code=HTTPStatus.ACCEPTED,
    response_model=Run,
    dependencies=[Depends(unique_keys)],
    responses={
        200: {"model": Run | DryRun, "description": "The run is final already, or a dry run"},
        202: {"model": Run, "description": "The run is queued or under way"},
        **problems(
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            HTTPStatus.UNPROCESSABLE_ENTITY,
            HTTPStatus.SERVICE_UNAVAILABLE,
        ),
    },
)
async def create_run(
    body: RunRequest,
    services: ServicesDep,
    background: BackgroundTasks,
    dry_run: Annotated[bool, Query(description="resolve and estimate, store nothing")] = False,
    idempotency_key: Annotated[str | None, Header(description="makes a retry safe for 24 hours")] = None,
    prefer: Annotated[str | None, Header(description="wait=N waits up to N seconds for the end")] = None,
) -> Response:
    """Queue a backtest, or find the one that has this configuration on this data."""
    resolved = await services.database.call(services.datasets.resolve, body.config())
    if dry_run:
        known = await services.database.call(services.runs.known, resolved)
        return json_response(estimate(resolved, known=known))
    seconds = headers.wait_seconds(prefer)
    key = headers.idempotency_key(idempotency_key)
    request = Request(body.tags, body.note, key, seconds is not None, body.profile)
    stored, claim = await services.database.call(services.runs.claim, resolved, request)
    name, attempt = stored.row["id"], stored.row["attempt"]
    extra = {"Location": f"/runs/{name}"}
    if seconds is not None:
        if claim is Claim.QUEUED:
            services.driver.start_now(name, attempt)
        stored = await services.runs.wait(name, seconds)
        extra["Preference-Applied"] = f"wait={seconds}"
    elif claim is Claim.QUEUED:
        background.add_task(services.driver.drive, name, attempt)
    final = stored.status in FINAL
    if not final:
        extra["Retry-After"] = str(POLL_SECONDS)
    response = json_response(
        view(stored, reused=claim is not Claim.QUEUED), HTTPStatus.OK if final else HTTPStatus.ACCEPTED, extra
    )
    response.background = background
    return response


@router.get(
    "/runs",
    operation_id="listRuns",
    response_model=RunList,
    responses=problems(HTTPStatus.UNPROCESSABLE_ENTITY),
)
async def list_runs(
    services: ServicesDep,
    status: Annotated[Status | None, Query()] = None,
    strategy: Annotated[str | None, Query()] = None,
    symbol: Annotated[str | None, Query()] = None,
    dataset: Annotated[str | None, Query()] = None,
    tag: Annotated[str | None, Query()] = None,
    sort: Annotated[str | None, Query(description="a main metric, with - for descending")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Annotated[str | None, Query(description="from next_cursor of the page before")] = None,
) -> Response:
    """Runs, newest first, or by a metric."""
    headers.check_sort(sort, list(DEFINITIONS))
    wanted = Filter(status, strategy, symbol, dataset, tag)
    after = None if cursor is None else headers.decode_cursor(cursor, sort)
    found = await services.database.call(services.runs.page, wanted, sort, limit + 1, after)
    shown = found[:limit]
    following = None
    if len(found) > limit:
        _, row = shown[-1]
        key = row["created_at"] if sort is None else row["sort_value"]
        following = headers.encode_cursor(sort, [key, row["id"]])
    query = {"status": status, "strategy": strategy, "symbol": symbol, "dataset": dataset, "tag": tag, "sort": sort}
    extra = {} if following is None else headers.next_link("/runs", query | {"limit": limit, "cursor": following})
    return json_response(
        RunList(runs=[view(stored) for stored, _ in shown], next_cursor=following), HTTPStatus.OK, extra
    )


@router.get("/runs/{run_id}", operation_id="getRun", response_model=Run, responses={304: {}, **MISSING})
async def get_run(
    run_id: str, services: ServicesDep, if_none_match: Annotated[str | None, Header()] = None
) -> Response:
    """One run. Its ETag changes whenever anything about it does."""
    stored = await services.database.call(services.runs.get, run_id)
    response = json_response(view(stored))
    etag = f'"{hashlib.sha256(response.body).hexdigest()[:32]}"'
    extra = {"ETag": etag, "Cache-Control": "no-cache"}
    if matches(if_none_match, etag):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=extra)
    response.headers.update(extra)
    if stored.status not in FINAL:
        response.headers["Retry-After"] = str(POLL_SECONDS)
    return response


@router.patch(
    "/runs/{run_id}",
    operation_id="updateRun",
    dependencies=[Depends(unique_keys)],
    response_model=Run,
    responses=MISSING | problems(HTTPStatus.UNPROCESSABLE_ENTITY),
)
async def update_run(run_id: str, body: RunPatch, services: ServicesDep) -> Response:
    """Change tags, note or pin. An absent field stays; a null note is removed."""
    values = {name: getattr(body, name) for name in body.model_fields_set - {"tags"}}
    tags = body.tags if "tags" in body.model_fields_set else None
    stored = await services.database.call(services.runs.patch, run_id, values, tags)
    return json_response(view(stored))


@router.post(
    "/runs/{run_id}/cancel",
    operation_id="cancelRun",
    status_code=HTTPStatus.ACCEPTED,
    response_model=Run,
    responses=MISSING,
)
async def cancel_run(run_id: str, services: ServicesDep) -> Response:
    """Stop a run. Nothing happens to one that is final."""
    return json_response(view(await services.driver.cancel(run_id)), HTTPStatus.ACCEPTED)


@router.delete(
    "/runs/{run_id}",
    operation_id="deleteRun",
    status_code=HTTPStatus.NO_CONTENT,
    response_class=Response,
    responses=MISSING | problems(HTTPStatus.CONFLICT),
)
async def delete_run(run_id: str, services: ServicesDep) -> Response:
    """Remove a final run and its artifacts; a tombstone stays."""
    await services.runs.delete(run_id)
    return Response(status_code=HTTPStatus.NO_CONTENT)


@router.get(
    "/runs/{run_id}/verify",
    operation_id="verifyRun",
    response_model=Verification,
    responses=MISSING | problems(HTTPStatus.CONFLICT),
)
async def verify_run(run_id: str, services: ServicesDep) -> Response:
    """Hash every file of a run and compare with its manifest."""
    mismatches = await services.database.call(services.runs.verify, run_id)
    return json_response(Verification(ok=not mismatches, mismatches=[Mismatch.model_validate(m) for m in mismatches]))


@router.post(
    "/runs/{run_id}/recompute",
    operation_id="recomputeRun",
    response_model=Recompute,
    responses=MISSING | problems(HTTPStatus.CONFLICT, HTTPStatus.SERVICE_UNAVAILABLE),
)
async def recompute_run(run_id: str, services: ServicesDep) -> Response:
    """Compute a completed run again, aside, and compare: identical, equivalent, or the first difference."""
    verdict, difference = await services.driver.recompute(run_id)
    first = None if difference is None else FirstDifference(**asdict(difference))
    return json_response(Recompute(result=verdict, difference=first))

"""The event stream of a run: replay from the log, then follow it.

A stream reads the log in short transactions of its own and holds no connection while it waits.
"""

import hashlib
import re
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated, Literal

import orjson
from fastapi import APIRouter, Header, Query, Response
from sse_starlette import EventSourceResponse

from app.db.session import now
from app.deps import Services, ServicesDep
from app.errors import problems
from app.events import log
from app.events.log import Event
from app.events.schemas import RunEvent, view
from app.responses import matches
from app.runs.repository import Stored
from app.runs.state import FINAL

router = APIRouter(tags=["events"])

RETRY_MILLISECONDS = 2000
SEND_TIMEOUT_SECONDS = 30.0


@router.get(
    "/runs/{run_id}/events",
    operation_id="streamRunEvents",
    response_class=Response,
    responses={
        200: {
            "description": "server-sent events; with format=json a list",
            "content": {
                "text/event-stream": {"schema": {"$ref": "#/components/schemas/RunEvent"}},
                "application/json": {"schema": {"type": "array", "items": {"$ref": "#/components/schemas/RunEvent"}}},
            },
        },
        204: {"description": "the run is final and everything has been sent: stop reconnecting"},
        304: {"description": "nothing new since the ETag"},
        **problems(HTTPStatus.NOT_FOUND, HTTPStatus.GONE),
    },
)
async def stream_run_events(
    run_id: str,
    services: ServicesDep,
    last_event_id: Annotated[str | None, Header()] = None,
    last_event_id_query: Annotated[str | None, Query(alias="last_event_id")] = None,
    accept: Annotated[str, Header()] = "*/*",
    format: Annotated[Literal["sse", "json"] | None, Query()] = None,  # noqa: A002 - the contract's name
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Everything that happens to a run, in order; resumes after Last-Event-ID exactly once."""
    stored = await services.database.call(services.runs.get, run_id)
    attempt: int = stored.row["attempt"]
    seen = last_event_id or last_event_id_query
    cursor, last = await services.database.call(_position, services, run_id, attempt, seen)
    if format == "json" or (format is None and "application/json" in accept and "text/event-stream" not in accept):
        return await _listing(services, run_id, attempt, cursor or 0, if_none_match)
    if stored.status in FINAL and cursor is not None and cursor == last:
        return Response(status_code=HTTPStatus.NO_CONTENT)
    return EventSourceResponse(
        _follow(services, stored, cursor),
        ping=services.settings.heartbeat_seconds,
        sep="\n",
        send_timeout=SEND_TIMEOUT_SECONDS,
    )


def _position(services: Services, run_id: str, attempt: int, seen: str | None) -> tuple[int | None, int]:
    """Where to go on, or None where what was seen is not of this attempt's log; and the newest seq."""
    with services.database.read() as connection:
        last = log.last_seq(connection, run_id, attempt)
    if seen is None:
        return 0, last
    match = re.fullmatch(r"(\d{1,9})-(\d{1,9})", seen)
    if match is None or int(match[1]) != attempt or int(match[2]) > last:
        return None, last
    return int(match[2]), last


def _read(services: Services, run_id: str, attempt: int, seq: int) -> list[Event]:
    with services.database.read() as connection:
        return log.after(connection, run_id, attempt, seq)


async def _follow(services: Services, stored: Stored, cursor: int | None) -> AsyncIterator[bytes]:
    """Frames of everything behind the cursor, until the terminal event."""
    run_id, attempt = stored.row["id"], stored.row["attempt"]
    # Part of the first event: alone it would be an event without data to some clients.
    opening = b"retry: %d\n" % RETRY_MILLISECONDS
    if cursor is None:
        message = "the id is not of this attempt: everything of it follows"
        opening += _frame(Event(run_id, attempt, 0, now(), "resync", None, 0.0, message, {}))
    seq = cursor or 0
    while True:
        wake = services.broadcast.next(run_id)
        events = await services.database.call(_read, services, run_id, attempt, seq)
        if events:
            seq = events[-1].seq
            yield opening + b"".join(_frame(event) for event in events)
            opening = b""
            if events[-1].terminal:
                return
        elif await services.database.call(services.runs.is_current, run_id, attempt):
            await wake.wait()
        else:
            return  # removed, or computed anew, before this reader came to the end


def _frame(event: Event) -> bytes:
    data = orjson.dumps(view(event).model_dump())
    return b"id: %d-%d\nevent: %s\ndata: %s\n\n" % (event.attempt, event.seq, event.type.encode(), data)


async def _listing(services: Services, run_id: str, attempt: int, seq: int, if_none_match: str | None) -> Response:
    """The same events as a JSON list."""
    rows: list[RunEvent] = []
    while page := await services.database.call(_read, services, run_id, attempt, seq):
        rows += [view(event) for event in page]
        seq = page[-1].seq
    body = orjson.dumps([row.model_dump() for row in rows])
    headers = {"ETag": f'"{hashlib.sha256(body).hexdigest()[:32]}"', "Cache-Control": "no-cache"}
    if matches(if_none_match, headers["ETag"]):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(body, headers=headers, media_type="application/json")

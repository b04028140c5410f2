"""What every request passes: an id, safe headers, one log line, a last resort, and a bound on the body."""

import logging
import time
import uuid
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import CODES, render, unexpected

log = logging.getLogger("tplusone.access")

TOO_LARGE = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class RequestContext:
    """Gives a request its id, sets the headers every answer has, and logs one line without query or body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["request_id"] = uuid.uuid4().hex
        began = time.perf_counter()
        answered = False

        async def send_with_headers(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = scope["request_id"]
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "no-referrer"
                elapsed = 1000 * (time.perf_counter() - began)
                # The path is quoted: it may hold a line break, and a log line is one line.
                log.info(
                    "%s %s %r %d %.1f ms",
                    scope["request_id"],
                    scope["method"],
                    scope["path"],
                    message["status"],
                    elapsed,
                )
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except ClientDisconnect:
            log.info("%s %s %r client left", scope["request_id"], scope["method"], scope["path"])
        except Exception as error:
            problem = unexpected(Request(scope), error)
            if not answered:
                await problem(scope, receive, send_with_headers)


class BodyLimit:
    """Refuses bodies above a number of bytes, declared or counted; uploads have their own, larger bound."""

    def __init__(self, app: ASGIApp, limit: int, upload_prefix: str, upload_limit: int) -> None:
        self._app, self._limit = app, limit
        self._upload_prefix, self._upload_limit = upload_prefix, upload_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        upload = scope["method"] == "PUT" and scope["path"].startswith(self._upload_prefix)
        limit = self._upload_limit if upload else self._limit
        detail = f"the body is larger than {limit} bytes"
        declared = Headers(scope=scope).get("content-length", "0")
        if declared.isdigit() and int(declared) > limit:
            await render(Request(scope), TOO_LARGE, CODES[TOO_LARGE], detail)(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise HTTPException(TOO_LARGE, detail)
            return message

        await self._app(scope, counted, send)

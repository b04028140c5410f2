"""What every request passes: an id, safe headers, one log line, and a bound on the body."""

import logging
import time
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import TooLargeError

log = logging.getLogger("tplusone.access")


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

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = scope["request_id"]
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "no-referrer"
                log.info(
                    "%s %s %s %d %.1f ms",
                    scope["request_id"],
                    scope["method"],
                    scope["path"],
                    message["status"],
                    1000 * (time.perf_counter() - began),
                )
            await send(message)

        await self._app(scope, receive, send_with_headers)


class BodyLimit:
    """Refuses bodies above a number of bytes, counted as they come; uploads have their own, larger bound."""

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
        declared = Headers(scope=scope).get("content-length", "0")
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit or (declared.isdigit() and int(declared) > limit):
                raise TooLargeError(f"the body is larger than {limit} bytes")
            return message

        await self._app(scope, counted, send)

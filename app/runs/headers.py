"""Headers and query parameters that need reading: preferences, keys, cursors, entity tags."""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import orjson

from app.errors import InvalidRequestError
from engine.errors import nearest

LONGEST_WAIT = 60
LARGEST = 2**63
"""A database stores no larger integer."""


def wait_seconds(prefer: str | None) -> int | None:
    """``wait=N`` of a Prefer header, at most 60; None without one. What is not understood is ignored (RFC 7240)."""
    for part in (prefer or "").split(","):
        match = re.fullmatch(r'\s*wait\s*=\s*"?(\d{1,9})"?\s*', part, re.IGNORECASE)
        if match:
            return min(int(match[1]), LONGEST_WAIT)
    return None


def idempotency_key(value: str | None) -> str | None:
    """The key, quoted or bare. Raises ``InvalidRequestError`` for another form."""
    if value is None:
        return None
    key = value[1:-1] if len(value) >= 2 and value[0] == value[-1] == '"' else value
    if not re.fullmatch(r"[!-~]{1,255}", key):
        raise InvalidRequestError("an Idempotency-Key is 1 to 255 visible ASCII characters")
    return key


def check_sort(sort: str | None, known: Sequence[str]) -> None:
    """Raises ``InvalidRequestError`` for a metric that does not exist."""
    name = (sort or "").removeprefix("-")
    if sort is not None and name not in known:
        raise InvalidRequestError(
            f"cannot sort by '{name}'.{nearest(name, known)} Known: {', '.join(known)}", {"allowed": list(known)}
        )


def encode_cursor(sort: str | None, keys: Sequence[Any]) -> str:
    """An opaque cursor."""
    return base64.urlsafe_b64encode(orjson.dumps([sort, *keys])).decode().rstrip("=")


def decode_cursor(cursor: str, sort: str | None) -> list[Any]:
    """The keys of a cursor. Raises ``InvalidRequestError`` for one that another list gave."""
    try:
        made_for, *keys = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError, TypeError) as error:
        raise InvalidRequestError("the cursor is not one this service gave") from error
    if made_for != sort or len(keys) != 2 or not _is_key(keys[0], sort) or not isinstance(keys[1], str):
        raise InvalidRequestError("the cursor belongs to a list with another sort")
    return list(keys)


def next_link(path: str, query: Mapping[str, Any]) -> dict[str, str]:
    """The Link header to the next page."""
    given = {name: value for name, value in query.items() if value is not None}
    return {"Link": f'<{path}?{urlencode(given)}>; rel="next"'}


def _is_key(value: object, sort: str | None) -> bool:
    """Whether a value can be what a list is sorted by: an instant, or a metric that may be undefined."""
    if isinstance(value, bool):
        return False
    if sort is None:
        return isinstance(value, int) and abs(value) < LARGEST
    return value is None or isinstance(value, float) or (isinstance(value, int) and abs(value) < LARGEST)

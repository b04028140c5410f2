"""Moments as a configuration writes them: RFC 3339 with an offset, nothing else."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

EARLIEST, LATEST = -(2**63), 2**63 - 1


# Without an offset the text passes here, for an error of its own. More digits would be cut off without a word.
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?([Zz]|[+-]\d\d:\d\d)?)?", re.ASCII)


def _instant(value: Any) -> Any:
    """RFC 3339 text with an offset, or an aware datetime; anything else is refused."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value if _RFC_3339.fullmatch(value) else "")
        except ValueError:
            raise PydanticCustomError(
                "invalid_time", "not an RFC 3339 time such as 2019-01-01T00:00:00Z, to the microsecond"
            ) from None
    if not isinstance(value, datetime):
        raise PydanticCustomError(
            "invalid_time", "a time is RFC 3339 text with an offset, such as 2019-01-01T00:00:00Z"
        )
    if value.tzinfo is None:
        raise PydanticCustomError("missing_offset", "a time needs an offset: append Z for UTC")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError("invalid_time", "a time lies in the years 1 to 9999 UTC") from None


def instant_text(value: datetime) -> str:
    """RFC 3339 in UTC with Z; fractions of a second only where there are any."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


Instant = Annotated[
    datetime,
    BeforeValidator(_instant),
    PlainSerializer(instant_text, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


def nanoseconds(value: datetime | None) -> int | None:
    if value is None:
        return None
    whole = value.replace(microsecond=0)
    nanoseconds = int(whole.timestamp()) * 10**9 + value.microsecond * 1000
    return max(EARLIEST, min(nanoseconds, LATEST))  # no bar lies beyond what 64 bits can say


def stamp(nanoseconds: int) -> str:
    return instant_text(datetime.fromtimestamp(int(nanoseconds) / 1e9, UTC))

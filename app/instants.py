"""How stored instants are written: RFC 3339 UTC."""

from datetime import UTC, datetime

from engine.config import instant_text


def instant(microseconds: int) -> str:
    """RFC 3339 of microseconds since 1970 UTC."""
    seconds, rest = divmod(microseconds, 1_000_000)
    return instant_text(datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest))

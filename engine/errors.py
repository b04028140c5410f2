"""Everything the engine refuses, in one tree.

::

    EngineError             code, message, details
    ├── ConfigError         the configuration cannot be run; one FieldError per field
    ├── DataError           a file or its rows cannot be taken; carries the data report
    ├── UnknownNameError    a name is not registered; lists what is
    └── CancelledError      the caller asked the run to stop

The engine knows no HTTP: the service maps these classes to problems in one table.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any


class EngineError(Exception):
    """The base of every refusal: a stable ``code``, a sentence, and details as plain values."""

    code = "engine_error"

    def __init__(self, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details: dict[str, Any] = dict(details or {})

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions cross from worker processes; the default reduce would drop the details.
        return (type(self), (self.message, self.details))


@dataclass(frozen=True)
class FieldError:
    """One thing wrong with one field: JSON pointer, stable code, sentence, allowed values if few."""

    pointer: str
    code: str
    message: str
    allowed: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain form; ``allowed`` only where it says something."""
        base: dict[str, Any] = {"pointer": self.pointer, "code": self.code, "message": self.message}
        return base | ({"allowed": list(self.allowed)} if self.allowed else {})


class ConfigError(EngineError):
    """The configuration cannot be run."""

    code = "invalid_configuration"

    def __init__(self, fields: Sequence[FieldError]) -> None:
        self.fields = tuple(fields)
        super().__init__(
            "; ".join(f"{f.pointer or '/'}: {f.message}" for f in self.fields),
            {"errors": [f.as_dict() for f in self.fields]},
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.fields,))


class DataError(EngineError):
    """A file, or rows of it, cannot be taken. ``details["report"]`` is the data report where there is one."""

    code = "invalid_data"


class UnknownNameError(EngineError):
    """A name that is not registered."""

    code = "unknown_name"


class CancelledError(EngineError):
    """The caller asked the run to stop."""

    code = "cancelled"


def nearest(name: str, known: Sequence[str]) -> str:
    """`` Did you mean 'x'?`` for the closest known name, or the empty string; case counts for nothing."""
    folded = {other.casefold(): other for other in known}
    close = get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
    return f" Did you mean '{folded[close[0]]}'?" if close else ""


def step(name: str) -> str:
    """A name as one step of a JSON pointer (RFC 6901), whatever it holds."""
    return name.replace("~", "~0").replace("/", "~1")

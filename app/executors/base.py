"""One face for every place where work is computed.

A job is a module-level function of one value and an ``emit`` callable; only values cross. Cancel, time and memory
limits are the executor's, and what ends a job early has a name here.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

Message = Mapping[str, Any]
Emit = Callable[[Message], None]
"""Called by a job with JSON values. Raises ``StoppedError`` in a thread that was asked to stop."""

A = TypeVar("A")
R = TypeVar("R")


class ExecutorError(Exception):
    """The base of what ends a job early; ``code`` names it for clients."""

    code = "executor_error"


class StoppedError(ExecutorError):
    """Somebody cancelled the job."""

    code = "cancelled"


class TimeLimitError(ExecutorError):
    """The job took longer than allowed."""

    code = "time_limit"


class MemoryLimitError(ExecutorError):
    """The job wanted more memory than allowed."""

    code = "memory_limit"


class CrashError(ExecutorError):
    """The process of the job died."""

    code = "crash"


class Executor(Protocol):
    """Computes jobs, each under a key by which it can be cancelled."""

    def start(self) -> None:
        """Get ready; may take a second."""

    @property
    def ready(self) -> bool:
        """Whether a job would find a worker."""

    async def run(self, key: str, job: Callable[[A, Emit], R], value: A, on_message: Emit) -> R:
        """Compute ``job(value, emit)``. ``on_message`` is called on the event loop, in order, before this returns.

        Raises ``ExecutorError`` where the job was ended, and whatever the job raised.
        """

    def cancel(self, key: str) -> None:
        """Stop the job of that key, if it is there."""

    def close(self) -> None:
        """Stop everything."""

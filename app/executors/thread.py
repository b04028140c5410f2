"""Jobs in threads of the server: no start-up, no isolation. Stops and limits take effect when a job emits."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event

from app.executors.base import A, Emit, Message, R, StoppedError, TimeLimitError


class ThreadExecutor:
    """A thread pool behind the executor's face. Memory is not limited: a thread has none of its own."""

    def __init__(self, workers: int, seconds: float, warm_up: Callable[[], object]) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="run")
        self._seconds = seconds
        self._warm_up = warm_up
        self._stops: dict[str, Event] = {}

    def start(self) -> None:
        """Compile the kernels."""
        self._warm_up()

    @property
    def ready(self) -> bool:
        """Threads are always there."""
        return True

    async def run(self, key: str, job: Callable[[A, Emit], R], value: A, on_message: Emit) -> R:
        """Compute the job in a thread."""
        loop = asyncio.get_running_loop()
        stop = self._stops[key] = Event()
        deadline = time.monotonic() + self._seconds

        def emit(message: Message) -> None:
            if stop.is_set():
                raise StoppedError("cancelled")
            if time.monotonic() > deadline:
                raise TimeLimitError(f"the computation took longer than {self._seconds:g} s")
            loop.call_soon_threadsafe(on_message, message)

        try:
            return await loop.run_in_executor(self._pool, job, value, emit)
        finally:
            del self._stops[key]

    def cancel(self, key: str) -> None:
        """Ask the job to stop at its next message."""
        stop = self._stops.get(key)
        if stop is not None:
            stop.set()

    def close(self) -> None:
        """Ask every job to stop, and do not wait."""
        for stop in self._stops.values():
            stop.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

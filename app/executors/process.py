"""Jobs in warm processes: a crash, a kill or a limit touches one job and nothing else.

The pool is pebble's. Workers come from a fork server that has the engine loaded and its kernels compiled, so
that a new one is there in milliseconds; they die with the server. Messages of a job come through a named pipe
of its own: a worker killed while it writes can hurt no other job.
"""

import asyncio
import ctypes
import multiprocessing
import os
import resource
import shutil
import signal
from collections.abc import Callable
from concurrent.futures import TimeoutError as FutureTimeoutError
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import orjson
from pebble import ProcessExpired, ProcessPool

from app.executors.base import (
    A,
    CrashError,
    Emit,
    MemoryLimitError,
    Message,
    R,
    StoppedError,
    TimeLimitError,
)

NICE = 10
PARENT_DEATH_SIGNAL = 1
CHUNK = 65_536
THREAD_VARIABLES = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "POLARS_MAX_THREADS")


class ProcessExecutor:
    """A pool of worker processes behind the executor's face."""

    def __init__(self, workers: int, seconds: float, memory_mb: int, preload: list[str], channels: Path) -> None:
        self._workers, self._seconds, self._memory_mb = workers, seconds, memory_mb
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(preload)
        self._channels = channels
        # A server that was killed has left its pipes; the directory is this server's alone.
        shutil.rmtree(channels, ignore_errors=True)
        channels.mkdir(mode=0o700)
        self._pool = self._new_pool()
        self._futures: dict[str, Any] = {}
        self._stopped: set[str] = set()

    def _new_pool(self) -> ProcessPool:
        return ProcessPool(
            max_workers=self._workers,
            initializer=_prepare_worker,
            context=self._context,
        )

    def start(self) -> None:
        """Start the workers and wait until one has answered."""
        for variable in THREAD_VARIABLES:
            os.environ.setdefault(variable, "1")
        self._pool.schedule(os.getpid).result()

    @property
    def ready(self) -> bool:
        """Whether the workers are there."""
        return bool(self._pool.active)

    async def run(self, key: str, job: Callable[[A, Emit], R], value: A, on_message: Emit) -> R:
        """Compute the job in a worker."""
        try:
            return await self._attempt(key, job, value, on_message)
        except BrokenProcessPool:
            # Workers were killed while they had nothing to do: the pool gives up, which is not the job's fault.
            try:
                return await self._attempt(key, job, value, on_message)
            except BrokenProcessPool:
                raise CrashError("the worker processes were killed") from None

    async def _attempt(self, key: str, job: Callable[[A, Emit], R], value: A, on_message: Emit) -> R:
        if not self._pool.active:
            await self._replace(self._pool)
        path = self._channels / key
        channel = _Channel(path, on_message)
        pool = self._pool
        future = pool.schedule(_call, args=(job, value, path, self._memory_mb), timeout=self._seconds)
        self._futures[key] = future
        try:
            result: R = await asyncio.wrap_future(future)
        except FutureTimeoutError:
            raise TimeLimitError(f"the computation took longer than {self._seconds:g} s") from None
        except ProcessExpired as error:
            raise CrashError(f"its process died with exit code {error.exitcode}") from None
        except BrokenProcessPool:
            await self._replace(pool)
            raise
        except MemoryError:
            raise MemoryLimitError(f"the computation wanted more than {self._memory_mb} MiB") from None
        except asyncio.CancelledError:
            if key not in self._stopped:
                raise
            raise StoppedError("cancelled") from None
        finally:
            await channel.close()
            del self._futures[key]
            self._stopped.discard(key)
        return result

    async def _replace(self, broken: ProcessPool) -> None:
        """Take a new pool, and kill what is left of the broken one: it may still compute what will be done again."""
        if self._pool is broken:
            self._pool = self._new_pool()
        broken.stop()  # type: ignore[no-untyped-call]
        await asyncio.to_thread(broken.join)

    def cancel(self, key: str) -> None:
        """Kill the worker of the job."""
        future = self._futures.get(key)
        if future is not None:
            self._stopped.add(key)
            future.cancel()

    def close(self) -> None:
        """Kill every worker."""
        for key in list(self._futures):
            self.cancel(key)
        self._pool.stop()  # type: ignore[no-untyped-call]
        self._pool.join()
        shutil.rmtree(self._channels)


class _Channel:
    """The reading end of a job's named pipe, drained by the event loop."""

    def __init__(self, path: Path, on_message: Emit) -> None:
        self._path, self._on_message = path, on_message
        self._rest = b""
        self._ended = asyncio.Event()
        os.mkfifo(path, 0o600)
        self._descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._descriptor, self._read)

    def _read(self) -> bool:
        """Hand on what has arrived; False when there is nothing more to come for now."""
        try:
            chunk = os.read(self._descriptor, CHUNK)
        except BlockingIOError:
            return False
        if not chunk:
            # No writer: an end of file stays readable, and would wake the loop for ever.
            self._loop.remove_reader(self._descriptor)
            self._ended.set()
            return False
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            self._on_message(orjson.loads(line))
        return True

    async def close(self) -> None:
        """Remove the pipe and drain it; returns when the job has closed it, or is dead: it writes no more files."""
        self._path.unlink()  # who has not opened it by now cannot any more
        try:
            while self._read():
                pass
            await self._ended.wait()
        finally:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)


def _prepare_worker() -> None:
    """What holds for a worker process from its start."""
    ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL)
    # The pool's own handler waits for Python to get a turn, which a kernel does not give.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(NICE)


def _limit_memory(memory_mb: int) -> None:
    """Let the process grow by so much from here; what earlier jobs left behind is not this one's."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    _, highest = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + memory_mb * 2**20, highest))


def _call(job: Callable[[Any, Emit], Any], value: Any, path: Path, memory_mb: int) -> Any:
    """In the worker: open the pipe and compute."""
    _limit_memory(memory_mb)
    # Without O_CREAT: the pipe of a job that was cancelled before it began is gone, and must stay so.
    with os.fdopen(os.open(path, os.O_WRONLY), "wb", buffering=0) as pipe:

        def emit(message: Message) -> None:
            pipe.write(orjson.dumps(message) + b"\n")

        return job(value, emit)

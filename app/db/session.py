"""The database: one engine that reads, one that writes, and a thread limiter of their own.

SQLite refuses at once to turn a reading transaction into a writing one when another has written meanwhile, so
writers begin with BEGIN IMMEDIATE and queue for one connection. Nothing holds a connection between calls.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

import anyio
import anyio.to_thread
import orjson
from sqlalchemy import Connection, Engine, create_engine, event, make_url

from app.settings import Settings

P = ParamSpec("P")
T = TypeVar("T")

READERS = 4
THREADS = 8
BUSY_MILLISECONDS = 10_000
PRAGMAS = ("journal_mode=WAL", "synchronous=NORMAL", f"busy_timeout={BUSY_MILLISECONDS}", "foreign_keys=ON")


def now() -> int:
    """Microseconds since 1970 UTC."""
    return time.time_ns() // 1000


class Database:
    """Reads and writes in short transactions; ``call`` runs a function of them off the event loop."""

    def __init__(self, settings: Settings) -> None:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        self.data_dir = settings.data_dir
        self._reader = _engine(settings.sqlalchemy_url, "DEFERRED", pool_size=READERS)
        self._writer = _engine(settings.sqlalchemy_url, "IMMEDIATE", pool_size=1, max_overflow=0)
        self._limiter: anyio.CapacityLimiter | None = None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A reading transaction: one consistent view."""
        with self._reader.begin() as connection:
            yield connection

    @contextmanager
    def alone(self) -> Iterator[Connection]:
        """The writing connection without a transaction, for a change of the schema."""
        with self._writer.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A writing transaction: committed at the end, rolled back on an exception."""
        with self._writer.begin() as connection:
            yield connection

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a blocking function in a thread kept free for the database."""
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(THREADS)
        return await anyio.to_thread.run_sync(lambda: function(*args, **kwargs), limiter=self._limiter)

    def close(self) -> None:
        """Give the connections back."""
        self._reader.dispose()
        self._writer.dispose()


def _engine(url: str, begin: str, **pool: Any) -> Engine:
    engine = create_engine(
        url,
        json_serializer=lambda value: orjson.dumps(value).decode(),
        json_deserializer=orjson.loads,
        pool_timeout=60,
        **pool,
    )
    if make_url(url).get_backend_name() != "sqlite":
        return engine

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        # The driver's own transactions begin too late (after the first read); ours begin below.
        connection.isolation_level = None
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(f"BEGIN {begin}")

    return engine

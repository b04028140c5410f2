"""Writes what a job says to the log: in order, many messages to a transaction, then the wake-up."""

import asyncio
import logging

from sqlalchemy.exc import SQLAlchemyError

from app.db.session import Database
from app.events import log as event_log
from app.events.broadcast import Broadcast
from app.events.log import Entry
from app.executors.base import Message
from app.runs import repository

logger = logging.getLogger("tplusone.runs")


class Recorder:
    """Takes messages on the event loop and commits them in a database thread."""

    def __init__(self, database: Database, broadcast: Broadcast, name: str, attempt: int) -> None:
        self._database, self._broadcast, self._name, self._attempt = database, broadcast, name, attempt
        self._waiting: list[Message] = []
        self._writing: asyncio.Task[None] | None = None
        self.stage: str | None = None
        self.progress = 0.0
        self._failure: Exception | None = None

    def note(self, message: Message) -> None:
        """Take a message; called on the event loop."""
        if message["type"] == "warning":
            logger.warning("run %s: %s %s", self._name, message["data"]["code"], message["message"])
        self._waiting.append(message)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())

    async def settle(self) -> None:
        """Return when nothing is being written any more."""
        if self._writing is not None:
            await self._writing

    async def flush(self) -> None:
        """Return when everything taken is committed. Raises what kept a message from being written."""
        await self.settle()
        if self._failure is not None:
            raise self._failure

    async def _write(self) -> None:
        while self._waiting and self._failure is None:
            batch, self._waiting = self._waiting, []
            entries = [self._entry(message) for message in batch]
            try:
                await self._database.call(self._append, entries)
            except SQLAlchemyError as error:
                self._failure = error  # a log with a hole is worse than a failed run: nothing more is written
            self._broadcast.wake(self._name)

    def _entry(self, message: Message) -> Entry:
        self.stage = message.get("stage", self.stage)
        self.progress = message.get("progress", self.progress)
        return Entry(message["type"], self.stage, self.progress, message.get("message", ""), message.get("data", {}))

    def _append(self, entries: list[Entry]) -> None:
        with self._database.write() as connection:
            event_log.append(connection, self._name, self._attempt, entries)
            repository.set_progress(connection, self._name, self.stage, self.progress)

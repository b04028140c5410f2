"""Wake-ups for those who follow a run. They carry no data: a lost one costs time, never an event.

Belongs to the event loop; other threads do not touch it.
"""

import asyncio


class Broadcast:
    """One event per followed run, replaced at each wake-up."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Event] = {}
        self.closed = False

    def next(self, run_id: str) -> asyncio.Event:
        """Take this before reading the log; it is set at the first wake-up after."""
        return self._waiting.setdefault(run_id, asyncio.Event())

    def wake(self, run_id: str) -> None:
        """Tell everyone who follows the run to read again."""
        event = self._waiting.pop(run_id, None)
        if event is not None:
            event.set()

    def close(self) -> None:
        """The server stops: nobody waits any longer."""
        self.closed = True
        for run_id in list(self._waiting):
            self.wake(run_id)

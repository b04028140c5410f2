"""What goes over the wire about events."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from app.events.log import Event
from app.instants import instant


class RunEvent(BaseModel):
    """Something that happened to a run. The id of the stream is ``<attempt>-<seq>``."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    attempt: int
    seq: int
    ts: str
    type: str
    stage: str | None
    progress: float
    message: str
    data: dict[str, Any]


def view(event: Event) -> RunEvent:
    """A row of the log as it goes over the wire."""
    return RunEvent(**{**vars(event), "ts": instant(event.ts), "data": dict(event.data)})

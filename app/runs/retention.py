"""Which runs stay: the newest final ones, the pinned, the unfinished. Rows go first, files after."""

from collections.abc import Sequence

from sqlalchemy import Connection

from app.artifacts.store import ArtifactStore
from app.db.session import Database
from app.runs import repository
from app.runs.state import Status


def prune(connection: Connection, retain: int) -> list[str]:
    """Replace surplus runs by tombstones, in the caller's transaction; their files are to be removed after it."""
    removed = repository.surplus(connection, retain)
    for run_id in removed:
        repository.bury(connection, run_id, "pruned")
    return removed


def remove_files(database: Database, store: ArtifactStore, run_ids: Sequence[str]) -> None:
    """Remove what buried runs left; a crash before this leaves orphans, which the next start sweeps.

    A run that was computed again meanwhile keeps its new files: whoever publishes holds the writing transaction,
    so under one of our own the rows tell whose files they are.
    """
    if not run_ids:
        return
    hidden = []
    with database.write() as connection:
        for run_id in run_ids:
            stored = repository.find(connection, run_id)
            if stored is None or stored.status is not Status.COMPLETED:
                hidden.append(store.hide(run_id))
    for trash in hidden:
        store.discard(trash)

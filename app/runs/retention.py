"""Which runs stay: the newest final ones, the pinned, the unfinished. Rows go first, files after."""

from collections.abc import Sequence

from sqlalchemy import Connection

from app.artifacts.store import ArtifactStore
from app.runs import repository


def prune(connection: Connection, retain: int) -> list[str]:
    """Replace surplus runs by tombstones, in the caller's transaction; their files are to be removed after it."""
    removed = repository.surplus(connection, retain)
    for run_id in removed:
        repository.bury(connection, run_id, "pruned")
    return removed


def remove_files(store: ArtifactStore, run_ids: Sequence[str]) -> None:
    """Remove what pruned runs left; a crash before this leaves orphans, which the next start sweeps."""
    for run_id in run_ids:
        store.remove(run_id)

"""The datasets of a data directory, read and nothing else: what a list needs, and fast."""

from app.datasets import repository
from app.datasets.repository import Version
from app.db.session import Database
from app.settings import Settings


def list_datasets(settings: Settings) -> list[Version] | None:
    """The newest version of every dataset; None where the schema has to be brought up to date first."""
    database = Database(settings)
    try:
        if not database.is_current():
            return None
        with database.read() as connection:
            return repository.all_current(connection)
    finally:
        database.close()

"""The datasets of a data directory, read and nothing else.

A list on a terminal should be there at once, and loading SQLAlchemy takes longer than all else together.
"""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass

import orjson

from app.db.scripts import newest_revision
from app.settings import Settings

_NEWEST = """
    SELECT versions.dataset, versions.number, versions.conventions, versions.symbols, versions.rows
    FROM dataset_versions AS versions
    JOIN datasets ON datasets.name = versions.dataset AND datasets.digest = versions.digest
    ORDER BY datasets.name
"""


@dataclass(frozen=True)
class Listed:
    """What a list says of a dataset's newest version."""

    dataset: str
    number: int
    conventions: Mapping[str, str]
    symbols: tuple[str, ...]
    rows: int


def list_datasets(settings: Settings) -> list[Listed] | None:
    """The newest version of every dataset; None where there is no SQLite file of this code's schema."""
    if settings.database_url is not None or not settings.sqlite_file.exists():
        return None
    with closing(sqlite3.connect(settings.sqlite_file)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone():
            return None
        if connection.execute("SELECT version_num FROM alembic_version").fetchone() != (newest_revision(),):
            return None
        return [
            Listed(name, number, orjson.loads(conventions), tuple(sorted(orjson.loads(symbols))), rows)
            for name, number, conventions, symbols, rows in connection.execute(_NEWEST)
        ]

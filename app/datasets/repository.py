"""Every query about datasets."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, delete, func, insert, select, update

from app.db.models import dataset_versions, datasets, runs
from app.db.session import now


@dataclass(frozen=True)
class Version:
    """One version of a dataset, as its row says."""

    dataset: str
    digest: str
    number: int
    conventions: Mapping[str, str]
    symbols: Mapping[str, Mapping[str, Any]]
    report: Mapping[str, Any]
    rows: int
    created_at: int


def current(connection: Connection, name: str) -> Version | None:
    """The newest version of a dataset."""
    query = _newest().where(datasets.c.name == name)
    row = connection.execute(query).mappings().first()
    return None if row is None else _version(row)


def names(connection: Connection) -> list[str]:
    """Every dataset, by name."""
    return list(connection.execute(select(datasets.c.name).order_by(datasets.c.name)).scalars())


def all_current(connection: Connection) -> list[Version]:
    """The newest version of every dataset, by name."""
    query = _newest().order_by(datasets.c.name)
    return [_version(row) for row in connection.execute(query).mappings()]


def add_version(connection: Connection, version: Mapping[str, Any]) -> bool:
    """Make a version the newest; False when the dataset holds that content already."""
    name, digest = version["dataset"], version["digest"]
    held = current(connection, name)
    if held is not None and held.digest == digest:
        return False
    if held is None:
        connection.execute(insert(datasets).values(name=name, digest=digest, created_at=now()))
    else:
        connection.execute(update(datasets).where(datasets.c.name == name).values(digest=digest))
    if not holds(connection, name, digest):
        highest = select(func.max(dataset_versions.c.number)).where(dataset_versions.c.dataset == name)
        number = int(connection.execute(highest).scalar() or 0) + 1
        connection.execute(insert(dataset_versions).values(**version, number=number, created_at=now()))
    return True


def holds(connection: Connection, name: str, digest: str) -> bool:
    """Whether a version has its row."""
    query = select(dataset_versions.c.digest).where(
        dataset_versions.c.dataset == name, dataset_versions.c.digest == digest
    )
    return connection.execute(query).first() is not None


def runs_of(connection: Connection, name: str) -> list[str]:
    """Runs that are kept and refer to a dataset."""
    return list(connection.execute(select(runs.c.id).where(runs.c.dataset == name).order_by(runs.c.id)).scalars())


def remove(connection: Connection, name: str) -> None:
    """Remove a dataset and its versions."""
    connection.execute(delete(datasets).where(datasets.c.name == name))


def held_versions(connection: Connection) -> set[tuple[str, str]]:
    """Every (dataset, digest) with a row."""
    query = select(dataset_versions.c.dataset, dataset_versions.c.digest)
    return {(row.dataset, row.digest) for row in connection.execute(query)}


def _newest() -> Select[Any]:
    same = (datasets.c.name == dataset_versions.c.dataset) & (datasets.c.digest == dataset_versions.c.digest)
    return select(dataset_versions).join(datasets, same)


def _version(row: RowMapping) -> Version:
    return Version(**{name: row[name] for name in Version.__dataclass_fields__})

"""The tables. SQL holds what lists, filters and joins need; the bytes of a run are files.

Instants are integer microseconds since 1970 UTC, so that every database sorts and compares them alike.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _of_run() -> ForeignKey:
    return ForeignKey("runs.id", ondelete="CASCADE")


datasets = Table(
    "datasets",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

dataset_versions = Table(
    "dataset_versions",
    metadata,
    Column("dataset", String(64), ForeignKey("datasets.name", ondelete="CASCADE"), primary_key=True),
    Column("digest", String(64), primary_key=True),
    Column("number", Integer, nullable=False),
    Column("conventions", JSON, nullable=False),
    Column("symbols", JSON, nullable=False),
    Column("report", JSON, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("dataset", "number"),
)

runs = Table(
    "runs",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("hash", String(64), nullable=False, unique=True),
    Column("status", String(16), nullable=False, index=True),
    Column("stage", String(16)),
    Column("progress", Float, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("dataset", String(64), nullable=False, index=True),
    Column("digest", String(64), nullable=False),
    Column("strategy", String(64), nullable=False, index=True),
    Column("config", JSON, nullable=False),
    Column("note", Text),
    Column("pinned", Boolean, nullable=False),
    Column("profile", Boolean, nullable=False, server_default=false()),
    Column("warnings", JSON, nullable=False),
    Column("error", JSON),
    Column("manifest_hash", String(64)),
    Column("created_at", BigInteger, nullable=False),
    Column("queued_at", BigInteger, nullable=False),
    Column("started_at", BigInteger),
    Column("finished_at", BigInteger),
    ForeignKeyConstraint(["dataset", "digest"], ["dataset_versions.dataset", "dataset_versions.digest"]),
    Index("ix_runs_newest", "created_at", "id"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("run_id", String(32), _of_run(), primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("status", String(16), nullable=False),
    Column("error", JSON),
    Column("queued_at", BigInteger, nullable=False),
    Column("started_at", BigInteger),
    Column("finished_at", BigInteger),
)

events = Table(
    "events",
    metadata,
    Column("run_id", String(32), _of_run(), primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("ts", BigInteger, nullable=False),
    Column("type", String(32), nullable=False),
    Column("stage", String(16)),
    Column("progress", Float, nullable=False),
    Column("message", Text, nullable=False),
    Column("data", JSON, nullable=False),
)

artifacts = Table(
    "artifacts",
    metadata,
    Column("run_id", String(32), _of_run(), primary_key=True),
    Column("name", String(255), primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("media_type", String(128), nullable=False),
)

run_metrics = Table(
    "run_metrics",
    metadata,
    Column("run_id", String(32), _of_run(), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("value", Float),
    Index("ix_run_metrics_value", "name", "value"),
)

run_symbols = Table(
    "run_symbols",
    metadata,
    Column("run_id", String(32), _of_run(), primary_key=True),
    Column("symbol", String(64), primary_key=True, index=True),
)

run_tags = Table(
    "run_tags",
    metadata,
    Column("run_id", String(32), _of_run(), primary_key=True),
    Column("tag", String(64), primary_key=True, index=True),
)

trials = Table(
    "trials",
    metadata,
    Column("dataset", String(64), primary_key=True),
    Column("symbols", String(64), primary_key=True),
    Column("config", String(64), primary_key=True),
    Column("sharpe", Float),
)
"""What was ever tried on the same data, for good: a trial stays when its run and its dataset are gone."""

tombstones = Table(
    "tombstones",
    metadata,
    Column("run_id", String(32), primary_key=True),
    Column("hash", String(64), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("status", String(16), nullable=False),
    Column("config", JSON, nullable=False),
    Column("dataset", String(64), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("metrics", JSON, nullable=False),
    Column("manifest_hash", String(64)),
    Column("reason", String(16), nullable=False),
    Column("removed_at", BigInteger, nullable=False),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("key", String(255), primary_key=True),
    Column("hash", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False, index=True),
)

"""Trials are counted, those of runs and tombstones that are there among them."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from app.runs.trials import configuration_key, symbols_key

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    trials = op.create_table(
        "trials",
        sa.Column("dataset", sa.String(length=64), nullable=False),
        sa.Column("symbols", sa.String(length=64), nullable=False),
        sa.Column("config", sa.String(length=64), nullable=False),
        sa.Column("sharpe", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("dataset", "symbols", "config", name=op.f("pk_trials")),
    )
    found: dict[tuple[str, str, str], float | None] = {}
    for dataset, config, sharpe in _completed(op.get_bind()):
        key = (dataset, symbols_key(config["symbols"]), configuration_key({"portfolio": {}} | config))
        found[key] = sharpe
    if found:
        names = ("dataset", "symbols", "config")
        op.bulk_insert(trials, [dict(zip(names, key, strict=True)) | {"sharpe": value} for key, value in found.items()])


def _completed(connection: sa.Connection) -> list[tuple[str, dict[str, Any], float | None]]:
    """Dataset, configuration and Sharpe ratio of what completed, buried ones first."""
    runs = sa.table("runs", *(sa.column(c) for c in ("id", "status", "dataset")), sa.column("config", sa.JSON))
    metrics = sa.table("run_metrics", *(sa.column(c) for c in ("run_id", "name", "value")))
    graves = sa.table(
        "tombstones", sa.column("status"), sa.column("dataset"),
        sa.column("config", sa.JSON), sa.column("metrics", sa.JSON),
    )  # fmt: skip
    buried = connection.execute(
        sa.select(graves.c.dataset, graves.c.config, graves.c.metrics).where(graves.c.status == "completed")
    )
    found = [(row.dataset, row.config, row.metrics.get("sharpe")) for row in buried]
    sharpe = (metrics.c.run_id == runs.c.id) & (metrics.c.name == "sharpe")
    kept = connection.execute(
        sa.select(runs.c.dataset, runs.c.config, metrics.c.value)
        .select_from(runs.outerjoin(metrics, sharpe))
        .where(runs.c.status == "completed")
    )
    return found + [(row.dataset, row.config, row.value) for row in kept]


def downgrade() -> None:
    op.drop_table("trials")

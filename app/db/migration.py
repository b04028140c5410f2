"""Bringing the schema of a database to this code's version."""

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from filelock import FileLock

from app.db.scripts import scripts
from app.db.session import Database


class SchemaIsNewerError(RuntimeError):
    """The database was written by a newer version."""


def migrate(database: Database) -> None:
    """Bring the schema to this code's version, alone. Raises ``SchemaIsNewerError`` if it is ahead."""
    config = alembic_config()
    script = ScriptDirectory.from_config(config)
    with FileLock(database.data_dir / "migrate.lock"), database.alone() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
        connection.rollback()
        if current == script.get_current_head():
            return
        if current is not None and current not in {s.revision for s in script.walk_revisions()}:
            raise SchemaIsNewerError(
                f"the database is at revision {current}, which this version does not know: upgrade tplusone"
            )
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()


def alembic_config() -> Config:
    """Alembic's configuration."""
    config = Config()
    config.set_main_option("script_location", str(scripts()).replace("%", "%%"))
    return config

"""Run migrations on the connection the service hands over, or on the database the settings name."""

from alembic import context
from sqlalchemy import Connection, create_engine

from app.db.models import metadata
from app.settings import Settings


def migrate(connection: Connection) -> None:
    """Migrate in the connection's transaction; batch mode, because SQLite cannot alter columns."""
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=True, compare_type=True)
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    migrate(given)
else:
    with create_engine(Settings().sqlalchemy_url).begin() as own:
        migrate(own)

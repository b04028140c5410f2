"""Where the migrations are, and which is the newest."""

from pathlib import Path


def scripts() -> Path:
    """The directory of the migrations: beside the package, in a checkout or in an installed wheel."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "alembic"
    return installed if installed.exists() else package.parent / "alembic"


def newest_revision() -> str:
    """The revision of this code's schema; the names of the scripts begin with theirs."""
    return max(path.name.partition("_")[0] for path in (scripts() / "versions").glob("*.py"))

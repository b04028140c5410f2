"""Dataset directories: ``datasets/<name>/<digest>``, written aside and published by one rename."""

import shutil
import tempfile
from pathlib import Path


class DatasetStore:
    """Where normalised datasets live, and where uploads wait."""

    def __init__(self, root: Path) -> None:
        self._published = root / "datasets"
        self._aside = root / "uploads"
        for directory in (self._published, self._aside):
            directory.mkdir(parents=True, exist_ok=True)

    def aside(self) -> Path:
        """A fresh directory for an upload and what is made of it."""
        return Path(tempfile.mkdtemp(dir=self._aside))

    def discard(self, aside: Path) -> None:
        """Remove what an upload left behind."""
        shutil.rmtree(aside, ignore_errors=True)

    def path(self, name: str, digest: str) -> Path:
        """Where a version is."""
        return self._published / name / digest

    def publish(self, aside: Path, name: str, digest: str) -> None:
        """Make a version visible, in one rename; one that is there already has the same content."""
        target = self.path(name, digest)
        if not target.exists():
            target.parent.mkdir(exist_ok=True)
            aside.rename(target)

    def hide(self, name: str) -> Path:
        """Take every version of a dataset out of sight, in one rename; ``discard`` what this returns."""
        trash = self.aside()
        published = self._published / name
        if published.exists():
            published.rename(trash / name)
        return trash

    def sweep(self, keep: set[tuple[str, str]]) -> None:
        """At start: remove half-made uploads, and versions no row refers to."""
        shutil.rmtree(self._aside)
        self._aside.mkdir()
        for dataset in self._published.iterdir():
            for version in dataset.iterdir():
                if (dataset.name, version.name) not in keep:
                    shutil.rmtree(version)
            if not any(dataset.iterdir()):
                dataset.rmdir()

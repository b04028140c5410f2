"""Run directories: written aside, published by one rename, removed after their rows are gone."""

import json
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path

from app.artifacts.manifest import MANIFEST, manifest_hash
from engine.canonical import file_digest


class ArtifactStore:
    """Directories under ``root``: ``runs/<id>`` published, ``aside/<id>-<attempt>`` in the making."""

    def __init__(self, root: Path) -> None:
        self._published = root / "runs"
        self._aside = root / "aside"
        for directory in (self._published, self._aside):
            directory.mkdir(parents=True, exist_ok=True)

    def aside(self, name: str) -> Path:
        """A fresh place to write to; it does not exist yet."""
        path = self._aside / name
        shutil.rmtree(path, ignore_errors=True)
        return path

    def publish(self, aside: Path, run_id: str) -> None:
        """Make what was written aside the run's artifacts, in one rename."""
        target = self._published / run_id
        if target.exists():  # left by a run whose rows were never committed
            shutil.rmtree(target)
        aside.rename(target)

    def discard(self, aside: Path) -> None:
        """Remove what an attempt left behind."""
        shutil.rmtree(aside, ignore_errors=True)

    def hide(self, run_id: str) -> Path:
        """Take a run's artifacts out of sight, in one rename; ``discard`` what this returns."""
        trash = self.aside(f"trash-{uuid.uuid4().hex}")
        published = self._published / run_id
        if published.exists():
            published.rename(trash)
        return trash

    def directory(self, run_id: str) -> Path:
        """Where the run's artifacts are."""
        return self._published / run_id

    def verify(self, run_id: str, digests: Mapping[str, str], manifest: str) -> list[dict[str, str | None]]:
        """Files whose bytes are not what was recorded; ``actual`` is null for one that is gone or unreadable.

        ``digests`` are the recorded SHA-256 by file name and ``manifest`` the recorded hash of the manifest: the
        files cannot vouch for themselves.
        """
        directory = self._published / run_id
        actual = {name: file_digest(directory / name) if (directory / name).is_file() else None for name in digests}
        actual[MANIFEST] = _manifest_hash(directory / MANIFEST)
        expected = {**digests, MANIFEST: manifest}
        return [
            {"name": name, "expected": digest, "actual": actual[name]}
            for name, digest in sorted(expected.items())
            if actual[name] != digest
        ]

    def sweep(self, keep: set[str]) -> None:
        """At start: remove what is half-written, and what no row refers to."""
        shutil.rmtree(self._aside)
        self._aside.mkdir()
        for directory in self._published.iterdir():
            if directory.name not in keep:
                shutil.rmtree(directory)


def _manifest_hash(path: Path) -> str | None:
    """The hash of a manifest's content; None where there is no readable one."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return manifest_hash(content) if isinstance(content, dict) else None

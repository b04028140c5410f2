"""Run directories: written aside, published by one rename, removed after their rows are gone."""

import json
import shutil
from pathlib import Path
from typing import Any

from app.artifacts.manifest import MANIFEST, OUTSIDE
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

    def remove(self, run_id: str) -> None:
        """Remove a run's artifacts; first out of sight, then for good."""
        published = self._published / run_id
        if published.exists():
            trash = self.aside(f"trash-{run_id}")
            published.rename(trash)
            shutil.rmtree(trash)

    def path(self, run_id: str, name: str) -> Path | None:
        """The file of that name, if the run's manifest (or the short list beside it) has it."""
        directory = self._published / run_id
        names = {*OUTSIDE, *(file["name"] for file in self.manifest(run_id)["files"])}
        path = directory / name
        return path if name in names and path.is_file() else None

    def manifest(self, run_id: str) -> dict[str, Any]:
        """The manifest as it was written."""
        manifest: dict[str, Any] = json.loads((self._published / run_id / MANIFEST).read_bytes())
        return manifest

    def directory(self, run_id: str) -> Path:
        """Where the run's artifacts are."""
        return self._published / run_id

    def verify(self, run_id: str) -> list[dict[str, str | None]]:
        """Files whose bytes are not those of the manifest; ``actual`` is null for one that is gone."""
        directory = self._published / run_id
        mismatches: list[dict[str, str | None]] = []
        for file in self.manifest(run_id)["files"]:
            path = directory / file["name"]
            actual = file_digest(path) if path.is_file() else None
            if actual != file["sha256"]:
                mismatches.append({"name": file["name"], "expected": file["sha256"], "actual": actual})
        return mismatches

    def sweep(self, keep: set[str]) -> None:
        """At start: remove what is half-written, and what no row refers to."""
        shutil.rmtree(self._aside)
        self._aside.mkdir()
        for directory in self._published.iterdir():
            if directory.name not in keep:
                shutil.rmtree(directory)

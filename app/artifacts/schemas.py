"""What goes over the wire about artifacts."""

from typing import Annotated

from pydantic import BaseModel, Field


class ManifestDataset(BaseModel):
    """The rows a run used."""

    name: str
    digest: str
    symbols: list[str]


class ManifestFile(BaseModel):
    """One artifact."""

    name: str
    sha256: str
    size: int
    media_type: str


class Manifest(BaseModel):
    """What a completed run left. ``manifest_hash`` is over the canonical bytes without that field."""

    run_id: str
    hash: str
    schema_: Annotated[int, Field(alias="schema")]
    semantics: int
    datasets: list[ManifestDataset]
    seed: int
    files: list[ManifestFile]
    manifest_hash: str

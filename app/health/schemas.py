"""What goes over the wire about the service itself."""

from pydantic import BaseModel


class Health(BaseModel):
    """The process answers."""

    status: str


class Readiness(BaseModel):
    """Whether runs can be taken, by what they need."""

    ready: bool
    executor: str
    queued: int


class Version(BaseModel):
    """Versions of the service, of what decides results, and of the libraries below."""

    version: str
    schema_version: int
    semantics_version: int
    python: str
    libraries: dict[str, str]

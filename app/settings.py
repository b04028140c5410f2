"""Every setting, with its default. The environment variable of a field is TPLUSONE_<FIELD>."""

import os
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

MIB = 2**20


def at_most_cores(workers: int, warn: Callable[[str], None]) -> int:
    """As many workers for one run as there are cores, where more are asked for; ``warn`` is told so."""
    cores = os.cpu_count() or 1
    if workers > cores:
        warn(f"{workers} workers are more than the {cores} cores; {cores} are used")
    return min(workers, cores)


class Settings(BaseSettings):
    """Where the service listens, where it keeps things, and what it refuses to do."""

    model_config = SettingsConfigDict(env_prefix="TPLUSONE_", frozen=True, extra="forbid")

    host: Annotated[str, Field(description="address to listen on")] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535, description="port to listen on; 0 takes a free one")] = 8000
    data_dir: Annotated[Path, Field(description="directory of everything the service keeps")] = Path("var")
    database_url: Annotated[str | None, Field(description="SQLAlchemy URL; empty is SQLite in the data directory")] = (
        None
    )
    tokens: Annotated[
        Literal["off"] | None,
        Field(description="'off' lets a server without authentication listen beyond loopback"),
    ] = None

    executor: Annotated[Literal["process", "thread"], Field(description="where runs are computed")] = "process"
    workers: Annotated[int, Field(ge=1, le=256, description="runs computed at once")] = os.cpu_count() or 1
    run_workers: Annotated[
        int, Field(ge=1, le=256, description="threads a run may use for independent symbols and replicates")
    ] = 1
    queue_limit: Annotated[int, Field(ge=1, description="queued runs before POST answers 503")] = 1000
    run_seconds: Annotated[float, Field(gt=0, description="longest a run may compute")] = 3600.0
    run_symbols: Annotated[int, Field(ge=1, description="most symbols of a run")] = 1000
    run_bars: Annotated[int, Field(ge=1, description="most bars times symbols of a run")] = 50_000_000
    run_memory_mb: Annotated[int, Field(ge=64, description="memory a run may add to its process, MiB")] = 4096

    feature_cache_mb: Annotated[int, Field(ge=0, description="features each worker keeps for further runs, MiB")] = 256

    body_bytes: Annotated[int, Field(ge=1024, description="largest JSON body")] = MIB
    upload_bytes: Annotated[int, Field(ge=1024, description="largest dataset file")] = 2048 * MIB
    upload_rows: Annotated[int, Field(ge=1, description="most rows a dataset file may decode to")] = 50_000_000

    upload_symbols: Annotated[int, Field(ge=1, description="most symbols a dataset file may hold")] = 5000

    retain: Annotated[int, Field(ge=1, description="final runs kept; pinned ones do not count")] = 100
    heartbeat_seconds: Annotated[float, Field(gt=0, description="comment on an idle event stream")] = 10.0
    shutdown_seconds: Annotated[int, Field(ge=1, description="grace for open connections at SIGTERM")] = 5

    @model_validator(mode="after")
    def _loopback_or_explicit(self) -> Self:
        if not self._is_loopback and self.tokens != "off":
            raise ValueError(
                f"host {self.host} is reachable from outside and there is no authentication yet: "
                "listen on 127.0.0.1, or set TPLUSONE_TOKENS=off to accept that"
            )
        return self

    @property
    def _is_loopback(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def sqlalchemy_url(self) -> str:
        """The database to use."""
        return self.database_url or f"sqlite:///{self.sqlite_file}"

    @property
    def sqlite_file(self) -> Path:
        """The database where no URL names another."""
        return (self.data_dir / "tplusone.sqlite3").absolute()

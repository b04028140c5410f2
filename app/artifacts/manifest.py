"""The files of a run, and the manifest that names them.

Nothing in a file depends on a clock, a host or an attempt, so equal runs leave equal bytes. ``benchmark.json``
does, and is therefore outside the manifest.
"""

import io
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl

from engine import Result
from engine.canonical import canonical_bytes, plain, sha256_hex
from engine.config import SCHEMA, SEMANTICS

JSON = "application/json"
PARQUET = "application/vnd.apache.parquet"
TEXT = "text/plain"

MANIFEST = "manifest.json"
CHECKSUMS = "SHA256SUMS"
BENCHMARK = "benchmark.json"
OUTSIDE = {MANIFEST: JSON, CHECKSUMS: TEXT, BENCHMARK: JSON}
"""Media types of the files of a run that its manifest does not list."""

LIBRARIES = ("numpy", "numba", "llvmlite", "polars", "pandas", "tplusone")


@dataclass(frozen=True)
class File:
    """An entry of the manifest."""

    name: str
    sha256: str
    size: int
    media_type: str


def write(result: Result, directory: Path) -> dict[str, Any]:
    """Write every file of a run, the manifest and the checksums last. Returns the manifest."""
    directory.mkdir(parents=True)
    contents = {
        "config.json": (canonical_bytes(result.config.plain()), JSON),
        "data_report.json": (_json(result.data_report), JSON),
        "metrics.json": (_json({n: m.as_dict() for n, m in result.metrics.items()}), JSON),
        "summary.json": (_json(result.summary()), JSON),
        "validation.json": (_json({r.name: r.as_dict() for r in result.validation}), JSON),
    }
    contents |= {f"{name}.parquet": (_parquet(frame), PARQUET) for name, frame in result.tables.items()}
    files = []
    for name, (data, media_type) in sorted(contents.items()):
        (directory / name).write_bytes(data)
        files.append(File(name, sha256_hex(data), len(data), media_type))
    manifest = _manifest(result, files)
    (directory / MANIFEST).write_bytes(canonical_bytes(manifest))
    sums = "".join(f"{file.sha256}  {file.name}\n" for file in files)
    (directory / CHECKSUMS).write_bytes(sums.encode())
    return manifest


def write_benchmark(directory: Path, seconds: Mapping[str, float], result: Result, peak_bytes: int | None) -> None:
    """What the run cost, by stage, and the runtime it was made on."""
    raw = sum(getattr(result.bars, c).nbytes for c in ("time", "open", "high", "low", "close", "volume"))
    value = {
        "seconds": seconds,
        "rows": len(result.bars),
        "trades": len(result.trades),
        "peak_memory_bytes": peak_bytes,
        "raw_bytes": raw,
        "peak_memory_ratio": None if peak_bytes is None else peak_bytes / raw,
        "runtime": runtime(),
    }
    (directory / BENCHMARK).write_bytes(_json(value))


def manifest_hash(manifest: Mapping[str, Any]) -> str:
    """SHA-256 over the manifest's canonical bytes without the field that holds it."""
    return sha256_hex(canonical_bytes({k: v for k, v in manifest.items() if k != "manifest_hash"}))


def runtime() -> dict[str, Any]:
    """What decides bytes besides the configuration: libraries, interpreter and processor features."""
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "processor": _processor(),
        "libraries": {name: version(name) for name in LIBRARIES},
    }


def _processor() -> str:
    """Digest of the processor's feature flags: numba compiles for what is there."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), platform.processor())
    return sha256_hex(flags.encode())[:16]


def _manifest(result: Result, files: list[File]) -> dict[str, Any]:
    manifest: dict[str, Any] = {
        "run_id": result.run_id,
        "hash": result.hash,
        "schema": SCHEMA,
        "semantics": SEMANTICS,
        "datasets": [
            {"name": result.config.dataset, "digest": digest, "symbols": [symbol]}
            for symbol, digest in sorted(result.digests.items())
        ],
        "seed": result.config.seed,
        "files": [asdict(file) for file in files],
    }
    return manifest | {"manifest_hash": manifest_hash(manifest)}


def _json(value: Any) -> bytes:
    return canonical_bytes(plain(value))


def _parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd", compression_level=3, statistics=True, row_group_size=1_000_000)
    return buffer.getvalue()

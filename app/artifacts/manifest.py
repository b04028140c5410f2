"""The files of a run, and the manifest that names them.

Nothing in a file depends on a clock, a host or an attempt, so equal runs leave equal bytes. ``benchmark.json``
does, and is therefore outside the manifest.
"""

import io
import platform
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

import polars as pl

from engine import Result
from engine.canonical import canonical_bytes, plain, sha256_hex
from engine.config import SCHEMA, SEMANTICS

JSON = "application/json"
PARQUET = "application/vnd.apache.parquet"
TEXT = "text/plain"
JSON_LINES = "application/jsonl"

MANIFEST = "manifest.json"
CHECKSUMS = "SHA256SUMS"
BENCHMARK = "benchmark.json"
PROFILE = "profile.json"
OUTSIDE = {MANIFEST: JSON, CHECKSUMS: TEXT, BENCHMARK: JSON, PROFILE: JSON}
"""Media types of the files of a run that its manifest does not list."""

LARGE = 1_000_000
ROW_BYTES = 6 * 8
"""Time, four prices and volume."""

MOST_MEMORY, FEWEST_BARS = 3.0, 250_000.0
"""What a run should keep to: peak memory over raw bytes, the libraries' own included, and bars of symbols a second."""

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
    files = sorted(_write(result, directory, ""), key=lambda file: file.name)
    manifest = _manifest(result, files)
    (directory / MANIFEST).write_bytes(canonical_bytes(manifest))
    sums = "".join(f"{file.sha256}  {file.name}\n" for file in files)
    (directory / CHECKSUMS).write_bytes(sums.encode())
    return manifest


def _write(result: Result, directory: Path, folder: str) -> Iterator[File]:
    """Write the files of a run, and under each symbol's name those of its own account."""
    for name, (data, media_type) in _contents(result):
        path = directory / folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        yield File(f"{folder}{name}", sha256_hex(data), len(data), media_type)
    for symbol, part in result.parts.items():
        yield from _write(part, directory, f"{quote(symbol, safe='')}/")


def _contents(result: Result) -> Iterator[tuple[str, tuple[bytes, str]]]:
    yield "config.json", (canonical_bytes(result.config.plain()), JSON)
    yield "data_report.json", (_json(result.data_report), JSON)
    yield "metrics.json", (_json({n: m.as_dict() for n, m in result.metrics.items()}), JSON)
    yield "summary.json", (_json(result.summary()), JSON)
    yield "validation.json", (_json({r.name: r.as_dict() for r in result.validation}), JSON)
    for name, frame in result.tables.items():
        yield f"{name}.parquet", (_parquet(frame), PARQUET)
    if result.is_portfolio:
        lines = b"".join(_json(line) + b"\n" for line in result.snapshots())
        yield "snapshots.jsonl", (lines, JSON_LINES)


def write_benchmark(directory: Path, seconds: Mapping[str, float], result: Result, peak_bytes: int | None) -> None:
    """What the run cost, by stage, and the runtime it was made on."""
    bars = sum(report["rows"] for report in result.data_report["symbols"].values())
    raw = bars * ROW_BYTES
    ratio = None if peak_bytes is None else peak_bytes / raw
    speed = bars / max(sum(seconds.values()), 1e-9)
    value = {
        "seconds": seconds,
        "rows": len(result.bars),
        "symbols": len(result.bars.symbols),
        "trades": len(result.trades),
        "peak_memory_bytes": peak_bytes,
        "raw_bytes": raw,
        "peak_memory_ratio": ratio,
        "bars_per_second": speed,
        "criteria": {
            # Below a million bars what the libraries take is most of the memory, and says nothing of the run.
            "peak_memory_ratio": _criterion(ratio if bars >= LARGE else None, MOST_MEMORY, at_most=True),
            "bars_per_second": _criterion(speed if bars >= LARGE else None, FEWEST_BARS, at_most=False),
        },
        "runtime": runtime(),
    }
    (directory / BENCHMARK).write_bytes(_json(value))


def _criterion(value: float | None, limit: float, *, at_most: bool) -> dict[str, Any]:
    """A figure against its limit; ``passed`` is null where it was not measured or says nothing."""
    passed = None if value is None else (value <= limit if at_most else value >= limit)
    return {"limit": limit, "passed": passed}


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
            for symbol, digest in sorted(result.rows)
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

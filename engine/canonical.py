"""Canonical bytes: what is hashed, and how numbers are written.

RFC 8785 gives one byte string per JSON value; SHA-256 over it is an identity. Artifacts round floats to
12 significant digits, so that they do not show the last bits of an addition.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rfc8785

SIGNIFICANT_DIGITS = 12
PIECE = 16_384


def canonical_bytes(value: Any) -> bytes:
    """RFC 8785 bytes of a JSON value. Raises ``ValueError`` for NaN, infinities and integers beyond 2^53-1."""
    return rfc8785.dumps(value)


def sha256_hex(data: bytes) -> str:
    """SHA-256 as 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def array_digest(arrays: Sequence[npt.NDArray[Any]]) -> str:
    """SHA-256 over shape, dtype and little-endian bytes of each array, in order.

    ``-0.0`` hashes like ``0.0``: the two are the same price.
    """
    digest = hashlib.sha256()
    for array in arrays:
        plain = np.ascontiguousarray(array)
        digest.update(f"{plain.dtype.str}{plain.shape}".encode())
        flat = plain.reshape(-1)
        for first in range(0, len(flat), PIECE):  # a copy of a piece stays in the cache
            piece = flat[first : first + PIECE]
            piece = piece + 0.0 if piece.dtype.kind == "f" else piece
            digest.update(piece.astype(piece.dtype.newbyteorder("<"), copy=False).data)
    return digest.hexdigest()


def rounded(value: float) -> float:
    """A finite float at 12 significant digits; ``-0.0`` becomes ``0.0``. Raises ``ValueError`` when not finite."""
    if not math.isfinite(value):
        raise ValueError("a number that leaves the program must be finite")
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}") + 0.0


def plain(value: Any) -> Any:
    """A JSON value with every float rounded and every container a dict or list."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return rounded(float(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no place in an artifact")

"""From rows, as kernels write them, to columns, as results hold them."""

from typing import Any

import numpy as np
import numpy.typing as npt

from engine.execution.inputs import Records
from engine.kernels import kernel
from engine.types import Ints

BLOCK = 64
"""Rows taken at a time: they stay in the cache while their fields are handed out."""


def columns(records: Records, kind: type[Any]) -> dict[str, npt.NDArray[Any]]:
    """The fields a frozen value and a record array (K,) of 8-byte fields share, one contiguous array (K,) each."""
    names = [name for name in kind.__dataclass_fields__ if name in (records.dtype.names or ())]
    types = records.dtype
    place = np.array([types.fields[name][1] // 8 for name in names], dtype=np.int64)  # type: ignore[index]
    words = np.ascontiguousarray(records).view(np.int64).reshape(len(records), types.itemsize // 8)
    made = np.empty((len(names), len(records)), dtype=np.int64)
    transpose(words, place, made)
    return {name: made[k].view(types[name]) for k, name in enumerate(names)}


@kernel
def transpose(words: Ints, place: Ints, made: Ints) -> None:
    """Write column ``place[k]`` of (K, F) words to row k of ``made``, a block of rows after the other."""
    count = words.shape[0]
    for begin in range(0, count, BLOCK):
        end = min(begin + BLOCK, count)
        for k in range(place.shape[0]):
            field = place[k]
            for row in range(begin, end):
                made[k, row] = words[row, field]


def transpose_plain(words: Ints, place: Ints, made: Ints) -> None:
    """Twin of :func:`transpose`."""
    made[:] = words[:, place].T

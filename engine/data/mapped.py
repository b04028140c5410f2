"""Arrays mapped from files."""

import mmap
import os
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt


def forget(*arrays: npt.NDArray[Any]) -> None:
    """Take the files arrays are mapped from out of the process's memory; what is read again comes from the system's.

    Does nothing to an array that is not mapped, or that could be written to.
    """
    for array in arrays:
        held: object = array
        while isinstance(held, np.ndarray) and not held.flags.writeable:
            held = held.base
        if isinstance(held, mmap.mmap) and hasattr(held, "madvise"):
            held.madvise(mmap.MADV_DONTNEED)


def stamps(arrays: Iterable[npt.NDArray[Any]]) -> tuple[tuple[int, int, int], ...] | None:
    """Inode, size and last change of the file behind each array; None where one is not mapped, or could be written to.

    While they are the same, so is what the arrays hold.
    """
    found = []
    for array in arrays:
        if not isinstance(array, np.memmap) or array.flags.writeable or array.filename is None:
            return None
        try:
            state = os.stat(array.filename)
        except OSError:
            return None
        found.append((state.st_ino, state.st_size, state.st_mtime_ns))
    return tuple(found)

"""Features kept between runs of a worker, bounded in bytes.

A dictionary is all the state there is, and each step on it is one operation of the interpreter: two runs in two
threads may compute a feature twice, but never see half of one.
"""

from collections.abc import Hashable

from engine.types import Floats

SHARED_BYTES = 256 * 2**20
"""Of features that runs on the same rows share: those of 32 parameters on a million bars."""

Key = tuple[str, Hashable, int]
"""The digest of the rows, a feature, and its lag in bars."""


class FeatureCache:
    """Arrays by (data digest, feature, lag); what was used longest ago leaves first."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._kept: dict[Key, Floats] = {}

    def get(self, key: Key) -> Floats | None:
        """The array, read-only, or None."""
        found = self._kept.pop(key, None)
        if found is not None:
            self._kept[key] = found  # now the newest
        return found

    def put(self, key: Key, values: Floats) -> Floats:
        """Keep an array unless it is larger than everything; returns it, read-only."""
        values.flags.writeable = False
        if values.nbytes <= self.max_bytes:
            self._kept[key] = values
            self._shrink()
        return values

    @property
    def nbytes(self) -> int:
        """Bytes kept."""
        return sum(values.nbytes for values in list(self._kept.values()))

    def _shrink(self) -> None:
        excess = self.nbytes - self.max_bytes
        for key in list(self._kept):
            if excess <= 0:
                return
            gone = self._kept.pop(key, None)
            excess -= 0 if gone is None else gone.nbytes

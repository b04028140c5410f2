"""Features, and THE feature lag (semantics section 2).

A raw feature at bar t is computed from bars 0..t. A strategy at t sees the value of t - feature_lag. The shift
happens in :func:`lagged` and nowhere else; prices and volume reach a strategy only as features, under it too.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from engine.data.bars import Bars
from engine.features.cache import FeatureCache
from engine.kernels import kernel
from engine.types import Floats

STARTS = 8
"""How many late starts the start-up error is measured on."""
ROOM = 8
"""Rows of room before an array that :func:`roomy` makes: a lag up to that costs no copy."""


class Feature(Protocol):
    """A causal function of bars: a frozen, hashable value."""

    def __hash__(self) -> int: ...

    @property
    def lookback(self) -> int:
        """Number of bars the first defined value needs, at least 1."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The dataset's columns it reads."""

    @property
    def recursive(self) -> bool:
        """Whether a value depends on bars before its lookback, as that of an exponential average does."""

    def compute(self, bars: Bars) -> Floats:
        """(T, N) values; NaN on the first ``lookback - 1`` bars. Row t depends on bars 0..t only."""


@dataclass(frozen=True)
class FeatureMatrix:
    """What a strategy may look at: ``values`` by name, each (T, N), already lagged.

    ``warmup`` is the number of leading bars on which at least one value is not there yet. ``startup`` is the
    start-up error of each recursive feature, see :func:`startup_error`.
    """

    values: Mapping[str, Floats]
    warmup: int
    shape: tuple[int, int]
    startup: Mapping[str, float] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Floats:
        return self.values[name]


@dataclass(frozen=True)
class Column:
    """A column of the dataset itself, such as ``close`` or a score somebody brought."""

    name: str
    lookback: int = field(default=1, init=False)
    recursive: bool = field(default=False, init=False)

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.name,)

    def compute(self, bars: Bars) -> Floats:
        """(T, N) in the column's own unit."""
        return bars.column(self.name)


def roomy(rows: int, assets: int) -> Floats:
    """(T, N) for a feature to fill, with room before it for :func:`lagged`. Only its maker may hold it."""
    return np.empty((rows + ROOM, assets))[ROOM:]  # numpy asks for huge pages, a kernel does not


def lagged(raw: Floats, lag: int) -> Floats:
    """(T, N) with row t holding raw row t - lag; the first ``lag`` rows are NaN. ``lag`` 0 returns ``raw``.

    An array of :func:`roomy` is given up: the same memory, begun earlier, is the result.
    """
    if lag == 0:
        return raw
    room = raw.base
    if room is None or lag > ROOM or not _is_roomy(raw, room):
        shifted = np.empty_like(raw)
        shifted[lag:] = raw[:-lag]
    else:
        shifted = room[ROOM - lag : len(room) - lag]
        room[len(room) - lag :] = np.nan  # what must not be seen yet is not in reach either
    shifted[:lag] = np.nan
    return shifted


def _is_roomy(raw: Floats, room: Floats) -> bool:
    """Whether ``raw`` is an array as :func:`roomy` makes them, whole and in place."""
    return (
        room.dtype == raw.dtype
        and room.flags.owndata
        and room.flags.c_contiguous
        and raw.flags.c_contiguous
        and raw.flags.writeable
        and room.shape == (len(raw) + ROOM, *raw.shape[1:])
        and raw.ctypes.data == room.ctypes.data + room.strides[0] * ROOM
    )


def feature_matrix(
    bars: Bars,
    features: Mapping[str, Feature],
    feature_lag: int,
    cache: FeatureCache | None = None,
    digest: str = "",
    whole: Bars | None = None,
    *,
    startup: bool = True,
) -> FeatureMatrix:
    """Compute every feature and lag it. ``warmup`` is the longest lookback plus the lag, less one.

    ``cache`` keeps lagged values under ``digest``, that of the rows, the feature and the lag. Where ``bars`` are the
    beginning of ``whole``, it keeps those of all of it: a feature is causal, so its beginning is that of the beginning.
    Start-up errors are only measured for ``startup``.
    """
    longest = max((f.lookback for f in features.values()), default=0)
    errors = {name: startup_error(f, bars) for name, f in features.items() if f.recursive and startup}
    return FeatureMatrix(
        values={name: _values(f, bars, feature_lag, cache, digest, whole or bars) for name, f in features.items()},
        warmup=longest - 1 + feature_lag if features else 0,
        shape=bars.close.shape,
        startup={name: error for name, error in errors.items() if error is not None},
    )


def _values(feature: Feature, bars: Bars, lag: int, cache: FeatureCache | None, digest: str, whole: Bars) -> Floats:
    if cache is None or isinstance(feature, Column) or whole.close.nbytes > cache.max_bytes:
        return lagged(feature.compute(bars), lag)
    key = (digest, feature, lag)
    known = cache.get(key)
    if known is None:
        known = cache.put(key, lagged(feature.compute(whole), lag))
    return known if len(known) == len(bars) else known[: len(bars)]


def startup_error(feature: Feature, bars: Bars) -> float | None:
    """How far the first value of a feature that starts late is from the value with more history before it.

    The feature is started on a few bars, with as much history again as its lookback and without; the error is the
    largest difference, relative to the values' median size. None where the data is too short to tell.
    """
    need = feature.lookback
    if len(bars) < 2 * need + 1:
        return None
    late, full = [], []
    for first in np.unique(np.linspace(need, len(bars) - need, STARTS).astype(np.int64)):
        late.append(feature.compute(bars.slice(first, first + need))[-1])
        full.append(feature.compute(bars.slice(max(0, first - 10 * need), first + need))[-1])
    a, b = np.array(late), np.array(full)
    known = np.isfinite(a) & np.isfinite(b)
    if not known.any():
        return None
    scale = float(np.median(np.abs(b[known])))
    worst = float(np.abs(a - b)[known].max())
    return worst / scale if scale > 0.0 else (0.0 if worst == 0.0 else None)


def over_valid(columns: list[Floats], function: Callable[..., Floats]) -> Floats:
    """Apply a function of (T,) columns to the rows on which all are finite; (T,), NaN on the others.

    A bar without a price would otherwise spoil every value after it.
    """
    columns = [np.ascontiguousarray(c) for c in columns]
    if all(all_finite(c) for c in columns):
        return function(*columns)
    return _over_rows(columns, function)


def _over_rows(columns: list[Floats], function: Callable[..., Floats]) -> Floats:
    valid = np.isfinite(columns[0])
    for column in columns[1:]:
        valid &= np.isfinite(column)
    result = np.full(len(valid), np.nan)
    result[valid] = function(*(c[valid] for c in columns))
    return result


@kernel
def all_finite(values: Floats) -> bool:
    """Whether no value of (T,) is NaN or infinite."""
    bad = 0
    for t in range(values.shape[0]):
        bad += not abs(values[t]) < np.inf
    return bad == 0


def all_finite_plain(values: Floats) -> bool:
    """Twin of :func:`all_finite`."""
    return bool(np.isfinite(values).all())


def by_asset(columns: list[Floats], function: Callable[..., Floats]) -> Floats:
    """:func:`over_valid` for each column of (T, N) arrays."""
    assets = columns[0].shape[1]
    if assets == 1:
        return over_valid([c[:, 0] for c in columns], function).reshape(-1, 1)
    return np.column_stack([over_valid([c[:, i] for c in columns], function) for i in range(assets)])


def into_room(columns: list[Floats], function: Callable[..., Floats], fill: Callable[..., bool]) -> Floats:
    """:func:`by_asset` in an array of :func:`roomy`.

    ``fill(*columns, out)`` writes the values of (T,) finite columns; False where it found that they are not finite.
    """
    rows, assets = columns[0].shape
    result = roomy(rows, assets)
    for i in range(assets):
        mine = [np.ascontiguousarray(c[:, i]) for c in columns]
        values = result[:, 0] if assets == 1 else np.empty(rows)
        if not fill(*mine, values):
            values[:] = _over_rows(mine, function)
        if assets > 1:
            result[:, i] = values
    return result

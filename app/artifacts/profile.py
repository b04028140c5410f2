"""Where the time of a run went: phases, and the functions that took most of it."""

import cProfile
import pstats
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.canonical import canonical_bytes, plain

HOTSPOTS = 25


@contextmanager
def profiled(wanted: bool) -> Iterator[cProfile.Profile | None]:
    """Profile what happens inside, if that is wanted. A kernel's time is that of whoever calls it."""
    if not wanted:
        yield None
        return
    with cProfile.Profile() as profile:
        yield profile


def write_profile(path: Path, profile: cProfile.Profile, seconds: Mapping[str, float]) -> None:
    """Write the phases and the hotspots by their own time, as seconds and as shares of all."""
    # By place and name: what the module calls a profile keeps one of all functions of a name.
    rows: Mapping[tuple[str, int, str], tuple[Any, ...]] = vars(pstats.Stats(profile))["stats"]
    whole = sum(row[2] for row in rows.values()) or 1.0
    largest = sorted(rows.items(), key=lambda item: -item[1][2])[:HOTSPOTS]
    phases = sum(seconds.values()) or 1.0
    value: dict[str, Any] = {
        "phases": [{"stage": name, "seconds": s, "share": s / phases} for name, s in seconds.items()],
        "hotspots": [
            {
                "function": name,
                "place": _place(file, line),
                "calls": calls,
                "seconds": own,
                "share": own / whole,
                "seconds_with_callees": total,
            }
            for (file, line, name), (_, calls, own, total, _callers) in largest
        ],
    }
    path.write_bytes(canonical_bytes(plain(value)))


def _place(file: str, line: int) -> str:
    """File and line below the package; no directory of the machine."""
    parts = Path(file).parts
    for top in ("engine", "app", "site-packages"):
        if top in parts:
            return f"{'/'.join(parts[parts.index(top) :])}:{line}".removeprefix("site-packages/")
    return f"{parts[-1] if parts else file}:{line}"

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from engine.data.columnar import open_mapped, write
from engine.data.mapped import forget
from engine.data.synthetic import market


def resident(path: Path) -> int:
    """Kibibytes of a file that this process has in memory."""
    found, inside = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if not line.split()[0].endswith(":"):
            inside = line.endswith(str(path))
        elif inside and line.startswith("Rss:"):
            found += int(line.split()[1])
    return found


def test_a_mapped_file_leaves_memory_and_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "column.npy"
    np.save(path, np.arange(1 << 20, dtype=np.float64))
    column = np.load(path, mmap_mode="r")
    total = float(column.sum())
    assert resident(path) >= 8 << 10
    forget(column[10:].reshape(-1, 1))
    assert resident(path) == 0
    assert float(column.sum()) == total


def test_what_could_be_changed_stays(tmp_path: Path) -> None:
    path = tmp_path / "column.npy"
    np.save(path, np.zeros(1 << 12))
    changed = np.load(path, mmap_mode="c")
    changed[:] = 1.0
    shown = changed.view()
    shown.flags.writeable = False
    forget(shown)
    assert float(changed.sum()) == float(1 << 12)
    forget(np.ones(3))


def test_rows_are_read_for_their_digest_once_and_again_when_a_file_changes(tmp_path: Path) -> None:
    data = market(bars=5000)
    write(data, tmp_path)
    mine, close = open_mapped(tmp_path).series["SYNTH"], tmp_path / "SYNTH" / "close.npy"
    assert mine.digest(data.conventions) == data.series["SYNTH"].digest(data.conventions)
    forget(mine.close)
    mine.between(None, None).digest(data.conventions)
    assert resident(close) == 0
    assert mine.slice(0, 4000).digest(data.conventions) == data.series["SYNTH"].slice(0, 4000).digest(data.conventions)
    assert mine.digest(replace(data.conventions, label="close")) != mine.digest(data.conventions)

    np.save(close, np.asarray(mine.close) + 1.0)
    os.utime(close, ns=(0, 0))
    assert mine.digest(data.conventions) == open_mapped(tmp_path).series["SYNTH"].digest(data.conventions)
    assert mine.digest(data.conventions) != data.series["SYNTH"].digest(data.conventions)

"""Rows and symbols that come later."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.canonical import canonical_bytes, plain
from engine.data.bars import Dataset, Series
from engine.data.columnar import open_mapped, write
from engine.data.merge import merged
from engine.data.sources import load
from engine.errors import DataError


def made(tmp_path: Path, hours: range, symbol: str = "X", extra: str = "", **options: Any) -> Dataset:
    head = "time,open,high,low,close,volume" + (f",{extra}" if extra else "") + "\n"
    rows = [f"2020-01-{1 + h // 24:02} {h % 24:02}:00,{10 + h},{12 + h},{9 + h},{11 + h},5" for h in hours]
    path = tmp_path / "file"
    path.write_text(head + "".join(f"{r}{f',{h}' if extra else ''}\n" for h, r in zip(hours, rows, strict=True)))
    return load(path, symbol=symbol, **{"calendar": "24x7", "timeframe": "1h", **options})


def test_appended_rows_make_the_dataset_that_the_whole_file_makes(tmp_path: Path) -> None:
    whole = made(tmp_path, range(40))
    for first, second in ((range(25), range(25, 40)), (range(25, 40), range(25)), (range(30), range(20, 40))):
        both = merged(made(tmp_path, first), made(tmp_path, second))
        assert both.digest() == whole.digest()
        assert both.report["rows_added"] == 40 - len(first)
        assert both.report["symbols"]["X"]["rows"] == 40
        assert both.report["symbols"]["X"]["end"] == whole.report["symbols"]["X"]["end"]
        canonical_bytes(plain(both.report))
    assert merged(whole, made(tmp_path, range(5, 9))).digest() == whole.digest()


def test_a_new_symbol_stands_beside_the_others(tmp_path: Path) -> None:
    held = made(tmp_path, range(10), "B")
    both = merged(held, made(tmp_path, range(12), "A"))
    assert {s: len(v) for s, v in both.series.items()} == {"A": 12, "B": 10}
    assert list(both.series) == ["A", "B"]
    assert both.report["added_to"] == held.digest()
    write(both, tmp_path / "kept")
    assert open_mapped(tmp_path / "kept").digest() == both.digest()


def test_what_one_of_them_lacks_is_missing_there(tmp_path: Path) -> None:
    both = merged(made(tmp_path, range(3)), made(tmp_path, range(3, 5), extra="score"))
    np.testing.assert_array_equal(both.series["X"].extra["score"], [np.nan, np.nan, np.nan, 3.0, 4.0])


def test_other_values_for_a_bar_are_refused_with_the_first(tmp_path: Path) -> None:
    held, more = made(tmp_path, range(10)), made(tmp_path, range(8, 12))
    rows = more.series["X"]
    other = Series(rows.time, rows.open, rows.high, rows.low, rows.close + 0.5, rows.volume)
    with pytest.raises(DataError, match=r"X: 2 bars .* other values, the first at 2020-01-01T08:00:00Z"):
        merged(held, Dataset(more.name, more.conventions, {"X": other}, more.report))


def test_bars_between_bars_and_other_conventions_are_refused(tmp_path: Path) -> None:
    held = made(tmp_path, range(10))
    shifted = made(tmp_path, range(5)).series["X"]
    late = Series(shifted.time + 1800 * 10**9, shifted.open, shifted.high, shifted.low, shifted.close, shifted.volume)
    with pytest.raises(DataError, match="opens before the one before it has closed"):
        merged(held, Dataset("x", held.conventions, {"X": late}, held.report))
    with pytest.raises(DataError, match="adjustment is none, and the file's is split"):
        merged(held, made(tmp_path, range(10, 12), adjustment="split"))


def test_findings_of_both_are_kept_apart(tmp_path: Path) -> None:
    held, more = made(tmp_path, range(0, 20, 2)), made(tmp_path, range(40, 60, 2))
    entry = merged(held, more).report["symbols"]["X"]
    assert [f["code"] for f in entry["findings"]] == ["gaps"]
    assert [f["code"] for f in entry["earlier_findings"]] == ["gaps"]

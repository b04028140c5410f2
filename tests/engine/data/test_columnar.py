import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.data.bars import COLUMNS, Dataset
from engine.data.columnar import open_mapped, write
from engine.data.synthetic import market
from engine.errors import DataError


def two(symbols: tuple[str, str] = ("BTC/USDT", "^GSPC")) -> Dataset:
    made = market(bars=50)
    first = made.series["SYNTH"]
    return replace(made, series={symbols[0]: first, symbols[1]: first.slice(0, 20)})


def test_what_is_written_is_what_opens(tmp_path: Path) -> None:
    dataset = two()
    write(dataset, tmp_path / "d")
    back = open_mapped(tmp_path / "d")
    assert back.digest() == dataset.digest()
    assert (back.name, back.conventions, back.report) == (dataset.name, dataset.conventions, dataset.report)
    assert list(back.series) == ["BTC/USDT", "^GSPC"]
    for column in ("time", *COLUMNS):
        mapped = getattr(back.series["^GSPC"], column)
        assert isinstance(mapped, np.memmap)
        assert not mapped.flags.writeable


def test_two_writes_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(two(), tmp_path / name)
    files = [{p.relative_to(tmp_path / n): p.read_bytes() for p in (tmp_path / n).rglob("*.*")} for n in "ab"]
    assert files[0] == files[1]
    assert len(files[0]) == 13


def test_one_symbol_opens_without_the_other(tmp_path: Path) -> None:
    write(two(), tmp_path)
    for file in (tmp_path / "%5EGSPC").iterdir():
        file.unlink()
    assert list(open_mapped(tmp_path, symbols=["BTC/USDT"]).series) == ["BTC/USDT"]
    with pytest.raises(DataError, match="column time"):
        open_mapped(tmp_path)


def test_an_unknown_symbol_lists_the_known(tmp_path: Path) -> None:
    write(two(), tmp_path)
    with pytest.raises(DataError, match=r"no symbol BTC/USD\. Did you mean 'BTC/USDT'"):
        open_mapped(tmp_path, symbols=["BTC/USD"])


def test_what_is_no_dataset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"dataset\.json"):
        open_mapped(tmp_path)


@pytest.mark.parametrize("column", [np.zeros(20, dtype=np.float32), np.zeros((20, 1)), np.zeros(19)])
def test_a_damaged_column_is_refused(tmp_path: Path, column: np.ndarray) -> None:
    write(two(), tmp_path)
    np.save(tmp_path / "%5EGSPC" / "high.npy", column)
    with pytest.raises(DataError, match="GSPC"):
        open_mapped(tmp_path)


def test_opening_does_not_depend_on_size(tmp_path: Path) -> None:
    write(market(bars=1_000_000, timeframe="1m"), tmp_path)
    began = time.perf_counter()
    open_mapped(tmp_path)
    assert time.perf_counter() - began < 0.1

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from engine.canonical import canonical_bytes, plain
from engine.data.bars import COLUMNS, Dataset
from engine.data.sources import load
from engine.data.synthetic import market
from engine.errors import DataError

HOUR = 3600 * 10**9
SMALL = "time,open,high,low,close,volume\n"
STAMPS = [f"2024-01-02 {h:02}:00" for h in range(6)]


def text(tmp_path: Path, stamps: list[str], head: str = SMALL, **extra: str) -> Path:
    row = extra.get("row", "{t},10,12,9,11,5")
    path = tmp_path / "file.dat"
    path.write_text(head + "\n".join(row.format(t=t) for t in stamps) + "\n")
    return path


def opens(dataset: Dataset) -> list[str]:
    time = next(iter(dataset.series.values())).time
    return [str(t)[:16] for t in time.astype("datetime64[ns]")]


def frame(made: Dataset) -> pl.DataFrame:
    s = made.series["SYNTH"]
    stamps = pl.Series("timestamp", s.time).cast(pl.Datetime("ns", "UTC"))
    return pl.DataFrame([stamps, *(pl.Series(c, getattr(s, c)) for c in COLUMNS)])


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_synthetic_parquet_and_csv_come_back_whole(tmp_path: Path, unit: Any) -> None:
    made = market(bars=400)
    table = frame(made).with_columns(pl.col("timestamp").dt.cast_time_unit(unit))
    table.write_parquet(tmp_path / "misnamed.csv")
    table.write_csv(tmp_path / "misnamed.parquet")
    for name, kind in (("misnamed.csv", "parquet"), ("misnamed.parquet", "csv")):
        got = load(tmp_path / name, symbol="SYNTH")
        assert got.digest() == made.digest()
        assert got.report["format"] == kind
        assert got.report["symbols"]["SYNTH"]["findings"] == []
        canonical_bytes(plain(got.report))


def test_assumptions_are_listed_and_declarations_are_not(tmp_path: Path) -> None:
    got = load(text(tmp_path, STAMPS), symbol="X")
    assert {a["field"]: a["value"] for a in got.report["assumed"]} == {
        "timeframe": "1h",
        "label": "open",
        "timezone": "UTC",
        "calendar": "24x5",
        "adjustment": "none",
    }
    declared: dict[str, Any] = {
        "symbol": "X",
        "timeframe": "1h",
        "label": "open",
        "timezone": "UTC",
        "calendar": "24x7",
        "adjustment": "split",
    }
    full = load(text(tmp_path, STAMPS), **declared)
    assert full.report["assumed"] == []
    assert full.report["declared"] == declared
    assert full.name == "file"


def test_both_labels_give_equal_series(tmp_path: Path) -> None:
    by_open = load(text(tmp_path, STAMPS), symbol="X", label="open").series["X"]
    shifted = [f"2024-01-02 {h:02}:00" for h in range(1, 7)]
    by_close = load(text(tmp_path, shifted), symbol="X", label="close").series["X"]
    for column in ("time", *COLUMNS):
        np.testing.assert_array_equal(getattr(by_open, column), getattr(by_close, column))


@pytest.mark.parametrize(
    "forms",
    [
        ["2024-01-02T00:00:00Z", "2024-01-02T01:00:00Z"],
        ["2024-01-02t02:00:00+02:00", "2024-01-02T03:00:00+0200"],
        ["2024-01-01 19:00:00.000-05:00", "2024-01-01 20:00:00.000-05:00"],
        ["2024-01-02 00:00", "2024-01-02 01:00:00.000000"],
        ["2024.01.02 00:00", "2024.01.02 01:00"],
        ["1704153600", "1704157200"],
        ["1704153600000", "1704157200000"],
        ["1704153600000000", "1704157200000000"],
        ["1704153600000000000", "1704157200000000000"],
    ],
)
def test_time_forms(tmp_path: Path, forms: list[str]) -> None:
    assert opens(load(text(tmp_path, forms), symbol="X")) == ["2024-01-02T00:00", "2024-01-02T01:00"]


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ("01/02/2020", "declare day_first"),
        ("1.2.2020 10:00", "declare day_first"),
        ("20200102", "epoch"),
        ("202001021530", "epoch"),
        ("2020010215", "epoch"),
        ("20200102153000", "epoch"),
        ("17041536000", "epoch"),
        ("yesterday", "cannot be read"),
        ("2020-13-01", "cannot be read"),
        ("2020-01-01 24:00", "cannot be read"),
    ],
)
def test_refused_time_forms(tmp_path: Path, form: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        load(text(tmp_path, [form]), symbol="X", timeframe="1h")


def test_a_time_that_does_not_parse_is_a_bad_row(tmp_path: Path) -> None:
    path = text(tmp_path, [*STAMPS[:3], "n/a", *STAMPS[3:]])
    with pytest.raises(DataError, match=r"unparsable_time in 1 row.*rows 4") as error:
        load(path, symbol="X")
    assert error.value.details["report"]["rows_read"] == 7
    got = load(path, symbol="X", on_bad_rows="drop")
    assert (got.report["rows_kept"], got.report["rows_dropped"]) == (6, 1)


def test_naive_stamps_are_local_and_a_gap_or_fold_is_a_bad_row(tmp_path: Path) -> None:
    got = load(text(tmp_path, STAMPS), symbol="X", timezone="America/New_York")
    assert opens(got)[0] == "2024-01-02T05:00"
    bad = ["2024-03-10 01:00", "2024-03-10 02:00", "2024-03-10 03:00", "2024-11-03 01:00", "2024-11-03 02:00"]
    with pytest.raises(DataError, match=r"unresolved_local_time in 2 row.*rows 2, 4.*timezone"):
        load(text(tmp_path, bad), symbol="X", timezone="America/New_York")
    with pytest.raises(DataError, match="IANA"):
        load(text(tmp_path, STAMPS), symbol="X", timezone="Mars/Base")


@pytest.mark.parametrize("kind", [pl.Date, pl.Datetime("us"), pl.Int64])
def test_parquet_times_without_a_zone(tmp_path: Path, kind: Any) -> None:
    day = pl.Series("Date", ["2024-01-02", "2024-01-03"]).str.to_date()
    stamps = day.dt.epoch("s").alias("Date") if kind == pl.Int64 else day.cast(kind)
    table = pl.DataFrame([stamps, *(pl.Series(c.upper(), [10, 10]) for c in COLUMNS)])
    table.write_parquet(tmp_path / "f")
    got = load(tmp_path / "f", symbol="X", timezone="Asia/Tokyo")
    first = "2024-01-02T00:00" if kind == pl.Int64 else "2024-01-01T15:00"
    assert (opens(got)[0], got.conventions.timeframe) == (first, "1d")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_headers_delimiters_and_other_columns(tmp_path: Path, delimiter: str) -> None:
    head = delimiter.join(["\ufeffOpen_Time ", " OPEN", "High", "low", "Close", "Vol", "spread", "spread"]) + "\r\n"
    row = delimiter.join(["{t}", " 10", "12", "9", "11", "5", "1", "2"]) + "\r"
    got = load(text(tmp_path, STAMPS, head, row=row), symbol="X")
    assert got.report["ignored_columns"] == ["spread", "spread"]
    assert got.series["X"].volume.tolist() == [5.0] * 6


def test_volume_may_be_missing_and_blank_lines_at_the_end_are_no_rows(tmp_path: Path) -> None:
    path = text(tmp_path, [*STAMPS, ""], "time,open,high,low,close\n", row="{t},10,12,9,11")
    path.write_text(path.read_text().replace("\n,10,12,9,11\n", "\n\n\n"))
    got = load(path, symbol="X")
    assert got.series["X"].volume.tolist() == [0.0] * 6
    assert got.report["rows_read"] == 6


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "an empty file"),
        (b"\n\n", "an empty file"),
        (b"\x1f\x8b\x08\x00abc", "cannot be unpacked"),
        (b"PK\x03\x04abc", "zip"),
        (b'[{"time": 1}]', "JSON"),
        (b"\x00\x01\x02", "binary"),
        (b"time,open\xff\n", "not UTF-8"),
        (b"PAR1", "as parquet"),
        (b"PAR1" + bytes(40) + b"PAR1", "as parquet"),
        (b"2024-01-02,1,2,3,4,5,6,7\n", "header row"),
        (b"time,open,high,low\n2024-01-02,1,2,3\n", "lacks the columns close"),
        (b"time,ts,open,high,low,close\n", "several time columns: time, ts"),
        (b"time,open,high,low,close\n", "no rows"),
        (b"time,open,high,low,close\n2024-01-02,1,2,1,1\n2024-01-03,1,2,1,1,9,9\n", "as csv"),
        (b"time,open,high,low,close\n2024-01-02,1,2,1,1\n\xff,1,2,1,1\n", "not UTF-8"),
        (b"time,open,high,low,close\n" + b"2024-01-02,1,2,1,1\n" * 5000 + b"\xff,1,2,1,1\n", "as csv"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(DataError, match=says) as error:
        load(tmp_path / "f", symbol="X")
    assert str(tmp_path) not in str(error.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'none' cannot be read"):
        load(tmp_path / "none", symbol="X")


def test_symbols_come_from_the_column_or_the_option(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="option symbol"):
        load(text(tmp_path, STAMPS))
    with pytest.raises(DataError, match="cannot be symbols"):
        load(text(tmp_path, STAMPS), symbol="../x")
    head = "ticker," + SMALL
    rows = [f"{s},{t}" for t in reversed(STAMPS) for s in "BA"][::-1]
    path = text(tmp_path, rows, head)
    both = load(path)
    assert list(both.series) == ["A", "B"]
    assert [len(s) for s in both.series.values()] == [6, 6]
    one = load(path, symbol="B")
    assert (list(one.series), one.report["rows_read"], one.report["rows_kept"]) == (["B"], 12, 6)
    assert one.report["rows_dropped"] == 0
    with pytest.raises(DataError, match="It holds: A, B"):
        load(path, symbol="C")


@pytest.mark.parametrize("parquet", [True, False])
def test_max_rows_names_both_numbers(tmp_path: Path, parquet: bool) -> None:
    table = frame(market(bars=50))
    (table.write_parquet if parquet else table.write_csv)(tmp_path / "f")
    assert len(load(tmp_path / "f", symbol="X", max_rows=50).series["X"]) == 50
    with pytest.raises(DataError, match="50 rows, more than the 49"):
        load(tmp_path / "f", symbol="X", max_rows=49)


def test_calendar_by_saturdays_and_by_declaration(tmp_path: Path) -> None:
    frame(market(bars=500)).write_parquet(tmp_path / "always")
    frame(market(bars=500, calendar="24x5")).write_parquet(tmp_path / "week")
    assert load(tmp_path / "always", symbol="X").conventions.calendar == "24x7"
    assert load(tmp_path / "week", symbol="X").conventions.calendar == "24x5"
    assert load(tmp_path / "week", symbol="X", calendar="XNYS").conventions.calendar == "XNYS"
    with pytest.raises(DataError, match="Did you mean 'XNYS'"):
        load(tmp_path / "week", symbol="X", calendar="XNYSE")


def test_the_calendar_is_inferred_from_opens_not_stamps(tmp_path: Path) -> None:
    closes = [f"2024-01-{d:02}" for d in (2, 3, 4, 5, 6, 9, 10)]  # the 6th, a Saturday, is Friday's close
    assert load(text(tmp_path, closes), symbol="X", label="close").conventions.calendar == "24x5"
    assert load(text(tmp_path, closes), symbol="X", label="open").conventions.calendar == "24x7"


def test_a_spacing_that_cannot_be_told_and_options_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="option timeframe"):
        load(text(tmp_path, STAMPS[:1]), symbol="X")
    assert len(load(text(tmp_path, STAMPS[:1]), symbol="X", timeframe="1h").series["X"]) == 1
    with pytest.raises(DataError, match="500000000 ns"):
        load(text(tmp_path, ["2024-01-02 00:00:00", "2024-01-02 00:00:00.5"]), symbol="X")
    with pytest.raises(DataError, match="label 'middle'"):
        load(text(tmp_path, STAMPS), symbol="X", label="middle")


def test_a_symbol_without_a_row_left_is_refused(tmp_path: Path) -> None:
    path = text(tmp_path, STAMPS, row="{t},10,5,9,11,5")
    with pytest.raises(DataError, match="would lose half of its rows or more of X"):
        load(path, symbol="X", on_bad_rows="drop")

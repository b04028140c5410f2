"""What a file does not say by itself: declared, shown by the rows, or asked for."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import engine
from engine.data.bars import Dataset
from engine.data.policy import RULES, parse_policy
from engine.errors import DataError

HEAD = "time,open,high,low,close\n"


def load(tmp_path: Path, text: str, **options: Any) -> Dataset:
    path = tmp_path / "file"
    path.write_text(text)
    return engine.load(path, symbol="X", **options)


def days(data: Dataset) -> list[str]:
    return list(map(str, data.series["X"].time.astype("datetime64[ns]").astype("datetime64[m]")))


def dated(*stamps: str) -> str:
    return HEAD + "".join(f"{s},10,12,9,11\n" for s in stamps)


class TestDayOrMonth:
    def test_it_is_asked_for_where_no_row_shows_it(self, tmp_path: Path) -> None:
        text = dated("01/02/2020", "02/02/2020", "03/02/2020")
        with pytest.raises(DataError, match="declare day_first") as error:
            load(tmp_path, text)
        assert error.value.details == {"option": "day_first"}
        first = days(load(tmp_path, text, day_first=True))
        assert first == ["2020-02-01T00:00", "2020-02-02T00:00", "2020-02-03T00:00"]
        months = load(tmp_path, text, day_first=False, timeframe="1d")
        assert days(months) == ["2020-01-02T00:00", "2020-02-02T00:00", "2020-03-02T00:00"]

    @pytest.mark.parametrize(
        ("stamps", "first", "value"),
        [
            (("12/01/2020", "13/01/2020"), "2020-01-12T00:00", "true"),
            (("1/12/2020 9:30", "1/13/2020 9:30"), "2020-01-12T09:30", "false"),
            (("12.01.2020 00:00:00.000 GMT+0300", "13.01.2020 00:00:00.000 GMT+0300"), "2020-01-11T21:00", "true"),
        ],
    )
    def test_a_number_above_twelve_shows_it(
        self, tmp_path: Path, stamps: tuple[str, ...], first: str, value: str
    ) -> None:
        data = load(tmp_path, dated(*stamps))
        assert days(data)[0] == first
        assert {a["field"]: a["value"] for a in data.report["assumed"]}["day_first"] == value

    def test_rows_that_contradict_each_other_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="write the year first"):
            load(tmp_path, dated("13/01/2020", "01/14/2020"))


class TestDecimal:
    TEXT = (
        "time;open;high;low;close;volume;score\n2020-01-01;1,10;1,20;1,05;1,15;7;0,5\n2020-01-02;1,15;1,2;1,1;1,2;8;1\n"
    )

    def test_a_comma_is_asked_for(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="numbers such as '1,10': declare decimal=,"):
            load(tmp_path, self.TEXT)

    def test_a_declared_comma_is_a_point(self, tmp_path: Path) -> None:
        rows = load(tmp_path, self.TEXT, decimal=",").series["X"]
        assert rows.open.tolist() == [1.1, 1.15]
        assert rows.extra["score"].tolist() == [0.5, 1.0]

    def test_thousands_are_no_numbers(self, tmp_path: Path) -> None:
        text = 'time,open,high,low,close\n2020-01-01,"1,010,5",2,1,1\n2020-01-02,1,2,1,1\n2020-01-03,1,2,1,1\n'
        with pytest.raises(DataError, match="non_finite_price in 1 row"):
            load(tmp_path, text, decimal=",")

    def test_without_a_header(self, tmp_path: Path) -> None:
        rows = load(tmp_path, "2020.01.01;1,1;1,2;1,0;1,1\n2020.01.02;1,1;1,2;1,0;1,1\n", decimal=",").series["X"]
        assert rows.high.tolist() == [1.2, 1.2]


class TestSides:
    TEXT = (
        "time,bid_open,bid_high,bid_low,bid_close,ask_open,ask_high,ask_low,ask_close\n"
        "2020-01-01,1,3,1,2,2,4,2,4\n2020-01-02,2,3,1,2,3,5,3,4\n"
    )

    def test_the_side_is_asked_for(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="option side") as error:
            load(tmp_path, self.TEXT)
        assert error.value.details == {"option": "side"}

    @pytest.mark.parametrize(("side", "opens"), [("bid", [1.0, 2.0]), ("ask", [2.0, 3.0]), ("mid", [1.5, 2.5])])
    def test_one_side(self, tmp_path: Path, side: str, opens: list[float]) -> None:
        rows = load(tmp_path, self.TEXT, side=side).series["X"]
        assert rows.open.tolist() == opens
        assert rows.extra["spread"].tolist() == [2.0, 2.0]

    def test_a_side_of_plain_prices_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="side 'bid' has no effect"):
            load(tmp_path, dated("2020-01-01", "2020-01-02"), side="bid")


class TestSinceMidnight:
    """LEAN's minute files: the day is in the name of the file, equities are times 10000."""

    TEXT = "34200000,139400,139500,139400,139500,1000\n34260000,139500,139500,139300,139400,500\n"

    def test_the_day_and_the_scale_are_asked_for(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="option date"):
            load(tmp_path, self.TEXT)
        with pytest.raises(DataError, match=r"scale=0\.0001"):
            load(tmp_path, self.TEXT, date="2013-10-07")
        data = load(tmp_path, self.TEXT, date="2013-10-07", scale=0.0001, timezone="America/New_York")
        assert days(data) == ["2013-10-07T13:30", "2013-10-07T13:31"]
        assert data.series["X"].close.tolist() == [13.95, 13.94]

    def test_the_name_of_the_file_says_the_day(self, tmp_path: Path) -> None:
        path = tmp_path / "20131007_bac_minute_trade.csv"
        path.write_text(self.TEXT)
        data = engine.load(path, symbol="X", scale=1.0)
        assert days(data)[0] == "2013-10-07T09:30"
        assert {a["field"]: a["value"] for a in data.report["assumed"]}["date"] == "2013-10-07"

    def test_a_day_for_times_that_have_theirs_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="date 2020-01-01 has no effect"):
            load(tmp_path, dated("2020-01-01", "2020-01-02"), date="2020-01-01")


def test_rows_newest_first_are_turned(tmp_path: Path) -> None:
    stamps = [f"2020-01-{d:02}" for d in range(1, 29)]
    turned = load(tmp_path, dated(*reversed(stamps)), calendar="24x7")
    assert turned.digest() == load(tmp_path, dated(*stamps), calendar="24x7").digest()
    assert {"field": "order", "value": "newest first", "reason": "times run backwards"} in turned.report["assumed"]
    bad = dated(*reversed(stamps)).replace("2020-01-27,10", "2020-01-27,-10")
    with pytest.raises(DataError, match=r"non_positive_price in 1 row.*\(rows 2\)"):
        load(tmp_path, bad)


@pytest.mark.parametrize("stream", [True, False])
def test_arrow_is_read(tmp_path: Path, stream: bool) -> None:
    frame = pl.DataFrame({"time": ["2020-01-01", "2020-01-02"], **dict.fromkeys(("open", "high", "low", "close"), 1.5)})
    frame = frame.with_columns(pl.col("time").str.to_datetime(time_unit="ms", time_zone="UTC"))
    (frame.write_ipc_stream if stream else frame.write_ipc)(tmp_path / "arrow")
    data = engine.load(tmp_path / "arrow", symbol="X")
    assert (days(data)[0], data.report["format"]) == ("2020-01-01T00:00", "arrow")
    whole = (tmp_path / "arrow").read_bytes()
    (tmp_path / "cut").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="cannot be read as arrow"):
        engine.load(tmp_path / "cut", symbol="X")


class TestPolicy:
    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("hide", "neither refuse, drop nor a finding"),
            ("drop,refuse", "neither refuse"),
            ("ohlc_incoherend=keep", "Did you mean 'ohlc_incoherent'"),
            ("duplicate_time=keep", "it can be drop, refuse"),
            ("gaps=drop", "it can be keep, refuse"),
            ("gaps=keep,gaps=refuse", "names gaps twice"),
        ],
    )
    def test_what_is_no_policy(self, text: str, says: str) -> None:
        with pytest.raises(DataError, match=says):
            parse_policy(text)

    def test_the_default_refuses_what_would_be_wrong_and_keeps_the_rest(self) -> None:
        policy = parse_policy("refuse")
        assert {c: policy.action(c) for c in RULES} == {c: "refuse" if r.defect else "keep" for c, r in RULES.items()}
        mixed = parse_policy("drop,gaps=refuse, ohlc_incoherent=keep")
        assert [mixed.action(c) for c in ("gaps", "ohlc_incoherent", "duplicate_time")] == ["refuse", "keep", "drop"]

    def test_kept_rows_stay_and_are_reported(self, tmp_path: Path) -> None:
        text = dated("2020-01-01", "2020-01-02", "2020-01-03").replace("2020-01-02,10,12,9,11", "2020-01-02,10,12,9,")
        data = load(tmp_path, text, on_bad_rows="non_finite_price=keep", calendar="24x7")
        assert np.isnan(data.series["X"].close[1])
        (finding,) = data.report["symbols"]["X"]["findings"]
        assert (finding["code"], finding["action"], finding["rows"]) == ("non_finite_price", "kept", [2])
        assert data.report["on_bad_rows"] == "non_finite_price=keep"

    def test_an_oddity_may_refuse_or_be_dropped(self, tmp_path: Path) -> None:
        text = dated("2020-01-01", "2020-01-02", "2020-01-03").replace("2020-01-02,10,12", "2020-01-02,10,99")
        with pytest.raises(DataError, match="price_spike in 1 row"):
            load(tmp_path, text, on_bad_rows="price_spike=refuse")
        assert len(load(tmp_path, text, on_bad_rows="price_spike=drop").series["X"]) == 2
        assert len(load(tmp_path, text).series["X"]) == 3


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"lable": "open"}, "there is no option 'lable'. Did you mean 'label'"),
        ({"label": "middle"}, "label 'middle'"),
        ({"scale": 0.0}, "scale 0.0: Input should be greater than 0"),
        ({"scale": float("inf")}, "scale inf"),
        ({"date": "7.10.2013"}, "date '7.10.2013'"),
        ({"on_bad_rows": "hide"}, "neither refuse"),
    ],
)
def test_options_that_cannot_be(tmp_path: Path, options: dict[str, Any], says: str) -> None:
    with pytest.raises(DataError, match=says):
        load(tmp_path, dated("2020-01-01", "2020-01-02"), **options)

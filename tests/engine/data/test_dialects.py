"""Text files as people have them, told by their content."""

import gzip
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import engine
from engine.data.bars import Dataset
from engine.data.columnar import open_mapped, write
from engine.errors import DataError

ROWS = [("1.10", "1.20", "1.00", "1.15", "7"), ("1.15", "1.30", "1.10", "1.20", "8")]
STAMPS = (1_577_836_800_000_000_000, 1_577_840_400_000_000_000)
"""2020-01-01 00:00 and 01:00 UTC."""


def load(tmp_path: Path, text: str | bytes, name: str = "file", **options: Any) -> Dataset:
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return engine.load(path, **{"symbol": "X", "timeframe": "1h", **options})


def lines(times: list[str], separator: str, extra: str = "") -> str:
    return "".join(f"{t}{separator}{separator.join(r)}{extra}\n" for t, r in zip(times, ROWS, strict=True))


ISO = ["2020-01-01 00:00", "2020-01-01 01:00"]
FORMS = {
    "comma, no header": lines(ISO, ","),
    "tab, no header": lines(ISO, "\t"),
    "HistData": lines(["20200101 000000", "20200101 010000"], ";"),
    "MetaTrader, no header": lines(["2020.01.01\t00:00", "2020.01.01\t01:00"], "\t"),
    "MetaTrader": "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>\n"
    + lines(["2020.01.01\t00:00:00", "2020.01.01\t01:00:00"], "\t", "\t0\t3"),
    "Kraken": lines(["1577836800", "1577840400"], ",", ",12"),
    "Binance": lines(["1577836800000", "1577840400000"], ",", ",1577840399999,1.5,9,1.0,2.0,0"),
    "epoch microseconds": lines(["1577836800000000", "1577840400000000"], ","),
    "TradingView": "time,open,high,low,close,Volume\n"
    + lines(["2020-01-01T01:00:00+01:00", "2020-01-01T02:00:00+01:00"], ","),
    "Yahoo": "Date,Open,High,Low,Close,Volume\n" + lines(ISO, ","),
    "freqtrade": json.dumps([[s // 10**6, *map(float, r)] for s, r in zip(STAMPS, ROWS, strict=True)]),
    "JSON objects": json.dumps(
        [
            dict(zip(("time", "open", "high", "low", "close", "volume"), (t, *map(float, r)), strict=True))
            for t, r in zip(ISO, ROWS, strict=True)
        ]
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_same_rows_in_every_form(tmp_path: Path, form: str) -> None:
    rows = load(tmp_path, FORMS[form]).series["X"]
    assert rows.time.tolist() == list(STAMPS)
    columns = [getattr(rows, c).tolist() for c in ("open", "high", "low", "close", "volume")]
    assert columns == [[float(r[k]) for r in ROWS] for k in range(5)]


@pytest.mark.parametrize("form", ["comma, no header", "freqtrade"])
def test_packed_files_are_unpacked(tmp_path: Path, form: str) -> None:
    plain = load(tmp_path, FORMS[form]).digest()
    assert load(tmp_path, gzip.compress(FORMS[form].encode()), "packed").digest() == plain
    with zipfile.ZipFile(tmp_path / "zipped", "w") as archive:
        archive.writestr("inside.csv", FORMS[form])
    assert engine.load(tmp_path / "zipped", symbol="X", timeframe="1h").digest() == plain


def test_what_cannot_be_unpacked_or_told_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "two", "w") as archive:
        archive.writestr("a.csv", FORMS["Kraken"])
        archive.writestr("b.csv", FORMS["Kraken"])
    with pytest.raises(DataError, match=r"holds 2 files \(a.csv, b.csv\)"):
        engine.load(tmp_path / "two", symbol="X")
    with pytest.raises(DataError, match="cannot be unpacked"):
        load(tmp_path, gzip.compress(b"x" * 100)[:15])
    with pytest.raises(DataError, match="9 columns cannot be told apart"):
        load(tmp_path, lines(ISO, ",", ",1,2,3"))
    with pytest.raises(DataError, match="ticks, not bars"):
        load(tmp_path, "14400000,138400,138400,1\n")
    with pytest.raises(DataError, match="are ticks"):
        load(tmp_path, "timestamp,bid,ask\n2020-01-01 00:00:00.1,1.1,1.2\n")
    with pytest.raises(DataError, match="no array of rows"):
        load(tmp_path, "{}")
    with pytest.raises(DataError, match="not of one length"):
        load(tmp_path, "[[1, 2], [1]]")


def test_further_numbers_are_kept_by_a_clean_name(tmp_path: Path) -> None:
    text = "Date,Open,High,Low,Close,Adj Close,Volume,Score (raw),Note,close \n"
    text += "2020-01-01 00:00,1,2,1,2,1.9,5,0.5,a,3\n2020-01-01 01:00,1,2,1,2,1.8,5,,b,3\n"
    data = load(tmp_path, text.replace(",close \n", ",close_\n"))
    rows = data.series["X"]
    assert sorted(rows.extra) == ["adj_close", "score_raw"]
    assert rows.extra["adj_close"].tolist() == [1.9, 1.8]
    np.testing.assert_array_equal(rows.extra["score_raw"], [0.5, np.nan])
    assert data.report["extra_columns"] == ["adj_close", "score_raw"]
    assert data.report["ignored_columns"] == ["Note", "close_"]


def test_further_columns_go_with_their_rows_and_to_disk(tmp_path: Path) -> None:
    text = "time,open,high,low,close,score\n"
    text += "".join(f"2020-01-01 0{h}:00,1,2,1,2,{h}\n" for h in (0, 1, 1, 2))
    data = load(tmp_path, text, on_bad_rows="drop")
    assert data.series["X"].extra["score"].tolist() == [0.0, 1.0, 2.0]
    write(data, tmp_path / "kept")
    again = open_mapped(tmp_path / "kept")
    assert again.series["X"].extra["score"].tolist() == [0.0, 1.0, 2.0]
    assert again.digest() == data.digest()


SAMPLES = Path(__file__).parents[4] / "shared" / "data" / "dialects"
READ = {
    "binance_klines_raw_ADABTC_1m.csv": (10, 1637971200, 2.853e-05, 2.865e-05),
    "comma_noheader_AUDCHF_D1_head.csv": (2000, 1188345600, 0.9814, 0.79812),
    "csvdir_AAPL_daily.csv.gz": (754, 1325548800, 58.485714, 110.379997),
    "freqtrade_json_ADA_BTC-5m.json": (8640, 1680365700, 1.38e-05, 1.364e-05),
    "histdata_ascii_EURUSD_2018_head.csv": (20000, 1514826000, 1.20037, 1.22348),
    "stooq_daily_aapl_us_2020.csv": (30, 1583971200, 62.8334, 67.5211),
    "tab_header_EURUSD_D1_head.csv": (3000, 1188864000, 1.36052, 1.06779),
    "tab_noheader_AUDCAD240_head.csv": (5000, 1169654400, 0.92195, 0.923),
    "tradingview_chart_OANDA_EURUSD_60.csv": (22, 1786003200, 1.15444, 1.15554),
}
NEW_YORK = {"timezone": "America/New_York", "calendar": "XNYS", "scale": 0.0001}
READ_AS_SAID: dict[str, tuple[dict[str, Any], tuple[Any, ...]]] = {
    "lean_equity_usa_minute_bac_20131007_trade.zip": (NEW_YORK, (595, 1381132800, 13.94, 13.81)),
    "lean_equity_usa_minute_bac_20131007_quote.zip": (NEW_YORK | {"side": "ask"}, (641, 1381132800, 14.02, 13.86)),
    "lean_forex_oanda_minute_eurusd_20140504_quote.zip": ({"side": "bid"}, (157, 1399237200, 1.38817, 1.3871)),
    "points_scaled_GBPUSDh4_head.csv": ({"scale": 0.00001}, (5000, 1353960000, 1.60102, 1.43319)),
    "cboe_vix_daily_to_2018.csv": ({"on_bad_rows": "refuse,ohlc_incoherent=keep"}, (7304, 631238400, 17.24, 25.42)),
    "decimal_loss_EURUSD_M1_0-10k.csv": ({"on_bad_rows": "drop,price_spike=drop"}, (9673, 1731592860, 1.05302, 1.0485)),
}
REFUSED = {
    "cboe_vix_daily_to_2018.csv": "ohlc_incoherent in 47 row",
    "decimal_loss_EURUSD_M1_0-10k.csv": "scale_jump in 181 row",
    "dukascopy_ticks_gmt+3_USA500_head.csv": "are ticks",
    "dup_and_backstep_SOLUSDT_M30.csv": "out_of_order in 24 row",
    "histdata_ascii_XAUUSD_20191025_dup_hour.csv": "out_of_order in 59 row",
    "lean_equity_usa_minute_bac_20131007_quote.zip": "option side",
    "lean_equity_usa_minute_bac_20131007_trade.zip": "declare scale=0.0001",
    "lean_forex_oanda_minute_eurusd_20140504_quote.zip": "option side",
    "mojibake_sp500_list.csv": "not UTF-8",
    "truefx_ticks_usdjpy.csv": "are ticks",
}


def test_real_samples_are_read_or_refused_in_words() -> None:
    """Runs over the samples where they are there; first and last values were read off the files by hand."""
    for name, (count, first, opened, closed) in READ.items():
        if (SAMPLES / name).exists():
            rows = engine.load(SAMPLES / name, symbol="X").series["X"]
            assert (len(rows), rows.time[0] // 10**9, rows.open[0], rows.close[-1]) == (count, first, opened, closed)
    for name, (options, expected) in READ_AS_SAID.items():
        if (SAMPLES / name).exists():
            rows = engine.load(SAMPLES / name, symbol="X", **options).series["X"]
            assert (len(rows), rows.time[0] // 10**9, rows.open[0], rows.close[-1]) == expected
    for name, words in REFUSED.items():
        if (SAMPLES / name).exists():
            with pytest.raises(DataError, match=words):
                engine.load(SAMPLES / name, symbol="X")

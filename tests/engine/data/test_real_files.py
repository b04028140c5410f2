"""Real market data and real dirty files; collected only where they lie beside the checkout."""

from typing import Any

import numpy as np
import polars as pl
import pytest

import engine
from engine.canonical import canonical_bytes, plain
from engine.data.sources import load
from engine.errors import DataError
from tests.engine.data.conftest import MARKET_DATA

LOADABLE = {"fx_h1/GBPUSD.parquet": 57_600, "crypto_m1/BTC_USDT.parquet": 66_087}


@pytest.mark.parametrize("name", LOADABLE)
def test_real_files_load(name: str) -> None:
    assert len(load(MARKET_DATA / name, symbol="X").series["X"]) == LOADABLE[name]


@pytest.mark.parametrize("name", ["equity_d1/us_unadjusted.parquet"])
def test_a_real_file_of_several_symbols(name: str) -> None:
    got = load(MARKET_DATA / name)
    assert list(got.series) == ["AAPL", "BAC", "EEM", "IBM", "QQQ", "SPY", "USO"]
    assert got.report["extra_columns"] == ["adj_close", "price_factor", "split_factor"]
    findings = {f["code"]: f for f in got.report["symbols"]["AAPL"]["findings"]}
    assert findings["price_jump"]["count"] == 2  # the 7:1 and 4:1 splits; 2:1 stays below the bound


@pytest.mark.parametrize("name", ["context_d1/VIX_to_2018.parquet", "dialects/cboe_vix_daily_to_2018.csv"])
def test_real_incoherent_bars(name: str) -> None:
    with pytest.raises(DataError, match=r"ohlc_incoherent in 47 row"):
        load(MARKET_DATA / name, symbol="VIX")
    got = load(MARKET_DATA / name, symbol="VIX", on_bad_rows="drop")
    assert (got.report["rows_dropped"], got.report["rows_kept"]) == (47, 7257)


@pytest.mark.parametrize("name", ["equity_d1/us_factors.parquet"])
def test_a_real_table_without_prices(name: str) -> None:
    with pytest.raises(DataError, match="lacks the columns open, high, low, close"):
        load(MARKET_DATA / name)


@pytest.mark.parametrize("name", ["dialects/dup_and_backstep_SOLUSDT_M30.csv"])
def test_real_steps_back(name: str) -> None:
    with pytest.raises(DataError, match=r"out_of_order in 24 .* duplicate_time in 4 "):
        load(MARKET_DATA / name, symbol="X")
    assert load(MARKET_DATA / name, symbol="X", on_bad_rows="drop").report["rows_dropped"] == 28


@pytest.mark.parametrize("name", ["dialects/decimal_loss_EURUSD_M1_0-10k.csv"])
def test_real_lost_decimal_points(name: str) -> None:
    with pytest.raises(DataError, match=r"scale_jump in 181 "):
        load(MARKET_DATA / name, symbol="X")
    left = load(MARKET_DATA / name, symbol="X", on_bad_rows="drop,price_spike=drop").series["X"]
    assert left.high.max() / left.low.min() < 1.1  # bars wholly a thousand times too high are coherent, and gone


DIALECTS = sorted(p.name for p in MARKET_DATA.glob("dialects/*") if p.name != "README.md")


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize("on_bad_rows", ["refuse", "drop"])
def test_every_dialect_loads_or_is_refused_in_words(name: str, on_bad_rows: Any) -> None:
    refused = ""
    rows = 0
    try:
        rows = len(load(MARKET_DATA / "dialects" / name, symbol="X", on_bad_rows=on_bad_rows).series["X"])
    except DataError as error:
        refused = error.message
    assert rows > 0 or len(refused) > 30


CALENDARS = {
    "fx_h1/GBPUSD.parquet": "24x5",
    "crypto_m1/BTC_USDT.parquet": "24x7",
    "equity_d1/us_unadjusted.parquet": "XNYS",
}


@pytest.mark.parametrize("name", CALENDARS)
def test_real_markets_run_from_end_to_end(name: str) -> None:
    """The accounting identities hold on real rows, and no undefined number gets out."""
    data = load(MARKET_DATA / name, calendar=CALENDARS[name], symbol="AAPL" if "equity" in name else "X")
    symbol = next(iter(data.series))
    config = {"dataset": "real", "symbols": [symbol], "strategy": {"name": "dual_sma"}}
    result = engine.run(config, data)
    ledger = result.ledger
    account = ledger.cash + ledger.values.sum(axis=1)
    assert np.abs(account - ledger.equity).max() <= 1e-9 * ledger.initial_capital
    assert result.trades.pnl_net.sum() == pytest.approx(ledger.equity[-1] - ledger.initial_capital, abs=1e-4)
    canonical_bytes(plain(result.summary()))


@pytest.mark.parametrize("name", ["fx_m1/EURUSD.parquet"])
def test_a_real_file_in_new_yorks_clock(name: str, tmp_path: Any) -> None:
    """HistData's files of 2018 keep the wall clock of New York, and say that they do not."""
    frame = pl.read_parquet(MARKET_DATA / name)
    wall = pl.col("timestamp").dt.convert_time_zone("America/New_York").dt.replace_time_zone(None)
    frame.with_columns(wall).write_parquet(tmp_path / "wall")
    wrong = load(tmp_path / "wall", symbol="X", on_bad_rows="drop").report["symbols"]["X"]["findings"]
    (finding,) = [f for f in wrong if f["code"] == "dst_signature"]
    assert "America/New_York would fit" in finding["message"]
    assert finding["option"] == "timezone"
    right = load(tmp_path / "wall", symbol="X", timezone="America/New_York", on_bad_rows="drop")
    assert "dst_signature" not in {f["code"] for f in right.report["symbols"]["X"]["findings"]}

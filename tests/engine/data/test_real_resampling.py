"""Calendars and resampling on real market data; collected only where it lies beside the checkout."""

from typing import Any

import numpy as np
import pytest

import engine
from engine.data.bars import Dataset
from engine.data.checks import describe_rows
from engine.data.resample import Resampled, resample
from engine.data.sessions import days
from engine.data.sources import load
from engine.types import NANOSECONDS_PER_DAY, Times
from tests.engine.data.conftest import MARKET_DATA

MARKETS = {
    "equity_m15/AAPL": "XNYS",
    "equity_h1/SPY": "XNYS",
    "equity_m1/us_oct2013": "XNYS",
    "crypto_m1/BTC_USDT": "24x7",
    "fx_h1/GBPUSD": "24x5",
    "equity_d1/us_unadjusted": "XNYS",
}


def market(name: str, symbol: str) -> Dataset:
    return load(MARKET_DATA / f"{name}.parquet", symbol=symbol, calendar=MARKETS[name])


def made(name: str, symbol: str, timeframe: str) -> Resampled:
    data = market(name, symbol)
    return resample(data.series[symbol], data.conventions, timeframe)


def opens(got: Resampled) -> list[str]:
    return stamps(got.series.time)


def closes(got: Resampled) -> list[str]:
    return stamps(got.series.closes(got.conventions.bar_ns))


def stamps(time: Times) -> list[str]:
    return [str(t) for t in time.astype("datetime64[ns]").astype("datetime64[m]")]


@pytest.mark.parametrize(
    ("name", "symbol", "count", "longest"),
    [
        ("equity_m15/AAPL", "AAPL", 11, 10),
        ("equity_h1/SPY", "SPY", 1, 2),
        ("equity_m1/us_oct2013", "IBM", 2, 1),
        ("equity_d1/us_unadjusted", "SPY", 0, 0),
        ("crypto_m1/BTC_USDT", "X", 1, 80),
    ],
)
def test_gaps_are_what_the_calendar_expects(name: str, symbol: str, count: int, longest: int) -> None:
    data = market(name, symbol)
    assert describe_rows(data.series[symbol], data.conventions)["gaps"] == {"count": count, "longest_bars": longest}


def test_sessions_missing_are_those_another_symbol_has() -> None:
    """QQQ has no rows from 2004-12-01 to 2011-03-22: it traded as QQQQ."""
    data = load(MARKET_DATA / "equity_d1/us_unadjusted.parquet", calendar="XNYS")
    gaps = describe_rows(data.series["QQQ"], data.conventions)["gaps"]
    spy, qqq = data.series["SPY"].time, data.series["QQQ"].time
    absent = np.setdiff1d(spy[(spy > qqq[0]) & (spy < qqq[-1])], qqq)
    assert gaps == {"count": 1, "longest_bars": len(absent)}


def test_hours_make_the_days_that_were_published() -> None:
    """SPY from its hours, against the daily rows of the same source: on half days those go on after 13:00."""
    got, daily = made("equity_h1/SPY", "SPY", "1d"), market("equity_d1/us_unadjusted", "SPY").series["SPY"]
    assert days(got.series.time, got.conventions).tolist() == (daily.time // NANOSECONDS_PER_DAY).tolist()
    assert got.series.open.tolist() == daily.open.tolist()
    for column, most in {"high": 5, "low": 5, "close": 12}.items():
        other = np.abs(getattr(got.series, column) / getattr(daily, column) - 1.0) > 1e-3
        assert np.count_nonzero(other) <= most
    assert got.info is not None
    assert got.info["outside_sessions"] == 47
    assert (opens(got)[0], closes(got)[0]) == ("1998-01-02T14:00", "1998-01-02T21:00")  # stamped 09:00 New York


def test_a_stock_of_quarter_hours() -> None:
    hours, days_ = made("equity_m15/AAPL", "AAPL", "1h"), made("equity_m15/AAPL", "AAPL", "1d")
    assert opens(hours)[:2] == ["2017-02-01T14:00", "2017-02-01T15:00"]
    assert hours.series.close_time is None
    assert opens(days_)[0::1661] == ["2017-02-01T14:30", "2023-09-08T13:30"]
    half = opens(days_).index("2017-11-24T14:30")
    assert closes(days_)[half] == "2017-11-24T18:00"
    assert len(days_.series) == 1662
    gaps = describe_rows(days_.series, days_.conventions)["gaps"]
    assert gaps["count"] == 0


@pytest.mark.parametrize("symbol", ["AIG", "BAC", "IBM"])
def test_extended_hours(symbol: str) -> None:
    """Symbols that begin and end trading at other minutes have bars at the same times."""
    got = made("equity_m1/us_oct2013", symbol, "1d")
    assert opens(got) == [f"2013-10-{d:02}T13:30" for d in (4, 7, 8, 9, 10, 11)]
    assert closes(got) == [f"2013-10-{d:02}T20:00" for d in (4, 7, 8, 9, 10, 11)]
    four = made("equity_m1/us_oct2013", symbol, "4h")
    monday = [s[11:] for s in opens(four) if s.startswith("2013-10-07")]
    assert monday[-4:] == ["12:00", "13:30", "17:30", "20:00"]


def test_a_hole_in_crypto_leaves_what_surrounds_it() -> None:
    """No minute from 2023-03-24 12:39 to 13:59 UTC: one hour has no bar, the hour before ends early."""
    data = market("crypto_m1/BTC_USDT", "X")
    got = resample(data.series["X"], data.conventions, "1h")
    hours = opens(got)
    at = hours.index("2023-03-24T12:00")
    assert hours[at + 1] == "2023-03-24T14:00"
    assert closes(got)[at] == "2023-03-24T13:00"
    inside = data.series["X"].between(int(got.series.time[at]), int(got.series.time[at + 1]))
    assert got.series.close[at] == inside.close[-1]
    assert got.series.volume[at] == pytest.approx(inside.volume.sum(), rel=1e-12)
    assert got.info is not None
    assert (got.info["dropped_first"], got.info["dropped_last"]) == (True, True)


def test_fx_hours_make_days_that_end_at_17_new_york() -> None:
    got = made("fx_h1/GBPUSD", "X", "1d")
    hours = {s[11:] for s in closes(got)}
    assert hours == {"21:00", "22:00"}
    assert closes(got)[-1] == "2022-03-04T22:00"
    assert (np.diff(days(got.series.time, got.conventions)) > 0).all()


@pytest.mark.parametrize(
    ("name", "symbol", "timeframe"),
    [
        ("equity_m15/AAPL", "AAPL", "2h"),
        ("equity_m15/AAPL", "AAPL", "1d"),
        ("equity_h1/SPY", "SPY", "1w"),
        ("equity_m1/us_oct2013", "BAC", "15m"),
        ("crypto_m1/BTC_USDT", "X", "4h"),
        ("fx_h1/GBPUSD", "X", "1d"),
    ],
)
def test_real_markets_run_on_longer_bars(name: str, symbol: str, timeframe: str) -> None:
    strategy: dict[str, Any] = {"name": "dual_sma", "params": {"fast": 3, "slow": 10}}
    config = {"dataset": "real", "symbols": [symbol], "timeframe": timeframe, "strategy": strategy}
    result = engine.run(config, market(name, symbol))
    ledger = result.ledger
    assert len(ledger.fills) > 0
    account = ledger.cash + ledger.values.sum(axis=1)
    assert np.abs(account - ledger.equity).max() <= 1e-9 * ledger.initial_capital
    bars = result.bars
    assert (bars.time < bars.close_time).all()
    assert (bars.close_time[:-1] <= bars.time[1:]).all()
    assert result.data_report["symbols"][symbol]["resampled"]["to"] == timeframe

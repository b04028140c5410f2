"""Bars to compare on: GOOG daily as backtesting.py ships it, and files beside the checkout."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl

from engine.types import Times
from tests.parity.cases import Case, Market, Rules, peer

MARKET_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
PRICES = ("open", "high", "low", "close")


@cache
def goog_daily() -> Market:
    frame = peer("backtesting.test").GOOG
    time = frame.index.to_numpy().astype("datetime64[ns]").astype(np.int64)
    return Market("1d", "24x5", time, **{c: frame[c.title()].to_numpy(dtype=np.float64) for c in (*PRICES, "volume")})


@cache
def eurusd_hourly() -> Market:
    """Middle prices of the bid and ask table; no volume."""
    frame = pl.read_parquet(MARKET_DATA / "fx_h1_bidask" / "EURUSD_oanda.parquet")
    middle = {c: (frame[f"bid_{c}"] + frame[f"ask_{c}"]).to_numpy() / 2.0 for c in PRICES}
    return Market("1h", "24x5", _nanoseconds(frame), **middle, volume=np.zeros(len(frame)))


@cache
def btc_minutes() -> Market:
    """With 72 bars of zero volume, an outage of the exchange."""
    frame = pl.read_parquet(MARKET_DATA / "crypto_m1" / "BTC_USDT.parquet")
    return Market("1m", "24x7", _nanoseconds(frame), **{c: frame[c].to_numpy() for c in (*PRICES, "volume")})


def _nanoseconds(frame: pl.DataFrame) -> Times:
    return frame["timestamp"].dt.epoch("ns").to_numpy()


def bars(*rows: tuple[float, float, float, float]) -> Market:
    """A market made by hand, of open, high, low and close."""
    time = np.datetime64("2020-01-01", "ns").astype(np.int64) + 3_600_000_000_000 * np.arange(len(rows))
    prices = dict(zip(PRICES, np.array(rows, dtype=np.float64).T.copy(), strict=True))
    return Market("1h", "24x7", time, **prices, volume=np.zeros(len(rows)))


def long_at_100(rules: Rules, *rows: tuple[float, float, float, float]) -> Case:
    """A case made by hand. The first of ``rows``, which is bar 2, opens at 100 with an order to buy.

    With averages of 1 and 2 bars the signal is long after a higher close, and short or flat after a lower one.
    """
    quiet, rising = (100.0, 100.0, 100.0, 100.0), (100.0, 101.0, 100.0, 101.0)
    return Case(bars(quiet, rising, *rows), rules, fast=1, slow=2)


MARKETS: dict[str, Callable[[], Market]] = {"GOOG daily": goog_daily}
if MARKET_DATA.is_dir():
    MARKETS |= {"EURUSD hourly": eurusd_hourly, "BTC minutes": lambda: btc_minutes().without_volume()}

"""Rows that may be right: what is found in them, and what is not."""

from typing import Any

import numpy as np
import polars as pl
import pytest

from engine.data.bars import Conventions, Series
from engine.data.oddities import scale_jumps, seasonal_opens, spikes
from engine.types import Times

HOUR = 3600 * 10**9


def series(close: Any) -> Series:
    close = np.asarray(close, dtype=np.float64)
    time = np.arange(len(close), dtype=np.int64) * HOUR
    return Series(time, close.copy(), close * 1.001, close * 0.999, close.copy(), np.ones(len(close)))


class TestScaleJumps:
    @pytest.mark.parametrize("factor", [10.0, 1000.0, 0.01])
    @pytest.mark.parametrize("column", ["open", "close"])
    def test_a_lost_point_is_found_where_it_is(self, factor: float, column: str) -> None:
        rows = series(1.05 + 0.001 * np.sin(np.arange(200)))
        for at in (0, 7, 8, 150, 199):
            getattr(rows, column)[at] *= factor
        found = scale_jumps(rows, np.ones(200, dtype=np.bool_))
        assert np.flatnonzero(found).tolist() == [0, 7, 8, 150, 199]

    def test_a_split_a_crash_and_a_row_without_a_price_are_none(self) -> None:
        split = np.where(np.arange(200) < 100, 500.0, 50.0)
        assert not scale_jumps(series(split), np.ones(200, dtype=np.bool_)).any()
        crash = np.where(np.arange(200) == 60, 37.0, 100.0)
        assert not scale_jumps(series(crash), np.ones(200, dtype=np.bool_)).any()
        hole = np.where(np.arange(200) == 60, np.nan, 100.0)
        assert not scale_jumps(series(hole), np.isfinite(hole)).any()
        assert not scale_jumps(series([1.0]), np.ones(1, dtype=np.bool_)).any()


def test_a_spike_is_a_high_or_low_that_nothing_else_in_the_bar_reaches() -> None:
    rows = series([100.0, 100.0, 100.0, 100.0])
    rows.high[1], rows.low[2] = 301.0, 33.0
    assert spikes(rows).tolist() == [False, True, True, False]


def sundays(zone: str, hour: int, weeks: int = 60) -> Times:
    """Hourly bars of markets that open on Sundays at a time of a zone's wall and trade for five days."""
    wall = pl.datetime_range(pl.datetime(2019, 1, 6), pl.datetime(2021, 1, 1), "1w", eager=True).head(weeks)
    opens = wall.dt.offset_by(f"{hour}h").dt.replace_time_zone(zone).dt.epoch("ns").to_numpy()
    return (opens[:, None] + HOUR * np.arange(110)).ravel()


def on_wall(time: Times, zone: str) -> Times:
    stamps = pl.Series(time).cast(pl.Datetime("ns", "UTC")).dt.convert_time_zone(zone).dt.replace_time_zone(None)
    wall: Times = stamps.to_physical().to_numpy()
    return wall


WEEK = Conventions(timeframe="1h", calendar="24x5")


class TestClocks:
    def test_a_market_that_keeps_its_own_clock_has_no_signature(self) -> None:
        found, hint = seasonal_opens(sundays("America/New_York", 17), WEEK)
        assert not found.any()
        assert hint == ""

    @pytest.mark.parametrize("zone", ["America/New_York", "Europe/London"])
    def test_stamps_of_a_wall_declared_as_utc_are_found_with_the_clock_that_fits(self, zone: str) -> None:
        found, hint = seasonal_opens(on_wall(sundays("America/New_York", 17), zone), WEEK)
        assert 25 <= np.count_nonzero(found) <= 40
        assert zone in hint

    def test_a_week_that_opens_by_utc_the_whole_year_is_found(self) -> None:
        assert seasonal_opens(sundays("UTC", 22), WEEK)[0].any()

    @pytest.mark.parametrize(
        "conventions", [Conventions(timeframe="1h", calendar="24x7"), Conventions(timeframe="4h", calendar="24x5")]
    )
    def test_what_never_closes_or_is_too_coarse_is_not_judged(self, conventions: Conventions) -> None:
        assert not seasonal_opens(sundays("UTC", 22), conventions)[0].any()

    def test_one_half_of_a_year_tells_nothing(self) -> None:
        assert not seasonal_opens(sundays("UTC", 22, weeks=8), WEEK)[0].any()

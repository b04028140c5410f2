from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from engine.data.bars import Conventions
from engine.data.sessions import (
    annual_days,
    check_calendar,
    check_zone,
    days,
    localise,
    missing_bars,
    wall_clock,
)
from engine.errors import DataError
from engine.types import Ints, Times

HOUR = 3600 * 10**9
DAY = 24 * HOUR


def at(*stamps: str) -> Times:
    return np.array(stamps, dtype="datetime64[ns]").astype(np.int64)


def dates(day: Ints) -> list[str]:
    return [str(d) for d in day.astype("datetime64[D]")]


def test_a_24x7_day_is_the_utc_date() -> None:
    assert dates(days(at("2024-01-06T23:59", "2024-01-07T00:00"), Conventions("1m", "24x7"))) == [
        "2024-01-06",
        "2024-01-07",
    ]


@pytest.mark.parametrize(
    ("open_time", "day"),
    [
        ("2024-01-04T21:59", "2024-01-04"),  # winter: 17:00 New York is 22:00 UTC
        ("2024-01-04T22:00", "2024-01-05"),
        ("2024-07-03T20:59", "2024-07-03"),  # summer: 21:00 UTC
        ("2024-07-03T21:00", "2024-07-04"),
        ("2024-01-05T21:59", "2024-01-05"),
        ("2024-01-05T22:00", "2024-01-08"),  # after the week's end: Saturday rolls to Monday
        ("2024-01-06T12:00", "2024-01-08"),
        ("2024-01-07T12:00", "2024-01-08"),
        ("2024-01-07T22:00", "2024-01-08"),
    ],
)
def test_a_24x5_day_ends_at_17_new_york(open_time: str, day: str) -> None:
    assert dates(days(at(open_time), Conventions("1m", "24x5"))) == [day]


def test_an_exchange_day_is_local_within_the_day_and_the_stamp_above() -> None:
    time = at("2024-01-04T23:30", "2024-01-05T00:30")
    assert dates(days(time, Conventions("1m", "XTKS"))) == ["2024-01-05", "2024-01-05"]
    assert dates(days(time, Conventions("1m", "NYSE"))) == ["2024-01-04", "2024-01-04"]
    assert dates(days(at("2024-01-04"), Conventions("1d", "XNYS"))) == ["2024-01-04"]


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"])
def test_wall_clock_agrees_with_the_standard_library(zone: str) -> None:
    time = at("2023-01-01")[0] + 17 * 60 * 10**9 * np.arange(31_000, dtype=np.int64)
    here = wall_clock(time, zone)
    for i in range(0, len(time), 97):
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(time[i]) // 1000)
        offset = moment.astimezone(ZoneInfo(zone)).utcoffset()
        assert offset is not None
        assert here[i] - time[i] == offset.total_seconds() * 10**9


def test_a_fold_run_through_twice_resolves_and_a_single_pass_does_not() -> None:
    twice = at("2023-11-05T00:30", "2023-11-05T01:00", "2023-11-05T01:30", "2023-11-05T01:00", "2023-11-05T01:30")
    utc, unresolved = localise(twice, "America/New_York", np.zeros(5, dtype=np.int64))
    assert np.diff(utc).tolist() == [HOUR // 2] * 4
    assert not unresolved.any()
    unresolved = localise(twice[:3], "America/New_York", np.zeros(3, dtype=np.int64))[1]
    assert unresolved.tolist() == [False, True, True]


def test_each_symbol_has_its_own_pass_through_a_fold() -> None:
    wall = at(*["2023-11-05T01:00"] * 4)
    utc, unresolved = localise(wall, "America/New_York", np.array([0, 1, 0, 1]))
    assert not unresolved.any()
    assert (utc - utc[0]).tolist() == [0, 0, HOUR, HOUR]


def test_a_stamp_in_a_gap_never_existed() -> None:
    wall = at("2023-03-12T01:30", "2023-03-12T02:30", "2023-03-12T03:30")
    assert localise(wall, "America/New_York", np.zeros(3, dtype=np.int64))[1].tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("timeframe", "calendar", "first", "second", "missing"),
    [
        ("1h", "24x7", "2024-01-01T00:00", "2024-01-01T01:00", 0),
        ("1h", "24x7", "2024-01-01T00:00", "2024-01-01T04:00", 3),
        ("1h", "24x5", "2024-01-05T21:00", "2024-01-07T22:00", 0),
        ("1h", "24x5", "2024-01-05T21:00", "2024-01-08T00:00", 2),
        ("1h", "24x5", "2024-01-03T21:00", "2024-01-03T23:00", 1),
        ("1d", "24x5", "2024-01-05", "2024-01-08", 0),
        ("1d", "24x5", "2024-01-05", "2024-01-09", 1),
        ("1w", "24x5", "2024-01-01", "2024-01-15", 1),
        ("1d", "XNYS", "2024-01-05", "2024-01-09", 0),
        ("1d", "XNYS", "2024-01-05", "2024-01-10", 4),
        ("1h", "XNYS", "2024-01-04T20:00", "2024-01-05T14:00", 0),
        ("1h", "XNYS", "2024-01-04T16:00", "2024-01-04T19:00", 2),
    ],
)
def test_missing_bars(timeframe: str, calendar: str, first: str, second: str, missing: int) -> None:
    assert missing_bars(at(first, second), Conventions(timeframe, calendar)).tolist() == [missing]


@pytest.mark.parametrize("name", ["24x7", "24x5", "XNYS", "XLON", "NYSE"])
def test_known_calendars(name: str) -> None:
    assert check_calendar(name) == name


@pytest.mark.parametrize(("name", "hint"), [("XNYSE", "XNYS"), ("24/7", "24x7"), ("xnys", "XNYS")])
def test_unknown_calendars_get_a_hint(name: str, hint: str) -> None:
    with pytest.raises(DataError, match=f"Did you mean '{hint}'"):
        check_calendar(name)


def test_zones() -> None:
    assert check_zone("Europe/London") == "Europe/London"
    with pytest.raises(DataError, match="Did you mean 'Europe/London'"):
        check_zone("Europe/Londn")


@pytest.mark.parametrize(("calendar", "number"), [("24x7", 365.25), ("24x5", 260.0), ("XLON", 252.0)])
def test_annual_days(calendar: str, number: float) -> None:
    assert annual_days(calendar) == number

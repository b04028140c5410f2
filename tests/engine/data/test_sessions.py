from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from engine.data.bars import Conventions
from engine.data.clocks import check_zone, localise
from engine.data.exchanges import exchange_sessions
from engine.data.sessions import (
    annual_days,
    bars_per_year,
    check_calendar,
    day_ends,
    days,
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


@pytest.mark.parametrize(
    ("timeframe", "calendar", "open_time", "day"),
    [
        ("1m", "XNYS", "2024-01-04T09:00", "2024-01-04"),  # 04:00 New York
        ("1m", "XNYS", "2024-01-05T00:59", "2024-01-04"),  # 19:59
        ("1m", "XNYS", "2024-01-05T04:59", "2024-01-04"),
        ("1m", "XNYS", "2024-01-05T05:00", "2024-01-05"),
        ("1m", "XNYS", "2024-01-06T12:00", "2024-01-08"),  # no session: the next one's
        ("1m", "XNYS", "2013-07-04T15:00", "2013-07-05"),
        ("1m", "XNYS", "2013-11-29T20:00", "2013-11-29"),  # after the close of a half day
        ("1m", "XNYS", "2024-12-31T23:00", "2024-12-31"),
        ("1m", "XNYS", "2023-12-30T12:00", "2024-01-02"),  # into the next year
        ("1m", "XNZE", "2024-01-04T21:00", "2024-01-05"),
        ("1m", "CMES", "2024-01-04T22:59", "2024-01-04"),
        ("1m", "CMES", "2024-01-04T23:00", "2024-01-05"),  # 17:00 Chicago
        ("1m", "CMES", "2024-01-05T23:30", "2024-01-05"),
        ("1m", "CMES", "2024-01-07T23:00", "2024-01-08"),
        ("1m", "XKAR", "2009-04-14T18:59", "2009-04-14"),
        ("1m", "XKAR", "2009-04-14T19:00", "2009-04-15"),  # clocks skipped that midnight
        ("1m", "XSHG", "1985-01-04T20:00", "1985-01-05"),  # before the first session known: the local date
        ("1m", "XSHG", "2185-01-04T20:00", "2185-01-05"),  # and after the last
        ("1m", "XSAU", "2029-12-31T22:00", "2030-01-01"),
        ("1d", "XSHG", "1985-01-04T16:00", "1985-01-05"),
        ("1d", "XNYS", "2024-01-05", "2024-01-05"),
        ("1d", "XNYS", "2024-01-05T05:00", "2024-01-05"),
        ("1d", "XTKS", "2024-01-04T15:00", "2024-01-05"),  # midnight Tokyo
        ("1d", "CMES", "2024-01-07T23:00", "2024-01-08"),
    ],
)
def test_exchange_days(timeframe: str, calendar: str, open_time: str, day: str) -> None:
    assert dates(days(at(open_time), Conventions(timeframe, calendar))) == [day]


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
        ("1d", "24x5", "2024-03-07T22:00", "2024-03-10T21:00", 0),  # Friday's and Monday's, from 17:00 New York
        ("1d", "24x5", "2024-03-07T22:00", "2024-03-11T21:00", 1),
        ("1d", "XNYS", "2024-01-05", "2024-01-08", 0),
        ("1d", "XNYS", "2024-01-05", "2024-01-10", 2),
        ("1d", "XNYS", "2013-07-03", "2013-07-05", 0),  # Independence Day
        ("1d", "XNYS", "2001-09-10", "2001-09-17", 0),
        ("1d", "XNYS", "2013-07-03T04:00", "2013-07-08T04:00", 1),  # midnight New York
        ("1d", "XTKS", "2024-01-03T15:00", "2024-01-08T15:00", 1),  # midnight Tokyo; the 8th was a holiday
        ("2d", "XNYS", "2024-01-02", "2024-01-08", 1),
        ("1w", "XNYS", "2024-01-01", "2024-01-15", 1),
        ("1h", "XNYS", "2024-01-04T20:00", "2024-01-05T14:00", 0),
        ("1h", "XNYS", "2024-01-04T16:00", "2024-01-04T19:00", 2),
        ("1h", "XNYS", "2024-01-04T18:00", "2024-01-05T16:00", 4),  # 19, 20; 14, 15: hours on the clock
        ("1h", "XNYS", "2024-01-04T18:30", "2024-01-05T15:30", 3),  # 19:30, 20:30; 14:30: hours of the session
        ("1m", "XNYS", "2013-07-03T16:59", "2013-07-05T13:30", 0),  # closed at 13:00 New York
        ("1m", "XNYS", "2013-07-03T16:58", "2013-07-05T13:30", 1),
        ("1m", "XNYS", "2013-11-27T20:59", "2013-12-02T14:30", 210),  # the half day after Thanksgiving
        ("1m", "XNYS", "2024-01-04T14:29", "2024-01-04T14:31", 1),
        ("1m", "XNYS", "2024-01-04T09:00", "2024-01-04T14:30", 0),  # before the open nothing is expected
        ("1m", "XNYS", "2024-01-04T20:50", "2024-01-04T23:00", 9),  # nor after the close
        ("1m", "XNYS", "2024-01-04T21:30", "2024-01-04T23:00", 0),
        ("1m", "XNYS", "2024-01-04T23:00", "2024-01-08T09:00", 390),
        ("4h", "XNYS", "2024-01-04T18:30", "2024-01-05T14:30", 0),
        ("1m", "XTKS", "2024-01-04T02:29", "2024-01-04T03:30", 0),  # the break from 11:30 to 12:30
        ("1m", "XTKS", "2024-01-04T02:20", "2024-01-04T03:35", 14),
        ("1m", "XTKS", "2024-01-04T02:20", "2024-01-05T00:00", 159),
        ("1h", "XTKS", "2024-01-04T02:00", "2024-01-04T04:00", 1),
        ("1m", "CMES", "2024-01-04T22:59", "2024-01-04T23:00", 0),  # one session after the other
        ("1m", "XSHG", "1985-01-04T02:00", "1985-01-04T05:00", 0),  # before the first session known
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


_ANNUAL = {"24x7": 365.25, "24x5": 260.0, "XNYS": 252.0, "NYSE": 252.0, "XLON": 253.0, "XTKS": 245.0, "AIXK": 245.0}


@pytest.mark.parametrize(("calendar", "number"), _ANNUAL.items())
def test_annual_days(calendar: str, number: float) -> None:
    assert annual_days(calendar) == number


@pytest.mark.parametrize(
    ("timeframe", "calendar", "number"),
    [
        ("1h", "24x7", 8766.0),
        ("1d", "24x7", 365.25),
        ("1w", "24x7", 365.25 / 7),
        ("1h", "24x5", 6240.0),
        ("1d", "24x5", 260.0),
        ("1w", "24x5", 365.25 / 7),
        ("1m", "XNYS", 252.0 * 390),
        ("15m", "XNYS", 6552.0),
        ("1h", "XNYS", 252.0 * 7),
        ("4h", "XNYS", 252.0 * 2),
        ("12h", "XNYS", 252.0),
        ("1d", "XNYS", 252.0),
        ("1w", "XNYS", 365.25 / 7),
        ("1m", "XTKS", 245.0 * 300),
        ("1m", "XKRX", 247.0 * 390),
    ],
)
def test_bars_per_year(timeframe: str, calendar: str, number: float) -> None:
    assert bars_per_year(Conventions(timeframe, calendar)) == number


def test_a_calendar_that_cannot_be_built_is_refused() -> None:
    with pytest.raises(DataError, match="cannot build the calendar of 'XTAE'"):
        missing_bars(at("2024-01-04", "2024-01-05"), Conventions("1d", "XTAE"))


@pytest.mark.parametrize("timeframe", ["1m", "1d"])
@pytest.mark.parametrize("calendar", ["24x7", "24x5", "XNYS"])
def test_no_bars_have_no_days_and_no_gaps(timeframe: str, calendar: str) -> None:
    for time in (at(), at("2024-01-04")):
        assert len(days(time, Conventions(timeframe, calendar))) == len(time)
        assert len(missing_bars(time, Conventions(timeframe, calendar))) == 0


@pytest.mark.parametrize("calendar", ["XNYS", "XTKS", "CMES", "XLON"])
def test_every_expected_bar_is_missing_once(calendar: str) -> None:
    """Of a year of minutes any may be left out: what is missing is what the sessions held of them."""
    known = exchange_sessions(calendar, *at("2023-03-01", "2023-06-01").tolist())
    minute = 60 * 10**9
    expected = np.concatenate([np.arange(o, c, minute) for o, c in zip(known.opens, known.closes, strict=True)])
    random = np.random.default_rng(1)
    keep = random.random(len(expected)) < 0.5
    keep[[0, -1]] = True
    outside = np.arange(expected[0], expected[-1], minute)[::7]
    got = missing_bars(np.union1d(expected[keep], outside), Conventions("1m", calendar))
    assert got.sum() == np.count_nonzero(~keep & ~np.isin(expected, outside))
    sessions = days(expected, Conventions("1m", calendar))
    assert np.unique(sessions).tolist() == known.label.tolist()


@pytest.mark.parametrize("rows", [0, 1, 2, 63, 64, 65, 66, 129, 5000])
@pytest.mark.parametrize("timeframe", ["1m", "1h", "1d"])
@pytest.mark.parametrize("calendar", ["24x7", "24x5", "XNYS"])
def test_a_day_ends_where_the_next_bar_has_another(calendar: str, timeframe: str, rows: int) -> None:
    days_end(Conventions(timeframe, calendar), rows)


@pytest.mark.parametrize("calendar", ["24x7", "24x5", "XNYS"])
def test_days_end_alike_where_more_bars_are_asked_than_at_once(calendar: str) -> None:
    days_end(Conventions("1h", calendar), 140_000)


def days_end(conventions: Conventions, rows: int) -> None:
    """All of them, found from the day of every bar."""
    random = np.random.default_rng(rows)
    time = at("2023-12-27T19:00")[0] + conventions.bar_ns * np.cumsum(random.choice([1, 1, 1, 40], rows))
    changes = np.diff(days(time, conventions), append=np.iinfo(np.int64).max) if rows else time
    assert day_ends(time, conventions).tolist() == np.flatnonzero(changes).tolist()

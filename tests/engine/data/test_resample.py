"""Resampling: every traded price in exactly one bar, every bar known at its own close and not before."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from engine.data.bars import COLUMNS, Bars, Conventions, Series
from engine.data.exchanges import exchange_sessions
from engine.data.resample import Resampled, check_timeframe, resample
from engine.data.sessions import ALWAYS, WEEKDAYS, days, in_weekend, missing_bars
from engine.errors import ConfigError
from engine.types import Times

MINUTE = 60 * 10**9
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def at(*stamps: str) -> Times:
    return np.array(stamps, dtype="datetime64[ns]").astype(np.int64)


def stamps(time: Times) -> list[str]:
    return [str(t) for t in time.astype("datetime64[ns]").astype("datetime64[m]")]


def made(time: Sequence[int] | Times, seed: int = 1) -> Series:
    """Rows with prices that differ from each other."""
    random = np.random.default_rng(seed)
    close = 100.0 + np.cumsum(random.normal(0, 0.1, len(time)))
    opened = np.append(100.0, close[:-1]) + random.normal(0, 0.01, len(time))
    high = np.maximum(opened, close) + random.random(len(time))
    low = np.minimum(opened, close) - random.random(len(time))
    volume = random.integers(1, 9, len(time)).astype(np.float64)
    return Series(np.asarray(time, dtype=np.int64), opened, high, low, close, volume)


def every(minutes: int, first: str, last: str) -> Times:
    start, end = at(first, last)
    return np.arange(start, end, minutes * MINUTE, dtype=np.int64)


def rows(series: Series, keep: Any) -> Series:
    return Series(series.time[keep], *(getattr(series, c)[keep] for c in COLUMNS), has_volume=series.has_volume)


def closes(got: Resampled) -> Times:
    return got.series.closes(got.conventions.bar_ns)


def new_york(first: str, last: str, minutes: int = 1, hours: tuple[str, str] = ("09:30", "15:59")) -> Times:
    """Minute opens of every weekday in New York hours, in UTC."""
    local = pd.date_range(first, last, freq=f"{minutes}min", tz="America/New_York")
    local = local[(local.day_of_week < 5)]
    local = local[local.indexer_between_time(*hours)]
    return np.asarray(local.tz_convert("UTC").tz_localize(None).as_unit("ns").asi8, dtype=np.int64)


@pytest.mark.parametrize("timeframe", ["5m", "1h", "4h", "1d"])
def test_24x7_bars_are_those_of_pandas(timeframe: str) -> None:
    series = made(every(1, "2024-01-01", "2024-01-09"))
    frame = pd.DataFrame({c: getattr(series, c) for c in COLUMNS}, index=pd.DatetimeIndex(series.time))
    how = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    expected = frame.resample(timeframe.replace("m", "min").replace("1d", "1D")).agg(how)
    got, conventions, info = resample(series, Conventions("1m", ALWAYS), timeframe)
    assert got.time.tolist() == expected.index.to_numpy().astype("datetime64[ns]").astype(np.int64).tolist()
    for column in COLUMNS:
        assert getattr(got, column).tolist() == expected[column].tolist()
    assert (conventions.timeframe, got.close_time, got.has_volume) == (timeframe, None, True)
    assert info == {
        "from": "1m",
        "to": timeframe,
        "dropped_first": False,
        "dropped_last": False,
        "outside_sessions": 0,
    }


def test_its_own_timeframe_is_the_series_itself() -> None:
    series, conventions = made(every(60, "2024-01-01", "2024-01-03")), Conventions("1h", ALWAYS)
    got = resample(series, conventions, "60m")
    assert got.series is series
    assert (got.conventions, got.info) == (conventions, None)
    assert got.digest() == series.digest(conventions)


@pytest.mark.parametrize(
    ("own", "timeframe"), [("1h", "15m"), ("1h", "90m"), ("1h", "36h"), ("1h", "2w"), ("2d", "1w")]
)
def test_other_timeframes_are_refused_with_those_that_are_possible(own: str, timeframe: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_timeframe(timeframe, Conventions(own, ALWAYS))
    (error,) = caught.value.fields
    assert (error.pointer, error.code) == ("/timeframe", "unavailable_timeframe")
    assert error.allowed == (("1h", "2h", "4h", "12h", "1d", "1w") if own == "1h" else ("2d",))
    assert all(name in error.message for name in error.allowed)


def test_a_missing_minute_makes_no_bar_incomplete() -> None:
    """T3: completeness is by the calendar, not by the number of rows."""
    time = new_york("2024-01-02", "2024-01-05")
    keep = (time != at("2024-01-03T15:00")[0]) & (time != at("2024-01-03T14:30")[0])
    whole = resample(made(time), Conventions("1m", "XNYS"), "1d")
    holed = resample(rows(made(time), keep), Conventions("1m", "XNYS"), "1d")
    assert holed.series.time.tolist() == whole.series.time.tolist()
    assert closes(holed).tolist() == closes(whole).tolist()
    assert holed.series.close.tolist() == whole.series.close.tolist()
    assert holed.series.volume[1] < whole.series.volume[1]


@pytest.mark.parametrize(
    ("first", "last", "dropped"),
    [
        ("2024-01-02T00:00", "2024-01-04T00:00", (False, False)),
        ("2024-01-02T00:01", "2024-01-04T00:00", (True, False)),
        ("2024-01-02T00:00", "2024-01-03T23:59", (False, True)),
        ("2024-01-01T23:59", "2024-01-04T00:01", (True, True)),
    ],
)
def test_incomplete_edges_are_dropped(first: str, last: str, dropped: tuple[bool, bool]) -> None:
    got = resample(made(every(1, first, last)), Conventions("1m", ALWAYS), "12h")
    assert got.info is not None
    assert (got.info["dropped_first"], got.info["dropped_last"]) == dropped
    inner = ["2024-01-02T00:00", "2024-01-02T12:00", "2024-01-03T00:00", "2024-01-03T12:00"]
    inner = inner[first == "2024-01-02T00:01" :]
    assert stamps(got.series.time) == inner[: len(inner) - (last == "2024-01-03T23:59")]


@pytest.mark.parametrize(
    ("first", "last"), [("2024-01-02T00:01", "2024-01-02T23:59"), ("2024-01-02", "2024-01-02T20:00")]
)
def test_no_complete_bar_is_refused(first: str, last: str) -> None:
    with pytest.raises(ConfigError, match="no complete bar of 1d is left of") as caught:
        resample(made(every(1, first, last)), Conventions("1m", ALWAYS), "1d")
    assert caught.value.fields[0].pointer == "/timeframe"


@pytest.mark.parametrize(
    ("timeframe", "first", "last", "dropped"),
    [
        ("1d", "14:30", "20:59", (False, False)),
        ("1d", "14:31", "20:59", (True, False)),
        ("1d", "14:30", "20:58", (False, True)),
        ("1d", "12:00", "23:00", (False, False)),
        ("1h", "14:30", "20:59", (False, False)),
        ("1h", "14:31", "20:58", (True, True)),
        ("2h", "14:30", "20:59", (False, False)),
        ("2h", "14:31", "20:58", (True, True)),
        ("1w", "14:30", "20:59", (False, True)),  # Monday was a holiday
    ],
)
def test_edges_are_complete_by_the_session(timeframe: str, first: str, last: str, dropped: tuple[bool, bool]) -> None:
    """From Tuesday to Thursday two weeks later, with the hours before and after."""
    time = new_york("2024-01-02", "2024-01-20", 1, ("04:00", "19:59"))
    start, end = at(f"2024-01-02T{first}", f"2024-01-18T{last}")
    got = resample(made(time[(time >= start) & (time <= end)]), Conventions("1m", "XNYS"), timeframe)
    assert got.info is not None
    assert (got.info["dropped_first"], got.info["dropped_last"]) == dropped


def test_a_symbol_with_volume_has_it_in_a_slice_without() -> None:
    series = replace(made(every(1, "2024-01-02", "2024-01-03")), has_volume=True)
    silent = replace(series, volume=np.zeros(len(series)))
    assert resample(silent, Conventions("1m", ALWAYS), "1h").series.has_volume is True


def test_the_last_minute_of_an_unfinished_bar_moves_nothing_earlier() -> None:
    """T2, for every bar: what comes after a bar's close does not change it, nor its close."""
    series, conventions = made(every(1, "2024-01-02", "2024-01-03")), Conventions("1m", ALWAYS)
    whole = resample(series, conventions, "1h")
    for cut in (61, 90, 119, 120, 121, 777):
        other = made(series.time, seed=2)
        mixed = Series(series.time, *(np.append(getattr(series, c)[:cut], getattr(other, c)[cut:]) for c in COLUMNS))
        got = resample(mixed, conventions, "1h")
        known = closes(whole) <= series.time[cut]
        for column in ("time", *COLUMNS):
            assert getattr(got.series, column)[known].tolist() == getattr(whole.series, column)[known].tolist()
        assert got.series.close[~known].tolist() != whole.series.close[~known].tolist()


@pytest.mark.parametrize(
    ("timeframe", "opens", "ends"),
    [
        ("1h", ["2024-03-08T14:00", "2024-03-08T15:00"], ["2024-03-08T15:00", "2024-03-08T16:00"]),
        ("2h", ["2024-03-08T14:30", "2024-03-08T16:30"], ["2024-03-08T16:30", "2024-03-08T18:30"]),
        ("45m", ["2024-03-08T14:30", "2024-03-08T15:15"], ["2024-03-08T15:15", "2024-03-08T16:00"]),
        ("1d", ["2024-03-08T14:30", "2024-03-11T13:30"], ["2024-03-08T21:00", "2024-03-11T20:00"]),
        ("1w", ["2024-03-04T14:30", "2024-03-11T13:30"], ["2024-03-08T21:00", "2024-03-15T20:00"]),
    ],
)
def test_exchange_bars_follow_the_session_over_a_clock_change(
    timeframe: str, opens: list[str], ends: list[str]
) -> None:
    first = "2024-03-04" if timeframe == "1w" else "2024-03-08"
    got = resample(made(new_york(first, "2024-03-16")), Conventions("1m", "XNYS"), timeframe)
    assert stamps(got.series.time)[:2] == opens
    assert stamps(closes(got))[:2] == ends


def test_the_last_bar_of_a_session_ends_with_it() -> None:
    """The day after Thanksgiving 2013 closed at 13:00."""
    time = np.append(new_york("2013-11-27", "2013-11-28"), new_york("2013-11-29", "2013-11-30", 1, ("09:30", "12:59")))
    got = resample(made(time), Conventions("1m", "XNYS"), "2h")
    assert stamps(got.series.time) == [
        *("2013-11-27T14:30", "2013-11-27T16:30", "2013-11-27T18:30", "2013-11-27T20:30"),
        *("2013-11-29T14:30", "2013-11-29T16:30"),
    ]
    assert stamps(closes(got))[3:] == ["2013-11-27T21:00", "2013-11-29T16:30", "2013-11-29T18:00"]
    assert got.info is not None
    assert not got.info["dropped_last"]
    daily = resample(made(time), Conventions("1m", "XNYS"), "1d")
    assert stamps(closes(daily)) == ["2013-11-27T21:00", "2013-11-29T18:00"]


def test_what_trades_outside_the_session_is_not_part_of_its_day() -> None:
    time = new_york("2024-01-03", "2024-01-05", 1, ("04:00", "19:59"))
    series, conventions = made(time), Conventions("1m", "XNYS")
    inside = rows(series, (time % DAY >= 14 * HOUR + 30 * MINUTE) & (time % DAY < 21 * HOUR))
    got, alone = resample(series, conventions, "1d"), resample(inside, conventions, "1d")
    for column in ("time", *COLUMNS):
        assert getattr(got.series, column).tolist() == getattr(alone.series, column).tolist()
    assert got.info is not None
    assert got.info["outside_sessions"] == 2 * (16 * 60 - 390)


def test_hours_before_and_after_the_session_keep_bars_of_their_own() -> None:
    time = new_york("2024-01-03", "2024-01-04", 1, ("04:00", "19:59"))
    got = resample(made(time), Conventions("1m", "XNYS"), "4h")
    assert stamps(got.series.time) == [
        "2024-01-03T09:00",  # 04:00 New York
        "2024-01-03T13:00",  # 08:00, cut at the open
        "2024-01-03T14:30",
        "2024-01-03T18:30",
        "2024-01-03T21:00",  # from the close
    ]
    assert stamps(closes(got)) == [*stamps(got.series.time)[1:], "2024-01-04T01:00"]


def test_bars_that_a_span_would_cut_are_known_before_it_closes() -> None:
    """Hours on the clock against a session from 9:30: as SPY's, stamped 09:00 for what trades from 9:30 on."""
    time = new_york("2024-01-03", "2024-01-05", 60, ("09:00", "15:00"))
    got = resample(made(time), Conventions("1h", "XNYS"), "2h")
    assert stamps(got.series.time)[:4] == [
        "2024-01-03T14:00",
        "2024-01-03T17:00",
        "2024-01-03T19:00",
        "2024-01-04T14:00",
    ]
    assert stamps(closes(got))[:3] == ["2024-01-03T17:00", "2024-01-03T19:00", "2024-01-03T21:00"]
    daily = resample(made(time), Conventions("1h", "XNYS"), "1d")
    assert (stamps(daily.series.time), daily.info and daily.info["outside_sessions"]) == (
        ["2024-01-03T14:00", "2024-01-04T14:00"],
        0,
    )
    four = resample(made(every(240, "2024-01-01T20:00", "2024-01-05T20:00")), Conventions("4h", WEEKDAYS), "1d")
    assert stamps(four.series.time) == ["2024-01-02T00:00", "2024-01-03T00:00", "2024-01-04T00:00"]
    assert stamps(closes(four)) == ["2024-01-03T00:00", "2024-01-04T00:00", "2024-01-05T00:00"]


@pytest.mark.parametrize(
    ("first", "last", "opens"),
    [
        ("2024-03-07T22:00", "2024-03-12T21:00", ["2024-03-07T22:00", "2024-03-10T21:00", "2024-03-11T21:00"]),
        ("2024-10-31T21:00", "2024-11-05T22:00", ["2024-10-31T21:00", "2024-11-03T22:00", "2024-11-04T22:00"]),
    ],
)
def test_24x5_days_end_at_17_new_york_over_clock_changes(first: str, last: str, opens: list[str]) -> None:
    time = every(1, first, last)
    time = time[missing_free(time)]
    got = resample(made(time), Conventions("1m", WEEKDAYS), "1d")
    assert stamps(got.series.time) == opens
    assert got.series.close_time is None
    four = resample(made(time), Conventions("1m", WEEKDAYS), "4h")
    assert [s for s in stamps(four.series.time) if s in opens] == opens
    assert len(four.series) == 18


def missing_free(time: Times) -> Any:
    """Which moments lie in the 24x5 week, by the standard library's rules rather than ours."""
    local = pd.DatetimeIndex(time).tz_localize("UTC").tz_convert("America/New_York")
    since = local.day_of_week * 24 + local.hour
    return np.asarray((since < 4 * 24 + 17) | (since >= 6 * 24 + 17))


def test_24x5_weeks() -> None:
    time = every(60, "2024-03-03T22:00", "2024-03-22T21:00")
    time = time[missing_free(time)]
    got = resample(made(time), Conventions("1h", WEEKDAYS), "1w")
    assert stamps(got.series.time) == ["2024-03-03T22:00", "2024-03-10T21:00", "2024-03-17T21:00"]
    assert stamps(closes(got)) == ["2024-03-08T22:00", "2024-03-15T21:00", "2024-03-22T21:00"]
    assert not missing_bars(got.series.time, got.conventions).any()
    three = resample(made(time), Conventions("1h", WEEKDAYS), "3d")
    assert not in_weekend(three.series.time).any()


@pytest.mark.parametrize("calendar", [ALWAYS, WEEKDAYS, "XNYS", "XTKS", "CMES"])
@pytest.mark.parametrize("timeframe", ["45m", "1h", "3h", "5h", "1d", "3d", "1w"])
def test_every_row_is_in_one_bar_and_no_bar_closes_before_its_rows(calendar: str, timeframe: str) -> None:
    random = np.random.default_rng(3)
    time = every(15, "2024-02-20", "2024-04-20")
    time = time[random.random(len(time)) < 0.7]
    series, conventions = made(time), Conventions("15m", calendar)
    got = resample(series, conventions, timeframe)
    opened, closed = got.series.time, closes(got)
    assert (opened < closed).all()
    assert (closed[:-1] <= opened[1:]).all()
    assert (np.diff(days(opened, got.conventions)) >= 0).all()
    inside = np.searchsorted(opened, time, side="right") - 1
    ok = (inside >= 0) & (time + 15 * MINUTE <= closed[np.maximum(inside, 0)])
    if got.conventions.bar_ns >= DAY and calendar not in (ALWAYS, WEEKDAYS):
        known = exchange_sessions(calendar, int(time[0]), int(time[-1]))
        opens, ends = known.hours
        session = np.searchsorted(opens, time, side="right") - 1
        ok &= (session >= 0) & (time < ends[session])
    assert got.series.volume.sum() == series.volume[ok].sum()
    assert got.series.high.max() == series.high[ok].max()
    assert got.series.open.tolist() == series.open[ok][np.searchsorted(time[ok], opened)].tolist()
    bars = Bars.of("A", got.series, got.conventions)
    assert bars.close_time.tolist() == closed.tolist()


@pytest.mark.parametrize("calendar", ["XNYS", "XTKS", "XLON", "CMES"])
def test_days_of_resampled_bars_are_the_sessions_of_their_rows(calendar: str) -> None:
    time = every(15, "2024-02-20", "2024-04-20")
    daily = resample(made(time), Conventions("15m", calendar), "1d")
    sessions = days(daily.series.time, daily.conventions)
    assert (np.diff(sessions) > 0).all()
    assert sessions.tolist() == days(daily.series.time, Conventions("15m", calendar)).tolist()
    assert not missing_bars(daily.series.time, daily.conventions).any()

"""Resampled bars in runs, digests and further resampling."""

import subprocess
import sys
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest

import engine
from engine.data.bars import COLUMNS, Conventions, Dataset
from engine.data.resample import _extra, resample
from engine.data.sessions import ALWAYS, WEEKDAYS
from tests.engine.data.test_resample import at, closes, every, made, missing_free, new_york, rows, stamps

MINUTE = 60 * 10**9
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def test_daily_rows_make_weeks() -> None:
    """2024-01-15 and 2024-02-19 were holidays; rows carry the session's date at midnight UTC."""
    day = np.arange(*at("2024-01-04", "2024-02-29") // DAY)
    day = day[(np.isin((day + 3) % 7, range(5))) & ~np.isin(day, at("2024-01-15", "2024-02-19") // DAY)]
    got = resample(made(day * DAY), Conventions("1d", "XNYS"), "1w")
    assert stamps(got.series.time)[:2] == ["2024-01-08T00:00", "2024-01-16T00:00"]
    assert stamps(closes(got))[:2] == ["2024-01-13T00:00", "2024-01-20T00:00"]
    assert got.info is not None
    assert (got.info["dropped_first"], got.info["dropped_last"]) == (True, True)


LABELS: dict[Literal["open", "close"], int] = {"open": 0, "close": 60}


@pytest.mark.parametrize("calendar", [ALWAYS, WEEKDAYS, "XNYS"])
def test_the_label_changes_stamps_and_nothing_else(calendar: str, tmp_path: Any) -> None:
    """T1: the same bars, stamped at their open and at their close, give the same run."""
    series = made(new_york("2024-01-02", "2024-02-01"))
    results = []
    for label, seconds in LABELS.items():
        stamped = pd.to_datetime(series.time + seconds * 10**9, utc=True).strftime("%Y-%m-%dT%H:%M:%SZ")
        frame = pd.DataFrame({"time": stamped, **{c: getattr(series, c) for c in COLUMNS}})
        frame.to_csv(tmp_path / f"{label}.csv", index=False)
        data = engine.load(tmp_path / f"{label}.csv", symbol="A", label=label, calendar=calendar, timeframe="1m")
        results.append(engine.run(config("30m"), data))
    first, second = results
    assert first.bars.time.tolist() == second.bars.time.tolist()
    assert first.ledger.equity.tolist() == second.ledger.equity.tolist()
    assert len(first.ledger.fills) > 0


def config(timeframe: str, **changes: Any) -> dict[str, Any]:
    strategy = {"name": "dual_sma", "params": {"fast": 2, "slow": 5}}
    return {"dataset": "made", "symbols": ["A"], "timeframe": timeframe, "strategy": strategy} | changes


def test_a_run_slices_rows_and_then_makes_bars_of_them() -> None:
    series, conventions = made(every(1, "2024-01-01", "2024-01-21")), Conventions("1m", ALWAYS)
    data = Dataset("made", conventions, {"A": series})
    window = {"start": "2024-01-02T00:30:00Z", "fraction": 0.5, "portion": 1}
    result = engine.run(config("4h", **window), data)
    inner = series.between(int(at("2024-01-02T00:30")[0]), None)
    got = resample(inner.slice(0, len(inner) // 2), conventions, "4h")
    assert result.bars.time.tolist() == got.series.time.tolist()
    assert result.digests == {"A": got.digest()}
    assert result.config.timeframe == "4h"
    report = result.data_report["symbols"]["A"]
    assert report["resampled"]["dropped_first"] is True
    assert (report["start"], report["rows"]) == ("2024-01-02T04:00:00Z", len(got.series))
    assert any("bars of 4h are made of bars of 1m" in line for line in result.assumptions)
    again = engine.run(result.config.plain(), data)
    assert again.hash == result.hash
    assert engine.run(config("240m", **window), data).hash == result.hash
    assert engine.run(config("2h", **window), data).hash != result.hash


def test_the_digest_covers_closes_and_what_was_done() -> None:
    conventions = Conventions("1m", "XNYS")
    time = new_york("2024-01-03", "2024-01-06", 1, ("04:00", "19:59"))
    extended = resample(made(time), conventions, "1d")
    inside = rows(made(time), (time % DAY >= 14 * HOUR + 30 * MINUTE) & (time % DAY < 21 * HOUR))
    regular = resample(inside, conventions, "1d")
    assert extended.series.digest(extended.conventions) == regular.series.digest(regular.conventions)
    assert extended.digest() != regular.digest()
    moved = replace(regular.series, close_time=closes(regular) + HOUR)
    assert moved.digest(regular.conventions) != regular.series.digest(regular.conventions)


def test_only_exchanges_load_their_calendars() -> None:
    """The packages behind them take seconds to import; crypto and currencies do without."""
    program = """
import sys, engine
from engine.data import synthetic
data = synthetic.market(bars=2000, timeframe="1h", calendar=sys.argv[1])
strategy = {"name": "dual_sma", "params": {"fast": 2, "slow": 5}}
engine.run({"dataset": "made", "symbols": ["SYNTH"], "timeframe": "4h", "strategy": strategy}, data)
print(sorted({"pandas", "exchange_calendars"} & set(sys.modules)))
"""
    for calendar in (ALWAYS, WEEKDAYS):
        done = subprocess.run([sys.executable, "-c", program, calendar], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("calendar", [ALWAYS, WEEKDAYS, "XNYS"])
@pytest.mark.parametrize(("between", "timeframe"), [("15m", "1h"), ("30m", "4h"), ("30m", "1d"), ("1d", "1w")])
def test_bars_of_bars_are_bars_of_the_rows(calendar: str, between: str, timeframe: str) -> None:
    time = new_york("2024-02-26", "2024-04-20", 5) if calendar == "XNYS" else every(5, "2024-02-25T22:00", "2024-04-21")
    series, conventions = made(time[missing_free(time)]), Conventions("5m", calendar)
    once, middle = resample(series, conventions, timeframe), resample(series, conventions, between)
    twice = resample(middle.series, middle.conventions, timeframe)
    assert len(once.series) == len(twice.series)
    for column in COLUMNS:
        expected = pytest.approx(getattr(once.series, column).tolist(), rel=1e-12)
        assert getattr(twice.series, column).tolist() == expected
    if between != "1d":  # rows of a day say when their session is, not when it opens
        assert twice.series.time.tolist() == once.series.time.tolist()
        assert closes(twice).tolist() == closes(once).tolist()


def test_extra_columns_keep_the_last_value_and_vwap_its_mean_by_volume() -> None:
    values, volume = np.array([1.0, 2.0, 4.0, np.nan, 7.0]), np.array([1.0, 3.0, 1.0, 0.0, 0.0])
    first, last = np.array([0, 2, 4]), np.array([1, 3, 4])
    assert _extra("vwap", values, volume, first, last).tolist() == [1.75, 4.0, 7.0]
    assert _extra("funding", values, volume, first, last)[[0, 2]].tolist() == [2.0, 7.0]

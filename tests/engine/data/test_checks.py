from typing import Any

import numpy as np
import pytest

from engine.data.bars import Conventions, Series
from engine.data.checks import Rows, check, describe_rows, refuse, stamp
from engine.data.policy import parse_policy
from engine.errors import DataError

MINUTE = 60 * 10**9
DAY = 86_400 * 10**9
MONDAY = 1_704_067_200 * 10**9  # 2024-01-01
M1 = Conventions(timeframe="1m", calendar="24x7")


def good(rows: int = 60) -> dict[str, Any]:
    base = 100.0 + np.sin(np.arange(rows))
    return {
        "time": MONDAY + MINUTE * np.arange(rows, dtype=np.int64),
        "open": base,
        "high": base + 2.0,
        "low": base - 2.0,
        "close": base + 1.0,
        "volume": np.full(rows, 5.0),
    }


def found(
    columns: dict[str, Any], conventions: Conventions = M1, marks: dict[str, list[int]] | None = None
) -> dict[str, Any]:
    rows = len(columns["time"])
    flags = {n: np.isin(np.arange(rows), (marks or {}).get(n, [])) for n in ("unparsable", "unresolved")}
    both = Rows(np.arange(rows) + 1, Series(**columns), **flags)
    kept, findings = check(both, conventions, parse_policy("drop"))
    assert (np.diff(kept.time) > 0).all()
    return {f["code"]: f for f in findings} | {"kept": len(kept)}


def spoil(column: str, value: float, row: int = 10) -> dict[str, Any]:
    columns = good()
    columns[column][row] = value
    return columns


def test_good_rows_have_no_findings() -> None:
    assert found(good()) == {"kept": 60}


@pytest.mark.parametrize(
    ("column", "value", "code"),
    [
        ("open", np.nan, "non_finite_price"),
        ("high", np.inf, "non_finite_price"),
        ("low", 0.0, "non_positive_price"),
        ("low", -1.0, "non_positive_price"),
        ("high", 50.0, "ohlc_incoherent"),
        ("low", 150.0, "ohlc_incoherent"),
        ("close", 104.0, "ohlc_incoherent"),
        ("low", 99.9, "ohlc_incoherent"),
        ("volume", np.nan, "non_finite_volume"),
        ("volume", -1.0, "non_finite_volume"),
    ],
)
def test_a_bad_value_is_found_where_it_is_and_dropped(column: str, value: float, code: str) -> None:
    result = found(spoil(column, value))
    assert result["kept"] == 59
    assert (result[code]["count"], result[code]["rows"]) == (1, [11])
    assert result[code]["action"] == "dropped"


def test_float_artefacts_are_coherent_and_more_is_not() -> None:
    columns = good()
    columns["high"][3] = columns["close"][3] = 102.0
    columns["high"][3] -= 1e-8
    assert "ohlc_incoherent" not in found(columns)
    columns["high"][3] -= 1e-6
    assert found(columns)["ohlc_incoherent"]["rows"] == [4]


@pytest.mark.parametrize(("mark", "code"), [("unparsable", "unparsable_time"), ("unresolved", "unresolved_local_time")])
def test_rows_without_a_time_are_findings(mark: str, code: str) -> None:
    assert found(good(), marks={mark: [4, 7]})[code]["rows"] == [5, 8]


def test_a_step_back_and_a_repeat_are_told_apart() -> None:
    columns = good()
    columns["time"][20] = columns["time"][17]
    columns["time"][30] = columns["time"][29]
    result = found(columns)
    assert result["out_of_order"]["rows"] == [21]
    assert result["duplicate_time"]["rows"] == [31]
    assert result["kept"] == 58


def test_a_duplicate_of_a_bad_row_stays() -> None:
    columns = spoil("open", np.nan, 29)
    columns["time"][30] = columns["time"][29]
    assert "duplicate_time" not in found(columns)


def test_overlap_is_against_the_timeframe_and_lets_a_short_local_day_pass() -> None:
    columns = good()
    columns["time"][20] -= MINUTE // 2
    assert found(columns)["overlapping_bars"]["rows"] == [21]
    columns["time"] = MONDAY + DAY * np.arange(60, dtype=np.int64)
    columns["time"][30:] -= 3600 * 10**9
    daily = Conventions(timeframe="1d", calendar="24x7")
    assert "overlapping_bars" not in found(columns, daily)
    columns["time"][30:] -= 1
    assert found(columns, daily)["overlapping_bars"]["count"] == 1


def test_zero_volume_counts_only_where_there_is_volume() -> None:
    assert found(spoil("volume", 0.0))["zero_volume"]["rows"] == [11]
    assert "zero_volume" not in found(good() | {"volume": np.zeros(60)})


@pytest.mark.parametrize(("length", "stuck"), [(49, False), (50, True)])
def test_stuck_prices_need_fifty_bars(length: int, stuck: bool) -> None:
    columns = good()
    for name in ("open", "high", "low", "close"):
        columns[name][5 : 5 + length] = 101.0
    assert ("stuck_prices" in found(columns)) is stuck
    if stuck:
        assert found(columns)["stuck_prices"]["count"] == length


@pytest.mark.parametrize(("factor", "jumps"), [(2.9, 0), (3.5, 1), (0.3, 1), (0.4, 0)])
def test_price_jump_both_ways(factor: float, jumps: int) -> None:
    columns = good()
    for name in ("open", "high", "low", "close"):
        columns[name] = np.full(60, 100.0)
        columns[name][30:] *= factor
    columns["volume"] = np.arange(60) + 1.0
    result = found(columns)
    assert result.get("price_jump", {"count": 0})["count"] == jumps


def test_gaps_say_how_many_and_how_long() -> None:
    columns = good()
    columns["time"][30:] += 7 * MINUTE
    gap = found(columns)["gaps"]
    assert (gap["count"], gap["rows"], gap["action"]) == (1, [31], "kept")
    assert "at most 7 at once" in gap["message"]


def test_unaligned_opens() -> None:
    columns = good()
    columns["time"] = columns["time"] + 10**9
    assert found(columns)["unaligned"]["count"] == 60


def test_refusal_names_rows_counts_and_the_way_out() -> None:
    rows = Rows(np.arange(60) + 1, Series(**spoil("open", np.nan)), np.zeros(60, bool), np.zeros(60, bool))
    findings = check(rows, M1, parse_policy("refuse"))[1]
    report = {"symbols": {"X": {"findings": findings}}}
    with pytest.raises(DataError, match=r"X: non_finite_price in 1 row.*rows 11.*on_bad_rows=drop") as error:
        refuse(report, "f.csv")
    assert error.value.details["report"] == report
    refuse({"symbols": {"X": {"findings": check(rows, M1, parse_policy("drop"))[1]}}}, "f.csv")


def test_describe_rows() -> None:
    columns = good()
    columns["time"][30:] += 2 * MINUTE
    columns["volume"][3] = 0.0
    for name in ("open", "high", "low", "close"):
        columns[name][8] = 100.0
    assert describe_rows(Series(**columns), M1) == {
        "rows": 60,
        "start": "2024-01-01T00:00:00Z",
        "end": "2024-01-01T01:02:00Z",
        "gaps": {"count": 1, "longest_bars": 2},
        "zero_volume": 1,
        "flat_bars": 1,
        "price_jumps": 0,
        "price_spikes": 0,
    }
    columns["high"][[3, 9]] = 400.0
    columns["low"][12] = 30.0
    assert describe_rows(Series(**columns), M1)["price_spikes"] == 3
    empty = describe_rows(Series(**columns).slice(0, 0), M1)
    assert (empty["rows"], empty["start"], empty["gaps"]["count"]) == (0, None, 0)


def test_stamps_show_a_fraction_only_where_there_is_one() -> None:
    assert stamp(0) == "1970-01-01T00:00:00Z"
    assert stamp(1).endswith("00.000000001Z")

"""A run beside a benchmark: the same days, what both earn from the run's first open on, and nothing from outside."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import engine
from engine.data.bars import Conventions, Dataset, Series
from engine.data.synthetic import market
from engine.errors import ConfigError
from engine.metrics.core import DEFINITIONS
from engine.metrics.definitions import RELATIVE
from engine.outcome import Result
from tests.engine.test_pipeline import DAY, FREE, HOLD, HOUR, config, dataset, gappy, lively, ruin, series

NAMES = [definition.name for definition in RELATIVE]
MARKET = market(bars=24 * 60, seed=3).series["SYNTH"]
OTHER = market(bars=24 * 60, seed=4).series["SYNTH"]
DATA = dataset(A=MARKET, B=OTHER)


def values(result: Result) -> dict[str, float | None]:
    return {name: result.metrics[name].value for name in NAMES}


def compared(data: Dataset = DATA, **changes: Any) -> Result:
    return engine.run(config(**({"benchmark": "B"} | changes)), data)


def equity_by_day(result: Result) -> Any:
    """Equity before the first day and at the end of each, read from the table of bars."""
    days = (result.bars.close_time - 1) // DAY
    last = np.flatnonzero(np.diff(days, append=days[-1] + 1))
    return np.concatenate(([result.ledger.initial_capital], result.ledger.equity[last]))


def test_without_a_benchmark_what_compares_is_null_with_a_reason() -> None:
    result = engine.run(config(), DATA)
    assert {result.metrics[name].reason for name in NAMES} == {"no benchmark is named"}
    assert set(values(result).values()) == {None}
    assert [name for name in DEFINITIONS if name in NAMES] == NAMES


def test_every_number_against_a_restatement() -> None:
    result = compared()
    wealth = equity_by_day(result)
    price = np.concatenate((OTHER.open[:1], OTHER.close[23::24]))
    r, b = wealth[1:] / wealth[:-1] - 1.0, price[1:] / price[:-1] - 1.0
    assert len(r) == len(b) == 60
    slope, level = np.polyfit(b, r, 1)
    up, down = b > 0.0, b < 0.0

    def captured(days: Any) -> float:
        strategy, other = (np.prod(1.0 + x[days]) ** (1.0 / days.sum()) - 1.0 for x in (r, b))
        return float(strategy / other)

    expected = {
        "alpha": level * 365.25,
        "beta": slope,
        "benchmark_correlation": np.corrcoef(r, b)[0, 1],
        "tracking_error": (r - b).std(ddof=1) * np.sqrt(365.25),
        "information_ratio": (r - b).mean() / (r - b).std(ddof=1) * np.sqrt(365.25),
        "up_capture": captured(up),
        "down_capture": captured(down),
    }
    assert values(result) == {name: pytest.approx(value, rel=1e-9) for name, value in expected.items()}


def test_a_symbol_held_beside_itself() -> None:
    """Bought at the second open, free of cost: all that differs is what the first bar did."""
    quiet = replace(MARKET, open=MARKET.open.copy(), close=MARKET.close.copy())
    quiet.open[1] = quiet.close[0] = quiet.open[0]
    result = compared(dataset(A=quiet), strategy=HOLD, execution=FREE, benchmark="A")
    assert result.metrics["beta"].value == pytest.approx(1.0, abs=1e-12)
    assert result.metrics["benchmark_correlation"].value == pytest.approx(1.0, abs=1e-12)
    assert result.metrics["alpha"].value == pytest.approx(0.0, abs=1e-9)
    assert result.metrics["tracking_error"].value == pytest.approx(0.0, abs=1e-9)
    assert result.rows == {("A", result.digests["A"])}


def test_what_the_benchmark_did_outside_the_period_changes_nothing() -> None:
    period: dict[str, Any] = {"start": "2020-01-11T00:00:00Z", "end": "2020-02-10T00:00:00Z"}
    before = compared(**period)
    inside = (OTHER.time >= before.bars.time[0]) & (OTHER.time <= before.bars.time[-1])
    wild: dict[str, Any] = {c: np.where(inside, getattr(OTHER, c), 7.0) for c in ("open", "high", "low", "close")}
    after = compared(dataset(A=MARKET, B=replace(OTHER, **wild)), **period)
    assert after.hash == before.hash
    assert after.metrics == before.metrics
    first = int(np.argmax(inside))
    for at in (first, first + 24 * 29 + 23):  # the first bar and the last one inside
        touched = replace(OTHER, open=OTHER.open.copy(), close=OTHER.close.copy())
        touched.open[at] *= 1.01
        touched.close[at] *= 1.02
        moved = compared(dataset(A=MARKET, B=touched), **period)
        assert moved.hash != before.hash
        assert values(moved) != values(before)
        assert moved.ledger.equity.tolist() == before.ledger.equity.tolist()


def test_the_benchmark_is_part_of_the_identity_even_where_it_is_traded() -> None:
    hashes = {compared(benchmark=name).hash for name in (None, "A", "B")}
    assert len(hashes) == 3
    both = compared(symbols=["A", "B"])
    assert both.rows == {(s, both.digests[s]) for s in "AB"}
    assert both.digests["/benchmark"] == both.digests["B"]
    assert both.config.window.needed == ("A", "B")
    assert compared().config.window.needed == ("A", "B")


def test_where_it_has_no_bar_the_last_close_holds_and_the_run_says_so() -> None:
    gap = np.r_[0 : 24 * 10, 24 * 13 + 5 : len(OTHER)]
    result = compared(dataset(A=MARKET, B=OTHER.take(gap)))
    wealth = equity_by_day(result)
    price = np.concatenate((OTHER.open[:1], OTHER.close[23::24]))
    price[11:14] = price[10]
    r, b = wealth[1:] / wealth[:-1] - 1.0, price[1:] / price[:-1] - 1.0
    assert result.metrics["beta"].value == pytest.approx(np.polyfit(b, r, 1)[0], rel=1e-9)
    (told,) = [w for w in result.warnings if w["code"] == "BENCHMARK_IDLE"]
    assert told["message"] == "B has no close on 3 of 60 days: the one before holds there"
    assert not [w for w in compared().warnings if w["code"] == "BENCHMARK_IDLE"]


def test_one_that_begins_late_stands_at_its_first_open_until_then() -> None:
    late = OTHER.slice(24 * 10 + 7, len(OTHER))
    result = compared(dataset(A=MARKET, B=late))
    wealth = equity_by_day(result)
    price = np.concatenate((np.full(11, late.open[0]), OTHER.close[24 * 11 - 1 :: 24]))
    r, b = wealth[1:] / wealth[:-1] - 1.0, price[1:] / price[:-1] - 1.0
    assert result.metrics["beta"].value == pytest.approx(np.polyfit(b, r, 1)[0], rel=1e-9)


def test_bars_that_alignment_left_out_are_before_the_beginning() -> None:
    """Three symbols, and the account begins with the first bar that all of those it trades have."""
    late, first = OTHER.slice(24 * 10 + 7, len(OTHER)), 24 * 10 + 7
    third = market(bars=24 * 60, seed=9).series["SYNTH"]
    result = compared(dataset(A=MARKET, B=late, C=third), symbols=["A", "B"], benchmark="C")
    wealth = equity_by_day(result)
    price = np.concatenate((third.open[[first]], third.close[24 * 11 - 1 :: 24]))
    r, b = wealth[1:] / wealth[:-1] - 1.0, price[1:] / price[:-1] - 1.0
    assert len(r) == len(b) == 50
    assert result.metrics["beta"].value == pytest.approx(np.polyfit(b, r, 1)[0], rel=1e-9)


def test_a_bar_without_prices_is_passed_over() -> None:
    holed = replace(OTHER, close=OTHER.close.copy())
    holed.close[24 * 5 + 23] = np.nan
    result = compared(dataset(A=MARKET, B=holed))
    wealth = equity_by_day(result)
    price = np.concatenate((OTHER.open[:1], OTHER.close[23::24]))
    price[6] = OTHER.close[24 * 5 + 22]
    r, b = wealth[1:] / wealth[:-1] - 1.0, price[1:] / price[:-1] - 1.0
    assert result.metrics["beta"].value == pytest.approx(np.polyfit(b, r, 1)[0], rel=1e-9)


@pytest.mark.parametrize("other", [OTHER.slice(0, 100), replace(OTHER, close=np.full(len(OTHER), np.nan))])
@pytest.mark.parametrize("mode", ["portfolio", "independent"])
def test_a_benchmark_without_a_bar_in_the_period_is_refused(other: Series, mode: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compared(dataset(A=MARKET, B=other), start="2020-01-20T00:00:00Z", portfolio={"mode": mode})
    assert "B has no bar with prices in the period" in caught.value.message


def test_an_unknown_benchmark_is_a_field_error() -> None:
    with pytest.raises(ConfigError) as caught:
        compared(benchmark="BB")
    (found,) = caught.value.fields
    assert (found.pointer, found.code, found.allowed) == ("/benchmark", "unknown_symbol", ("A", "B"))


def test_independent_accounts_and_their_sum_each_have_theirs() -> None:
    data = dataset(A=lively(1), B=lively(2).slice(40, 300), C=lively(3))
    asked = config(symbols=["A", "B"], benchmark="C", portfolio={"mode": "independent"})
    result = engine.run(asked, data)
    for symbol in ("A", "B"):
        alone = engine.run(config(symbols=[symbol], benchmark="C"), data)
        assert result.parts[symbol].hash == alone.hash
        assert result.parts[symbol].metrics == alone.metrics
        assert alone.metrics["beta"].value is not None
    assert result.metrics["beta"].value not in {None, *(p.metrics["beta"].value for p in result.parts.values())}
    assert result.digests.keys() == {"A", "B", "/benchmark"}


def test_bars_of_a_longer_timeframe_compare_with_bars_of_that_timeframe() -> None:
    """Without the last hours of the last day, which is dropped: nothing of the benchmark after the run's end counts."""
    cut = MARKET.slice(0, 24 * 50 + 5)
    result = compared(dataset(A=cut, B=OTHER), timeframe="1d")
    price = np.concatenate((OTHER.open[:1], OTHER.close[23 : 24 * 50 : 24]))
    wealth = np.concatenate(([1e5], result.ledger.equity))
    assert len(wealth) == len(price) == 51
    r, b = wealth[1:] / wealth[:-1] - 1.0, price[1:] / price[:-1] - 1.0
    assert result.metrics["beta"].value == pytest.approx(np.polyfit(b, r, 1)[0], rel=1e-9)


def test_the_benchmark_of_sessions_is_that_of_the_same_sessions() -> None:
    """Half-hour rows that begin at 9:15: the session of the exchange begins and ends inside one."""
    rng, days = np.random.default_rng(5), np.arange(18_270, 18_290)  # 2020-01-09 on
    time = np.concatenate([day * DAY + 14 * HOUR + HOUR // 4 + np.arange(14) * (HOUR // 2) for day in days])
    closes = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, len(time))))
    rows = series(closes)
    data = Dataset("made", Conventions(timeframe="30m", calendar="XNYS"), {"A": replace(rows, time=time)})
    itself = compared(data, timeframe="1d", benchmark="A", strategy=HOLD)
    assert itself.digests["/benchmark"] == itself.digests["A"]


def test_ruin_leaves_nothing_to_compare() -> None:
    result = compared(dataset(A=ruin(), B=gappy()))
    assert result.ledger.ruined_bar > 0
    assert {result.metrics[name].reason for name in NAMES} == {"equity is at or below zero"}

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import engine
from engine.data.bars import Series
from engine.outcome import Result
from engine.tables import ROLLING_DAYS, STAMP
from tests.engine.test_pipeline import DAY, FREE, HOLD, HOUR, START, backtest, config, dataset, gappy, ruin, series

F, S, I, B = pl.Float64(), pl.String(), pl.Int64(), pl.Boolean()  # noqa: E741 - a legend

COLUMNS: dict[str, dict[str, pl.DataType]] = {
    "equity": {
        "timestamp": STAMP, "equity": F, "cash": F, "positions_value": F, "gross_exposure": F,
        "net_exposure": F, "drawdown": F, "returns": F, "n_positions": I,
    },
    "trades": {
        "trade_id": I, "symbol": S, "side": S, "status": S, "entry_time": STAMP, "entry_price": F,
        "exit_time": STAMP, "exit_price": F, "quantity": F, "entry_commission": F, "exit_commission": F,
        "entry_slippage": F, "exit_slippage": F, "borrow_cost": F, "pnl_gross": F, "pnl_net": F,
        "return_pct": F, "bars_held": I, "exit_reason": S, "entry_signal": F, "exit_signal": F,
        "stop_level": F, "target_level": F, "mfe": F, "mae": F, "mfe_pct": F, "mae_pct": F,
        "correlation_adjusted": B, "correlation_partner": S,
    },
    "fills": {
        "fill_id": I, "order_id": I, "time": STAMP, "symbol": S, "side": S, "leg": S, "quantity": F,
        "price": F, "commission": F, "slippage": F, "reason": S,
    },
    "orders": {
        "order_id": I, "symbol": S, "decided_at": STAMP, "side": S, "target_weight": F, "quantity": F,
        "outcome": S, "reason": S, "filled_at": STAMP, "fill_price": F, "filled_quantity": F,
        "commission": F, "slippage": F, "scale": F, "scale_reason": S,
    },
    "rolling": {"timestamp": STAMP, "rolling_sharpe": F},
}  # fmt: skip

RUNS = {"ordinary": gappy(), "ruin": ruin(), "without a trade": series([5.0] * 30), "one bar": series([5.0])}


@pytest.mark.parametrize("prices", RUNS.values(), ids=RUNS)
@pytest.mark.parametrize("name", COLUMNS)
def test_columns_are_those_of_the_contract(name: str, prices: Series) -> None:
    table = backtest(prices).tables[name]
    assert list(table.schema.items()) == list(COLUMNS[name].items())


@pytest.mark.parametrize("prices", RUNS.values(), ids=RUNS)
def test_undefined_is_null_never_nan(prices: Series) -> None:
    for table in backtest(prices).tables.values():
        assert not any(c.is_nan().any() for c in table if c.dtype == F)


def test_there_are_these_tables() -> None:
    assert tuple(COLUMNS) == tuple(backtest(gappy()).tables)


def test_a_run_without_a_trade_has_empty_tables() -> None:
    tables = backtest(series([5.0] * 30)).tables
    assert [len(tables[n]) for n in COLUMNS] == [30, 0, 0, 0, 0]
    assert tables["equity"]["equity"].unique().to_list() == [100_000.0]


def nanoseconds(column: pl.Series) -> list[int]:
    return column.dt.timestamp("ns").to_list()


def test_decisions_and_equity_carry_the_close_and_fills_the_open() -> None:
    tables = backtest(series([10.0, 12.0, 15.0]), strategy=HOLD).tables
    assert nanoseconds(tables["equity"]["timestamp"]) == [START + h * HOUR for h in (1, 2, 3)]
    assert nanoseconds(tables["orders"]["decided_at"]) == [START + HOUR]
    assert nanoseconds(tables["orders"]["filled_at"]) == [START + HOUR]
    assert nanoseconds(tables["fills"]["time"]) == [START + HOUR]
    assert nanoseconds(tables["trades"]["entry_time"]) == [START + HOUR]


def both(prices: Series) -> Result:
    return backtest(prices, execution=FREE)


def test_ids_join_and_quantities_are_absolute() -> None:
    tables = both(gappy()).tables
    joined = tables["fills"].join(tables["orders"], on="order_id", suffix="_order")
    assert len(joined) == len(tables["fills"]) > 10
    assert joined.filter(pl.col("side") != pl.col("side_order")).is_empty()
    for name in ("fills", "orders", "trades"):
        assert tables[name]["quantity"].min() > 0.0  # type: ignore[operator]
    filled = tables["fills"].group_by("order_id").agg(pl.col("quantity").sum()).sort("order_id")
    orders = tables["orders"].filter(pl.col("outcome") == "FILLED").sort("order_id")
    assert filled["quantity"].to_list() == pytest.approx(orders["filled_quantity"].to_list())


def test_an_order_says_why_it_did_not_fill_or_filled_smaller() -> None:
    orders = backtest(gappy(), execution={"commission": {"bps": 50.0}}).tables["orders"]
    scaled = orders.filter(pl.col("scale") < 1.0)
    assert set(scaled["scale_reason"]) == {"NO_CASH"}
    assert orders.filter(pl.col("scale") == 1.0)["scale_reason"].is_null().all()
    last = backtest(gappy(count=1), strategy=HOLD).tables["orders"].row(0, named=True)
    assert (last["outcome"], last["reason"], last["filled_at"]) == ("UNFILLED", "END_OF_DATA", None)
    assert (last["fill_price"], last["filled_quantity"]) == (None, 0.0)


def test_an_open_trade_has_no_exit_and_is_marked() -> None:
    trade = backtest(series([10.0, 10.0, 15.0]), strategy=HOLD, execution=FREE).tables["trades"].row(0, named=True)
    assert trade["status"] == "open"
    assert [trade[c] for c in ("exit_time", "exit_price", "exit_reason", "exit_signal")] == [None] * 4
    assert (trade["pnl_net"], trade["return_pct"], trade["bars_held"]) == (50_000.0, 50.0, 1)


def test_exposure_and_return_are_null_where_equity_is_gone() -> None:
    equity = backtest(ruin()).tables["equity"]
    gone = equity.filter(pl.col("equity") <= 0.0)
    assert len(gone) > 1
    assert gone["gross_exposure"].is_null().all()
    assert gone["returns"][1:].is_null().all()
    assert equity["drawdown"].min() < -1.0  # type: ignore[operator]


YEARS = 800
"""Days of a market long enough for windows of half a year, from 2020-01-01 on."""


def daily(prices: Series, **changes: Any) -> Result:
    return engine.run(config(**changes), dataset("1d", A=prices))


def test_the_rolling_sharpe_ratio_is_that_of_the_days_behind() -> None:
    result = daily(replace(gappy(count=YEARS), time=START + DAY * np.arange(YEARS, dtype=np.int64)), execution=FREE)
    table = result.tables["rolling"]
    assert nanoseconds(table["timestamp"]) == (START + DAY * np.arange(ROLLING_DAYS, YEARS + 1)).tolist()
    earned = result.ledger.path[1:] / result.ledger.path[:-1] - 1.0
    windows = [earned[end - ROLLING_DAYS : end] for end in range(ROLLING_DAYS, YEARS + 1)]
    expected = [float(w.mean() / w.std(ddof=1)) * 365.25**0.5 for w in windows]
    assert table["rolling_sharpe"].to_list() == pytest.approx(expected, rel=1e-9)
    month = result.rolling_sharpe(30)
    assert list(month.columns) == ["timestamp", "rolling_sharpe"]
    assert len(month) == YEARS - 29
    assert month["timestamp"].iloc[0] == pd.Timestamp("2020-01-31", tz="UTC")
    assert result.frame("rolling").equals(result.rolling_sharpe())
    with pytest.raises(ValueError, match="two days"):
        result.rolling_sharpe(1)


def test_it_goes_by_days_whatever_the_bars() -> None:
    result = backtest(gappy(count=24 * 140 + 5))
    stamps = nanoseconds(result.tables["rolling"]["timestamp"])
    assert stamps[:2] == [START + ROLLING_DAYS * DAY, START + (ROLLING_DAYS + 1) * DAY]
    assert stamps[-1] == START + (24 * 140 + 5) * HOUR
    assert result.daily.day_close.tolist()[-len(stamps) :] == stamps


def test_it_is_null_where_nothing_varies_and_where_equity_was_gone() -> None:
    flat = daily(series([5.0] * 200, bar=DAY))
    assert flat.tables["rolling"]["rolling_sharpe"].to_list() == [None] * (200 - ROLLING_DAYS + 1)
    result = daily(series([*np.linspace(100.0, 50.0, 30), *[300.0] * 10], bar=DAY))
    window = result.rolling_sharpe(10)["rolling_sharpe"].isna().tolist()
    path = result.ledger.path
    spans = [path[end - 10 : end + 1] for end in range(10, 41)]
    assert window == [bool(span.min() <= 0.0 or span.max() == span.min()) for span in spans]
    assert any(span.min() <= 0.0 for span in spans)
    assert not all(window)


def test_months_and_years_are_in_the_summary() -> None:
    result = daily(replace(gappy(count=YEARS), time=START + DAY * np.arange(YEARS, dtype=np.int64)))
    summary = result.summary()
    months, years = summary["monthly_returns"], summary["yearly_returns"]
    assert [(m["year"], m["month"]) for m in months[:13]] == [*((2020, m) for m in range(1, 13)), (2021, 1)]
    assert list(months[0]) == ["year", "month", "days", "value", "reason"]
    assert [(y["year"], y["days"]) for y in years] == [(2020, 366), (2021, 365), (2022, 69)]
    assert list(years[0]) == ["year", "days", "value", "reason"]
    whole = result.metrics["total_return"].value
    for rows in (months, years):
        assert np.prod([1.0 + row["value"] for row in rows]) - 1.0 == pytest.approx(whole, rel=1e-9)
    frame = pd.DataFrame(result.monthly_returns)
    frame["growth"] = frame["value"] + 1.0
    growth = frame.groupby("year")["growth"].prod()
    assert growth.tolist() == pytest.approx([1.0 + (row.value or 0.0) for row in result.yearly_returns])
    short = daily(series([*np.linspace(100.0, 50.0, 20), *[300.0] * 30], bar=DAY)).summary()["monthly_returns"]
    assert short[0]["value"] < -1.0
    assert (short[1]["value"], short[1]["reason"]) == (None, "equity is at or below zero")

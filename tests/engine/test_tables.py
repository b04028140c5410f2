import polars as pl
import pytest

from engine.data.bars import Series
from engine.outcome import Result
from engine.tables import STAMP
from tests.engine.test_pipeline import FREE, HOLD, HOUR, START, backtest, gappy, ruin, series

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


def test_there_are_four_tables() -> None:
    assert tuple(COLUMNS) == tuple(backtest(gappy()).tables)


def test_a_run_without_a_trade_has_empty_tables() -> None:
    tables = backtest(series([5.0] * 30)).tables
    assert [len(tables[n]) for n in COLUMNS] == [30, 0, 0, 0]
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

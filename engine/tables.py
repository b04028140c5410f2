"""The tables a run leaves: rows as data frames, with the columns of the artifact contract.

Undefined is null, never NaN. Times: a fill at the open has its bar's open time; equity and decisions have the
bar's close time.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from engine.data.bars import Bars
from engine.metrics.drawdown import drawdowns
from engine.metrics.periods import rolling_sharpe_of
from engine.results import Cause, Curve, Ledger, Leg, Metric, Moment, Orders, Outcome, Reason, Signals, Trades
from engine.types import Bools, Floats, Ints, Times

STAMP = pl.Datetime("ns", "UTC")
PERCENT = 100.0
ROLLING_DAYS = 126
"""Days of the rolling Sharpe ratio: half a year of an exchange's sessions, the usual window."""
NO_CONTEXT: Mapping[str, Floats] = MappingProxyType({})


def equity_table(bars: Bars, ledger: Ledger) -> pl.DataFrame:
    """One row a bar, at its close. Exposures are fractions of equity, null where equity is not above 0."""
    equity = ledger.equity
    from_start = ledger.path
    # A symbol at a time: all of them at once would be as large as the market several times over.
    net, gross, count = np.zeros(len(bars)), np.zeros(len(bars)), np.zeros(len(bars), dtype=np.int64)
    for i in range(len(bars.symbols)):
        held = ledger.quantity_of(i)
        value = np.where(held != 0.0, held * ledger.mark_of(i), 0.0)
        net += value
        gross += np.abs(value)
        count += held != 0.0
    return pl.DataFrame(
        {
            "timestamp": _times(bars.close_time),
            "equity": equity,
            "cash": ledger.cash,
            "positions_value": net,
            "gross_exposure": _ratio(gross, equity),
            "net_exposure": _ratio(net, equity),
            "drawdown": drawdowns(from_start)[1:],
            "returns": _ratio(np.diff(from_start), from_start[:-1]),
            "n_positions": count,
        }
    )


def trades_table(
    bars: Bars, ledger: Ledger, signals: Signals, trades: Trades, context: Mapping[str, Floats] = NO_CONTEXT
) -> pl.DataFrame:
    """One row a round trip. ``return_pct``, ``mfe_pct`` and ``mae_pct`` are percent of the entry notional.

    ``context`` (T, N) by name adds ``entry_<name>`` and ``exit_<name>``: what was seen when the order left.
    """
    count = len(trades)
    notional = trades.quantity * trades.entry_price
    closed = trades.closed
    orders = ledger.orders
    causes = orders.cause[trades.exit_order] if len(orders) else trades.exit_order
    return pl.DataFrame(
        {
            "trade_id": np.arange(1, count + 1),
            "symbol": _symbols(bars, trades.asset),
            "side": _names(trades.side, {1: "long", -1: "short"}),
            "status": _names(closed.astype(np.int64), {1: "closed", 0: "open"}),
            "entry_time": _moments(bars, trades.entry_bar, trades.entry_moment),
            "entry_price": trades.entry_price,
            "exit_time": _moments(bars, trades.exit_bar, trades.exit_moment, closed),
            "exit_price": _floats(trades.exit_price, closed),
            "quantity": trades.quantity,
            "entry_commission": trades.entry_commission,
            "exit_commission": trades.exit_commission,
            "entry_slippage": trades.entry_slippage,
            "exit_slippage": trades.exit_slippage,
            "borrow_cost": trades.borrow_cost,
            "pnl_gross": trades.pnl_gross,
            "pnl_net": trades.pnl_net,
            "return_pct": PERCENT * trades.pnl_net / notional,
            "bars_held": np.where(closed, trades.exit_bar, len(bars) - 1) - trades.entry_bar,
            "exit_reason": _names(np.where(closed, causes, -1), {int(c): c.name.lower() for c in Cause}),
            "entry_signal": _signal_at(orders.decided_bar, trades.entry_order, signals, trades.asset),
            "exit_signal": _floats(_signal_at(orders.decided_bar, trades.exit_order, signals, trades.asset), closed),
            "stop_level": _floats(trades.stop_level, np.isfinite(trades.stop_level)),
            "target_level": _floats(trades.target_level, np.isfinite(trades.target_level)),
            "mfe": trades.mfe,
            "mae": trades.mae,
            "mfe_pct": PERCENT * trades.mfe / notional,
            "mae_pct": PERCENT * trades.mae / notional,
            "correlation_adjusted": _of_orders(orders.factor, trades.entry_order, 1.0) != 1.0,
            "correlation_partner": _symbols(bars, _of_orders(orders.partner, trades.entry_order, -1)),
            **_context(orders.decided_bar, trades, context),
        }
    )


def _context(decided: Ints, trades: Trades, context: Mapping[str, Floats]) -> dict[str, pl.Series]:
    """Values at the decisions to enter and to leave; null where there were none."""
    columns = {}
    for name, values in context.items():
        for end, order, there in (
            ("entry", trades.entry_order, np.ones(len(trades), dtype=np.bool_)),
            ("exit", trades.exit_order, trades.closed),
        ):
            seen = values[decided[order], trades.asset] if len(decided) else np.zeros(len(order))
            columns[f"{end}_{name}"] = _floats(seen, there & np.isfinite(seen))
    return columns


def fills_table(bars: Bars, ledger: Ledger) -> pl.DataFrame:
    """One row a leg, in time order. ``quantity`` is absolute; ``side`` is buy or sell."""
    fills = ledger.fills
    causes = ledger.orders.cause[fills.order] if len(fills) else fills.order
    return pl.DataFrame(
        {
            "fill_id": np.arange(1, len(fills) + 1),
            "order_id": fills.order + 1,
            "time": _moments(bars, fills.bar, fills.moment),
            "symbol": _symbols(bars, fills.asset),
            "side": _sides(fills.quantity),
            "leg": _names(fills.leg, {int(leg): leg.name.lower() for leg in Leg}),
            "quantity": np.abs(fills.quantity),
            "price": fills.price,
            "commission": fills.commission,
            "slippage": fills.slippage,
            "reason": _names(causes, {int(c): c.name.lower() for c in Cause}),
        }
    )


def orders_table(bars: Bars, ledger: Ledger, *, together: bool = False) -> pl.DataFrame:
    """One row an order, by decision. ``reason`` says why it did not fill, ``scale_reason`` why it filled smaller.

    Orders of symbols that share an account (``together``) say with whom they moved, and what that made of their weight.
    """
    orders = ledger.orders
    filled = orders.filled != 0.0
    reasons = {int(r): r.name for r in Reason if r is not Reason.NONE}
    return pl.DataFrame(
        {
            "order_id": np.arange(1, len(orders) + 1),
            "symbol": _symbols(bars, orders.asset),
            "decided_at": _times(bars.close_time[orders.decided_bar]),
            "side": _sides(orders.quantity),
            "target_weight": orders.weight,
            "quantity": np.abs(orders.quantity),
            "outcome": _names(orders.outcome, {int(o): o.name for o in Outcome}),
            "reason": _names(orders.reason, reasons),
            "filled_at": _moments(bars, orders.filled_bar, orders.moment, filled),
            "fill_price": _floats(orders.price, filled),
            "filled_quantity": np.abs(orders.filled),
            "commission": orders.commission,
            "slippage": orders.slippage,
            "scale": orders.scale,
            "scale_reason": _names(orders.scale_reason, reasons),
            **(_partners(bars, orders) if together else {}),
        }
    )


def _partners(bars: Bars, orders: Orders) -> dict[str, pl.Series]:
    return {
        "correlation_partner": _symbols(bars, orders.partner),
        "correlation": _floats(orders.rho, np.isfinite(orders.rho)),
        "correlation_factor": pl.Series(values=orders.factor, dtype=pl.Float64),
    }


def _of_orders(values: npt.NDArray[Any], order: Ints, none: float) -> npt.NDArray[Any]:
    """Values of orders, by number; ``none`` where there are no orders at all."""
    return values[order] if len(values) else np.full(len(order), none)


def rolling_table(curve: Curve, window: int = ROLLING_DAYS) -> pl.DataFrame:
    """One row for each day on which a window of daily returns ends, at its last close; none in a shorter run.

    ``rolling_sharpe`` is annual, of the last ``window`` days (126: half a year); null where returns do not vary or
    equity was at or below zero.
    """
    values, defined = rolling_sharpe_of(curve, window)
    return pl.DataFrame(
        {"timestamp": _times(curve.day_close[window - 1 :]), "rolling_sharpe": _floats(values, defined)}
    )


def main_metrics(metrics: dict[str, Metric]) -> dict[str, float | None]:
    """Values by name, for lists and summaries."""
    return {name: metric.value for name, metric in metrics.items()}


def _times(values: Times, defined: Bools | None = None) -> pl.Series:
    return _mask(pl.Series(values=values, dtype=pl.Int64), defined).cast(STAMP)


def _moments(bars: Bars, bar: Ints, moment: Ints, defined: Bools | None = None) -> pl.Series:
    """When fills happened: at the open, or by the close of their bar."""
    return _times(np.where(moment == Moment.OPEN, bars.time[bar], bars.close_time[bar]), defined)


def _floats(values: Floats, defined: Bools) -> pl.Series:
    return _mask(pl.Series(values=values, dtype=pl.Float64), defined)


def _mask(series: pl.Series, defined: Bools | None) -> pl.Series:
    return series if defined is None else series.scatter(np.flatnonzero(~defined), None)


def _ratio(numerator: Floats, denominator: Floats) -> pl.Series:
    defined = denominator > 0.0
    values = np.divide(numerator, denominator, out=np.zeros_like(numerator), where=defined)
    return _floats(values, defined)


def _names(codes: Ints, names: dict[int, str]) -> pl.Series:
    """Codes as text; a code without a name is null."""
    place = np.full(len(codes), len(names))
    for position, code in enumerate(names):
        place[codes == code] = position
    return pl.Series(values=[*names.values(), None], dtype=pl.String).gather(place)


def _sides(quantity: Floats) -> pl.Series:
    return _names((quantity > 0.0).astype(np.int64), {1: "buy", 0: "sell"})


def _symbols(bars: Bars, asset: Ints) -> pl.Series:
    return _names(asset, dict(enumerate(bars.symbols)))


def _signal_at(decided: Ints, order: Ints, signals: Signals, asset: Ints) -> Floats:
    values: npt.NDArray[np.float64] = signals.values[decided[order], asset] if len(decided) else np.zeros(len(order))
    return values

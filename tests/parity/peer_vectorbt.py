"""vectorbt on a case: signals one bar later at the open, all cash, stops of ``Portfolio.from_signals``.

Two of its rules need help to be ours. Orders are executed at the close of their bar unless told otherwise, so signals
are shifted and the price is the open. And a stop inside a bar comes before an order due at its open, so the callback
it offers takes the stop away in such a bar (``patient=False`` leaves it as it is).
"""

import warnings
from typing import Any

import numpy as np
import pandas as pd
from numba import njit

from engine.types import Bools, Floats
from tests.parity.cases import CAPITAL, Case, Outcome, Rules, Trade, peer

vectorbt = peer("vectorbt")


@njit
def _no_stop_when_due(context: Any, due: Any) -> Any:
    return (np.nan if due[context.i] else context.curr_stop), context.curr_trail


@njit
def _no_target_when_due(context: Any, due: Any) -> Any:
    return np.nan if due[context.i] else context.curr_stop


def run_vectorbt(case: Case, *, exit_price: str = "stopmarket", patient: bool = True, **options: Any) -> Outcome:
    """Its portfolio from signals; ``exit_price`` stopmarket slips stops and targets, stoplimit neither."""
    market = case.market
    wanted, due = case.due
    given: dict[str, Any] = {
        "entries": _column(due & (wanted > 0.0)),
        "exits": _column(due & (wanted <= 0.0)),
        "short_entries": _column(due & (wanted < 0.0)),
        "short_exits": _column(due & (wanted >= 0.0)),
        "price": _column(market.open),
        "open": _column(market.open),
        "high": _column(market.high),
        "low": _column(market.low),
        "upon_opposite_entry": "reverse",
        "size": np.inf,
    }
    return _outcome(
        case, vectorbt.Portfolio.from_signals, given | _stops(case.rules, due, exit_price, patient) | options
    )


def run_vectorbt_weights(case: Case, fraction: float, *, every_bar: bool) -> Outcome:
    """Its portfolio from orders: a fraction of the value at the open, at changes of the signal or at every bar."""
    wanted, due = case.due
    opens = _column(case.market.open)
    size = np.where(due | every_bar, fraction * wanted, np.nan)
    given = {"size": _column(size), "size_type": "targetpercent", "price": opens, "val_price": opens}
    return _outcome(case, vectorbt.Portfolio.from_orders, given)


def _stops(rules: Rules, due: Bools, exit_price: str, patient: bool) -> dict[str, Any]:
    if rules.hold is not None or (rules.stop is not None and rules.trail is not None):
        raise ValueError("vectorbt has one stop, fixed or trailing, and no time exit")
    stop = rules.trail if rules.stop is None else rules.stop
    if stop is None and rules.target is None:
        return {}
    options: dict[str, Any] = {
        "sl_stop": stop,
        "tp_stop": rules.target,
        "sl_trail": rules.trail is not None,
        "stop_entry_price": "fillprice",
        "stop_exit_price": exit_price,
    }
    if patient:
        options |= {"adjust_sl_func_nb": _no_stop_when_due, "adjust_sl_args": (due,)}
        options |= {"adjust_tp_func_nb": _no_target_when_due, "adjust_tp_args": (due,)}
    return options


def _outcome(case: Case, make: Any, given: dict[str, Any]) -> Outcome:
    rules = case.rules
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = make(
            _column(case.market.close), fees=rules.commission, slippage=rules.slippage, init_cash=CAPITAL, **given
        )
        return Outcome([_trade(record) for record in found.positions.values], float(found.value().iloc[-1]))


def _trade(record: Any) -> Trade:
    closed = record["status"] == vectorbt.portfolio.enums.TradeStatus.Closed
    return Trade(
        1 if record["direction"] == vectorbt.portfolio.enums.TradeDirection.Long else -1,
        int(record["entry_idx"]),
        int(record["exit_idx"]) if closed else -1,
        float(record["size"]),
        float(record["entry_price"]),
        float(record["exit_price"]) if closed else np.nan,
    )


def _column(values: Floats | Bools) -> Any:
    return pd.Series(values)

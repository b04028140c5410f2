"""Small markets written out by hand, run by both engines, which must agree before a number is looked at."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.execution import Execution, round_trips, simulate
from engine.results import Targets
from tests.oracle import reference, signals
from tests.oracle.account import Account, Order
from tests.oracle.cases import market_of, rules_of
from tests.oracle.compare import differences
from tests.oracle.markets import Columns, bars_of

Row = tuple[float, ...]

HOLE: Row = (math.nan, math.nan, math.nan, math.nan, 0.0)
FREE: dict[str, Any] = {"slippage_bps": 0.0, "commission": {"bps": 0.0}}
HOUR = 3_600_000_000_000
DAY = 24 * HOUR


def flat(price: float, volume: float = 1e9) -> Row:
    """A bar that does not move."""
    return (price, price, price, price, volume)


def play(
    markets: Sequence[Row] | Sequence[Sequence[Row]],
    wanted: Sequence[float] | Sequence[Sequence[float]],
    *,
    weights: Sequence[float] | None = None,
    decides: Sequence[bool] | None = None,
    opens_at: Sequence[int] | None = None,
    vwap: Sequence[float] | None = None,
    capital: float = 1000.0,
    notional: bool = False,
    **rules: Any,
) -> Account:
    """One asset as rows (open, high, low, close[, volume]) and its signals, or several as lists of those.

    Weights are the signals and orders leave where signals change, unless told otherwise. Nothing costs anything
    unless the rules say so.
    """
    several = isinstance(markets[0][0], tuple)
    prices: Any = markets if several else [markets]
    asked: Any = wanted if several else [wanted]
    rows = np.array([[(*row, 1e9)[:5] for row in asset] for asset in prices], dtype=np.float64)
    opened, high, low, closed, volume = (np.ascontiguousarray(rows[:, :, c].T) for c in range(5))
    average = None if vwap is None else np.array([vwap], dtype=np.float64).T.copy()
    market = Columns(opened, high, low, closed, volume, average)
    signal = np.array(asked, dtype=np.float64).T.copy()
    weight = signal if weights is None else np.array([weights], dtype=np.float64).T.copy()
    moments = np.array(signals.changes(signal.tolist()) if decides is None else [[d] for d in decides])
    time = None if opens_at is None else np.array(opens_at, dtype=np.int64)
    bars = bars_of(market, (market.volume > 0.0) | ~(market.volume > 0.0).any(axis=0), time)
    configuration = FREE | rules
    mine = reference.ledger(
        market_of(market, bars),
        weight.tolist(),
        moments.tolist(),
        signal.tolist(),
        rules_of(configuration, bars.symbols, notional),
        capital,
    )
    targets = Targets(weight, moments, signal, notional=notional)
    theirs = simulate(bars, targets, Execution.model_validate(configuration), capital)
    found = differences(mine, theirs, round_trips(theirs, bars))
    assert not found, "\n".join(found)
    return mine


def told(account: Account) -> list[tuple[str, str, str, int]]:
    """Cause, outcome, reason and bar of each order."""
    return [(o.cause, o.outcome, o.reason, o.filled_bar) for o in account.orders]


def traded(account: Account) -> list[tuple[int, str, float, float]]:
    """Bar, leg, quantity and price of each fill."""
    return [(f.bar, f.leg, near(f.quantity), near(f.price)) for f in account.fills]


def near(value: float) -> float:
    """Without the last digits."""
    return round(value, 9)


def only(account: Account, cause: str) -> Order:
    """The one order of this cause."""
    (order,) = (o for o in account.orders if o.cause == cause)
    return order

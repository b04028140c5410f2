"""Small portfolios written out by hand, one row of flat prices a symbol."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tests.oracle import signals
from tests.oracle.account import Costs, Rules
from tests.oracle.aims import PortfolioRules
from tests.oracle.portfolio import Played, Portfolio, simulate

DAY = 86_400_000_000_000
HOLE = math.nan


def stage(
    prices: Sequence[Sequence[float]],
    wanted: Sequence[Sequence[float]],
    *,
    shares: Sequence[float] | None = None,
    decides: Sequence[Sequence[bool]] | None = None,
    days: Sequence[int] | None = None,
    last: Sequence[int] | None = None,
    capital: float = 1000.0,
    costs: Costs | None = None,
    rules: dict[str, Any] | None = None,
    **portfolio: Any,
) -> Portfolio:
    """Prices and signals by symbol; the weights are the signals, each symbol's share is the whole unless told.

    Shares are 1 rather than 1/N so that weights can be read off the signals. Nothing costs anything, orders leave
    where signals change, redundancy is off, and cash is no object unless told otherwise.
    """
    price = np.array(prices, dtype=np.float64).T.copy()
    signal = np.array(wanted, dtype=np.float64).T.copy()
    bars, assets = price.shape
    there = np.isfinite(price)
    moments = signals.changes(signal.tolist()) if decides is None else np.array(decides).T.tolist()
    return Portfolio(
        open=price,
        high=price,
        low=price,
        close=price,
        volume=np.where(there, 1e9, 0.0),
        close_time=DAY * np.arange(1, bars + 1, dtype=np.int64),
        tradable=there,
        weights=signal,
        shares=np.ones((bars, assets)) * (1.0 if shares is None else np.array(shares)),
        decides=np.array(moments, dtype=np.bool_),
        signals=signal,
        days=np.arange(bars, dtype=np.int64) if days is None else np.array(days, dtype=np.int64),
        last=np.full(assets, bars - 1) if last is None else np.array(last, dtype=np.int64),
        names=tuple("ABCDE"[:assets]),
        rules=Rules(**({"allow_leverage": True} | (rules or {})), costs=[costs or Costs()]),
        portfolio=PortfolioRules(**({"redundancy": "off"} | portfolio)),
        capital=capital,
    )


def play(*given: Any, **rules: Any) -> Played:
    """Set it up and run it."""
    return simulate(stage(*given, **rules))


def told(played: Played, *columns: str) -> list[tuple[Any, ...]]:
    """These columns of every order, without the last digits."""
    return [tuple(near(order[name]) for name in columns) for order in played.orders]


def near(value: Any) -> Any:
    return round(value, 9) if isinstance(value, float) else value


def from_bar(start: int, signal: float, bars: int) -> list[float]:
    """Nothing, and from this bar on the signal."""
    return [0.0] * start + [signal] * (bars - start)


def zigzag(bars: int, low: float, first_up: bool = False) -> list[float]:
    """Up to the double and back: log returns are plus and minus log 2. Two of them correlate with 1 or -1."""
    return [low * (2.0 if (t % 2 == 0) == first_up else 1.0) for t in range(bars)]


def slow_zigzag(bars: int, low: float) -> list[float]:
    """Up and down every other bar: over whole periods of four bars without correlation to a zigzag."""
    return [low * (2.0 if t % 4 >= 2 else 1.0) for t in range(bars)]

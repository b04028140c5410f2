"""Accounts of several symbols by hand, free of costs, for tests of what their rules do."""

from typing import Any

import numpy as np

from engine.data.bars import Bars
from engine.execution import Execution, simulate
from engine.portfolio import Portfolio, Together
from engine.results import Ledger, Targets
from engine.types import Bools, Floats
from tests.engine.portfolio.markets import bars


def portfolio(**rules: Any) -> Portfolio:
    return Portfolio.model_validate(rules)


def opening_at_the_close_before(closes: Any) -> Bars:
    """Bars (T, N) whose opens are the closes before them: what is decided at a close fills at its price."""
    made = bars(closes)
    opened = np.vstack((made.close[:1], made.close[:-1]))
    high, low = np.maximum(opened, made.close), np.minimum(opened, made.close)
    return Bars(
        symbols=made.symbols,
        conventions=made.conventions,
        time=made.time,
        ends=made.close_time,
        open=opened,
        high=high,
        low=low,
        close=made.close,
        volume=made.volume,
        tradable=made.tradable,
    )


def play(
    closes: Any, signals: Any, decides: Bools | None = None, *, execution: Any = None, days: int = 1, **rules: Any
) -> Ledger:
    """Run (T, N) ``signals``, each symbol with all of the equity for its size; ``days`` is the bars of a day.

    Shares are 1: a signal is the weight itself.
    """
    made = opening_at_the_close_before(closes)
    signal: Floats = np.broadcast_to(np.asarray(signals, dtype=np.float64), made.close.shape).copy()
    if decides is None:
        decides = np.diff(signal, axis=0, prepend=0.0) != 0.0
    rows, assets = made.close.shape
    given = {"slippage_bps": 0.0, "commission": {"bps": 0.0}} | (execution or {})
    together = Together(
        portfolio(**rules),
        made.symbols,
        np.ones((1, assets)),
        np.zeros(rows, dtype=np.int64),
        np.full(assets, rows - 1),
        np.arange(rows, dtype=np.int64) // days,
    )
    return simulate(made, Targets(signal, decides, signal), Execution.model_validate(given), 1024.0, together=together)

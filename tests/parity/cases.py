"""What every engine is given, what it gives back, and how two answers are compared.

A case is bars, a signal and rules. The signal is computed here, not by the engine under test: decided at the close
of bar t, filled at the open of t+1, all in.
"""

import importlib
import warnings
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from engine.types import Bools, Floats, Times

CAPITAL = 100_000.0
PRICES, SIZES, EQUITY = 1e-9, 1e-9, 1e-6
"""Relative differences that count as none."""


class Trade(NamedTuple):
    """From flat to flat, or to the flip. Prices are those paid; an open trade has ``exit_bar`` -1 and no price."""

    side: int
    entry_bar: int
    exit_bar: int
    quantity: float
    entry_price: float
    exit_price: float

    @property
    def held(self) -> tuple[int, int, float, float]:
        """Its bars and prices."""
        return self.entry_bar, self.exit_bar, self.entry_price, self.exit_price


class Outcome(NamedTuple):
    """What an engine made of a case; ``equity`` at the last close, open trades marked."""

    trades: list[Trade]
    equity: float


@dataclass(frozen=True)
class Market:
    """One symbol's bars; arrays (T,)."""

    timeframe: str
    calendar: str
    time: Times
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    def without_volume(self) -> "Market":
        """The same, so that every bar can be traded."""
        return replace(self, volume=np.zeros(len(self.time)))

    def first(self, bars: int) -> "Market":
        """The first bars only."""
        names = ("time", "open", "high", "low", "close", "volume")
        return replace(self, **{name: getattr(self, name)[:bars] for name in names})


@dataclass(frozen=True)
class Rules:
    """Costs as fractions; ``stop``, ``target`` and ``trail`` are fractions of price, or None; ``hold`` is in bars."""

    short: bool = False
    slippage: float = 0.0
    commission: float = 0.0
    stop: float | None = None
    target: float | None = None
    trail: float | None = None
    hold: int | None = None


@dataclass(frozen=True)
class Case:
    """Dual moving averages on a market under rules."""

    market: Market
    rules: Rules
    fast: int = 20
    slow: int = 50

    @cached_property
    def signal(self) -> Floats:
        """(T,) +1, 0 or -1, known at the close of the bar; 0 until the slow average exists."""
        close = self.market.close
        fast, slow = (np.lib.stride_tricks.sliding_window_view(close, n).mean(axis=1) for n in (self.fast, self.slow))
        difference = fast[self.slow - self.fast :] - slow
        signs = np.where(np.abs(difference) <= 1e-12 * slow, 0.0, np.sign(difference))
        values = np.concatenate((np.zeros(self.slow - 1), signs))
        return values if self.rules.short else np.maximum(values, 0.0)

    @cached_property
    def changes(self) -> Bools:
        """(T,) where an order leaves."""
        changed: Bools = np.diff(self.signal, prepend=0.0) != 0.0
        return changed

    @property
    def due(self) -> tuple[Floats, Bools]:
        """(T,) the signal of the bar before, and where an order decided there meets its open."""
        return np.concatenate(([0.0], self.signal[:-1])), np.concatenate(([False], self.changes[:-1]))


def peer(name: str) -> Any:
    """A peer's module, or one inside it. Its own warnings are not ours to answer."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(name)


def assert_same(ours: Outcome, theirs: Outcome, *, at_least: int) -> None:
    """The same trades in the same bars at the same prices, and the same money at the end."""
    assert len(ours.trades) >= at_least
    assert [t[:3] for t in theirs.trades] == [t[:3] for t in ours.trades]
    for field, tolerance in (("entry_price", PRICES), ("exit_price", PRICES), ("quantity", SIZES)):
        expected, got = (np.array([getattr(t, field) for t in outcome.trades]) for outcome in (ours, theirs))
        np.testing.assert_allclose(got, expected, rtol=tolerance, atol=0.0, err_msg=field)
    np.testing.assert_allclose(theirs.equity, ours.equity, rtol=EQUITY)

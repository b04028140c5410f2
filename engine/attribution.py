"""What each symbol of an account was and did: positions, contributions, correlations, snapshots, events."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import polars as pl

from engine.data.bars import Bars
from engine.data.checks import stamp
from engine.portfolio import Together
from engine.portfolio.correlation import estimate, estimates
from engine.portfolio.risk import diversification_ratio, effective_bets, risk_contributions
from engine.results import Happening, Ledger, Trades
from engine.tables import STAMP
from engine.types import Floats, Ints

STATES = {Happening.HALTED: "halted", Happening.STOPPED: "halted", Happening.INACTIVE: "inactive"}
REASONS = {
    Happening.HALTED: "daily loss limit, until the next day",
    Happening.STOPPED: "drawdown limit, for good",
    Happening.INACTIVE: "no further data",
}


def positions_table(bars: Bars, ledger: Ledger) -> pl.DataFrame:
    """One row where a position changes, at the close of its bar: quantity, weight and unrealised P&L after it."""
    frames = []
    for i, symbol in enumerate(bars.symbols):
        held, basis = _held(ledger, i)
        at = _changes(ledger, i)
        value = held[at] * ledger.mark_of(i)[at]
        frames.append(
            pl.DataFrame(
                {
                    "timestamp": _times(bars.close_time[at]),
                    "symbol": pl.Series(values=[symbol] * len(at), dtype=pl.String),
                    "quantity": held[at],
                    "weight": _over(value, ledger.equity[at]),
                    "unrealized_pnl": value - basis[at],
                }
            )
        )
    return pl.concat(frames).sort("timestamp", "symbol")


def symbols_table(bars: Bars, ledger: Ledger, trades: Trades) -> pl.DataFrame:
    """One row a symbol: what it earned and cost, and how much of the account it took.

    ``pnl_net`` of a symbol is the sum over its trades, open ones marked at the last close; over all symbols it is the
    change in equity less interest. ``return_contribution`` is that over the initial capital, ``average_exposure`` the
    mean over bars of |value| over equity, ``time_in_market`` the share of bars with a position.
    """
    rows = []
    for i, symbol in enumerate(bars.symbols):
        mine, fills = trades.asset == i, ledger.fills.asset == i
        held = ledger.quantity_of(i)
        value = np.abs(np.where(held != 0.0, held * ledger.mark_of(i), 0.0))
        net = float(trades.pnl_net[mine].sum())
        rows.append(
            {
                "symbol": symbol,
                "trades": int(np.count_nonzero(mine)),
                "pnl_gross": float(trades.pnl_gross[mine].sum()),
                "pnl_net": net,
                "return_contribution": net / ledger.initial_capital,
                "commission": float(ledger.fills.commission[fills].sum()),
                "slippage": float(ledger.fills.slippage[fills].sum()),
                "borrow_cost": float(trades.borrow_cost[mine].sum()),
                "average_exposure": float(_ratio(value, ledger.equity).mean()),
                "time_in_market": float(np.count_nonzero(held) / max(len(held), 1)),
            }
        )
    return pl.DataFrame(rows)


def correlation_table(bars: Bars, ledger: Ledger) -> pl.DataFrame:
    """The correlations last looked at, at each snapshot; one row a pair that has one."""
    found = ledger.snapshots
    names = pl.Series(values=list(bars.symbols), dtype=pl.String)
    return pl.DataFrame(
        {
            "timestamp": _times(bars.close_time[found.pair_bar]),
            "symbol_a": names.gather(found.first),
            "symbol_b": names.gather(found.second),
            "correlation": found.correlation,
        }
    )


def snapshots(bars: Bars, ledger: Ledger, together: Together) -> list[dict[str, Any]]:
    """The account at every snapshot, as JSON values; weights and exposures are fractions of equity."""
    at = ledger.snapshots.bar
    held, basis = (
        np.array(parts) for parts in zip(*(_at(ledger, i, at) for i in range(len(bars.symbols))), strict=True)
    )
    value = np.where(held != 0.0, held * ledger.mark[at].T, 0.0)
    equity = ledger.equity[at]
    gross, net = _ratio(np.abs(value).sum(axis=0), equity), _ratio(value.sum(axis=0), equity)
    peak = np.maximum.accumulate(ledger.path)[1:][at]
    lines = []
    for k, t in enumerate(at.tolist()):
        mine = np.flatnonzero(held[:, k]).tolist()
        ratio = float(ledger.snapshots.diversification[k])
        lines.append(
            {
                "t": stamp(int(bars.close_time[t])),
                "positions": {bars.symbols[i]: float(held[i, k]) for i in mine},
                "unrealized": {bars.symbols[i]: float(value[i, k] - basis[i, k]) for i in mine},
                "portfolio_pnl": float(equity[k]) - ledger.initial_capital,
                "exposure": {"gross": float(gross[k]), "net": float(net[k])},
                "diversification_ratio": None if np.isnan(ratio) else ratio,
                "corr_window": int(ledger.snapshots.observations[k]),
                "limits": _used(together, float(gross[k]), float(net[k]), len(mine), 1.0 - float(equity[k] / peak[k])),
                "inactive": _inactive(bars, ledger, t),
            }
        )
    return lines


def _used(together: Together, gross: float, net: float, positions: int, drawdown: float) -> dict[str, Any]:
    """What of each limit on the whole account is used."""
    limits = together.rules.limits
    now: Mapping[str, tuple[float, float | None]] = {
        "max_gross_exposure": (gross, limits.max_gross_exposure),
        "max_net_exposure": (abs(net), limits.max_net_exposure),
        "max_positions": (positions, limits.max_positions),
        "max_drawdown": (drawdown, limits.max_drawdown),
    }
    return {name: {"value": value, "limit": limit} for name, (value, limit) in now.items() if limit is not None}


def _inactive(bars: Bars, ledger: Ledger, t: int) -> list[str]:
    """Symbols without further data by bar t."""
    found = ledger.events
    gone = (found.kind == Happening.INACTIVE) & (found.bar <= t)
    return sorted(bars.symbols[i] for i in found.asset[gone].tolist())


def events(bars: Bars, ledger: Ledger, failed: Collection[str] = ()) -> list[dict[str, Any]]:
    """What befell symbols and the account, as JSON values; ``symbol`` is null for the account.

    A symbol of ``failed`` takes no part since its computation failed, not since its data ended.
    """
    found, told = ledger.events, []
    for t, i, kind in zip(found.bar.tolist(), found.asset.tolist(), found.kind.tolist(), strict=True):
        symbol, state, reason = None if i < 0 else bars.symbols[i], STATES[Happening(kind)], REASONS[Happening(kind)]
        if symbol in failed:
            state, reason = "failed", "its computation failed"
        told.append({"t": stamp(int(bars.close_time[t])), "symbol": symbol, "state": state, "reason": reason})
    return told


def risk(bars: Bars, ledger: Ledger, together: Together) -> dict[str, Any]:
    """Where the risk of what is held at the end comes from; volatility per bar, nulls with their reasons."""
    rules, end = together.rules, len(bars) - 1
    known = estimates(rules.correlation_window, len(bars.symbols))
    estimate(end, bars.close, bars.valid, rules.correlation_minimum, known)
    held = np.array([ledger.quantity_of(i)[end] for i in range(len(bars.symbols))])
    equity = float(ledger.equity[end])
    if equity <= 0.0:
        return {"reason": "equity is at or below zero"}
    weights = np.where(held != 0.0, held * ledger.mark[end], 0.0) / equity
    parts = risk_contributions(bars.symbols, weights, known.volatility, known.correlation)
    ratio = diversification_ratio(weights, known.volatility, known.correlation)
    bets = effective_bets(weights, known.volatility, known.correlation)
    return {
        "t": stamp(int(bars.close_time[end])),
        "portfolio_volatility": parts.volatility,
        "contributions": dict(parts.contributions),
        "diversification_ratio": ratio.value,
        "effective_bets": bets.value,
        "reason": parts.reason,
    }


def _held(ledger: Ledger, i: int) -> tuple[Floats, Floats]:
    """(T,) quantity, and what the position cost at its average price."""
    held = ledger.quantity_of(i)
    return held, held * ledger.average_of(i)


def _at(ledger: Ledger, i: int, at: Ints) -> tuple[Floats, Floats]:
    """Quantity and cost at some bars."""
    held, cost = _held(ledger, i)
    return held[at], cost[at]


def _changes(ledger: Ledger, i: int) -> Ints:
    """Bars at whose close a position is another than before."""
    held = ledger.quantity_of(i)
    changed: Ints = np.flatnonzero(np.diff(held, prepend=0.0))
    return changed


def _times(values: Ints) -> pl.Series:
    return pl.Series(values=values, dtype=pl.Int64).cast(STAMP)


def _ratio(value: Floats, equity: Floats) -> Floats:
    """Fractions of equity; 0 where there is none."""
    return np.divide(value, equity, out=np.zeros_like(value), where=equity > 0.0)


def _over(value: Floats, equity: Floats) -> pl.Series:
    """Fractions of equity; null where there is none."""
    return pl.Series(values=_ratio(value, equity), dtype=pl.Float64).scatter(np.flatnonzero(~(equity > 0.0)), None)

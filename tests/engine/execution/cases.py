"""Random markets, accounts and wishes: every input of the ledger, wherever the rules allow."""

import math
from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

from engine.execution.inputs import TERMS, Market, Records, Rules, read_only
from engine.execution.portfolio import Plan, nothing_together
from engine.portfolio.limits import Bounds
from engine.types import Bools, Floats

LOWEST, HIGHEST = 1e-4, 1e9
HOUR = 3600 * 10**9


class Case(NamedTuple):
    """Every input of the ledger kernel."""

    market: Market
    terms: Records
    rules: Rules
    plan: Plan
    weights: Floats
    decides: Bools
    signals: Floats
    capital: float
    window: int


def prices(rng: np.random.Generator, rows: int, assets: int) -> dict[str, Floats]:
    """Bars that touch levels exactly (a grid), jump, or drift, from a penny to 1e9."""
    if rng.random() < 0.3:
        path = rng.integers(6, 15, (rows, 4, assets)).astype(np.float64)
    else:
        moves = np.exp(rng.choice([0.0, 0.003, 0.03]) * rng.normal(size=(rows * 4, assets)))
        jumps = rng.random(moves.shape) < rng.choice([0.0, 0.02, 0.2])
        moves[jumps] = rng.choice([0.3, 0.7, 1.4, 4.0], int(jumps.sum()))
        start = 10.0 ** rng.uniform(-4.0, 9.0, assets) if rng.random() < 0.5 else np.full(assets, 100.0)
        path = np.clip(start * np.cumprod(moves, axis=0), LOWEST, HIGHEST).reshape(rows, 4, assets)
    high, low = path.max(axis=1), path.min(axis=1)
    inside = low + (high - low) * rng.random((rows, assets))
    return {"open": path[:, 0].copy(), "close": path[:, 3].copy(), "high": high, "low": low, "vwap": inside}


def base_of(name: str, bars: dict[str, Floats]) -> Floats:
    if name == "mid":
        return (bars["high"] + bars["low"]) / 2.0
    if name == "typical":
        return (bars["high"] + bars["low"] + bars["close"]) / 3.0
    return bars[name]


def last_valid(close: Floats, valid: Bools) -> Floats:
    """(T, N) closes; an invalid one is the last valid before, NaN if there is none."""
    marks, last = np.empty(close.shape), np.full(close.shape[1], math.nan)
    for t in range(len(close)):
        last = np.where(valid[t], close[t], last)
        marks[t] = last
    return marks


def market_of(rng: np.random.Generator, rows: int, assets: int, name: str, capital: float) -> Market:
    """Holes, bars without volume, weekends, and the inputs of impact models."""
    bars = prices(rng, rows, assets)
    unit = capital / bars["open"][0]
    valid = rng.random((rows, assets)) >= rng.choice([0.0, 0.0, 0.1, 0.4])
    for column in bars.values():
        column[~valid] = rng.choice([math.nan, 0.0])
    volume = unit * rng.choice([0.3, 3.0, 1e3]) * rng.random((rows, assets))
    volume[rng.random((rows, assets)) < rng.choice([0.0, 0.1, 0.4])] = 0.0
    calm, gone = rng.random((2, rows, assets)) < 0.1
    arrays = {
        **{n: bars[n] for n in ("open", "high", "low")},
        "base": base_of(name, bars),
        "mark": last_valid(bars["close"], valid),
        "volume": volume,
        "sigma": np.where(calm, 0.0, 0.02 * rng.random((rows, assets))),
        "adv": np.where(gone, 0.0, unit * rng.random((rows, assets))),
        "close_time": np.cumsum(np.where(rng.random(rows) < 0.1, 65, 1)).astype(np.int64) * HOUR,
        "valid": valid,
        "tradable": valid & ((volume > 0.0) | (rng.random() < 0.3)),
    }
    return Market(**{n: read_only(a) for n, a in arrays.items()})


def terms_for(rng: np.random.Generator, market: Market, capital: float) -> Records:
    """Costs and quantities, each symbol's own, from none to ruinous."""
    assets = market.open.shape[1]
    terms = np.zeros(assets, dtype=TERMS)
    first = np.nanmax(np.where(market.valid, market.open, 1.0), axis=0)
    choices = {
        "slippage_rate": [0.0, 1e-4, 0.05],
        "commission_rate": [0.0, 5e-4, 0.05],
        "per_unit": [0.0, 1e-3, 0.05],
        "per_order": [0.0, 1e-4, 1e-2],
        "minimum": [0.0, 1e-3, 2e-2],
        "borrow_rate": [0.0, 0.1, 5.0],
        "step": [0.0, 1e-3, 0.1, 0.4],
        "min_notional": [0.0, 0.05, 0.5],
        "participation": [0.0, 0.1, 1.0],
    }
    units = {"per_unit": first, "per_order": capital, "minimum": capital, "min_notional": capital}
    units["step"] = capital / first
    for name, choice in choices.items():
        if rng.random() < 0.5:
            terms[name] = rng.choice(choice, assets) * units.get(name, 1.0)
    if rng.random() < 0.5:
        terms["slippage"] = rng.integers(0, 4, assets)
    terms["amount"] = rng.choice([0.001, 0.1, 0.9], assets)
    return terms


def rules_for(rng: np.random.Generator, at_open: bool, accrues: bool) -> Rules:
    """The account's rules; some accounts have no exit at all."""
    exits = rng.random() < 0.7
    levels = {n: float(rng.choice([0.0, 0.02, 0.25])) * exits for n in ("stop_loss", "take_profit", "trailing_stop")}
    holding = int(rng.choice([0, 0, 1, 4])) * exits
    on_change = bool(rng.random() < 0.5)
    cash_rate = float(rng.choice([0.0, 0.05]))
    return Rules(
        fill_lag=int(rng.choice([1, 1, 1, 2, 5])),
        fill_at_open=at_open,
        size_at_fill=bool(rng.random() < 0.5),
        notional=bool(rng.random() < 0.3),
        on_change=on_change,
        band=0.0 if on_change else float(rng.choice([0.0, 0.05, 0.4])),
        allow_short=bool(rng.random() < 0.8),
        allow_leverage=bool(rng.random() < 0.4),
        skip=bool(rng.random() < 0.4),
        cash_rate=cash_rate,
        accrues=accrues or cash_rate > 0.0,
        **levels,
        max_holding_bars=holding,
        bar_path=int(rng.integers(0, 3)),
        close_at_end=bool(rng.random() < 0.3),
        exits=bool(holding or any(levels.values())),
    )


def plan_for(rng: np.random.Generator, rows: int, assets: int) -> Plan:
    """The rules of the account as a whole: half of the accounts have none."""
    if rng.random() < 0.5:
        return nothing_together(rows, assets)
    shares = rng.random((3, assets)) + 0.01
    last = np.full(assets, rows - 1)
    if rng.random() < 0.3:
        last = rng.integers(0, rows, assets)
    rest = np.array([last >= t for t in range(rows)])
    rows_of_shares = rng.integers(0, 3, rows)
    theta = rng.choice([0.0, 0.3, 0.8], (assets, assets))
    daily = rng.choice([np.inf, 0.01, 0.2], assets) if rng.random() < 0.4 else np.full(assets, np.inf)
    drawdown = float(rng.choice([np.inf, np.inf, 0.05, 0.4]))
    bounds = Bounds(
        gross=float(rng.choice([np.inf, 0.5, 1.5])),
        net=float(rng.choice([np.inf, 0.1, 0.6])),
        symbol=read_only(rng.choice([np.inf, 0.2, 0.7], assets)),
        positions=float(rng.choice([np.inf, 1.0, 2.0])),
    )
    return Plan(
        together=True,
        watches=bool((last < rows - 1).any() or np.isfinite(daily).any() or np.isfinite(drawdown)),
        shares=read_only(shares / shares.sum(axis=1, keepdims=True)),
        share_row=read_only(np.where(rest.any(axis=1), rows_of_shares, 0)),
        last=read_only(last),
        day=read_only(np.arange(rows) // 5 if np.isfinite(daily).any() else np.zeros(0, dtype=np.int64)),
        redundancy=int(rng.integers(0, 3)),
        redistribute=bool(rng.random() < 0.5),
        theta=read_only(np.minimum(theta, theta.T)),
        minimum=3,
        bounds=bounds,
        daily_loss=read_only(daily),
        drawdown=drawdown,
        snapshot=int(rng.choice([0, 1, 4])),
        every_pair=bool(rng.random() < 0.5),
    )


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A market, an account and what a strategy asks of it."""
    assets, rows = draw(st.integers(1, 4)), draw(st.integers(1, 40))
    name = draw(st.sampled_from(["open", "mid", "typical", "vwap", "close"]))
    capital = draw(st.sampled_from([1e3, 1.0, 1e12]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    market = market_of(rng, rows, assets, name, capital)
    terms = terms_for(rng, market, capital)
    rules = rules_for(rng, name == "open", bool(terms["borrow_rate"].any()))
    signals = rng.choice([-1.0, -0.5, 0.0, 0.5, 1.0, 1.0], (rows, assets))
    held = rng.random((rows, assets)) < rng.choice([0.0, 0.5, 0.9])
    for t in range(1, rows):
        signals[t, held[t]] = signals[t - 1, held[t]]
    decides = np.diff(signals, axis=0, prepend=0.0) != 0.0
    if not rules.on_change:
        decides = np.repeat(rng.random((rows, 1)) < rng.choice([0.2, 1.0]), assets, axis=1)
    drift = rng.random((rows, assets)) if rng.random() < 0.5 else 1.0
    weights = signals * rng.choice([0.3, 1.0, 3.0]) * drift * (capital if rules.notional else 1.0)
    plan = plan_for(rng, rows, assets)
    wishes = (read_only(weights), read_only(decides), read_only(signals))
    return Case(market, terms, rules, plan, *wishes, capital, int(rng.choice([3, 6, 100])))

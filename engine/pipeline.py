"""The life of a run, from rows to doubt. The only module that knows every stage.

::

    1 data        dataset -> Bars         the rows of the period, and what is odd about them
    2 features    Bars -> FeatureMatrix   computed on bars 0..t, then lagged (features.base)
    3 strategy    -> Signals              in [-1, 1], 0 before warm-up is over
    4 sizing      -> Targets              weights, and the bars on which an order leaves
    5 execution   -> Ledger, Trades       fills at t + fill_lag, costs, the account (execution.fills)
    6 metrics     -> Metrics              daily by the calendar; null with a reason where undefined
    7 validation  -> Reports              how much of it could be luck
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from engine import tables
from engine.config import SCHEMA, SEMANTICS, RunConfig, parse_config, run_id
from engine.data import sessions
from engine.data.bars import Bars, Dataset
from engine.data.checks import describe_rows
from engine.data.resample import describe
from engine.execution import Execution, round_trips, simulate
from engine.features import FeatureCache, feature_matrix
from engine.hooks import Hooks, NoHooks, Stage, within
from engine.metrics.annualise import curve
from engine.metrics.core import core_metrics
from engine.portfolio import targets
from engine.results import Ledger, Metric, Outcome, Reason, Signals, Targets, Trades
from engine.strategies import signals
from engine.types import NANOSECONDS_PER_DAY, NANOSECONDS_PER_SECOND, Floats
from engine.validation.base import Report

if TYPE_CHECKING:
    import pandas as pd

CURVE_POINTS = 100
OVERDRAWN = 1e-9
FIXED_FEES = ("per_unit", "per_order", "minimum")


@dataclass(frozen=True)
class Result:
    """Everything a run produced. ``frame(name)`` gives a table as pandas for a notebook."""

    config: RunConfig
    hash: str
    digests: Mapping[str, str]
    bars: Bars
    context: Mapping[str, Floats]
    startup: Mapping[str, float]
    signals: Signals
    targets: Targets
    ledger: Ledger
    trades: Trades
    metrics: Mapping[str, Metric]
    validation: tuple[Report, ...]
    data_report: Mapping[str, Any]
    assumptions: tuple[str, ...]
    warnings: tuple[Mapping[str, str], ...]

    @property
    def run_id(self) -> str:
        """The first 32 hex digits of the hash."""
        return run_id(self.hash)

    @cached_property
    def tables(self) -> Mapping[str, pl.DataFrame]:
        """``equity``, ``trades``, ``fills`` and ``orders`` as polars frames."""
        return {
            "equity": tables.equity_table(self.bars, self.ledger),
            "trades": tables.trades_table(self.bars, self.ledger, self.signals, self.trades, self.context),
            "fills": tables.fills_table(self.bars, self.ledger),
            "orders": tables.orders_table(self.bars, self.ledger),
        }

    def frame(self, name: str) -> "pd.DataFrame":
        """One of the tables as a pandas frame; times are aware, in UTC."""
        import pandas as pd  # noqa: PLC0415 - a second of start-up that only notebooks need

        columns = {c.name: pd.Series(c.to_numpy()) for c in self.tables[name]}
        aware = {n: s.dt.tz_localize("UTC") for n, s in columns.items() if s.dtype.kind == "M"}
        return pd.DataFrame(columns | aware)

    @property
    def funnel(self) -> dict[str, Any]:
        """Decisions -> orders -> fills, with the reasons where orders were lost."""
        orders = self.ledger.orders
        lost = orders.reason[orders.outcome == Outcome.UNFILLED]
        cut = orders.reason[orders.outcome == Outcome.PARTIAL]
        return {
            "decisions": int(np.count_nonzero(self.targets.decides)),
            "orders": len(orders),
            "filled": int(np.count_nonzero(orders.outcome == Outcome.FILLED)),
            "scaled": int(np.count_nonzero((orders.filled != 0.0) & (orders.scale < 1.0))),
            "partial": {r.name: int(np.count_nonzero(cut == r)) for r in Reason if np.any(cut == r)},
            "unfilled": {r.name: int(np.count_nonzero(lost == r)) for r in Reason if np.any(lost == r)},
            "fills": len(self.ledger.fills),
        }

    def summary(self) -> dict[str, Any]:
        """Identity, period, main metrics, assumptions, warnings, funnel, validation in short."""
        return {
            "run_id": self.run_id,
            "hash": self.hash,
            "schema": SCHEMA,
            "semantics": SEMANTICS,
            "dataset": self.config.dataset,
            "symbols": list(self.config.symbols),
            "strategy": self.config.strategy.name,
            "period": {k: self.data_report["symbols"][self.bars.symbols[0]][k] for k in ("start", "end", "rows")},
            "metrics": tables.main_metrics(dict(self.metrics)),
            "assumptions": list(self.assumptions),
            "warnings": [dict(w) for w in self.warnings],
            "funnel": self.funnel,
            "ambiguous_bars": self.ledger.ambiguous,
            "startup_error": dict(self.startup),
            "validation": {
                r.name: {"statistic": r.statistic, "p_value": r.p_value, "reason": r.reason} for r in self.validation
            },
        }


def run(
    config: RunConfig | Mapping[str, Any],
    data: Dataset,
    hooks: Hooks | None = None,
    cache: FeatureCache | None = None,
) -> Result:
    """Run a backtest.

    ``config`` is a RunConfig or the plain values of one; ``data`` a dataset that holds its symbols; ``cache`` keeps
    features for further runs on the same rows. Raises ``ConfigError``, ``DataError``, and whatever ``hooks`` raise to
    stop it.
    """
    hooks = hooks or NoHooks()
    config = (config if isinstance(config, RunConfig) else parse_config(config)).resolve(data)
    rules, symbol = config.execution, config.symbols[0]
    with within(hooks, Stage.DATA):
        bars, digest, rows_report = rows_of(config, data)
    with within(hooks, Stage.FEATURES):
        features = feature_matrix(bars, config.features(), rules.feature_lag, cache, digest)
        context = feature_matrix(bars, config.context(), rules.feature_lag, cache, digest)
    with within(hooks, Stage.STRATEGY):
        signal = signals(config.strategy, features, config.risk.warmup)
        startup = {**context.startup, **features.startup}
        del features  # as large as the data, and done with
    with within(hooks, Stage.SIZING):
        target = targets(config.risk, signal, bars, rules.rebalance.name)
    with within(hooks, Stage.EXECUTION):
        ledger = simulate(bars, target, rules, config.initial_capital)
        trades = round_trips(ledger, bars)
        hooks.event("equity", partial_curve(bars, ledger))
    with within(hooks, Stage.METRICS):
        metrics = measure(bars, ledger, trades)
        hooks.event("metrics", tables.main_metrics(metrics))
    with within(hooks, Stage.VALIDATION):
        reports = validate(config, bars, target, ledger, hooks)
    warnings = warn(bars, ledger, signal, rows_report["price_jumps"], leverage=rules.allow_leverage)
    for warning in warnings:
        hooks.event("warning", warning)
    return Result(
        config=config,
        hash=config.identity({symbol: digest}),
        digests={symbol: digest},
        bars=bars,
        context=context.values,
        startup=startup,
        signals=signal,
        targets=target,
        ledger=ledger,
        trades=trades,
        metrics=metrics,
        validation=reports,
        data_report={"symbols": {symbol: rows_report}},
        assumptions=assumptions(config, data),
        warnings=warnings,
    )


def rows_of(config: RunConfig, data: Dataset) -> tuple[Bars, str, dict[str, Any]]:
    """The bars of the run's symbol, their digest, and what is odd about them."""
    symbol = config.symbols[0]
    made = config.window.bars(data.select([symbol])[0], data.conventions)
    report = describe_rows(made.series, made.conventions)
    if made.info is not None:
        report["resampled"] = dict(made.info)
    return Bars.of(symbol, made.series, made.conventions), made.digest(), report


def measure(bars: Bars, ledger: Ledger, trades: Trades) -> dict[str, Metric]:
    """The core metrics: ratios from daily closes by the calendar, drawdown from every bar."""
    days = sessions.days(bars.time, bars.conventions)
    daily = curve(
        days,
        bars.close_time,
        ledger.equity,
        ledger.initial_capital,
        periods_per_year(bars),
    )
    bars_per_year = sessions.bars_per_year(bars.conventions)
    return core_metrics(daily, ledger, trades, int(bars.time[0]), bars.close_time, bars_per_year)


def periods_per_year(bars: Bars) -> float:
    """Daily returns in a year: the calendar's days, or the bars themselves where they are longer than a day."""
    return min(sessions.annual_days(bars.conventions.calendar), sessions.bars_per_year(bars.conventions))


def validate(config: RunConfig, bars: Bars, target: Targets, ledger: Ledger, hooks: Hooks) -> tuple[Report, ...]:
    """The validators the configuration asks for, in the order of its fields."""
    tests = config.validation

    def again(rules: Execution, costs: float) -> Ledger:
        return simulate(bars, target, rules, config.initial_capital, costs=costs)

    reports = []
    if tests.permutation is not None:
        reports.append(tests.permutation.evaluate(*held_returns(bars, ledger), config.seed, hooks))
    reruns = [test for test in (tests.cost_sensitivity, tests.break_even, tests.ambiguity) if test is not None]
    reports.extend(test.evaluate(again, config.execution, config.seed, hooks) for test in reruns)
    return tuple(reports)


def held_returns(bars: Bars, ledger: Ledger) -> tuple[Floats, Floats]:
    """(T,) weights held, and the market's returns while they were.

    A position is held from open to open, so the market's return is taken from the open of t to the next one, and
    the weight just after the fills at the open of t: a weight that had already moved with the return it
    multiplies could not be shifted against other returns.
    """
    opens = bars.open[:, 0]
    after = np.append(opens[1:], bars.close[-1, 0])
    value = ledger.quantity[:, 0] * opens
    equity = ledger.cash + value
    weights: Floats = np.divide(value, equity, out=np.zeros(len(bars)), where=equity > 0.0)
    return weights, after / opens - 1.0


def warn(
    bars: Bars, ledger: Ledger, signal: Signals, price_jumps: int, *, leverage: bool
) -> tuple[dict[str, str], ...]:
    """What a reader must know before believing the numbers."""
    found = []
    if len(ledger.fills) == 0:
        why = "the signal never changed" if len(ledger.orders) == 0 else "no order met a tradable bar in time"
        if signal.warmup >= len(bars):
            why = f"the strategy needs {signal.warmup} bars of warm-up and the period has {len(bars)}"
        found.append({"code": "NO_FILLS", "message": f"nothing was traded: {why}"})
    if ledger.ruined_bar >= 0:
        found.append(
            {"code": "RUIN", "message": f"equity was at or below zero at bar {ledger.ruined_bar}; all was closed"}
        )
    if not leverage and ledger.lowest_cash < -OVERDRAWN * ledger.initial_capital:
        message = f"accruals and costs of closing took cash down to {ledger.lowest_cash:.2f}"
        found.append({"code": "CASH_OVERDRAWN", "message": message})
    if ledger.ambiguous:
        message = f"stop and target lay inside {ledger.ambiguous} bars: see validation.ambiguity for what that is worth"
        found.append({"code": "AMBIGUOUS_BARS", "message": message})
    if price_jumps:
        message = f"{price_jumps} closes are over 3 times or under a third of the one before: splits or bad rows?"
        found.append({"code": "PRICE_JUMPS", "message": message})
    days = (bars.close_time[-1] - bars.time[0]) / NANOSECONDS_PER_DAY
    if days < sessions.DAYS_PER_YEAR:
        found.append(
            {"code": "SHORT_PERIOD", "message": f"{days:.1f} days are less than a year: annual figures say little"}
        )
    return tuple(found)


def assumptions(config: RunConfig, data: Dataset) -> tuple[str, ...]:
    """What the numbers rest on, in sentences; only what is part of the run's identity."""
    rules = config.execution
    held = data.conventions
    lines = [
        f"feature_lag {rules.feature_lag}: a decision at bar t sees features of bar t-{rules.feature_lag}",
        f"fill_lag {rules.fill_lag}: a decision at bar t fills at the {rules.fill_price} of bar t+{rules.fill_lag}"
        " or later",
        *_prices(rules),
        f"a stamp names the {held.label} of a bar of {held.timeframe}; days follow the calendar {held.calendar}",
        f"prices are adjusted for: {held.adjustment}",
    ]
    if config.timeframe is not None and config.timeframe != held.timeframe:
        lines.append(describe(config.timeframe, held))
    return tuple(lines)


def _prices(rules: Execution) -> list[str]:
    """What fills, exits and holding are assumed to cost."""
    fee = rules.commission
    parts = [f"{fee.bps:g} bps", *(f"{getattr(fee, n):g} {n}" for n in FIXED_FEES if getattr(fee, n))]
    lines = [
        f"slippage {rules.slippage.name} and {rules.slippage_bps:g} bps, commission {', '.join(parts)} on every fill",
        f"shorts pay {rules.borrow_rate:g} a year and idle cash earns {rules.cash_rate:g} a year",
    ]
    if rules.fill_price == "close":
        lines.append("OPTIMISTIC: fills at the close assume that the whole order trades at the bar's last price")
    if rules.fill_price in ("mid", "typical", "vwap"):
        lines.append(f"fills at the {rules.fill_price} assume trading spread over the bar")
    if rules.exits:
        lines.append(
            "exits: a level beyond the open fills at the open, otherwise at the level; of stop and target in one bar"
            f" {rules.bar_path}; a trailing level knows previous bars only"
        )
    if rules.allow_leverage:
        lines.append("OPTIMISTIC: leverage is allowed and borrowed cash costs nothing")
    return lines


def partial_curve(bars: Bars, ledger: Ledger) -> dict[str, Any]:
    """At most 100 evenly spaced points of the equity curve: ``[seconds since 1970, equity]``."""
    at = np.unique(np.linspace(0, len(bars) - 1, min(CURVE_POINTS, len(bars))).astype(np.int64))
    seconds = bars.close_time[at] // NANOSECONDS_PER_SECOND
    return {"points": [[int(s), float(e)] for s, e in zip(seconds, ledger.equity[at], strict=True)]}

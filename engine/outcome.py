"""What a run leaves: the values of every stage, the tables made of them, and what a reader must know."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from engine import attribution, tables
from engine.config import SCHEMA, SEMANTICS, RunConfig, run_id
from engine.data import sessions
from engine.data.bars import Bars, Dataset
from engine.data.benchmark import POINTER, Benchmark
from engine.data.checks import stamp
from engine.data.resample import describe
from engine.execution import Execution
from engine.metrics import periods
from engine.metrics.annualise import daily_curve
from engine.metrics.periods import PeriodReturn
from engine.portfolio import Shares, Together
from engine.results import Curve, Ledger, Metric, Outcome, Reason, Signals, Targets, Trades
from engine.tables import ROLLING_DAYS
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
    together: Together | None = None
    weighting: Shares | None = None
    parts: Mapping[str, "Result"] = field(default_factory=dict)
    """The runs of single symbols, where accounts are independent; this one is their sum."""
    failed: tuple[str, ...] = ()
    """Symbols that share the account and take no part, since their computation failed."""

    @property
    def run_id(self) -> str:
        """The first 32 hex digits of the hash."""
        return run_id(self.hash)

    @property
    def rows(self) -> set[tuple[str, str]]:
        """Symbols and the digests of their rows, the benchmark's too."""
        return {(self.config.benchmark or s if s == POINTER else s, digest) for s, digest in self.digests.items()}

    @cached_property
    def tables(self) -> Mapping[str, pl.DataFrame]:
        """``equity``, ``trades``, ``fills``, ``orders`` and ``rolling`` as polars frames.

        Of several symbols also ``symbols``, and of a portfolio ``positions`` and ``correlation``.
        """
        made = {
            "equity": tables.equity_table(self.bars, self.ledger),
            "trades": tables.trades_table(self.bars, self.ledger, self.signals, self.trades, self.context),
            "fills": tables.fills_table(self.bars, self.ledger),
            "orders": tables.orders_table(self.bars, self.ledger, together=self.is_portfolio),
            "rolling": tables.rolling_table(self.daily),
        }
        if self.is_portfolio:
            made["positions"] = attribution.positions_table(self.bars, self.ledger)
            made["correlation"] = attribution.correlation_table(self.bars, self.ledger)
        if self.has_several:
            made["symbols"] = attribution.symbols_table(self.bars, self.ledger, self.trades)
        return made

    @property
    def has_several(self) -> bool:
        """Whether several symbols were asked for; of independent ones some may be left out."""
        return len(self.config.symbols) > 1

    @property
    def is_portfolio(self) -> bool:
        """Whether several symbols share one account."""
        return len(self.bars.symbols) > 1 and not self.parts

    def snapshots(self) -> list[dict[str, Any]]:
        """The account at regular bars, as JSON values; none where symbols do not share one."""
        if self.together is None or not self.is_portfolio:
            return []
        return attribution.snapshots(self.bars, self.ledger, self.together)

    def frame(self, name: str) -> "pd.DataFrame":
        """One of the tables as a pandas frame; times are aware, in UTC."""
        return _pandas(self.tables[name])

    @cached_property
    def daily(self) -> Curve:
        """Equity at the end of each day of the calendar, after the initial capital."""
        return daily_curve(self.bars, self.ledger)

    @property
    def monthly_returns(self) -> tuple[PeriodReturn, ...]:
        """The return of each month of UTC; their product is that of the run."""
        return periods.monthly_returns(self.daily)

    @property
    def yearly_returns(self) -> tuple[PeriodReturn, ...]:
        """The return of each year of UTC."""
        return periods.yearly_returns(self.daily)

    def rolling_sharpe(self, window: int = ROLLING_DAYS) -> "pd.DataFrame":
        """Sharpe ratio of each ``window`` of days, at least 2, as :func:`engine.tables.rolling_table` has it."""
        return _pandas(tables.rolling_table(self.daily, window))

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
            "period": {
                "start": stamp(int(self.bars.time[0])),
                "end": stamp(int(self.bars.closes_at(-1))),
                "rows": len(self.bars),
            },
            "metrics": tables.main_metrics(dict(self.metrics)),
            "monthly_returns": [period.as_dict() for period in self.monthly_returns],
            "yearly_returns": [period.as_dict() for period in self.yearly_returns],
            "assumptions": list(self.assumptions),
            "warnings": [dict(w) for w in self.warnings],
            "funnel": self.funnel,
            "events": attribution.events(self.bars, self.ledger, self.failed),
            "ambiguous_bars": self.ledger.ambiguous,
            "startup_error": dict(self.startup),
            "validation": {
                r.name: {"statistic": r.statistic, "p_value": r.p_value, "reason": r.reason} for r in self.validation
            },
            **self._several(),
        }

    def _several(self) -> dict[str, Any]:
        """What only several symbols have: what each contributed, and how equity was divided."""
        if not self.has_several:
            return {}
        each = {row.pop("symbol"): row for row in self.tables["symbols"].to_dicts()}
        found: dict[str, Any] = {"mode": self.config.portfolio.mode, "by_symbol": each}
        if self.together is None or self.weighting is None:
            return found
        shares = self.weighting
        return found | {
            "weighting": {
                "evaluations": shares.evaluations,
                "equal_for_want_of_estimates": shares.fallbacks,
                "reason": shares.reason,
                "largest_residual": shares.residual,
            },
            "risk": attribution.risk(self.bars, self.ledger, self.together),
        }


def _pandas(table: pl.DataFrame) -> "pd.DataFrame":
    import pandas as pd  # noqa: PLC0415 - a second of start-up that only notebooks need

    columns = {c.name: pd.Series(c.to_numpy()) for c in table}
    aware = {n: s.dt.tz_localize("UTC") for n, s in columns.items() if s.dtype.kind == "M"}
    return pd.DataFrame(columns | aware)


def warn(
    bars: Bars, ledger: Ledger, signal: Signals, rows: Mapping[str, Mapping[str, Any]], *, leverage: bool
) -> tuple[dict[str, str], ...]:
    """What a reader must know before believing the numbers. ``rows`` is what is odd about each symbol's."""
    found = []
    price_jumps, spikes = (sum(report[name] for report in rows.values()) for name in ("price_jumps", "price_spikes"))
    if len(ledger.fills) == 0:
        lost = [reason.name for reason in Reason if reason and np.any(ledger.orders.reason == reason)]
        why = f"no order was filled: {', '.join(lost) or 'there was nothing to trade'}"
        if len(ledger.orders) == 0:
            why = "every signal was sized to nothing" if signal.values.any() else "the signal never changed"
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
    if spikes:
        message = f"{spikes} bars have a high or low over 3 times away from both open and close: bad ticks?"
        found.append({"code": "PRICE_SPIKES", "message": message})
    days = (bars.closes_at(-1) - bars.time[0]) / NANOSECONDS_PER_DAY
    if days < sessions.DAYS_PER_YEAR:
        found.append(
            {"code": "SHORT_PERIOD", "message": f"{days:.1f} days are less than a year: annual figures say little"}
        )
    return tuple(found)


def warn_ended(bars: Bars, ledger: Ledger, failed: Collection[str]) -> tuple[dict[str, str], ...]:
    """Symbols whose data ended before the others'."""
    told = [event for event in attribution.events(bars, ledger, failed) if event["state"] == "inactive"]
    message = (
        "{symbol} has no bar that closes at {t} or later: what it held is closed at its last close, and it takes no"
        " further part"
    )
    return tuple({"code": "SYMBOL_ENDED", "message": message.format(**event)} for event in told)


def warn_equal(weighting: Shares | None) -> tuple[dict[str, str], ...]:
    """Decisions at which a weighting could not be applied."""
    if weighting is None or not weighting.fallbacks:
        return ()
    message = (
        f"weights were equal at {weighting.fallbacks} of {weighting.evaluations} decisions, for want of what the"
        f" weighting needs; the first time: {weighting.reason}"
    )
    return ({"code": "WEIGHTS_EQUAL", "message": message},)


def warn_still(bars: Bars, window: int) -> tuple[dict[str, str], ...]:
    """Symbols that have no correlation for a while, since their price stands still through a whole window."""
    found = []
    for i, symbol in enumerate(bars.symbols if len(bars.symbols) > 1 else ()):
        close = bars.close[:, i]
        close = close[np.isfinite(close)]
        moves = np.flatnonzero(np.diff(close)) + 1
        longest = int(np.diff(moves, prepend=0, append=len(close)).max()) if len(close) else 0
        if longest > max(min(window, len(close) - 1), 1):
            found.append(f"{symbol} ({longest} bars)")
    if not found:
        return ()
    message = f"prices stand still through a whole window, without correlation there: {', '.join(found)}"
    return ({"code": "CONSTANT_PRICES", "message": message},)


def warn_idle(benchmark: Benchmark | None, bars: Bars) -> tuple[dict[str, str], ...]:
    """Days on which the benchmark has no close of its own: it stands still there, and the strategy may not."""
    if benchmark is None:
        return ()
    day_close = bars.closes_at(sessions.day_ends(bars.time, bars.conventions))
    idle = benchmark.idle_days(int(bars.time[0]), day_close)
    if not idle:
        return ()
    message = f"{benchmark.symbol} has no close on {idle} of {len(day_close)} days: the one before holds there"
    return ({"code": "BENCHMARK_IDLE", "message": message},)


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
    if rules.cash_rate:
        lines.append(
            f"idle cash earns {rules.cash_rate:g} a year: the risk-free rate that ratios and tests of daily returns"
            " take off; growth, drawdown and the shape of returns keep it"
        )
    if config.benchmark is not None:
        lines.append(
            f"the benchmark is {config.benchmark}, held from its first open in the period on, without costs; it earns"
            " what its prices show, with dividends only where they are adjusted for them"
        )
    return (*lines, *_several(config))


def _several(config: RunConfig) -> list[str]:
    """What several symbols are assumed to share."""
    rules, count = config.portfolio, len(config.symbols)
    if count == 1:
        return []
    if rules.mode == "independent":
        return [f"{count} independent accounts, each with the initial capital; the figures of all are their sum"]
    clock = "all symbols have" if rules.align == "intersection" else "any symbol has"
    lines = [f"{count} symbols share one account, on the bars that {clock}; weighting {rules.weighting.name}"]
    if rules.redundancy == "off":
        return [*lines, "correlation changes no size: redundancy is off"]
    return [
        *lines,
        f"redundancy {rules.redundancy} above a correlation of {rules.correlation_threshold:g} of the last"
        f" {rules.correlation_window} log returns, from {rules.correlation_minimum} on; what it frees"
        f" {'goes to the other symbols' if rules.redistribute else 'stays in cash'}",
    ]


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
    seconds = bars.closes_at(at) // NANOSECONDS_PER_SECOND
    return {"points": [[int(s), float(e)] for s, e in zip(seconds, ledger.equity[at], strict=True)]}

"""The life of a run, from rows to doubt. The only module that knows every stage.

::

    1 data        dataset -> Panel        the rows of the period on one clock, and what is odd about them
    2 features    Bars -> FeatureMatrix   of each symbol's own bars 0..t, then lagged (features.base)
    3 strategy    -> Signals              in [-1, 1], 0 before warm-up is over
    4 sizing      -> Targets              weights, the bars on which an order leaves, and each symbol's share
    5 execution   -> Ledger, Trades       fills at t + fill_lag, costs, the account (execution.fills)
    6 metrics     -> Metrics              daily by the calendar, beside a benchmark where one is named; null with a
                                          reason where undefined
    7 validation  -> Reports              how much of it could be luck

Symbols share one account, or each has its own and goes through all of this alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from engine import attribution, tables
from engine.account import Decided, decide, settle
from engine.config import RunConfig, parse_config
from engine.data import sessions
from engine.data.align import Panel, align, beside
from engine.data.bars import COLUMNS, Bars, Dataset
from engine.data.benchmark import Benchmark
from engine.data.checks import describe_rows
from engine.data.mapped import forget
from engine.data.resample import Resampled
from engine.data.tally import tally
from engine.errors import ConfigError, FieldError
from engine.execution import round_trips, side_by_side
from engine.features import SHARED_BYTES, FeatureCache
from engine.hooks import Hooks, Mapper, NoHooks, Stage, spread, within
from engine.metrics.annualise import daily_curve
from engine.metrics.core import core_metrics
from engine.outcome import Result, assumptions, partial_curve, warn, warn_ended, warn_equal, warn_idle, warn_still
from engine.pieces import NOT_ITS_OWN, Shared, sentence, worst
from engine.results import Ledger, Metric, Signals, Targets, Trades
from engine.subject import Ran, validate

Made = Mapping[str, Resampled]
"""The bars of each symbol."""


def run(
    config: RunConfig | Mapping[str, Any],
    data: Dataset,
    hooks: Hooks | None = None,
    cache: FeatureCache | None = None,
    mapper: Mapper = map,
) -> Result:
    """Run a backtest.

    ``config`` is a RunConfig or the plain values of one; ``data`` a dataset that holds its symbols; ``cache`` keeps
    features for further runs on the same rows; ``mapper`` is ``map`` or one that works in threads, for independent
    accounts or else for the symbols' rows and the replicates of tests: the result is the same. Raises
    ``ConfigError``, ``DataError``, and whatever ``hooks`` raise to stop it.
    """
    hooks = hooks or NoHooks()
    config = (config if isinstance(config, RunConfig) else parse_config(config)).resolve(data)
    if config.lenient:
        return run_apart(config, data, hooks, cache, mapper)
    made = config.window.bars(data)
    return run_account(config, data, made, hooks, cache, mapper)


def run_account(
    config: RunConfig, data: Dataset, made: Made, hooks: Hooks, cache: FeatureCache | None, mapper: Mapper = map
) -> Result:
    """Run the symbols of ``made`` on one account."""
    with within(hooks, Stage.DATA):
        market = market_of(config, data, made, mapper)
        panel, bars, digests = market.panel, market.panel.bars, market.digests
    decided = decide(config, panel, hooks, Shared(digests, cache, startup=True))
    signal, target, together = decided.signals, decided.targets, decided.together
    with within(hooks, Stage.EXECUTION):
        ledger = settle(config, bars, decided)
        trades = round_trips(ledger, bars)
        hooks.event("equity", partial_curve(bars, ledger))
    with within(hooks, Stage.METRICS):
        metrics = measure(bars, ledger, trades, market.benchmark)
        hooks.event("metrics", tables.main_metrics(metrics))
    with within(hooks, Stage.VALIDATION):
        kept = Shared(digests, FeatureCache(SHARED_BYTES) if cache is None else cache, whole=panel)
        reports = validate(config, panel, Ran(signal, target, together, ledger, trades), kept, hooks, mapper)
    result = Result(
        config=config,
        hash=config.identity(digests),
        digests=digests,
        bars=bars,
        context=decided.context,
        startup=decided.startup,
        signals=signal,
        targets=target,
        ledger=ledger,
        trades=trades,
        metrics=metrics,
        validation=reports,
        data_report={"symbols": market.report},
        assumptions=assumptions(config, data),
        warnings=warnings_of(config, market, decided, ledger),
        together=together,
        weighting=decided.weighting,
        failed=tuple(decided.failures),
    )
    _tell(result, hooks)
    return result


def run_apart(config: RunConfig, data: Dataset, hooks: Hooks, cache: FeatureCache | None, mapper: Mapper) -> Result:
    """Run every symbol on an account of its own, and add the accounts up. A symbol that fails is left out."""
    with within(hooks, Stage.DATA):
        lacking = {s: errors[0].message for s, errors in config.unusable(data).items()}
        made = config.window.bars(data)
        compared = config.window.compared(data, made)
    lacking |= {s: "no bar is left in the period" for s in config.symbols if s not in made}
    usable = [symbol for symbol in made if symbol not in lacking]

    def one(done: int) -> Result | str:
        symbol = usable[done]
        quiet = Quiet(hooks, done / len(usable))
        try:
            # Without the mapper: its threads compute accounts, and would wait for themselves.
            part = run_account(_alone(config, symbol), data, {symbol: made[symbol]}, quiet, cache)
        except Exception as error:
            if quiet.stopped or isinstance(error, NOT_ITS_OWN):
                raise
            return sentence(error)
        forget(*_columns(made[symbol]))
        return part

    with within(hooks, Stage.EXECUTION):
        found = dict(zip(usable, spread(mapper, one, range(len(usable))), strict=True))
    parts = {symbol: result for symbol, result in found.items() if isinstance(result, Result)}
    lacking |= {symbol: why for symbol, why in found.items() if isinstance(why, str)}
    if not parts:
        raise ConfigError([FieldError("/symbols", "no_symbol_left", f"{s}: {why}") for s, why in lacking.items()])
    with within(hooks, Stage.METRICS):
        known = {s: parts[s].digests[s] if s in parts else mine.digest() for s, mine in made.items()}
        digests = config.window.digests(known, compared)
        return _added_up(config, data, parts, lacking, digests, benchmark_of(config, compared), hooks)


def _added_up(
    config: RunConfig,
    data: Dataset,
    parts: Mapping[str, Result],
    lacking: Mapping[str, str],
    digests: Mapping[str, str],
    benchmark: Benchmark | None,
    hooks: Hooks,
) -> Result:
    """The sum of isolated accounts, with the runs it is made of."""
    panel = beside({s: part.bars for s, part in parts.items()})
    bars, symbols = panel.bars, panel.bars.symbols
    ledger = side_by_side([parts[s].ledger for s in symbols], [panel.rows[s] for s in symbols], len(bars))
    signal = Signals(
        panel.spread({s: parts[s].signals.values for s in symbols}, 0.0), max(p.signals.warmup for p in parts.values())
    )
    weights = signal.values
    if any(part.targets.weights is not part.signals.values for part in parts.values()):
        weights = panel.spread({s: parts[s].targets.weights for s in symbols}, 0.0)
    parts = {s: _seen_in(signal, i, parts[s]) for i, s in enumerate(symbols)}
    decides = np.zeros(weights.shape, dtype=np.bool_)
    for i, symbol in enumerate(symbols):
        decides[panel.rows[symbol], i] = parts[symbol].targets.decides[:, 0]
    trades = round_trips(ledger, bars)
    skipped = [{"code": "SYMBOL_SKIPPED", "message": f"{s} is left out: {why}"} for s, why in sorted(lacking.items())]
    told = [{**w, "message": f"{s}: {w['message']}"} for s in symbols for w in parts[s].warnings]
    result = Result(
        config=config,
        hash=config.identity(digests),
        digests=digests,
        bars=bars,
        context={n: panel.spread({s: parts[s].context[n] for s in symbols}, np.nan) for n in config.context()},
        startup=worst(parts),
        signals=signal,
        targets=Targets(weights, decides, signal.values, notional=parts[symbols[0]].targets.notional),
        ledger=ledger,
        trades=trades,
        metrics=measure(bars, ledger, trades, benchmark),
        validation=(),
        data_report={"symbols": {s: parts[s].data_report["symbols"][s] for s in symbols}},
        assumptions=assumptions(config, data),
        warnings=(*skipped, *told),
        parts=dict(parts),
    )
    hooks.event("equity", partial_curve(bars, ledger))
    hooks.event("metrics", tables.main_metrics(dict(result.metrics)))
    _tell(result, hooks)
    return result


def _seen_in(whole: Signals, i: int, part: Result) -> Result:
    """The run of one symbol with its signals seen in those of all: they are as large as a column of the data."""
    if len(part.bars) < len(whole.values):
        return part
    own, seen = part.signals.values, whole.values[:, i : i + 1]
    targets = replace(
        part.targets,
        weights=seen if part.targets.weights is own else part.targets.weights,
        signals=seen if part.targets.signals is own else part.targets.signals,
    )
    return replace(part, signals=replace(part.signals, values=seen), targets=targets)


def warnings_of(config: RunConfig, market: "Market", decided: Decided, ledger: Ledger) -> tuple[Mapping[str, str], ...]:
    """What a reader must know: symbols that failed, and what is odd about rows, account and benchmark."""
    bars = market.panel.bars
    return (
        *decided.failures.values(),
        *warn(bars, ledger, decided.signals, market.report, leverage=config.execution.allow_leverage),
        *warn_ended(bars, ledger, tuple(decided.failures)),
        *warn_equal(decided.weighting),
        *warn_still(bars, config.portfolio.correlation_window),
        *warn_idle(market.benchmark, bars),
    )


class Quiet:
    """Hooks of one account among many: it may be stopped, and tells nothing."""

    def __init__(self, hooks: Hooks, done: float) -> None:
        self._hooks, self._done = hooks, done
        self.stopped = False

    def stage(self, stage: Stage, *, ended: bool) -> None:  # noqa: ARG002 - the form of Hooks
        """A stage of one account is no stage of the run."""
        self._tell()

    def progress(self, stage: Stage, fraction: float) -> None:  # noqa: ARG002 - the form of Hooks
        """Nor is its progress."""
        self._tell()

    def event(self, kind: str, data: Mapping[str, Any]) -> None:
        """Its warnings come with the result."""

    def _tell(self) -> None:
        self.stopped = True  # what the hooks raise stops the run, and is no failure of the account
        self._hooks.progress(Stage.EXECUTION, self._done)
        self.stopped = False


def _alone(config: RunConfig, symbol: str) -> RunConfig:
    """The configuration of one symbol by itself: what somebody would write who had only that one."""
    plain = config.plain()
    own = {key: {s: v for s, v in plain["portfolio"][key].items() if s == symbol} for key in ("parameters",)}
    limits = plain["portfolio"]["limits"]
    own["limits"] = limits | {"per_symbol": {s: v for s, v in limits["per_symbol"].items() if s == symbol}}
    costs = {s: v for s, v in plain["execution"]["per_symbol"].items() if s == symbol}
    return parse_config(
        plain | {"symbols": [symbol], "portfolio": own, "execution": plain["execution"] | {"per_symbol": costs}}
    )


def _tell(result: Result, hooks: Hooks) -> None:
    """Warnings, and what befell symbols."""
    for warning in result.warnings:
        hooks.event("warning", warning)
    for event in attribution.events(result.bars, result.ledger, result.failed):
        hooks.event("symbol", event)


@dataclass(frozen=True)
class Market:
    """The rows of a run: on one clock, their digests, what is odd about each symbol's, and what they compare with."""

    panel: Panel
    digests: Mapping[str, str]
    report: Mapping[str, Any]
    benchmark: Benchmark | None


def market_of(config: RunConfig, data: Dataset, made: Made, mapper: Mapper = map) -> Market:
    """Align what ``made`` holds, and look at it. Raises ``ConfigError`` where nothing is left."""
    symbols = sorted(made)
    seen = dict(zip(symbols, mapper(_seen, [made[s] for s in symbols]), strict=True))
    priced = {s for s, found in seen.items() if found.priced}
    conventions = made[symbols[0]].conventions
    panel = align({s: mine.series for s, mine in made.items()}, conventions, config.portfolio.align, priced)
    if not len(panel.bars):
        raise ConfigError([FieldError("/symbols", "no_common_bar", "there is no bar that all symbols have")])
    report = {s: dict(found.report) for s, found in seen.items()}
    if len(made) > 1:
        for symbol in symbols:
            report[symbol]["lost_to_alignment"] = panel.lost[symbol]
    compared = config.window.compared(data, made)
    digests = config.window.digests({s: found.digest for s, found in seen.items()}, compared)
    return Market(panel, digests, report, benchmark_of(config, compared))


class _Seen(NamedTuple):
    """The rows of a symbol: their digest, whether every bar has its prices, and what is odd about them."""

    digest: str
    priced: bool
    report: Mapping[str, Any]


def _seen(mine: Resampled) -> _Seen:
    """Read all rows of a symbol. The process need not keep them: few are needed again, and not at once."""
    odd = tally(mine.series)
    report = describe_rows(mine.series, mine.conventions, odd)
    if mine.info is not None:
        report["resampled"] = dict(mine.info)
    found = _Seen(mine.digest(), odd.unpriced == 0, report)
    forget(*_columns(mine))
    return found


def _columns(mine: Resampled) -> tuple[npt.NDArray[Any], ...]:
    """All there is of a symbol's rows."""
    return (mine.series.time, *(getattr(mine.series, name) for name in COLUMNS))


def benchmark_of(config: RunConfig, compared: Resampled | None) -> Benchmark | None:
    """What the run is compared with, if a symbol is named."""
    if config.benchmark is None or compared is None:
        return None
    return Benchmark(config.benchmark, Bars.of(config.benchmark, compared.series, compared.conventions))


def measure(bars: Bars, ledger: Ledger, trades: Trades, benchmark: Benchmark | None) -> dict[str, Metric]:
    """The core metrics: ratios from daily closes by the calendar, drawdown from every bar."""
    daily = daily_curve(bars, ledger)
    prices = None if benchmark is None else benchmark.prices(int(bars.time[0]), daily.day_close)
    ahead = int(bars.closes_at(0)) - int(bars.clock[0])  # only spans of time count
    bars_per_year = sessions.bars_per_year(bars.conventions)
    return core_metrics(daily, ledger, trades, int(bars.time[0]) - ahead, bars.clock, bars_per_year, prices)

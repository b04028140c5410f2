"""What each symbol is by itself: its features, its signals and its sizes, on its own bars."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from engine.canonical import canonical_bytes, sha256_hex
from engine.config import RunConfig
from engine.data import sessions
from engine.data.align import Panel
from engine.data.bars import COLUMNS, Bars
from engine.data.mapped import forget
from engine.errors import CancelledError, ConfigError, EngineError, FieldError
from engine.features import Feature, FeatureCache, FeatureMatrix, feature_matrix
from engine.hooks import Hooks, Stage
from engine.portfolio import Shares, Together, shares, targets
from engine.results import Signals, Targets
from engine.strategies import signals
from engine.types import Floats

NOT_ITS_OWN = (CancelledError, MemoryError, OSError)
"""What is no failure of the symbol that met it: another machine, or another time, would not have it."""


@dataclass(frozen=True)
class Piece:
    """One symbol on its own bars, (T_i, 1): what was seen, signalled and sized."""

    context: Mapping[str, Floats]
    startup: Mapping[str, float]
    signals: Signals
    targets: Targets


@dataclass(frozen=True)
class Shared:
    """What runs on the same rows need not compute again: features, kept in ``cache`` by the ``digests`` of the rows.

    ``whole`` is a panel of which the one looked at is the beginning, None for itself. ``startup``: whether start-up
    errors are wanted, which only a run reports.
    """

    digests: Mapping[str, str] = field(default_factory=dict)
    cache: FeatureCache | None = None
    whole: Panel | None = None
    startup: bool = False

    def key(self, panel: Panel, symbol: str) -> str:
        """The digest of a symbol's rows on the panel: what alignment left of them hangs on the others'."""
        if not panel.lost[symbol]:
            return self.digests.get(symbol, "")
        return sha256_hex(canonical_bytes([symbol, {s: self.digests.get(s, "") for s in panel.own}]))


NOTHING = Shared()


def look(
    config: RunConfig, panel: Panel, hooks: Hooks, shared: Shared, first: int = 0
) -> tuple[dict[str, Piece], dict[str, Mapping[str, str]]]:
    """Features, signals and sizes of every symbol, and the warnings of those whose computation failed.

    Among several symbols a failure stays with its symbol, which goes without a signal; a single one fails the run.
    There is no signal before bar ``first`` of the panel.
    """
    pieces: dict[str, Piece] = {}
    failures: dict[str, Mapping[str, str]] = {}
    for done, (symbol, bars) in enumerate(panel.own.items()):
        try:
            pieces[symbol] = _piece(config, symbol, panel, shared, panel.own_before(symbol, first))
        except NOT_ITS_OWN:
            raise
        except Exception as error:
            if len(panel.own) == 1:
                raise
            failures[symbol] = {"code": "SYMBOL_FAILED", "message": f"{symbol} takes no part: {sentence(error)}"}
            pieces[symbol] = _silent(bars, config)
        if len(panel.own) > 1:
            forget(*(getattr(bars, column) for column in COLUMNS))
        hooks.progress(Stage.FEATURES, (done + 1) / len(panel.own))
    if len(failures) == len(panel.own):
        raise ConfigError([FieldError("/symbols", "symbol_failed", str(w["message"])) for w in failures.values()])
    return pieces, failures


def _piece(config: RunConfig, symbol: str, panel: Panel, shared: Shared, first: int) -> Piece:
    rules, bars = config.execution, panel.own[symbol]
    whole = bars if shared.whole is None else shared.whole.own[symbol]

    def made(features: Mapping[str, Feature]) -> FeatureMatrix:
        key = shared.key(panel, symbol)
        return feature_matrix(bars, features, rules.feature_lag, shared.cache, key, whole, startup=shared.startup)

    features, context = made(config.features(symbol)), made(config.context())
    signal = signals(config.strategy_of(symbol), features, max(config.risk.warmup, first))
    startup = {**context.startup, **features.startup}
    del features  # as large as the data, and done with
    return Piece(context.values, startup, signal, targets(config.risk, signal, bars, rules.rebalance.name))


def _silent(bars: Bars, config: RunConfig) -> Piece:
    """A symbol that wants nothing."""
    nothing = np.zeros(bars.close.shape)
    unseen = {name: np.full(nothing.shape, np.nan) for name in config.context()}
    return Piece(unseen, {}, Signals(nothing, 0), Targets(nothing, np.zeros(nothing.shape, dtype=np.bool_), nothing))


class Started(Protocol):
    """Something that knows the start-up error of its features."""

    @property
    def startup(self) -> Mapping[str, float]: ...


def worst(pieces: Mapping[str, Started]) -> dict[str, float]:
    """The largest start-up error of each feature over symbols."""
    found: dict[str, float] = {}
    for piece in pieces.values():
        for name, error in piece.startup.items():
            found[name] = max(error, found.get(name, 0.0))
    return found


def spread_signals(panel: Panel, pieces: Mapping[str, Piece]) -> Signals:
    """The signals of all symbols on the panel; between a symbol's own bars the last one holds."""
    values = panel.spread({s: p.signals.values for s, p in pieces.items()}, 0.0)
    return Signals(values, max(p.signals.warmup for p in pieces.values()))


def wanted(panel: Panel, pieces: Mapping[str, Piece], config: RunConfig, signal: Signals) -> Targets:
    """Sizes and decisions of all symbols on the panel, whose signals are ``signal``.

    A symbol decides on bars of its own only. What sizing left as it was is the same array.
    """
    if len(pieces) == 1:
        return next(iter(pieces.values())).targets
    values, weights = signal.values, signal.values
    if any(p.targets.signals is not p.signals.values for p in pieces.values()):
        values = panel.spread({s: p.targets.signals for s, p in pieces.items()}, 0.0)
    if any(p.targets.weights is not p.signals.values for p in pieces.values()):
        weights = panel.spread({s: p.targets.weights for s, p in pieces.items()}, 0.0)
    decides = np.zeros((len(panel.bars), len(panel.bars.symbols)), dtype=np.bool_)
    for i, symbol in enumerate(panel.bars.symbols):
        own = pieces[symbol].targets.decides[:, 0]
        decides[slice(None) if len(own) == len(decides) else panel.rows[symbol], i] = own
    return Targets(weights, decides, values, notional=config.risk.notional)


def account_of(
    config: RunConfig, panel: Panel, target: Targets, failed: tuple[str, ...], hooks: Hooks
) -> tuple[Together | None, Shares | None]:
    """The rules of the account as a whole, where there are any: of several symbols, or limits on one."""
    rules, bars = config.portfolio, panel.bars
    if len(bars.symbols) == 1 and not rules.limits.any:
        return None, None
    last = panel.last
    last[[bars.symbols.index(s) for s in failed]] = -1
    divided = shares(
        rules.weighting,
        bars,
        target.decides,
        last,
        rules.correlation_window,
        rules.correlation_minimum,
        lambda done: hooks.progress(Stage.SIZING, done),
    )
    daily = any(rules.limits.of(s, "max_symbol_daily_loss") for s in bars.symbols)
    days = sessions.days(bars.time, bars.conventions) if daily else np.zeros(0, dtype=np.int64)
    return Together(rules, bars.symbols, divided.values, divided.row, last, days), divided


def sentence(error: Exception) -> str:
    """What went wrong, without what only a developer can read."""
    return error.message if isinstance(error, EngineError) else f"its computation failed ({type(error).__name__})"

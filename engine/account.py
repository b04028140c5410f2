"""From a configuration and a panel to the account: the way that a run, its repetitions and children of a sweep go."""

from collections.abc import Mapping
from dataclasses import dataclass

from engine.config import RunConfig
from engine.data.align import Panel
from engine.data.bars import Bars
from engine.execution import simulate
from engine.hooks import Hooks, Stage, within
from engine.pieces import NOTHING, Piece, Shared, account_of, look, spread_signals, wanted
from engine.portfolio import Shares, Together
from engine.results import Ledger, Signals, Targets


@dataclass(frozen=True)
class Decided:
    """What a run wants, before anything is traded; ``failures`` are the warnings of symbols that take no part."""

    pieces: Mapping[str, Piece]
    failures: Mapping[str, Mapping[str, str]]
    signals: Signals
    targets: Targets
    together: Together | None
    weighting: Shares | None


def decide(config: RunConfig, panel: Panel, hooks: Hooks, shared: Shared = NOTHING, first: int = 0) -> Decided:
    """Features, signals, sizes and the rules of the account on a panel; no signal before its bar ``first``.

    Raises ``ConfigError`` where every symbol fails, and whatever the computation of a single one raises.
    """
    with within(hooks, Stage.FEATURES):
        pieces, failures = look(config, panel, hooks, shared, first)
    with within(hooks, Stage.STRATEGY):
        signals = spread_signals(panel, pieces)
    with within(hooks, Stage.SIZING):
        targets = wanted(panel, pieces, config)
        together, weighting = account_of(config, panel, targets, tuple(failures), hooks)
    return Decided(pieces, failures, signals, targets, together, weighting)


def settle(config: RunConfig, bars: Bars, decided: Decided) -> Ledger:
    """What became of it: fills, costs and the account."""
    return simulate(bars, decided.targets, config.execution, config.initial_capital, together=decided.together)

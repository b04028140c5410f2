"""From a configuration and a panel to the account: the way that a run, its repetitions and children of a sweep go."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from engine.config import RunConfig
from engine.data.align import Panel
from engine.data.bars import Bars
from engine.execution import simulate
from engine.hooks import Hooks, Stage, within
from engine.pieces import NOTHING, Shared, account_of, look, spread_signals, wanted, worst
from engine.portfolio import Shares, Together
from engine.results import Ledger, Signals, Targets
from engine.types import Floats


@dataclass(frozen=True)
class Decided:
    """What a run wants, before anything is traded.

    ``context`` (T, N) by name is what trades are told with, ``startup`` the worst start-up error of each feature,
    ``failures`` the warnings of symbols that take no part.
    """

    context: Mapping[str, Floats]
    startup: Mapping[str, float]
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
        context = {n: panel.spread({s: p.context[n] for s, p in pieces.items()}, np.nan) for n in config.context()}
    with within(hooks, Stage.SIZING):
        targets = wanted(panel, pieces, config, signals)
        startup = worst(pieces)
        del pieces  # as large as what was made of them
        together, weighting = account_of(config, panel, targets, tuple(failures), hooks)
    return Decided(context, startup, failures, signals, targets, together, weighting)


def settle(config: RunConfig, bars: Bars, decided: Decided) -> Ledger:
    """What became of it: fills, costs and the account."""
    return simulate(bars, decided.targets, config.execution, config.initial_capital, together=decided.together)

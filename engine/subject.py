"""A finished run as its tests see it: what it held, and how to run all of it again on other bars or parameters."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from engine.account import decide, settle
from engine.config import RunConfig
from engine.data.align import Panel
from engine.data.bars import Bars
from engine.data.sessions import periods_per_year
from engine.execution import Execution, simulate
from engine.hooks import Hooks, Mapper, NoHooks
from engine.pieces import NOTHING, Shared, look, spread_signals
from engine.portfolio import Together
from engine.results import Fills, Ledger, Moment, Signals, Targets, Trades
from engine.types import Floats
from engine.validation import suite
from engine.validation.base import Report
from engine.validation.days import daily_returns, day_ends
from engine.validation.suite import Subject, Validation


@dataclass(frozen=True)
class Ran:
    """What a run has made before it is tested."""

    signals: Signals
    targets: Targets
    together: Together | None
    ledger: Ledger
    trades: Trades


def validate(
    config: RunConfig, panel: Panel, ran: Ran, shared: Shared, hooks: Hooks, mapper: Mapper = map
) -> tuple[Report, ...]:
    """The tests the configuration asks for, in the order of its fields."""
    if config.validation == Validation():
        return ()
    return suite.validate(config.validation, subject_of(config, panel, ran, shared, hooks, mapper))


def subject_of(
    config: RunConfig, panel: Panel, ran: Ran, shared: Shared, hooks: Hooks, mapper: Mapper = map
) -> Subject:
    """Everything a test may ask of a run; ``shared`` are the features of its panel."""
    again = _Again(config, panel, shared)
    weights, market_returns = held_returns(panel.bars, ran.ledger)

    def simulated(rules: Execution, costs: float) -> Ledger:
        return simulate(panel.bars, ran.targets, rules, config.initial_capital, costs=costs, together=ran.together)

    return Subject(
        bars=panel.bars,
        ledger=ran.ledger,
        trades=ran.trades,
        targets=ran.targets,
        daily=daily_returns(ran.ledger, day_ends(panel.bars)),
        annual=periods_per_year(panel.bars.conventions),
        weights=weights,
        market_returns=market_returns,
        warmup=ran.signals.warmup,
        params=config.parameters.model_dump(),
        rules=config.execution,
        simulate=simulated,
        rerun=again.rerun,
        signals_of=again.signals_of,
        refit=again.refit,
        seed=config.seed,
        hooks=hooks,
        mapper=mapper,
    )


@dataclass(frozen=True)
class _Again:
    """The whole run once more: features, lag, strategy, sizing, shares and ledger."""

    config: RunConfig
    panel: Panel
    shared: Shared

    def rerun(self, bars: Bars) -> Ledger:
        """On other bars at some of the same times."""
        return self._account(self.config, bars, 0, NOTHING)

    def signals_of(self, bars: Bars) -> Floats:
        """Its signals (T, N) there."""
        panel = self.panel.on(bars)
        return spread_signals(panel, look(self.config, panel, NoHooks(), NOTHING)[0]).values

    def refit(self, params: Mapping[str, Any], bars: Bars, first: int) -> Ledger:
        """With other parameters of the strategy, trading from bar ``first`` on. Raises ``ConfigError``.

        On the run's own bars, or their beginning, what is computed of a feature for one is there for all.
        """
        kept = self.shared if bars.begins(self.panel.bars) else NOTHING
        return self._account(self.config.varied(params), bars, first, kept)

    def _account(self, config: RunConfig, bars: Bars, first: int, shared: Shared) -> Ledger:
        return settle(config, bars, decide(config, self.panel.on(bars), NoHooks(), shared, first))


def held_returns(bars: Bars, ledger: Ledger) -> tuple[Floats, Floats]:
    """Weights held, and the market's returns while they were: (T,), or (T, N) of several symbols.

    The market's return is taken from the open of t to the next one, at the end to the last mark, and the weight just
    after the fills at the open of t: a weight that had already moved with the return it multiplies could not be
    shifted against other returns. So a position that a stop or target closes inside bar t has its weight there, as
    one has that is closed at the close; one opened inside a bar or at its close counts from the next bar on. The way
    from such a fill to the next open is credited to the position before the fill: returns are the market's alone.
    """
    opens = np.where(bars.valid, bars.open, ledger.mark)
    after = np.concatenate((opens[1:], ledger.mark[-1:]))
    held = _after_opens(ledger)
    quantity = held.quantity
    value = np.where(quantity != 0.0, quantity * opens, 0.0)
    equity = (held.cash + value.sum(axis=1))[:, None]
    weights: Floats = np.divide(value, equity, out=np.zeros(value.shape), where=equity > 0.0)
    returns: Floats = np.nan_to_num(after / opens - 1.0)
    return (weights[:, 0], returns[:, 0]) if weights.shape[1] == 1 else (weights, returns)


def _after_opens(ledger: Ledger) -> Ledger:
    """The ledger whose positions and cash at bar t are those just after the fills at the open of t.

    What fills later in a bar is put off to the next one, what fills later in the last bar is left out.
    """
    fills = ledger.fills
    bar = fills.bar + (fills.moment != Moment.OPEN)
    order = np.argsort(bar, kind="stable")
    order = order[: np.searchsorted(bar[order], len(ledger.equity))]
    columns = {column.name: getattr(fills, column.name)[order] for column in fields(fills)}
    return replace(ledger, fills=Fills(**columns | {"bar": bar[order]}))

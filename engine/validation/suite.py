"""The tests of a result: which there are, what they may ask of a run, and their answers in order."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from engine.canonical import canonical_bytes
from engine.data.bars import Bars
from engine.errors import nearest, step
from engine.execution import Execution
from engine.hooks import Hooks, Mapper, Stage
from engine.registry import Frozen
from engine.results import Ledger, Targets, Trades
from engine.types import Floats, Ints
from engine.validation.bar_permutation import BarPermutation
from engine.validation.base import Report
from engine.validation.block_bootstrap import BlockBootstrap
from engine.validation.costs import HALVINGS, Ambiguity, BreakEven, CostSensitivity
from engine.validation.cross_validation import CrossValidation
from engine.validation.days import Daily, daily_returns, day_ends
from engine.validation.grids import size_of
from engine.validation.lookahead import Lookahead
from engine.validation.monte_carlo import MonteCarlo
from engine.validation.multiplicity import Multiplicity
from engine.validation.permutation import Permutation
from engine.validation.plateau import Plateau
from engine.validation.selection import OverfittingTest, SuperiorityTest
from engine.validation.startup import Startup
from engine.validation.track_record import SharpeTest
from engine.validation.walk_forward import WalkForwardTest


def _switch(value: Any) -> Any:
    """``true`` as a test with its defaults, ``false`` as none."""
    if isinstance(value, bool):
        return {} if value else None
    return value


class Validation(Frozen):
    """The tests of the result; each runs when its block is there."""

    permutation: Annotated[Permutation | None, Field(description="does the timing of entries matter?")] = None
    cost_sensitivity: Annotated[
        CostSensitivity | None, Field(description="the result under multiples of the costs")
    ] = None
    break_even: Annotated[BreakEven | None, Field(description="the cost that leaves nothing")] = None
    ambiguity: Annotated[
        Ambiguity | None, Field(description="the result under either path inside bars that hold stop and target")
    ] = None
    bar_permutation: Annotated[
        BarPermutation | None, Field(description="the whole run on markets whose bars are shuffled")
    ] = None
    block_bootstrap: Annotated[
        BlockBootstrap | None, Field(description="how sure Sharpe ratio and mean return are")
    ] = None
    monte_carlo: Annotated[
        MonteCarlo | None, Field(description="other orders of the trades, other draws of them, worse fills")
    ] = None
    walk_forward: Annotated[
        WalkForwardTest | None, Field(description="window by window, with parameters chosen before each")
    ] = None
    overfitting: Annotated[
        OverfittingTest | None, Field(description="how often the best of a grid is not the best later")
    ] = None
    superiority: Annotated[
        SuperiorityTest | None, Field(description="does the best of a grid beat nothing at all?")
    ] = None
    cross_validation: Annotated[
        CrossValidation | None, Field(description="the best of a grid on days it was not chosen on")
    ] = None
    multiplicity: Annotated[Multiplicity | None, Field(description="every point of a grid as one of many tests")] = None
    lookahead: Annotated[
        Lookahead | None,
        BeforeValidator(_switch, json_schema_input_type=Lookahead | bool | None),
        Field(description="does another future change the past? true is the defaults"),
    ] = None
    startup: Annotated[Startup | None, Field(description="does the result hang on when the run began?")] = None
    plateau: Annotated[Plateau | None, Field(description="do neighbouring parameters earn as much?")] = None
    sharpe: Annotated[SharpeTest | None, Field(description="probabilistic and deflated Sharpe ratio")] = None


TESTS: Mapping[str, type[Frozen]] = {
    "permutation": Permutation,
    "cost_sensitivity": CostSensitivity,
    "break_even": BreakEven,
    "ambiguity": Ambiguity,
    "bar_permutation": BarPermutation,
    "block_bootstrap": BlockBootstrap,
    "monte_carlo": MonteCarlo,
    "walk_forward": WalkForwardTest,
    "overfitting": OverfittingTest,
    "superiority": SuperiorityTest,
    "cross_validation": CrossValidation,
    "multiplicity": Multiplicity,
    "lookahead": Lookahead,
    "startup": Startup,
    "plateau": Plateau,
    "sharpe": SharpeTest,
}
"""Every test by its field, in order."""


SEARCHES = ("overfitting", "superiority", "cross_validation", "multiplicity")
"""Those that run every point of a grid on all bars: equal grids are run once."""


def check_grids(tests: Validation, params: Frozen) -> None:
    """Refuse grids over what is no parameter of the strategy, whose own are ``params``. Raises pydantic's error."""
    known = sorted(type(params).model_fields)
    for name in ("walk_forward", *SEARCHES):
        test = getattr(tests, name)
        for parameter in sorted((test.grid or {}) if test is not None else {}):
            if parameter not in known:
                raise PydanticCustomError(
                    "unknown_parameter",
                    "the strategy has no parameter '{parameter}'.{hint}",
                    {
                        "parameter": parameter,
                        "hint": nearest(parameter, known),
                        "field": f"validation/{name}/grid/{step(parameter)}",
                    },
                )


@dataclass(frozen=True)
class Subject:
    """What a test may ask of a finished run.

    ``daily`` are its returns by day and ``annual`` the days a year. ``weights`` (T,) are those held and
    ``market_returns`` (T,) what the market returned meanwhile. ``simulate`` is the account on the same targets under
    other rules and with costs multiplied; ``rerun`` the whole run, from features to ledger, on other bars and
    ``signals_of`` its signals (T, N) there. ``refit`` is the same with other parameters of the strategy, trading from
    bar ``first`` on, and raises ``ConfigError`` for parameters the strategy refuses. ``params`` are its own and
    ``warmup`` the bars it needs before it trades. ``mapper`` spreads replicates, so several threads may ask at once.
    """

    bars: Bars
    ledger: Ledger
    trades: Trades
    targets: Targets
    daily: Daily
    annual: float
    weights: Floats
    market_returns: Floats
    warmup: int
    params: Mapping[str, Any]
    rules: Execution
    simulate: Callable[[Execution, float], Ledger]
    rerun: Callable[[Bars], Ledger]
    signals_of: Callable[[Bars], Floats]
    refit: Callable[[Mapping[str, Any], Bars, int], Ledger]
    seed: int
    hooks: Hooks
    mapper: Mapper = map

    @cached_property
    def _ends(self) -> Ints:
        return day_ends(self.bars)

    @cached_property
    def _known(self) -> dict[bytes, Daily]:
        return {}

    def daily_of(self, params: Mapping[str, Any]) -> Daily:
        """Daily returns with other parameters of the strategy; kept, for tests share grids."""
        key = canonical_bytes({**self.params, **params})
        if key not in self._known:
            self._known[key] = daily_returns(self.refit(params, self.bars, 0), self._ends)
        return self._known[key]


def validate(tests: Validation, subject: Subject) -> tuple[Report, ...]:
    """The reports of the tests that are configured, in the order of the model's fields."""
    wanted = [name for name in Validation.model_fields if getattr(tests, name) is not None]
    shared = (_Part(subject.hooks, place, len(wanted)) for place in range(len(wanted)))
    return tuple(
        _JUDGES[name](getattr(tests, name), subject, hooks) for name, hooks in zip(wanted, shared, strict=True)
    )


def whole_runs(tests: Validation) -> int:
    """About how many times the tests repeat the run: what they cost, for a forecast."""
    count = 0
    if tests.cost_sensitivity is not None:
        count += len(tests.cost_sensitivity.multipliers)
    if tests.break_even is not None:
        count += HALVINGS
    if tests.bar_permutation is not None:
        count += tests.bar_permutation.n
    if tests.walk_forward is not None and tests.walk_forward.grid is not None:
        count += tests.walk_forward.windows * size_of(tests.walk_forward.grid)
    grids = [test.grid for test in (getattr(tests, name) for name in SEARCHES) if test is not None]
    count += sum(size_of(grid) for k, grid in enumerate(grids) if grid not in grids[:k])
    if tests.lookahead is not None:
        count += 4 * tests.lookahead.cuts
    if tests.startup is not None:
        count += 2 * tests.startup.starts
    return count + (0 if tests.plateau is None else tests.plateau.points)


@dataclass
class _Part:
    """Hooks for one of several tests: its progress is a share of the stage's, and never falls."""

    hooks: Hooks
    place: int
    count: int
    _most: float = 0.0

    def stage(self, stage: Stage, *, ended: bool) -> None:
        self.hooks.stage(stage, ended=ended)

    def progress(self, stage: Stage, fraction: float) -> None:
        self._most = max(self._most, fraction)
        self.hooks.progress(stage, (self.place + self._most) / self.count)

    def event(self, kind: str, data: Mapping[str, Any]) -> None:
        self.hooks.event(kind, data)


def _on_ledgers(test: Any, of: Subject, hooks: Hooks) -> Report:
    report: Report = test.evaluate(of.simulate, of.rules, of.seed, hooks, of.mapper)
    return report


_JUDGES: Mapping[str, Callable[[Any, Subject, Hooks], Report]] = {
    "permutation": lambda test, of, hooks: test.evaluate(of.weights, of.market_returns, of.seed, hooks, of.mapper),
    "cost_sensitivity": _on_ledgers,
    "break_even": lambda test, of, hooks: test.evaluate(of.simulate, of.rules, of.seed, hooks),
    "ambiguity": _on_ledgers,
    "block_bootstrap": lambda test, of, hooks: test.evaluate(of.daily, of.annual, of.seed, hooks, of.mapper),
    "monte_carlo": lambda test, of, hooks: test.evaluate(of.ledger, of.trades, of.seed, hooks, of.mapper),
    "bar_permutation": lambda test, of, hooks: test.evaluate(of.bars, of.ledger, of.rerun, of.seed, hooks, of.mapper),
    "walk_forward": lambda test, of, hooks: test.evaluate(
        of.bars, of.daily, of.params, of.refit, of.annual, of.seed, hooks, of.mapper
    ),
    "overfitting": lambda test, of, hooks: test.evaluate(of.daily_of, of.seed, hooks, of.mapper),
    "superiority": lambda test, of, hooks: test.evaluate(of.daily_of, of.seed, hooks, of.mapper),
    "cross_validation": lambda test, of, hooks: test.evaluate(of.daily_of, of.annual, of.seed, hooks, of.mapper),
    "multiplicity": lambda test, of, hooks: test.evaluate(of.daily_of, of.annual, of.seed, hooks, of.mapper),
    "lookahead": lambda test, of, hooks: test.evaluate(
        of.bars, of.rules.feature_lag, of.signals_of, of.rerun, of.seed, hooks, of.mapper
    ),
    "startup": lambda test, of, hooks: test.evaluate(
        of.bars, of.warmup, of.signals_of, of.rerun, of.seed, hooks, of.mapper
    ),
    "plateau": lambda test, of, hooks: test.evaluate(
        of.daily, of.params, of.daily_of, of.annual, of.seed, hooks, of.mapper
    ),
    "sharpe": lambda test, of, hooks: test.evaluate(of.daily, of.annual, of.seed, hooks),
}

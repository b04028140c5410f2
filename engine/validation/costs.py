"""What costs do to a result: the curve over multiples of the configured costs, and the cost at which nothing is left.

Every point is a whole run of the ledger on the same targets.
"""

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from engine.execution import Commission, Execution
from engine.execution.slippage import NoSlippage
from engine.hooks import Hooks, Mapper, Stage, spread
from engine.registry import Frozen, Real, sequence
from engine.results import Ledger
from engine.validation.base import Report

Simulate = Callable[[Execution, float], Ledger]
"""The account under other rules, and under trading costs multiplied by a factor."""

HALVINGS = 60
NOTHING_TRADED = "nothing was traded"

Multiplier = Annotated[Real, Field(ge=0.0, le=100.0)]


class CostSensitivity(Frozen):
    """The total return under multiples of every slippage and commission the configuration has."""

    multipliers: Annotated[
        tuple[Multiplier, ...],
        BeforeValidator(sequence),
        Field(min_length=1, max_length=50, description="factors on all trading costs, rising"),
    ] = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)

    @model_validator(mode="after")
    def _rising(self) -> "CostSensitivity":
        if list(self.multipliers) != sorted(set(self.multipliers)):
            raise PydanticCustomError(
                "not_rising", "multipliers rise, and none is there twice", {"field": "multipliers"}
            )
        return self

    def evaluate(self, simulate: Simulate, rules: Execution, seed: int, hooks: Hooks, mapper: Mapper = map) -> Report:
        """One run for each multiplier; ``details["curve"]`` lists ``multiplier, total_return, costs``."""

        def point(factor: float) -> dict[str, float]:
            ledger = simulate(rules, factor)
            spent = float(ledger.fills.commission.sum() + ledger.fills.slippage.sum())
            return {"multiplier": factor, "total_return": total_return(ledger), "costs": spent}

        curve = []
        for done, row in enumerate(spread(mapper, point, self.multipliers), 1):
            curve.append(row)
            _tell(hooks, "cost_sensitivity", done, len(self.multipliers))
        return Report(
            name="cost_sensitivity",
            parameters=self.model_dump(),
            seed=seed,
            replicates=len(curve),
            exact=True,
            reason="there is no one figure: the curve has the total return at each multiplier",
            details={"curve": curve},
            note="total return with slippage and commission multiplied; borrow and interest as configured",
        )


class BreakEven(Frozen):
    """The cost per fill, in basis points of notional, at which the total return is zero."""

    max_bps: Annotated[Real, Field(gt=0.0, lt=10_000.0, description="where the search ends")] = 1000.0

    def evaluate(self, simulate: Simulate, rules: Execution, seed: int, hooks: Hooks) -> Report:
        """Bisect between no costs and ``max_bps``, taken as commission in place of all slippage and commission.

        Null with a reason where nothing was traded, where the run earns nothing even without costs, and where it
        still earns at ``max_bps``.
        """
        bare = {
            "slippage": NoSlippage(),
            "slippage_bps": 0.0,
            "per_symbol": {s: own.without_trading_costs() for s, own in rules.per_symbol.items()},
        }

        def earned(bps: float) -> float:
            return total_return(simulate(rules.model_copy(update=bare | {"commission": Commission(bps=bps)}), 1.0))

        free = simulate(rules.model_copy(update=bare | {"commission": Commission()}), 1.0)
        if len(free.fills) == 0:
            return self._report(seed, reason=NOTHING_TRADED)
        if total_return(free) <= 0.0:
            return self._report(seed, reason="the total return is not above zero even without costs")
        if earned(self.max_bps) > 0.0:
            return self._report(seed, reason=f"the total return is above zero even at {self.max_bps:g} bps")
        low, high = 0.0, self.max_bps
        for done in range(1, HALVINGS + 1):
            middle = (low + high) / 2.0
            if earned(middle) > 0.0:
                low = middle
            else:
                high = middle
            _tell(hooks, "break_even", done, HALVINGS)
        return self._report(seed, statistic=high, replicates=HALVINGS + 2)

    def _report(self, seed: int, **values: Any) -> Report:
        note = "statistic: bps of notional on every fill, in place of slippage and commission, that leave nothing"
        return Report("break_even", self.model_dump(), seed, exact=True, note=note, **values)


class Ambiguity(Frozen):
    """How far the result hangs on what came first inside a bar: whole runs under either path."""

    def evaluate(self, simulate: Simulate, rules: Execution, seed: int, hooks: Hooks, mapper: Mapper = map) -> Report:
        """Two runs; ``details`` has ``ambiguous_bars`` and the total return of each path."""

        def under(path: str) -> dict[str, Any]:
            ledger = simulate(rules.model_copy(update={"bar_path": path}), 1.0)
            values = {"total_return": total_return(ledger), "final_equity": float(ledger.equity[-1])}
            return {**values, "ambiguous_bars": ledger.ambiguous}

        paths = ("stop_first", "target_first")
        details: dict[str, Any] = {}
        for done, found in enumerate(spread(mapper, under, paths), 1):
            details[paths[done - 1]] = found
            _tell(hooks, "ambiguity", done, 2)
        return Report(
            name="ambiguity",
            parameters=self.model_dump(),
            seed=seed,
            statistic=details["target_first"]["total_return"] - details["stop_first"]["total_return"],
            replicates=2,
            exact=True,
            details=details,
            note="statistic: total return under target_first less that under stop_first",
        )


def total_return(ledger: Ledger) -> float:
    """E_T / E_0 - 1."""
    return float(ledger.equity[-1]) / ledger.initial_capital - 1.0


def _tell(hooks: Hooks, test: str, done: int, total: int) -> None:
    hooks.event("validation_progress", {"test": test, "done": done, "total": total})
    hooks.progress(Stage.VALIDATION, done / total)

"""Random portfolios as the engine takes them, for what must hold of every one."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from engine.data.bars import Bars
from engine.execution import Execution, simulate
from engine.portfolio import Together
from engine.results import Ledger, Targets
from engine.types import Floats
from tests.oracle.portfolio_cases import Setting, portfolio_of, rough_setting
from tests.oracle.together import bars_of, together_of

PROPERTY = settings(deadline=None, max_examples=300, derandomize=True)
SEEDS = st.integers(0, 2**32 - 1)
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Case:
    """Bars, what is wanted of them, and every rule, all from one seed."""

    bars: Bars
    targets: Targets
    rules: Execution
    together: Together
    capital: float

    def ledger(self) -> Ledger:
        return simulate(self.bars, self.targets, self.rules, self.capital, together=self.together)


def made_of(setting: Setting) -> Case:
    plain = portfolio_of(setting)
    targets = Targets(plain.weights, plain.decides, plain.signals, notional=plain.rules.notional)
    rules = Execution.model_validate(setting.case.configuration)
    return Case(bars_of(plain), targets, rules, together_of(plain), plain.capital)


def case_of(seed: int, **changes: Any) -> Case:
    """A random portfolio with about half of all the rules there are; ``changes`` are those of its execution."""
    setting = rough_setting(seed)
    return made_of(replace(setting, case=replace(setting.case, **changes)))


def size_of(ledger: Ledger) -> Floats:
    """(T,) what a rounding error may be measured against: the largest sum the account has seen so far."""
    gross = np.abs(ledger.cash) + np.abs(np.nan_to_num(ledger.values)).sum(axis=1)
    return np.asarray(np.maximum.accumulate(np.maximum(gross, ledger.initial_capital)), dtype=np.float64)

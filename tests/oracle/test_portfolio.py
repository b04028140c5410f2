"""Portfolios of the engine against those of the oracle: one of the two is wrong wherever they differ."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import event, given, settings, target

from engine.results import Cause, Happening, Ledger, Leg, Moment, Outcome, Reason
from tests.oracle.portfolio import Played, Portfolio, simulate
from tests.oracle.portfolio_cases import PORTFOLIO, SETTINGS, Setting, portfolio_of, rough_setting, seen
from tests.oracle.together import apart, by_the_engine, events_of

EXPOSURE = ("max_gross_exposure", "max_net_exposure", "max_symbol_weight")


def sights(given: Portfolio, theirs: Ledger) -> Counter[str]:
    """What the engine's account went through, by the names of its codes and of the rules that were at work."""
    orders, rules = theirs.orders, given.portfolio
    paths: Counter[str] = Counter()
    paths.update(f"cause {Cause(code).name}" for code in orders.cause)
    paths.update(f"reason {Reason(code).name}" for code in orders.reason)
    paths.update(f"scaled by {Reason(code).name}" for code in orders.scale_reason)
    paths.update(f"outcome {Outcome(code).name}" for code in orders.outcome)
    paths.update(f"moment {Moment(code).name}" for code in theirs.fills.moment)
    paths.update(f"leg {Leg(code).name}" for code in theirs.fills.leg)
    paths.update(f"happening {Happening(code).name}" for code in theirs.events.kind)
    paths[f"{rules.redundancy} to a part"] += int(((orders.factor > 0.0) & (orders.factor < 1.0)).sum())
    paths[f"{rules.redundancy} to nothing"] += int((orders.factor == 0.0).sum())
    paths[f"{rules.redundancy} redistributed"] += int((orders.factor > 1.0).sum())
    paths["own threshold"] += bool(rules.overrides) and int((orders.partner >= 0).sum())
    cut = int((orders.scale_reason == Reason.EXPOSURE_LIMIT).sum())
    alone = [name for name in EXPOSURE if getattr(rules, name) is not None]
    paths[f"{alone[0]} cut" if len(alone) == 1 else "one of several limits cut"] += cut
    paths["a limit that is met changes nothing"] += bool(alone) and cut == 0
    waiting = orders.filled_bar - orders.decided_bar > given.rules.fill_lag
    paths["waited"] += int(waiting.sum())
    return paths


def compare(setting: Setting) -> tuple[list[str], Counter[str], Played]:
    """What differs, what the case went through, and the oracle's account."""
    portfolio = portfolio_of(setting)
    played = simulate(portfolio)
    bars, theirs = by_the_engine(portfolio, setting)
    return apart(played, bars, theirs), sights(portfolio, theirs) + seen(played), played


EVERYTHING = (
    *(f"cause {code.name}" for code in Cause),
    *(f"reason {code.name}" for code in Reason),
    *(f"outcome {code.name}" for code in Outcome),
    *(f"moment {code.name}" for code in Moment),
    *(f"leg {code.name}" for code in Leg),
    *(f"happening {code.name}" for code in Happening),
    *(f"scaled by {name}" for name in ("CORRELATED", "EXPOSURE_LIMIT", "NO_CASH", "MIN_NOTIONAL")),
    *(f"scaled by {name}" for name in ("LOT_ROUNDED_TO_ZERO", "MAX_POSITIONS", "SYMBOL_HALTED", "PORTFOLIO_HALTED")),
    *("scale to a part", "scale redistributed", "filter to nothing", "filter redistributed", "own threshold"),
    *(f"{name} cut" for name in EXPOSURE),
    *("UNFILLED CORRELATED", "UNFILLED EXPOSURE_LIMIT", "UNFILLED MAX_POSITIONS", "UNFILLED SYMBOL_HALTED"),
    *("UNFILLED PORTFOLIO_HALTED", "PARTIAL SYMBOL_HALTED", "PARTIAL PORTFOLIO_HALTED", "UNFILLED SUPERSEDED"),
    *("partner", "opposite partner", "ended with costs", "halted in parts", "waited", "cut and short of cash"),
)


def test_400_random_portfolios_are_the_same_in_both() -> None:
    """And they go everywhere: a comparison proves little of what never happens."""
    paths: Counter[str] = Counter()
    found: dict[int, list[str]] = {}
    for seed in range(400):
        differs, walked, _ = compare(rough_setting(seed))
        paths += walked
        if differs:
            found[seed] = differs
    assert found == {}
    assert {name: paths[name] for name in EVERYTHING if paths[name] < 2} == {}
    assert paths["dust"] < 4


@settings(deadline=None, max_examples=200, derandomize=True)
@given(setting=SETTINGS)
def test_any_portfolio_is_the_same_in_both(setting: Setting) -> None:
    found, walked, played = compare(setting)
    for name in +walked:
        event(name)
    target(float(len(+walked)))
    target(float(len(events_of(played))), label="events")
    assert not found, "\n".join(found)


def test_limits_on_one_symbol_are_the_same_in_both() -> None:
    paths: Counter[str] = Counter()
    for seed in range(120):
        setting = rough_setting(seed)
        found, walked, _ = compare(replace(setting, case=replace(setting.case, assets=1)))
        assert not found, "\n".join(found)
        paths += walked
    needed = ("scaled by EXPOSURE_LIMIT", "happening HALTED", "happening STOPPED", "UNFILLED SYMBOL_HALTED")
    assert {name: paths[name] for name in needed if paths[name] < 3} == {}


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, values in PORTFOLIO.items() for v in values if v])
def test_each_rule_by_itself_is_the_same_in_both(name: str, value: Any) -> None:
    """Several rules together may hide what one does. Redundancy needs a low threshold to be at work at all."""
    paths: Counter[str] = Counter()
    for seed in range(6):
        setting = rough_setting(seed)
        alone = {"threshold": 0.6, name: value}
        found, walked, _ = compare(replace(setting, portfolio=alone, case=replace(setting.case, rules={})))
        assert not found, "\n".join(found)
        paths += walked
    assert paths["outcome FILLED"] > 50

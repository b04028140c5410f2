"""THE look-ahead test: another future never changes the past, on the whole pipeline, and the test itself can fail.

For a cut bar t the market is replaced by another one from bar t on, bar t included, and the run repeated. What was
decided on earlier bars, and what had happened by then, must be the same to the last bit. A second future keeps the open
and the volume of bar t, because that is all a fill in bar t may know of it.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import engine
from engine.data.bars import Bars
from engine.execution import Execution, simulate
from engine.features import base
from engine.features.indicators import SimpleMovingAverage
from engine.pipeline import Result
from engine.results import Ledger, Targets
from engine.strategies import strategies
from engine.types import Floats
from tests.oracle.markets import SYMBOL, Columns, Kind, columns, dataset_of, tail_changed

Runner = Callable[[Columns], Result]

BARS = 90
CUTS = range(1, BARS)
SMALL: dict[str, dict[str, int]] = {"dual_sma": {"fast": 3, "slow": 8}}
MARKET = Kind(jumps=0.05, dead=0.1, decades=(0.0, 3.0))


def runner(strategy: str, **execution: Any) -> Runner:
    config: dict[str, Any] = {"dataset": "memory", "symbols": [SYMBOL], "execution": execution}
    config["strategy"] = {"name": strategy}
    if strategy in SMALL:
        config["strategy"]["params"] = SMALL[strategy]
    return lambda market: engine.run(config, dataset_of(market))


def violations(run: Runner) -> list[str]:
    """Where the past of ``run`` depends on its future; empty for a causal run."""
    found = []
    for seed in (11, 12):
        market = columns(seed, BARS, 1, MARKET)
        # Whether a symbol has volume at all is a fact of the whole file, and here it stays the same.
        market.volume[0] = 1.0
        before = run(market)
        found += fills_before_their_time(before)
        for cut in CUTS:
            other = tail_changed(market, cut, seed=1000 * seed + cut)
            found += moved(before, run(other), cut, opened=False)
            found += moved(before, run(same_open(market, other, cut)), cut, opened=True)
    return found


def same_open(market: Columns, other: Columns, cut: int) -> Columns:
    """``other`` with the open and the volume of bar ``cut`` as in ``market``, still coherent."""
    mixed = replace(
        other, open=other.open.copy(), high=other.high.copy(), low=other.low.copy(), volume=other.volume.copy()
    )
    mixed.open[cut] = market.open[cut]
    mixed.volume[cut] = market.volume[cut]
    mixed.high[cut] = np.maximum(other.high[cut], mixed.open[cut])
    mixed.low[cut] = np.minimum(other.low[cut], mixed.open[cut])
    return mixed


def fills_before_their_time(run: Result) -> list[str]:
    """Orders that leave where nothing was decided, or fill before their lag has passed."""
    orders, rules = run.ledger.orders, run.config.execution
    undecided = ~run.targets.decides[orders.decided_bar, orders.asset] & (orders.cause == 0)
    early = (orders.filled_bar >= 0) & (orders.filled_bar < orders.decided_bar + rules.fill_lag)
    return [f"an order of bar {b} without a decision" for b in orders.decided_bar[undecided]] + [
        f"an order of bar {b} fills before its time" for b in orders.decided_bar[early & (orders.cause == 0)]
    ]


def moved(one: Result, two: Result, cut: int, *, opened: bool) -> list[str]:
    """What differs before bar ``cut``; ``opened`` when the open and volume of that bar are the same too."""
    lag = one.config.execution.feature_lag
    known = {
        "signals": (r.signals.values[: cut + lag] for r in (one, two)),
        "weights": (r.targets.weights[: cut + lag] for r in (one, two)),
        "decisions": (r.targets.decides[: cut + lag] for r in (one, two)),
        "equity": (r.ledger.equity[:cut] for r in (one, two)),
        "cash": (r.ledger.cash[: cut + opened] for r in (one, two)),
        "quantity": (r.ledger.quantity[: cut + opened] for r in (one, two)),
        "fills": (fills_until(r.ledger, cut + opened) for r in (one, two)),
        "orders": (orders_until(r, cut, cut + opened) for r in (one, two)),
    }
    return [
        f"{name} before bar {cut} depend on what comes after"
        for name, (a, b) in known.items()
        if a.tobytes() != b.tobytes()
    ]


def fills_until(ledger: Ledger, end: int) -> Floats:
    fills = ledger.fills
    names = ("order", "asset", "bar", "leg", "quantity", "price", "commission", "slippage")
    return np.column_stack([getattr(fills, n)[fills.bar < end].astype(np.float64) for n in names])


def orders_until(run: Result, end: int, filled_end: int) -> Floats:
    """What was known of orders decided before ``end``: the decision, and a fill before ``filled_end``."""
    orders = run.ledger.orders
    made = orders.decided_bar < end
    filled = made & (orders.filled_bar >= 0) & (orders.filled_bar < filled_end)
    # Sized at the fill, an order has its final quantity only there.
    sized = made if run.config.execution.size_at == "decision" else filled
    names = ("outcome", "reason", "filled_bar", "price", "filled", "commission", "slippage", "scale")
    return np.column_stack(
        [getattr(orders, n)[made].astype(np.float64) for n in ("asset", "decided_bar", "cause", "weight")]
        + [np.where(sized, orders.quantity, 0.0)[made]]
        + [np.where(filled, getattr(orders, n), 0).astype(np.float64)[made] for n in names]
    )


EXECUTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"size_at": "fill"},
    {"fill_lag": 2, "commission": {"bps": 50.0}},
    {"fill_lag": 3, "size_at": "fill", "slippage_bps": 100.0},
)


@pytest.mark.parametrize("execution", EXECUTIONS, ids=str)
@pytest.mark.parametrize("strategy", sorted(strategies.members()))
def test_no_future_changes_the_past(strategy: str, execution: dict[str, Any]) -> None:
    assert violations(runner(strategy, **execution)) == []


@pytest.mark.parametrize("feature_lag", [0, 2, 5])
def test_every_feature_lag_hides_what_it_says(feature_lag: int) -> None:
    """With lag 0 the signals up to t - 1 do not know bar t; with lag k neither do those up to t - 1 + k."""
    assert violations(runner("dual_sma", feature_lag=feature_lag)) == []


@pytest.mark.parametrize("strategy", sorted(SMALL))
def test_there_is_something_to_move(strategy: str) -> None:
    """A run that never trades would pass the test above without proving anything."""
    for seed in (11, 12):
        result = runner(strategy)(columns(seed, BARS, 1, MARKET))
        assert len(result.ledger.fills) > 10
        assert len(np.unique(result.ledger.fills.bar)) > 5


# --- the test can fail: each of these is a bug someone has shipped ----------------------------------------------


def test_a_missing_feature_lag_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def unlagged(raw: Floats, lag: int) -> Floats:
        return raw

    monkeypatch.setattr(base, "lagged", unlagged)
    found = violations(runner("dual_sma"))
    assert any(line.startswith("signals") for line in found)


@pytest.mark.parametrize("feature_lag", [0, 1])
def test_a_fill_on_its_own_bar_is_found(monkeypatch: pytest.MonkeyPatch, feature_lag: int) -> None:
    """Each decision handed to the ledger one bar early fills at the open of the bar at whose close it was made."""

    def own_bar(bars: Bars, targets: Targets, rules: Execution, initial_capital: float) -> Ledger:
        early = Targets(np.roll(targets.weights, -1, axis=0), np.roll(targets.decides, -1, axis=0))
        early.decides[-1] = False
        return simulate(bars, early, rules, initial_capital)

    monkeypatch.setattr("engine.pipeline.simulate", own_bar)
    found = violations(runner("dual_sma", feature_lag=feature_lag))
    assert any("without a decision" in line for line in found)
    # With a lagged feature the decision knows nothing of its own bar, so only the ledger's dates give it away.
    assert any(line.startswith("fills") for line in found) == (feature_lag == 0)


def test_a_fill_at_the_close_of_its_bar_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """T4: the close of the fill bar must not change the fill."""

    def at_close(bars: Bars, targets: Targets, rules: Execution, initial_capital: float) -> Ledger:
        return simulate(replace(bars, open=bars.close), targets, rules, initial_capital)

    monkeypatch.setattr("engine.pipeline.simulate", at_close)
    assert any(line.startswith("fills") for line in violations(runner("dual_sma")))


def test_a_size_from_the_close_of_the_fill_bar_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def sized_late(bars: Bars, targets: Targets, rules: Execution, initial_capital: float) -> Ledger:
        ahead = np.concatenate((bars.close[1:], bars.close[-1:]))
        return simulate(bars, replace(targets, weights=targets.weights * bars.close / ahead), rules, initial_capital)

    monkeypatch.setattr("engine.pipeline.simulate", sized_late)
    assert any(line.startswith("orders") for line in violations(runner("dual_sma")))


def test_a_statistic_of_the_whole_file_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """T6: an average over all rows, the later ones included."""
    plain = SimpleMovingAverage.compute

    def against_the_mean(self: SimpleMovingAverage, bars: Bars) -> Floats:
        own = plain(self, bars)
        return own if self.length == SMALL["dual_sma"]["fast"] else np.full_like(own, bars.close.mean())

    monkeypatch.setattr(SimpleMovingAverage, "compute", against_the_mean)
    assert any(line.startswith("signals") for line in violations(runner("dual_sma")))

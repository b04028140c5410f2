"""THE look-ahead test: another future never changes the past, on the whole pipeline, and the test itself can fail.

For a cut bar t the market is replaced by another one from bar t on, bar t included, and the run repeated. What was
decided on earlier bars, and what had happened by then, must be the same to the last bit. A second future keeps the open
and the volume of bar t, because that is all a fill in bar t may know of it. A third has no future at all.

Every registered strategy is tested, those of installed packages with their defaults.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import engine
from engine.config import parse_config
from engine.data.bars import Bars
from engine.execution import Execution, simulate
from engine.features import FeatureMatrix, base
from engine.features.indicators import SimpleMovingAverage
from engine.outcome import Result
from engine.portfolio.sizing import FixedFraction
from engine.results import Ledger, Targets
from engine.strategies import strategies
from engine.strategies.trend import DualSma
from engine.types import Floats
from tests.engine.strategies.cases import SMALL, plain
from tests.oracle.markets import SYMBOL, Columns, Kind, columns, dataset_of, tail_changed

Runner = Callable[[Columns], Result]

BARS = 90
MARKET = Kind(jumps=0.05, dead=0.1, decades=(0.0, 3.0))
TRADING: dict[str, dict[str, Any]] = {
    **SMALL,
    "signal": {"column": "volume", "long_above": 6e5, "short_below": 3e5},
    "target_weight": {"column": "volume"},
}
"""Parameters with which every strategy trades in such a market."""


def runner(strategy: str, **execution: Any) -> Runner:
    config: dict[str, Any] = {"dataset": "memory", "symbols": [SYMBOL], "execution": execution}
    # A strategy that an installed package brings is run with its defaults.
    config["strategy"] = plain(strategy, TRADING.get(strategy))
    # In such a market a full short is soon ruined, and after that there is nothing to see.
    fraction = 1.0 if strategy == "dual_sma" else 0.15
    config["risk"] = {"name": "fixed_fraction", "params": {"fraction": fraction}}
    return lambda market: engine.run(config, dataset_of(market))


def startup(strategy: str) -> int:
    """Bars a strategy with its defaults needs before it can trade; those of ``TRADING`` need few."""
    if strategy in TRADING:
        return 0
    made = parse_config({"dataset": "x", "symbols": [SYMBOL], "strategy": {"name": strategy}})
    return max((feature.lookback for feature in made.strategy.features().values()), default=0)


def violations(run: Runner, before_first_cut: int = 0) -> list[str]:
    """Where the past of ``run`` depends on its future; empty for a causal run."""
    found = []
    bars = BARS + before_first_cut
    for seed in (11, 12):
        market = columns(seed, bars, 1, MARKET)
        # Whether a symbol has volume at all is a fact of the whole file, and here it stays the same.
        market.volume[0] = 1.0
        before = run(market)
        found += fills_before_their_time(before)
        for cut in range(1 + before_first_cut, bars):
            other = tail_changed(market, cut, seed=1000 * seed + cut)
            found += moved(before, run(other), cut, opened=False)
            found += moved(before, run(same_open(market, other, cut)), cut, opened=True)
            found += moved(before, run(truncated(market, cut)), cut, opened=False)
    return found


def truncated(market: Columns, end: int) -> Columns:
    """The bars before ``end``."""
    return Columns(*(getattr(market, field.name)[:end] for field in fields(Columns)))


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
    lag = min(one.config.execution.feature_lag, len(two.bars) - cut)
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


ALL = sorted(strategies.members())
# How an order is executed does not depend on what made the signal, so not every pair is needed.
PAIRS = [(s, e) for s in ALL for e in (EXECUTIONS if s in ("dual_sma", "donchian_breakout") else EXECUTIONS[:1])]


@pytest.mark.parametrize(("strategy", "execution"), PAIRS, ids=str)
def test_no_future_changes_the_past(strategy: str, execution: dict[str, Any]) -> None:
    assert violations(runner(strategy, **execution), startup(strategy)) == []


SIGHTED = [s for s in ALL if s not in ("buy_and_hold", "dual_sma")]


@pytest.mark.parametrize(
    ("strategy", "feature_lag"), [*((s, 0) for s in SIGHTED), *(("dual_sma", lag) for lag in (0, 2, 5))]
)
def test_every_feature_lag_hides_what_it_says(strategy: str, feature_lag: int) -> None:
    """With lag 0 the signals up to t - 1 do not know bar t; with lag k neither do those up to t - 1 + k."""
    assert violations(runner(strategy, feature_lag=feature_lag), startup(strategy)) == []


@pytest.mark.parametrize("strategy", sorted(set(TRADING) - {"buy_and_hold"}))
def test_there_is_something_to_move(strategy: str) -> None:
    """A run that never trades would pass the test above without proving anything."""
    for seed in (11, 12):
        result = runner(strategy)(columns(seed, BARS, 1, MARKET))
        assert len(result.ledger.fills) > 5
        assert len(np.unique(result.ledger.fills.bar)) > 4


# --- the test can fail: each of these is a bug someone has shipped ----------------------------------------------


def test_a_missing_feature_lag_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def unlagged(raw: Floats, lag: int) -> Floats:
        return raw

    monkeypatch.setattr(base, "lagged", unlagged)
    for strategy in ("dual_sma", "signal"):
        found = violations(runner(strategy))
        assert any(line.startswith("signals") for line in found)


@pytest.mark.parametrize("feature_lag", [0, 1])
def test_a_fill_on_its_own_bar_is_found(monkeypatch: pytest.MonkeyPatch, feature_lag: int) -> None:
    """Each decision handed to the ledger one bar early fills at the open of the bar at whose close it was made."""

    def own_bar(bars: Bars, targets: Targets, rules: Execution, initial_capital: float, **_: Any) -> Ledger:
        weights, signals = np.roll(targets.weights, -1, axis=0), np.roll(targets.signals, -1, axis=0)
        early = Targets(weights, np.roll(targets.decides, -1, axis=0), signals)
        early.decides[-1] = False
        return simulate(bars, early, rules, initial_capital)

    monkeypatch.setattr("engine.account.simulate", own_bar)
    found = violations(runner("dual_sma", feature_lag=feature_lag))
    assert any("without a decision" in line for line in found)
    # With a lagged feature the decision knows nothing of its own bar, so only the ledger's dates give it away.
    assert any(line.startswith("fills") for line in found) == (feature_lag == 0)


def test_a_fill_at_the_close_of_its_bar_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """T4: the close of the fill bar must not change the fill."""

    def at_close(bars: Bars, targets: Targets, rules: Execution, initial_capital: float, **_: Any) -> Ledger:
        return simulate(replace(bars, open=bars.close), targets, rules, initial_capital)

    monkeypatch.setattr("engine.account.simulate", at_close)
    assert any(line.startswith("fills") for line in violations(runner("dual_sma")))


def test_a_size_from_the_close_of_the_fill_bar_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def sized_late(bars: Bars, targets: Targets, rules: Execution, initial_capital: float, **_: Any) -> Ledger:
        ahead = np.concatenate((bars.close[1:], bars.close[-1:]))
        return simulate(bars, replace(targets, weights=targets.weights * bars.close / ahead), rules, initial_capital)

    monkeypatch.setattr("engine.account.simulate", sized_late)
    assert any(line.startswith("orders") for line in violations(runner("dual_sma")))


def test_a_statistic_of_the_whole_file_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """T6: an average over all rows, the later ones included."""
    honest = SimpleMovingAverage.compute

    def against_the_mean(self: SimpleMovingAverage, bars: Bars) -> Floats:
        own = honest(self, bars)
        return own if self.length == SMALL["dual_sma"]["fast"] else np.full_like(own, bars.close.mean())

    monkeypatch.setattr(SimpleMovingAverage, "compute", against_the_mean)
    assert any(line.startswith("signals") for line in violations(runner("dual_sma")))


def peek(made: Floats, features: FeatureMatrix) -> Floats:
    """The signal of the bar after."""
    return np.roll(made, -1, axis=0)


def rescale(made: Floats, features: FeatureMatrix) -> Floats:
    """T6: a share of the largest value of the whole run."""
    largest: Floats = np.abs(features["fast"] / np.fmax.reduce(features["fast"], axis=None))
    return made * largest


def fill_backwards(made: Floats, features: FeatureMatrix) -> Floats:
    """A gap filled with the next value there is, as ``bfill`` does."""
    gaps = np.where(features["fast"] > features["slow"], made, np.nan)
    rows = np.where(np.isnan(gaps), len(gaps), np.arange(len(gaps))[:, None])
    rows = np.minimum.accumulate(rows[::-1], axis=0)[::-1]
    filled: Floats = np.vstack((gaps, np.zeros((1, 1))))[rows[:, 0]]
    return filled


@pytest.mark.parametrize("wrong", [peek, rescale, fill_backwards])
def test_a_strategy_that_looks_ahead_is_found(monkeypatch: pytest.MonkeyPatch, wrong: Any) -> None:
    honest = DualSma.raw_signals
    monkeypatch.setattr(DualSma, "raw_signals", lambda self, features: wrong(honest(self, features), features))
    assert any(line.startswith("signals") for line in violations(runner("dual_sma", feature_lag=0)))


def test_a_size_from_the_future_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def of_all_bars(self: FixedFraction, signals: Floats, bars: Bars) -> Floats:
        return signals * float(bars.close[0, 0] / bars.close.max())

    monkeypatch.setattr(FixedFraction, "weights", of_all_bars)
    assert any(line.startswith("weights") for line in violations(runner("dual_sma")))


PACKAGE = """
from typing import Literal
import numpy as np
from engine.features.base import Column
from engine.strategies import Strategy

class Honest(Strategy):
    "Long when volume has risen."
    name: Literal["honest_volume"]
    def features(self):
        return {"volume": Column("volume")}
    def raw_signals(self, features):
        return np.sign(np.diff(features["volume"], axis=0, prepend=0.0))

class Peeking(Honest):
    "Long when volume will have risen by the bar after the next."
    name: Literal["peeking_volume"]
    def raw_signals(self, features):
        return np.roll(super().raw_signals(features), -2, axis=0)
"""
ENTRY_POINTS = "[tplusone.strategies]\nhonest = brought:Honest\npeeking = brought:Peeking\n"


def test_what_an_installed_package_brings_is_tested_and_found(tmp_path: Path) -> None:
    """The tests above, in an installation with a package of two strategies, one of which looks ahead."""
    info = tmp_path / "brought-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: brought\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    (tmp_path / "brought.py").write_text(PACKAGE)
    only = "test_no_future_changes_the_past and (honest_volume or peeking_volume)"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA", "-k", only, __file__]
    paths = os.pathsep.join((str(tmp_path), str(Path(__file__).parents[2])))
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": paths}, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    assert "PASSED" in next(line for line in done.stdout.splitlines() if line.endswith("[honest_volume-{}]"))
    assert "signals before bar" in done.stdout

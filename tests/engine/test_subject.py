"""What a run held and what the market did meanwhile, and that timing is judged rightly where exits fire inside bars."""

import math
from typing import Any

import numpy as np
import pytest

import engine
from engine.data.bars import Series
from engine.results import Moment
from engine.subject import held_returns
from engine.types import Floats
from tests.benchmarks.calibration import share
from tests.engine.test_pipeline import FREE, HOLD, HOUR, START, backtest, config, dataset, lively, series

OPENS = [100.0, 100.0, 102.0, 99.0, 101.0, 104.0]
CLOSES = [100.0, 101.0, 98.0, 100.0, 103.0, 105.0]


def held(prices: Series, **changes: Any) -> tuple[list[float], list[float]]:
    result = backtest(prices, **changes)
    weights, returns = held_returns(result.bars, result.ledger)
    return weights.tolist(), returns.tolist()


def test_a_position_is_held_from_the_open_of_its_fill_and_the_market_moves_from_open_to_open() -> None:
    weights, returns = held(series(CLOSES, OPENS), strategy=HOLD, execution=FREE)
    assert weights == pytest.approx([0.0, 1.0, 1.0, 1.0, 1.0, 1.0], abs=1e-15)
    assert returns == pytest.approx([0.0, 0.02, 99 / 102 - 1, 101 / 99 - 1, 104 / 101 - 1, 105 / 104 - 1], abs=1e-15)


@pytest.mark.parametrize(("exit_at", "last"), [({"stop_loss": 0.015}, 2), ({"take_profit": 0.015}, 1)])
def test_a_bar_in_which_a_position_leaves_has_its_weight(exit_at: dict[str, float], last: int) -> None:
    """Bought at 100; the second bar ranges up to 101.6, the third from 102 down to 98."""
    prices = series(CLOSES, OPENS)
    prices.high[1] = 101.6
    result = backtest(prices, strategy=HOLD, execution=FREE | exit_at)
    fills = result.ledger.fills
    assert (fills.bar.tolist(), fills.moment.tolist()) == ([1, last], [Moment.OPEN, Moment.INSIDE])
    assert result.ledger.quantity[:, 0].tolist() == [0.0] + [1000.0] * (last - 1) + [0.0] * (6 - last)
    weights, _ = held_returns(result.bars, result.ledger)
    assert weights.tolist() == pytest.approx([0.0] + [1.0] * last + [0.0] * (5 - last), abs=1e-15)


def test_a_gap_through_a_stop_leaves_at_the_open_and_has_no_weight() -> None:
    weights, _ = held(series([100.0, 100.0, 90.0, 90.0], [100.0, 100.0, 90.0, 90.0]), strategy=HOLD,
                      execution=FREE | {"stop_loss": 0.05})  # fmt: skip
    assert weights == pytest.approx([0.0, 1.0, 0.0, 0.0], abs=1e-15)


def test_what_is_bought_at_a_close_is_held_from_the_next_bar_on() -> None:
    """Sized at the close of the first bar, 100, and filled at that of the second, 101."""
    half = {"name": "fixed_fraction", "params": {"fraction": 0.5}}
    rules = FREE | {"fill_price": "close"}
    weights, _ = held(series(CLOSES, OPENS), strategy=HOLD, execution=rules, risk=half)
    worth, cash = [500.0 * price for price in OPENS[2:]], 100_000.0 - 500.0 * 101.0
    assert weights == pytest.approx([0.0, 0.0, *(value / (value + cash) for value in worth)], rel=1e-14)


def test_what_is_closed_at_the_end_was_held_through_the_last_bar() -> None:
    weights, _ = held(series(CLOSES, OPENS), strategy=HOLD, execution=FREE | {"end_policy": "close"})
    assert weights == pytest.approx([0.0, 1.0, 1.0, 1.0, 1.0, 1.0], abs=1e-15)


@pytest.mark.parametrize("fill_price", ["open", "close"])
def test_weights_are_those_of_an_account_that_walks_through_the_fills(fill_price: str) -> None:
    """Several symbols, costs, stops and targets, interest: fill after fill, and a look after those at each open."""
    data = dataset(A=lively(3), B=lively(4), C=lively(5))
    rules = {"stop_loss": 0.04, "take_profit": 0.05, "fill_price": fill_price, "cash_rate": 0.04, "end_policy": "close"}
    result = engine.run(config(symbols=["A", "B", "C"], execution=rules), data)
    ledger, bars = result.ledger, result.bars
    weights, returns = held_returns(bars, ledger)
    rows = list(zip(*(getattr(ledger.fills, n).tolist() for n in ("bar", "moment", "asset", "quantity", "price",
                                                                  "commission")), strict=True))  # fmt: skip
    assert {moment for _, moment, *_ in rows} == {Moment.OPEN, Moment.INSIDE, Moment.END}
    for t in range(len(bars)):
        before = [row for row in rows if row[0] < t or (row[0] == t and row[1] == Moment.OPEN)]
        cash = ledger.initial_capital + float(ledger.accrued[t]) - sum(q * p + c for *_, q, p, c in before)
        values = [
            (bars.open if bars.valid[t, i] else ledger.mark)[t, i] * math.fsum(r[3] for r in before if r[2] == i)
            for i in range(3)
        ]
        equity = cash + math.fsum(values)
        assert weights[t].tolist() == pytest.approx([value / equity for value in values], abs=1e-9)
    assert returns.shape == weights.shape == (len(bars), 3)


# --- calibration of whole runs -----------------------------------------------------------------------------------

SEEDS, BARS, STEPS, VOLATILITY = 250, 2000, 16, 0.01


def walk(seed: int, bars: int = BARS) -> Series:
    """A driftless random walk, each bar with the extremes of its steps; opens are the closes before."""
    moves = np.random.default_rng([seed, 5]).normal(0.0, VOLATILITY / math.sqrt(STEPS), (bars, STEPS))
    path: Floats = 100.0 * np.exp(np.cumsum(moves - 0.5 * VOLATILITY**2 / STEPS)).reshape(bars, STEPS)
    close = path[:, -1]
    opened = np.concatenate(([100.0], close[:-1]))
    high, low = np.maximum(opened, path.max(axis=1)), np.minimum(opened, path.min(axis=1))
    return Series(START + HOUR * np.arange(bars, dtype=np.int64), opened, high, low, close, np.ones(bars))


@pytest.mark.parametrize("exit_at", ["stop_loss", "take_profit"])
def test_exits_inside_bars_do_not_look_like_timing(exit_at: str) -> None:
    found = []
    for seed in range(SEEDS):
        asked = config(validation={"permutation": {"n": 99}}, execution=FREE | {exit_at: VOLATILITY}, seed=seed)
        report = engine.run(asked, dataset(A=walk(seed))).validation[0]
        assert report.p_value is not None
        found.append(report.p_value)
    assert abs(share(np.array(found)) - 0.05) <= 3.0 * math.sqrt(0.05 * 0.95 / SEEDS)
    assert float(np.median(found)) == pytest.approx(0.5, abs=3.0 * 0.5 / math.sqrt(SEEDS))

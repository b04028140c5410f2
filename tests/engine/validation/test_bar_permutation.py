from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from engine.data.bars import Bars, Conventions, Series
from engine.execution import Execution, simulate
from engine.hooks import NoHooks
from engine.results import Ledger, Targets
from engine.streams import stream
from engine.types import Floats
from engine.validation.bar_permutation import (
    BarPermutation,
    draw_orders,
    draw_orders_plain,
    laid,
    laid_plain,
    permuted,
)
from engine.validation.markets import remade
from tests.engine.test_pipeline import lively, series

CONVENTIONS = Conventions(timeframe="1h", calendar="24x7")
KEY = stream(1, "x")


def bars_of(prices: Series) -> Bars:
    return Bars.of("A", prices, CONVENTIONS)


def holder(weight: Callable[[Bars], Floats]) -> Callable[[Bars], Ledger]:
    """Runs the account on weights that a rule gives the bars."""

    def run(bars: Bars) -> Ledger:
        weights = weight(bars)
        decides = np.ones(weights.shape, dtype=np.bool_)
        return simulate(bars, Targets(weights, decides, np.sign(weights)), Execution(), 1e5)

    return run


def trend(bars: Bars) -> Floats:
    """Long after a rising bar."""
    rising = np.zeros(bars.close.shape)
    rising[1:] = bars.close[1:] > bars.close[:-1]
    return rising


def gaps(bars: Bars) -> Counter[float]:
    return Counter(np.round(np.log(bars.open[1:] / bars.close[:-1]).ravel(), 9).tolist())


def shapes(bars: Bars) -> Counter[tuple[float, ...]]:
    """High, low and close over the open, and the volume, of each bar."""
    ratios = [np.round(np.log(getattr(bars, name) / bars.open).ravel(), 9) for name in ("high", "low", "close")]
    rows = zip(*ratios, bars.volume.ravel(), bars.tradable.ravel(), strict=True)
    return Counter(tuple(float(x) for x in row) for row in rows)


@pytest.mark.parametrize("rows", [2, 3, 60])
def test_kernels_equal_their_twins(rows: int) -> None:
    bars = bars_of(lively(3, rows))
    gap, move = draw_orders(KEY, 4, rows)
    assert (gap.tolist(), move.tolist()) == draw_orders_plain(int(KEY), 4, rows)
    opens, closes = np.ascontiguousarray(bars.open), np.ascontiguousarray(bars.close)
    np.testing.assert_allclose(laid(opens, closes, gap, move), laid_plain(opens, closes, gap, move), rtol=1e-12)


@pytest.mark.parametrize("replicate", range(5))
def test_a_shuffled_market_has_the_same_gaps_and_bars_and_ends(replicate: int) -> None:
    bars = bars_of(lively(5))
    other = permuted(bars, KEY, replicate)
    assert other.time is bars.time
    assert gaps(other) == gaps(bars)
    assert shapes(other) == shapes(bars)
    for name in ("open", "high", "low", "close", "volume"):
        assert getattr(other, name)[0] == getattr(bars, name)[0]
    assert other.close[-1, 0] == pytest.approx(bars.close[-1, 0], rel=1e-12)
    assert bool((other.high >= np.maximum(other.open, other.close)).all())
    assert bool((other.low <= np.minimum(other.open, other.close)).all())
    assert not np.array_equal(other.close, bars.close)


def test_gaps_are_shuffled_apart_from_bars() -> None:
    # Gaps and moves are numbered by their size; in the market they go together, in a shuffled one they do not.
    size = 0.001 * np.arange(1, 200)
    opens, closes = np.empty(199), np.empty(199)
    last = 100.0
    for t in range(199):
        opens[t] = last * (1.0 + size[t])
        closes[t] = opens[t] * (1.0 + size[t])
        last = closes[t]
    bars = bars_of(series(closes, opens))
    other = permuted(bars, KEY, 0)
    gap = (other.open[1:] / other.close[:-1] - 1.0).ravel()
    move = (other.close[1:] / other.open[1:] - 1.0).ravel()
    assert abs(float(np.corrcoef(gap, move)[0, 1])) < 0.25


def test_symbols_are_shuffled_alike() -> None:
    one, two = lively(1, 80), lively(2, 80)
    prices = {n: np.column_stack((getattr(one, n), getattr(two, n))) for n in ("open", "high", "low", "close")}
    tradable = np.ones((80, 2), dtype=np.bool_)
    volume = np.column_stack((one.volume, two.volume))
    both = replace(remade(bars_of(one), prices, volume, tradable, {}), symbols=("A", "B"))
    made = permuted(both, KEY, 3)
    for i, single in enumerate((one, two)):
        alone = permuted(bars_of(single), KEY, 3)
        np.testing.assert_array_equal(made.close[:, i], alone.close[:, 0])


def test_bars_without_prices_stay_where_they_are_and_columns_go_along() -> None:
    prices = lively(4, 50)
    for name in ("open", "high", "low", "close"):
        getattr(prices, name)[[7, 30]] = np.nan
    extra = {"score": np.arange(50.0), "vwap": (prices.high + prices.low) / 2}
    bars = bars_of(
        Series(*(getattr(prices, n) for n in ("time", "open", "high", "low", "close", "volume")), extra=extra)
    )
    other = permuted(bars, KEY, 1)
    assert np.flatnonzero(~other.valid[:, 0]).tolist() == [7, 30]
    assert sorted(other.extra["score"].ravel().tolist()) == list(range(50))
    assert other.extra["score"][[0, 7, 30], 0].tolist() == [0.0, 7.0, 30.0]
    np.testing.assert_allclose(other.extra["vwap"], (other.high + other.low) / 2, rtol=1e-12)
    known = np.flatnonzero(other.valid[:, 0])
    source = other.extra["score"][known, 0].astype(np.int64)
    np.testing.assert_array_equal(other.volume[known], bars.volume[source])
    assert other.close[known[-1], 0] == pytest.approx(bars.close[known[-1], 0], rel=1e-12)


def test_a_rule_that_lives_on_order_is_found_and_luck_is_not() -> None:
    rng = np.random.default_rng(1)
    moves = np.repeat(rng.choice([-1.0, 1.0], 40), 10) * 0.004 + rng.normal(
        0.0, 0.001, 400
    )  # ten bars of one direction
    bars, run = bars_of(series(100.0 * np.exp(np.cumsum(moves)))), holder(trend)
    found = BarPermutation(n=99).evaluate(bars, run(bars), run, 1, NoHooks())
    assert found.p_value == 0.01
    noise = bars_of(series(100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.004, 400)))))
    luck = BarPermutation(n=99).evaluate(noise, run(noise), run, 1, NoHooks())
    assert luck.p_value is not None
    assert luck.p_value > 0.05
    assert luck.percentiles["p05"] < luck.percentiles["p95"]


def test_holding_has_no_order_to_live_on() -> None:
    prices = series(100.0 * np.exp(np.cumsum(np.random.default_rng(2).normal(0.001, 0.01, 100))))
    # Opens are the closes before them, and the first bar stays: every market is bought at one price and sold at one.
    prices.open[1:] = prices.close[:-1]
    prices = Series(prices.time, prices.open, np.maximum(prices.open, prices.close),
                    np.minimum(prices.open, prices.close), prices.close, prices.volume)  # fmt: skip
    bars = bars_of(prices)

    def once(on: Bars) -> Ledger:
        weights, decides = np.ones(on.close.shape), np.zeros(on.close.shape, dtype=np.bool_)
        decides[0] = True
        return simulate(on, Targets(weights, decides, weights), Execution(), 1e5)

    assert BarPermutation(n=50).evaluate(bars, once(bars), once, 1, NoHooks()).p_value == 1.0


def test_p_values_of_noise_are_uniform() -> None:
    values = []
    for seed in range(150):
        rng = np.random.default_rng([seed, 5])
        bars, run = bars_of(series(100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, 120))))), holder(trend)
        p_value = BarPermutation(n=49).evaluate(bars, run(bars), run, seed, NoHooks()).p_value
        assert p_value is not None
        values.append(p_value)
    steps, ordered = np.arange(151) / 150, np.sort(values)
    distance = max(float((steps[1:] - ordered).max()), float((ordered - steps[:-1]).max()))
    assert distance < 1.63 / np.sqrt(150) + 1 / 50  # Kolmogorov 1 %, plus the grid of 1/(B+1)


def full(bars: Bars) -> Floats:
    return np.ones(bars.close.shape)


def flat(bars: Bars) -> Floats:
    return np.zeros(bars.close.shape)


@pytest.mark.parametrize(
    ("prices", "weight", "reason"),
    [
        (lively(1, 50), flat, "nothing was traded"),
        (series([10.0, 11.0]), full, "fewer than 3 bars with prices"),
        (series([10.0] * 20), full, "prices do not vary"),
    ],
)
def test_undefined_is_null_with_a_reason(prices: Series, weight: Callable[[Bars], Floats], reason: str) -> None:
    bars, run = bars_of(prices), holder(weight)
    found = BarPermutation(n=3).evaluate(bars, run(bars), run, 1, NoHooks())
    assert (found.p_value, found.statistic, found.reason) == (None, None, reason)

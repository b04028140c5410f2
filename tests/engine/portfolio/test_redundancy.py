"""What moves together counts once: formulas, twins, and what becomes of entries."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from engine.execution.portfolio import thresholds
from engine.portfolio.redundancy import (
    filter_redundant,
    filter_redundant_plain,
    redistribute,
    redistribute_plain,
    scale_redundant,
    scale_redundant_plain,
)
from engine.results import Ledger, Leg, Outcome, Reason
from engine.types import Bools, Floats, Ints
from tests.engine.portfolio.accounts import play, portfolio
from tests.engine.portfolio.matrices import correlation

OFTEN = settings(derandomize=True, deadline=None, max_examples=400)
THETA = 0.8
EVERY_BAR = {"rebalance": {"name": "every_bar"}}


def theta(assets: int, value: float = THETA) -> Floats:
    return np.full((assets, assets), value)


def scaled(weights: list[float], rho: Floats, limit: float = THETA) -> tuple[list[float], list[int]]:
    factor, partner = np.empty(len(weights)), np.empty(len(weights), dtype=np.int64)
    scale_redundant(np.array(weights), rho, theta(len(weights), limit), factor, partner)
    return factor.tolist(), partner.tolist()


def filtered(weights: list[float], held: list[bool], rho: Floats) -> tuple[list[float], list[int]]:
    count = len(weights)
    factor, partner, rank = np.empty(count), np.empty(count, dtype=np.int64), np.empty(count, dtype=np.int64)
    filter_redundant(np.array(weights), np.array(held), rho, theta(count), rank, factor, partner)
    return factor.tolist(), partner.tolist()


def pairs(**values: float) -> Floats:
    """(3, 3) correlations of A, B and C."""
    rho = np.eye(3)
    for pair, value in values.items():
        i, j = ("ABC".index(letter) for letter in pair)
        rho[i, j] = rho[j, i] = value
    return rho


# --- factors ---------------------------------------------------------------------------------------------------


def test_scale_is_the_formula() -> None:
    """A 0.5, B 0.25: A / (1 + 0.9 / 2), B / (1 + 0.9); C moves with neither."""
    assert scaled([0.5, 0.25, 0.4], pairs(AB=0.9, AC=0.8, BC=0.3)) == ([1.0 / 1.45, 1.0 / 1.9, 1.0], [1, 0, -1])


def test_the_partner_is_that_of_the_largest_term() -> None:
    factor, partner = scaled([0.4, 0.1, 0.4], pairs(AB=0.99, AC=0.85, BC=0.9))
    assert partner == [2, 0, 0]
    assert factor[0] == pytest.approx(1.0 / (1.0 + 0.99 * 0.25 + 0.85), rel=1e-15)
    assert scaled([0.3, 0.3, 0.3], pairs(AB=0.9, AC=0.9, BC=0.9))[1] == [1, 0, 0]


@pytest.mark.parametrize(
    ("weights", "rho", "redundant"),
    [
        ([0.5, 0.5], 0.9, True),
        ([-0.5, -0.5], 0.9, True),
        ([0.5, -0.5], 0.9, False),
        ([0.5, -0.5], -0.9, True),
        ([0.5, 0.5], -0.9, False),
        ([0.5, 0.5], 0.8, False),
        ([0.5, 0.0], 0.9, False),
        ([0.5, 0.5], np.nan, False),
    ],
)
def test_direction_counts_and_what_is_unknown_does_not(weights: list[float], rho: float, redundant: bool) -> None:
    together = pairs(AB=rho)[:2, :2]
    assert (scaled(weights, together)[0] != [1.0, 1.0]) == redundant
    assert (filtered(weights, [False, False], together)[0] == [1.0, 0.0]) == redundant


@pytest.mark.parametrize(
    ("weights", "held", "kept"),
    [
        ([0.2, 0.3, 0.1], [False, False, False], [0.0, 1.0, 0.0]),
        ([0.2, 0.3, 0.1], [False, False, True], [0.0, 0.0, 1.0]),
        ([0.2, 0.2, 0.2], [False, False, False], [1.0, 0.0, 0.0]),
        ([0.1, 0.3, 0.2], [True, False, True], [0.0, 0.0, 1.0]),
        ([0.0, 0.3, 0.2], [True, False, False], [1.0, 1.0, 0.0]),
    ],
)
def test_filter_keeps_what_is_held_then_the_largest_then_the_first(
    weights: list[float], held: list[bool], kept: list[float]
) -> None:
    assert filtered(weights, held, pairs(AB=0.9, AC=0.9, BC=0.9))[0] == kept


def test_filter_asks_the_accepted_only() -> None:
    """B goes with A, and so it takes nothing from C, with which it moves too."""
    assert filtered([0.3, 0.2, 0.1], [False] * 3, pairs(AB=0.9, BC=0.95, AC=0.1)) == ([1.0, 0.0, 1.0], [-1, 0, -1])


@OFTEN
@given(seed=st.integers(0, 2**32 - 1), assets=st.integers(1, 7), shared=st.booleans())
def test_the_kernels_equal_their_twins(seed: int, assets: int, shared: bool) -> None:
    random = np.random.default_rng(seed)
    rho = correlation(seed, assets, common=2.0).round(3) if assets > 1 else np.ones((1, 1))
    rho[random.random(rho.shape) < 0.1] = np.nan
    rho = np.where(np.isnan(rho.T), np.nan, rho)
    weights = random.choice([0.0, 0.2, -0.2, 0.5, 1.0], assets) * (1.0 if shared else random.random(assets))
    held, limit = random.random(assets) < 0.3, theta(assets, float(random.choice([0.0, 0.5, 0.8])))
    factor, partner, rank = np.empty(assets), np.empty(assets, dtype=np.int64), np.empty(assets, dtype=np.int64)

    def same(found: tuple[Floats, Ints]) -> None:
        assert_allclose(factor, found[0], rtol=1e-12)
        assert_array_equal(partner, found[1])
        shared_out = redistribute_plain(weights, partner, factor)
        again = factor.copy()
        redistribute(weights, partner, again)
        assert_allclose(again, shared_out, rtol=1e-12)

    scale_redundant(weights, rho, limit, factor, partner)
    same(scale_redundant_plain(weights, rho, limit))
    filter_redundant(weights, held, rho, limit, rank, factor, partner)
    same(filter_redundant_plain(weights, held, rho, limit))


def test_what_was_freed_goes_to_those_who_are_alone() -> None:
    """B frees 0.3; C and D get it in proportion to 0.4 and 0.2. Without anyone alone it stays in cash."""
    weights, partner = np.array([0.5, 0.3, -0.4, 0.2, 0.0]), np.array([1, 0, -1, -1, -1])
    factor = np.array([1.0, 0.0, 1.0, 1.0, 1.0])
    redistribute(weights, partner, factor)
    assert factor.tolist() == pytest.approx([1.0, 0.0, 1.5, 1.5, 1.0], rel=1e-15)
    alone = np.array([0.5, 0.5])
    redistribute(np.ones(2), np.array([1, 0]), alone)
    assert alone.tolist() == [0.5, 0.5]


def test_a_pair_may_have_its_own_threshold() -> None:
    rules = portfolio(correlation_threshold=0.7, correlation_overrides={"A:C": 0.9, "B:C": 0.1})
    expected = [[0.7, 0.7, 0.9], [0.7, 0.7, 0.1], [0.9, 0.1, 0.7]]
    assert thresholds(rules, ("A", "B", "C")).tolist() == expected


# --- accounts --------------------------------------------------------------------------------------------------


def three_pairs(seed: int, rows: int) -> Floats:
    """(T, 6) closes: A with B, C with D, E with F, correlations about 0.95; the pairs have nothing in common."""
    random = np.random.default_rng(seed)
    common = np.repeat(random.standard_normal((rows, 3)), 2, axis=1)
    moves = 0.01 * (np.sqrt(0.95) * common + np.sqrt(0.05) * random.standard_normal((rows, 6)))
    closes: Floats = 100.0 * np.exp(np.cumsum(moves, axis=0))
    return closes


def blinking(rows: int, assets: int) -> Floats:
    """All symbols enter at once and leave at once, long and short in turn, from bar 30 on."""
    signal = np.zeros((rows, assets))
    for k, t in enumerate(range(30, rows - 8, 8)):
        signal[t : t + 4] = 1.0 if k % 2 == 0 else -1.0
    return 0.1 * signal


def entries(ledger: Ledger) -> Ints:
    """(T,) the largest number of symbols that enter a bar in the same direction."""
    fills = ledger.fills
    opened = fills.leg == Leg.OPEN
    sides = [opened & (np.sign(fills.quantity) == side) for side in (1.0, -1.0)]
    counts = [np.bincount(fills.bar[side], minlength=len(ledger.equity)) for side in sides]
    return np.maximum(counts[0], counts[1], dtype=np.int64)


@pytest.mark.parametrize("seed", range(5))
def test_under_filter_simultaneous_entries_fall_by_half(seed: int) -> None:
    """Of three pairs above 0.8 one each is left: what enters together is no longer the same bet twice."""
    closes = three_pairs(seed, 430)
    signals = blinking(430, 6)
    for i in range(0, 6, 2):
        assert np.corrcoef(np.diff(np.log(closes[:, i : i + 2]), axis=0).T).min() > THETA
    off, kept = (entries(play(closes, signals, redundancy=mode)) for mode in ("off", "filter"))
    assert off.max() == 6
    assert off.sum() >= 250
    assert kept.sum() <= off.sum() / 2
    assert np.all(kept <= off / 2)


def test_a_rejected_entry_says_with_whom_it_moves() -> None:
    ledger = play(three_pairs(1, 80), blinking(80, 6), redundancy="filter")
    rejected = ledger.orders.reason == Reason.CORRELATED
    assert set(ledger.orders.outcome[rejected].tolist()) == {Outcome.UNFILLED}
    assert ledger.orders.asset[rejected][:3].tolist() == [1, 3, 5]
    assert ledger.orders.partner[rejected][:3].tolist() == [0, 2, 4]
    assert np.all(ledger.orders.rho[rejected] > THETA)
    assert set(ledger.orders.factor[rejected].tolist()) == {0.0}


def cluster(seed: int, rows: int, assets: int) -> Floats:
    """(T, N) closes that follow one factor."""
    random = np.random.default_rng(seed)
    moves = 0.01 * (random.standard_normal((rows, 1)) + 0.2 * random.standard_normal((rows, assets)))
    closes: Floats = 100.0 * np.exp(np.cumsum(moves, axis=0))
    return closes


def window_correlation(closes: Floats, t: int) -> Floats:
    """NumPy's, of the last 100 log returns up to bar t."""
    returns = np.diff(np.log(closes), axis=0)[:t][-100:]
    rho: Floats = np.atleast_2d(np.corrcoef(returns.T))
    return rho


def test_under_scale_at_every_bar_the_gross_exposure_of_a_cluster_is_the_formula() -> None:
    """Held after the open at the prices of the decision: sum of |w_i| / (1 + sum of |rho| min(1, |w_j / w_i|))."""
    closes, weights = cluster(2, 260, 4), np.array([0.3, 0.2, 0.1, 0.25])
    signals = np.where(np.arange(260)[:, None] >= 30, weights, 0.0)
    everywhere = np.ones(closes.shape, dtype=np.bool_)
    ledger = play(closes, signals, everywhere, execution=EVERY_BAR, redundancy="scale")
    for t in range(30, 259):
        rho = window_correlation(closes, t)
        assert rho.min() > THETA
        terms = rho * np.minimum(1.0, weights / weights[:, None])
        np.fill_diagonal(terms, 0.0)
        formula = (weights / (1.0 + terms.sum(axis=1))).sum()
        gross = np.abs(ledger.quantity[t + 1] * closes[t]).sum() / ledger.equity[t]
        assert gross == pytest.approx(formula, rel=1e-9)
    assert 0.25 < gross < 0.4


def test_equal_copies_of_one_symbol_are_worth_one() -> None:
    """Of k equal bets with a correlation of 1 each gets 1/k."""
    one = cluster(3, 60, 1)
    signals = np.where(np.arange(60)[:, None] >= 40, 0.6, 0.0)
    ledger = play(np.repeat(one, 3, axis=1) * [1.0, 2.0, 5.0], signals, redundancy="scale")
    assert ledger.orders.weight.tolist() == pytest.approx([0.2, 0.2, 0.2], rel=1e-9)
    assert ledger.orders.factor.tolist() == pytest.approx([1.0 / 3.0] * 3, rel=1e-9)
    assert set(ledger.orders.scale_reason.tolist()) == {Reason.CORRELATED}


def test_redistribution_keeps_the_gross_exposure() -> None:
    """C moves with neither A nor B, and takes what they free."""
    closes = np.column_stack((np.repeat(cluster(4, 60, 1), 2, axis=1), cluster(5, 60, 1)))
    signals = np.where(np.arange(60)[:, None] >= 40, 0.2, 0.0)
    ledger = play(closes, signals, redundancy="scale", redistribute=True)
    assert ledger.orders.weight.tolist() == pytest.approx([0.1, 0.1, 0.4], rel=1e-9)
    assert ledger.orders.factor.tolist() == pytest.approx([0.5, 0.5, 2.0], rel=1e-9)
    assert ledger.orders.scale.tolist() == pytest.approx([0.5, 0.5, 1.0], rel=1e-9)


@pytest.mark.parametrize("mode", ["scale", "filter", "off"])
def test_the_same_targets_twice_trade_nothing(mode: str) -> None:
    """Prices stand still, so nothing changes but that there is one more row without a move."""
    moving = np.repeat(cluster(6, 40, 1), 2, axis=1) * [1.0, 4.0]
    closes = np.vstack((moving, np.repeat(moving[-1:], 6, axis=0)))
    decides: Bools = np.broadcast_to(np.arange(46)[:, None] >= 39, closes.shape).copy()
    signals = np.where(decides, 0.4, 0.0)
    ledger = play(closes, signals, decides, execution=EVERY_BAR, redundancy=mode)
    assert set(ledger.fills.bar.tolist()) == {40}
    assert np.array_equal(ledger.quantity[40:], np.repeat(ledger.quantity[-1:], 6, axis=0))

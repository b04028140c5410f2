"""What moves together counts once: formulas, twins, and what becomes of entries."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from engine.execution.portfolio import thresholds
from engine.portfolio.plan import pair_of
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


def all_but(count: int, settled: tuple[int, ...]) -> Bools:
    """(N,) who decides."""
    decides: Bools = ~np.isin(np.arange(count), settled)
    return decides


def scaled(
    weights: list[float], rho: Floats, limit: float = THETA, settled: tuple[int, ...] = ()
) -> tuple[list[float], list[int]]:
    count = len(weights)
    factor, partner = np.empty(count), np.empty(count, dtype=np.int64)
    scale_redundant(np.array(weights), all_but(count, settled), rho, theta(count, limit), factor, partner)
    return factor.tolist(), partner.tolist()


def filtered(
    weights: list[float], held: list[bool], rho: Floats, settled: tuple[int, ...] = ()
) -> tuple[list[float], list[int]]:
    count, current = len(weights), np.array(held, dtype=np.float64)
    factor, partner, rank = np.empty(count), np.empty(count, dtype=np.int64), np.empty(count, dtype=np.int64)
    decides = all_but(count, settled)
    filter_redundant(np.array(weights), current, decides, rho, theta(count), rank, factor, partner)
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


def test_who_does_not_decide_is_seen_but_not_scaled() -> None:
    """B stays at 0.25: A is divided by 1 + 0.9 / 2 and C, half of B, by 1 + 0.95."""
    rho = pairs(AB=0.9, BC=0.95)
    assert scaled([0.5, 0.25, 0.125], rho, settled=(1,)) == ([1.0 / 1.45, 1.0, 1.0 / 1.95], [1, 0, 1])


def test_who_does_not_decide_is_accepted_even_beside_another() -> None:
    """A and B are both there and redundant; C moves with B alone, and that is enough."""
    rho, there = pairs(AB=0.9, BC=0.9, AC=0.1), [True, True, False]
    assert filtered([0.3, 0.2, 0.5], there, rho, settled=(0, 1)) == ([1.0, 1.0, 0.0], [-1, -1, 1])
    assert filtered([0.3, 0.2, 0.5], there, rho) == ([1.0, 0.0, 1.0], [-1, 0, -1])


@OFTEN
@given(seed=st.integers(0, 2**32 - 1), assets=st.integers(1, 7), shared=st.booleans())
def test_the_kernels_equal_their_twins(seed: int, assets: int, shared: bool) -> None:
    random = np.random.default_rng(seed)
    rho = correlation(seed, assets, common=2.0).round(3) if assets > 1 else np.ones((1, 1))
    rho[random.random(rho.shape) < 0.1] = np.nan
    rho = np.where(np.isnan(rho.T), np.nan, rho)
    weights = random.choice([0.0, 0.2, -0.2, 0.5, 1.0], assets) * (1.0 if shared else random.random(assets))
    limit = theta(assets, float(random.choice([0.0, 0.5, 0.8])))
    current = np.where(random.random(assets) < 0.3, 0.1, 0.0)
    decides = random.random(assets) < random.choice([0.6, 1.0])
    factor, partner, rank = np.empty(assets), np.empty(assets, dtype=np.int64), np.empty(assets, dtype=np.int64)

    def same(found: tuple[Floats, Ints]) -> None:
        assert_allclose(factor, found[0], rtol=1e-12)
        assert_array_equal(partner, found[1])
        shared_out = redistribute_plain(weights, decides, partner, factor)
        again = factor.copy()
        redistribute(weights, decides, partner, again)
        assert_allclose(again, shared_out, rtol=1e-12)

    scale_redundant(weights, decides, rho, limit, factor, partner)
    same(scale_redundant_plain(weights, decides, rho, limit))
    filter_redundant(weights, current, decides, rho, limit, rank, factor, partner)
    same(filter_redundant_plain(weights, current, decides, rho, limit))


def test_what_was_freed_goes_to_those_who_are_alone() -> None:
    """B frees 0.3; C and D get it in proportion to 0.4 and 0.2. Without anyone alone it stays in cash."""
    weights, partner = np.array([0.5, 0.3, -0.4, 0.2, 0.0]), np.array([1, 0, -1, -1, -1])
    factor = np.array([1.0, 0.0, 1.0, 1.0, 1.0])
    redistribute(weights, all_but(5, ()), partner, factor)
    assert factor.tolist() == pytest.approx([1.0, 0.0, 1.5, 1.5, 1.0], rel=1e-15)
    alone = np.array([0.5, 0.5])
    redistribute(np.ones(2), all_but(2, ()), np.array([1, 0]), alone)
    assert alone.tolist() == [0.5, 0.5]


def test_the_part_of_who_does_not_decide_stays_in_cash() -> None:
    """As above, but D keeps its 0.2, and C gets no more for that."""
    weights, partner = np.array([0.5, 0.3, -0.4, 0.2, 0.0]), np.array([1, 0, -1, -1, -1])
    factor = np.array([1.0, 0.0, 1.0, 1.0, 1.0])
    redistribute(weights, all_but(5, (3,)), partner, factor)
    assert factor.tolist() == pytest.approx([1.0, 0.0, 1.5, 1.0, 1.0], rel=1e-15)


def test_a_pair_may_have_its_own_threshold() -> None:
    rules = portfolio(correlation_threshold=0.7, correlation_overrides={"A:C": 0.9, "B:C": 0.1})
    expected = [[0.7, 0.7, 0.9], [0.7, 0.7, 0.1], [0.9, 0.1, 0.7]]
    assert thresholds(rules, ("A", "B", "C")).tolist() == expected


def test_a_pair_may_hold_symbols_with_colons() -> None:
    rules = portfolio(correlation_threshold=0.7, correlation_overrides={"OANDA:EURUSD:OANDA:GBPUSD": 0.9})
    assert thresholds(rules, ("OANDA:EURUSD", "OANDA:GBPUSD")).tolist() == [[0.7, 0.9], [0.9, 0.7]]
    assert pair_of("A:B:C", ("A", "B:C", "D")) == ("A", "B:C")
    assert pair_of("A:B:C", ("A", "A:B", "B:C", "C")) is None, "two pairs could be meant"
    assert pair_of("B:C:A", ("B:C", "A")) is None, "out of the order of names"


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


def from_to(rows: int, *spans: tuple[float, int, int]) -> Floats:
    """(T, N) signals: each symbol's weight from a bar up to another."""
    bar = np.arange(rows)
    return np.column_stack([np.where((bar >= first) & (bar < end), weight, 0.0) for weight, first, end in spans])


def told(ledger: Ledger) -> list[tuple[int, int, float, float, int]]:
    """Bar, symbol, weight, factor and partner of every order that a signal made."""
    orders, entered = ledger.orders, ledger.orders.weight != 0.0
    columns = (orders.decided_bar, orders.asset, orders.weight.round(12), orders.factor.round(12), orders.partner)
    return list(zip(*(column[entered].tolist() for column in columns), strict=True))


def copies(rows: int, count: int) -> Floats:
    """(T, N) closes of one symbol several times: every correlation is 1."""
    closes: Floats = np.repeat(cluster(7, rows, 1), count, axis=1) * [1.0, 2.0, 5.0, 3.0][:count]
    return closes


def test_under_filter_a_symbol_that_was_refused_refuses_nobody() -> None:
    """A is held, B is refused, A leaves. B stays long without a position, so C has the account for itself."""
    signals = from_to(60, (0.5, 30, 40), (0.5, 35, 60), (0.25, 50, 60))
    ledger = play(copies(60, 3), signals, redundancy="filter")
    assert told(ledger) == [(30, 0, 0.5, 1.0, -1), (35, 1, 0.5, 0.0, 0), (50, 2, 0.25, 1.0, -1)]
    assert np.flatnonzero(ledger.quantity[-2]).tolist() == [2]


def test_under_scale_a_symbol_that_was_refused_takes_nothing() -> None:
    """B finds no place beside A. C asks after A has left: all of it, and half only where B asks at the same bar."""
    signals = from_to(60, (0.5, 30, 40), (0.3, 35, 60), (0.3, 50, 60))
    ledger = play(copies(60, 3), signals, redundancy="scale", limits={"max_positions": 1})
    assert told(ledger) == [(30, 0, 0.5, 1.0, -1), (35, 1, 0.3, 0.5, 0), (50, 2, 0.3, 1.0, -1)]
    everywhere = np.ones(signals.shape, dtype=np.bool_)
    asking = play(copies(60, 3), signals, everywhere, execution=EVERY_BAR, redundancy="scale")
    assert (50, 2, 0.15, 0.5, 1) in told(asking)


@pytest.mark.parametrize(("mode", "factor"), [("scale", 0.625), ("filter", 0.0)])
def test_a_held_partner_that_does_not_decide_counts_with_what_it_holds(mode: str, factor: float) -> None:
    """A asked for 1 and could hold 0.3 alone, which is what B of 0.5 meets: 1 / (1 + 0.3 / 0.5) = 0.625."""
    flat = np.vstack((cluster(8, 34, 1), np.repeat(cluster(8, 34, 1)[-1:], 6, axis=0)))
    signals = from_to(40, (1.0, 34, 40), (0.5, 36, 40))
    limits = {"per_symbol": {"A": {"max_symbol_weight": 0.3}}}
    ledger = play(np.repeat(flat, 2, axis=1), signals, redundancy=mode, limits=limits)
    weight = 0.5 * factor if factor else 0.5
    assert told(ledger) == [(34, 0, 0.3, 1.0, -1), (36, 1, weight, factor, 0)]
    assert ledger.quantity[-2, 0] > 0.0


@pytest.mark.parametrize("size_at", ["decision", "fill"])
@pytest.mark.parametrize(("mode", "factor"), [("scale", 0.625), ("filter", 0.0)])
def test_an_order_that_waits_counts_as_a_partner(size_at: str, mode: str, factor: float) -> None:
    """A's order of bar 34 fills at 37. B decides in between, and is the larger one; A's own order is not remade."""
    flat = np.vstack((cluster(8, 34, 1), np.repeat(cluster(8, 34, 1)[-1:], 6, axis=0)))
    signals = from_to(40, (0.3, 34, 40), (0.5, 36, 40))
    rules = {"fill_lag": 3, "size_at": size_at}
    ledger = play(np.repeat(flat, 2, axis=1), signals, execution=rules, redundancy=mode)
    weight = 0.5 * factor if factor else 0.5
    assert told(ledger) == [(34, 0, 0.3, 1.0, -1), (36, 1, weight, factor, 0)]
    assert ledger.orders.outcome[0] == Outcome.FILLED

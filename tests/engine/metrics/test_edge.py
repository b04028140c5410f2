import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import engine
from engine.data.synthetic import market
from engine.metrics.edge import (
    average_excursions,
    expectancy,
    initial_risk,
    kelly,
    payoff_ratio,
    sqn,
    sqn_pnl,
)
from engine.metrics.trades import profit_factor, win_rate
from engine.results import Metric, Trades
from tests.engine.metrics.test_trades import make_ledger, make_trades

RESULTS = st.lists(st.integers(-500, 500), min_size=2, max_size=30).filter(lambda v: min(v) < 0 < max(v))
METRICS: dict[str, Callable[[Trades], Metric]] = {
    "win rate": win_rate,
    "profit factor": profit_factor,
    "payoff": payoff_ratio,
    "expectancy": expectancy,
    "sqn": sqn_pnl,
    "kelly": kelly,
}


def closed(pnl: list[float]) -> Trades:
    return make_trades(pnl, range(len(pnl)))


def number(metric: Metric) -> float:
    assert metric.value is not None, metric.reason
    return metric.value


@settings(derandomize=True, deadline=None)
@given(RESULTS)
def test_against_fractions(cents: list[int]) -> None:
    exact = [Fraction(c) for c in cents]
    count, mean = len(exact), sum(exact, Fraction()) / len(exact)
    wins, losses = [p for p in exact if p > 0], [-p for p in exact if p < 0]
    payoff = sum(wins) / len(wins) / (sum(losses) / len(losses))
    spread = math.sqrt(sum((p - mean) ** 2 for p in exact) / (count - 1))
    expected = {
        "win rate": float(Fraction(len(wins), count)),
        "profit factor": float(sum(wins) / sum(losses)),
        "payoff": float(payoff),
        "expectancy": float(mean),
        "sqn": float(mean) / spread * math.sqrt(count),
        "kelly": float(Fraction(len(wins), count) - Fraction(len(losses), count) / payoff),
    }
    for name, value in expected.items():
        assert number(METRICS[name](closed([float(c) for c in cents]))) == pytest.approx(value, rel=1e-12, abs=1e-12)


@settings(derandomize=True, deadline=None)
@given(RESULTS, st.integers(-40, 40), st.integers(0, 2**32))
def test_order_changes_no_bit_and_currency_only_the_expectancy(cents: list[int], power: int, seed: int) -> None:
    pnl = np.array(cents) / 7.0
    mixed = np.random.default_rng(seed).permutation(pnl)
    size = 2.0**power
    for name, metric in METRICS.items():
        base = metric(closed(pnl.tolist()))
        assert metric(closed(mixed.tolist())) == base, name
        factor = size if name == "expectancy" else 1.0
        assert number(metric(closed((pnl * size).tolist()))) == pytest.approx(factor * number(base), rel=1e-12, abs=0.0)


@settings(derandomize=True, deadline=None)
@given(RESULTS)
def test_a_larger_profit_is_never_worse(cents: list[int]) -> None:
    worse = [float(c) for c in cents]
    better = list(worse)
    better[int(np.argmax(worse))] += 100.0
    for name in ("win rate", "profit factor", "payoff", "expectancy", "kelly"):
        assert number(METRICS[name](closed(better))) >= number(METRICS[name](closed(worse)))


def test_a_coin_that_falls_well_in_six_of_ten_is_worth_a_fifth() -> None:
    coin = closed([1.0] * 6 + [-1.0] * 4)
    assert number(kelly(coin)) == pytest.approx(0.2)
    assert number(expectancy(coin)) == pytest.approx(0.2)
    # Kelly's fraction is where the growth of capital is largest: stakes of one that pay three in 4 of 10.
    stakes = np.arange(0.0, 0.9, 1e-4)
    growth = 0.4 * np.log1p(3.0 * stakes) + 0.6 * np.log1p(-stakes)
    assert number(kelly(closed([3.0] * 4 + [-1.0] * 6))) == pytest.approx(stakes[int(np.argmax(growth))], abs=1e-4)
    assert number(kelly(closed([3.0] * 4 + [-2.0] * 6))) == pytest.approx(0.0, abs=1e-12)


def test_break_even_stays_in_the_denominator_only() -> None:
    with_nothing = closed([2.0, -1.0, 0.0, 0.0])
    assert number(payoff_ratio(with_nothing)) == 2.0
    assert number(kelly(with_nothing)) == pytest.approx(0.25 - 0.25 / 2.0)
    assert number(expectancy(with_nothing)) == 0.25


def test_quality_is_capped_at_a_hundred_trades() -> None:
    few, many = ([1.5, -0.5] * half for half in (50, 800))
    assert number(sqn_pnl(closed(few))) == pytest.approx(10.0 * 0.5 / math.sqrt(100 / 99))
    assert number(sqn_pnl(closed(many))) == pytest.approx(10.0 * 0.5 / math.sqrt(1600 / 1599))
    metric = sqn_pnl(closed(many))
    assert metric.interval is not None
    # Two values with equal chance: g3 = 0, g4 = 1, so the error of the ratio is 1 / sqrt(1600), ten times that here.
    assert metric.interval.high - number(metric) == pytest.approx(1.959963984540054 * 10.0 / 40.0)


def test_the_interval_of_the_payoff_by_hand() -> None:
    # Wins 1, 3: mean 2, error of the mean 1. Losses 4, 4, 1: mean 3, variance 3, error 1.
    metric = payoff_ratio(closed([1.0, 3.0, -4.0, -4.0, -1.0]))
    error = 1.959963984540054 * math.sqrt(1.0 / 4.0 + 1.0 / 9.0)
    assert metric.interval is not None
    assert metric.interval.low == pytest.approx(2.0 / 3.0 * math.exp(-error))
    assert metric.interval.high == pytest.approx(2.0 / 3.0 * math.exp(error))
    assert payoff_ratio(closed([1.0, 3.0, -4.0])).interval is None


UNDEFINED = {
    "none": (closed([]), set(METRICS), "there is no closed trade"),
    "open": (make_trades([5.0], [-1]), set(METRICS), "there is no closed trade"),
    "one winner": (closed([5.0]), {"profit factor", "payoff", "kelly"}, "there is no losing trade"),
    "one loser": (closed([-5.0]), {"payoff", "kelly"}, "there is no winning trade"),
    "one": (closed([5.0]), {"sqn"}, "fewer than two trade results"),
    "equal": (closed([0.1] * 3), {"sqn"}, "trade results do not vary"),
    "nothing": (closed([0.0] * 3), {"sqn"}, "trade results do not vary"),
}


@pytest.mark.parametrize("case", UNDEFINED)
def test_undefined_is_null_with_a_reason(case: str) -> None:
    trades, names, reason = UNDEFINED[case]
    assert {METRICS[name](trades).reason for name in names} == {reason}
    assert all(METRICS[name](trades).value is None for name in names)


def test_results_near_the_end_of_floats_stay_finite() -> None:
    for name, metric in METRICS.items():
        for pnl in ([1e300, -1e300, 1e299], [1e-300, -1e-300, 1e-301], [1e300, -1e-300, 1.0]):
            found = metric(closed(pnl))
            assert found.value is None or math.isfinite(found.value), name


FILLS = [(0, 2.0, 100.0), (1, 1.0, 110.0), (2, -3.0, 130.0), (3, -1.0, 50.0), (4, 1.0, 60.0), (5, 1.0, 70.0)]


def test_risk_is_what_each_opening_fill_would_lose_at_the_stop_of_that_moment() -> None:
    ledger = make_ledger([100.0] * 6, FILLS)
    stops = np.array([90.0, 105.0, 125.0, 55.0, 52.0, 80.0])  # those of closing fills have trailed and do not count
    ledger = replace(ledger, fills=replace(ledger.fills, stop=stops))
    trades = make_trades([75.0, -10.0, 0.0], [2, 4, -1])
    assert initial_risk(ledger, trades).tolist() == [2.0 * 10.0 + 1.0 * 5.0, 5.0, 0.0]
    # R-multiples 3 and -2: mean 0.5, deviation 5 / sqrt(2).
    assert number(sqn(ledger, trades)) == pytest.approx(math.sqrt(2.0) * 0.5 / (5.0 / math.sqrt(2.0)))


def test_risk_of_two_assets_at_once() -> None:
    ledger = make_ledger([100.0] * 6, FILLS)
    fills = replace(
        ledger.fills,
        asset=np.array([0, 1, 0, 1, 0, 1]),
        quantity=np.array([1.0, -1.0, -1.0, 1.0, 2.0, 3.0]),
        position=np.array([1.0, -1.0, 0.0, 0.0, 2.0, 3.0]),
        leg=np.array([1, 1, 0, 0, 1, 1]),
        price=np.full(6, 10.0),
        stop=np.array([9.0, 12.0, 9.0, 12.0, 7.0, -np.inf]),
    )
    trades = replace(make_trades([1.0] * 4, range(4)), asset=np.array([0, 1, 0, 1]))
    assert initial_risk(replace(ledger, fills=fills), trades).tolist() == [1.0, 2.0, 6.0, math.inf]


def test_without_a_stop_there_is_no_multiple_but_pnl_has_a_quality() -> None:
    ledger, trades = make_ledger([100.0] * 6, FILLS), make_trades([75.0, -10.0, 0.0], [2, 4, -1])
    assert sqn(ledger, trades).reason == "a closed trade had no stop to measure its risk by"
    assert sqn_pnl(trades).value is not None
    assert sqn(make_ledger([100.0]), closed([])).reason == "there is no closed trade"


@pytest.mark.parametrize("exits", [{"stop_loss": 0.02}, {"trailing_stop": 0.02}])
def test_with_a_stop_of_two_per_cent_a_trade_risks_two_per_cent_of_its_entry(exits: dict[str, float]) -> None:
    config = {
        "dataset": "synthetic",
        "symbols": ["SYNTH"],
        "strategy": {"name": "dual_sma", "params": {"fast": 5, "slow": 20}},
        "execution": exits,
    }
    result = engine.run(config, market(bars=3000, seed=3))
    trades = result.trades
    assert len(trades) > 50
    risk = 0.02 * trades.quantity * trades.entry_price
    np.testing.assert_allclose(initial_risk(result.ledger, trades), risk, rtol=1e-9)
    multiples = (trades.pnl_net / risk)[trades.closed]
    expected = math.sqrt(min(100, len(multiples))) * multiples.mean() / multiples.std(ddof=1)
    assert result.metrics["sqn"].value == pytest.approx(expected, rel=1e-9)


def test_excursions_are_shares_of_the_entry_notional() -> None:
    trades = replace(
        make_trades([1.0, 1.0, 1.0], [1, 2, -1]),
        quantity=np.array([2.0, 10.0, 1.0]),
        entry_price=np.array([50.0, 100.0, 1.0]),
        mae=np.array([-10.0, 0.0, -1.0]),
        mfe=np.array([5.0, 250.0, 1.0]),
    )
    assert average_excursions(trades) == {
        "average_mae": Metric(-0.05, "fraction"),
        "average_mfe": Metric(0.15, "fraction"),
    }
    nothing = replace(trades, entry_price=np.zeros(3))
    assert {m.reason for m in average_excursions(nothing).values()} == {"a closed trade has no entry notional"}
    assert {m.reason for m in average_excursions(closed([])).values()} == {"there is no closed trade"}

"""Sizing by hand: each rule of semantics section 7, and the schedules of section 3."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

import engine
from engine.portfolio import targets
from engine.portfolio.sizing import FixedFraction, When
from engine.results import Leg, Signals, Targets
from engine.types import Floats
from tests.engine.portfolio.markets import bars, rule, walk
from tests.engine.test_pipeline import FREE, HOLD, config, dataset, series

HOURS = 3600 * 10**9


def made(values: list[float], sizing: str = "fixed_fraction", **params: float) -> Targets:
    signals = Signals(np.array(values).reshape(-1, 1), 0)
    return targets(rule(sizing, **params), signals, bars([1.0] * len(values)))


def ones(rows: int) -> Signals:
    return Signals(np.ones((rows, 1)), 0)


def test_an_order_leaves_where_the_signal_changes_and_before_the_first_bar_it_is_0() -> None:
    assert made([0.0, 1.0, 1.0, -1.0, -0.5, 0.0, 0.0]).decides[:, 0].tolist() == [0, 1, 0, 1, 1, 1, 0]
    assert made([1.0, 1.0]).decides[:, 0].tolist() == [1, 0]


def test_the_fraction_scales_every_signal_and_all_of_it_makes_no_copy() -> None:
    half = made([1.0, -0.5, 0.0], fraction=0.4)
    assert half.weights[:, 0].tolist() == [0.4, -0.2, 0.0]
    assert (half.signals[:, 0].tolist(), half.notional) == ([1.0, -0.5, 0.0], False)
    whole = targets(FixedFraction(), ones(5), bars([1.0] * 5))
    assert whole.weights is whole.signals


@pytest.mark.parametrize(
    ("name", "params", "field"),
    [
        ("fixed_fraction", {"fraction": 0.0}, "fraction"),
        ("fixed_fraction", {"fraction": 1.1}, "fraction"),
        ("volatility_target", {"target_vol": 0.0}, "target_vol"),
        ("volatility_target", {"lookback": 1}, "lookback"),
        ("volatility_target", {"max_leverage": 0.0}, "max_leverage"),
        ("kelly_fraction", {"win_prob": 1.1, "reward_risk": 1.0}, "win_prob"),
        ("kelly_fraction", {"win_prob": 0.5, "reward_risk": 0.0}, "reward_risk"),
        ("risk_per_trade", {"risk": 0.0, "stop": 0.1}, "risk"),
        ("risk_per_trade", {"risk": 0.1, "stop": 1.1}, "stop"),
        ("fixed_notional", {"amount": 0.0}, "amount"),
    ],
)
def test_parameters_have_bounds_and_errors_name_them(name: str, params: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        rule(name, **params)
    assert field in caught.value.errors()[0]["loc"]


@pytest.mark.parametrize(
    ("win_prob", "reward_risk", "base", "fraction"),
    [(0.6, 1.0, 1.0, 0.2), (0.6, 1.0, 0.5, 0.1), (0.5, 2.0, 1.0, 0.25), (0.2, 1.0, 1.0, 0.0), (1.0, 1e-6, 1.0, 1.0)],
)
def test_kelly_bets_by_the_edge(win_prob: float, reward_risk: float, base: float, fraction: float) -> None:
    odds = {"win_prob": win_prob, "reward_risk": reward_risk, "base_fraction": base}
    assert made([1.0, -1.0], "kelly_fraction", **odds).weights[:, 0] == pytest.approx([fraction, -fraction])


@pytest.mark.parametrize(
    ("calendar", "timeframe", "periods"),
    [("24x7", "1d", 365.25), ("24x7", "1h", 8766.0), ("24x5", "1d", 260.0), ("XNYS", "1d", 252.0)],
)
def test_the_size_is_the_target_over_the_volatility_of_the_year(calendar: str, timeframe: str, periods: float) -> None:
    closes = walk(3, 60)
    sizing = rule("volatility_target", target_vol=0.02, lookback=7, max_leverage=50.0)
    got = targets(sizing, ones(60), bars(closes, calendar, timeframe)).weights[:, 0]
    annual = pd.Series(closes[:, 0]).pct_change().rolling(7).std() * periods**0.5
    expected = (0.02 / annual).clip(upper=50.0).fillna(0.0).to_numpy()
    np.testing.assert_allclose(got, expected, rtol=1e-10)
    assert np.all(got[:7] == 0.0)
    assert np.all(got[7:] > 0.0)


def test_the_size_is_capped_and_zero_without_volatility() -> None:
    closes = [100.0] * 6 + [100.0, 101.0, 100.0, 101.0, 100.0, 101.0]
    sizing = rule("volatility_target", target_vol=10.0, lookback=3, max_leverage=2.0)
    got = targets(sizing, ones(12), bars(closes)).weights[:, 0]
    assert got[:7].tolist() == [0.0] * 7
    assert got[7:].tolist() == [2.0] * 5


def test_invalid_bars_are_skipped() -> None:
    closes = walk(4, 40)[:, 0]
    holed = np.insert(closes, 20, np.nan)
    sizing = rule("volatility_target", target_vol=0.02, lookback=5, max_leverage=50.0)
    whole = targets(sizing, ones(40), bars(closes)).weights[:, 0]
    got = targets(sizing, ones(41), bars(holed)).weights[:, 0]
    # The hole breaks two returns out of the sequence; once the window has passed it all is as before.
    np.testing.assert_allclose(got[27:], whole[26:], rtol=1e-10)
    assert np.all(np.isfinite(got))


def test_buying_and_holding_under_a_volatility_target_buys() -> None:
    sized = {"name": "volatility_target", "params": {"target_vol": 0.2, "lookback": 10}}
    prices = walk(5, 50)[:, 0].tolist()
    result = engine.run(config(strategy=HOLD, risk=sized), dataset(A=series(prices)))
    assert result.ledger.fills.bar.tolist() == [11]
    assert result.signals.values[:, 0].tolist() == [0.0] * 10 + [1.0] * 40


def test_a_stop_out_costs_the_risk() -> None:
    """Long at 100, stopped at 90: a tenth of a position of a fifth of equity is 2 %."""
    risk = {"name": "risk_per_trade", "params": {"risk": 0.02, "stop": 0.1}}
    rules = {**FREE, "stop_loss": 0.1}
    rows = series([100.0, 100.0, 88.0, 88.0], [100.0, 100.0, 95.0, 88.0])
    result = engine.run(config(strategy=HOLD, risk=risk, execution=rules, initial_capital=1000.0), dataset(A=rows))
    assert result.ledger.equity.tolist() == [1000.0, 1000.0, pytest.approx(980.0), pytest.approx(980.0)]


def test_a_fixed_notional_stays_while_equity_changes() -> None:
    """T30, T35: the notional of every entry, after gains and losses."""
    amount = {"name": "fixed_notional", "params": {"amount": 500.0}}
    rows = series(walk(6, 200)[:, 0].tolist())
    result = engine.run(config(risk=amount, execution={**FREE, "size_at": "fill"}), dataset(A=rows))
    opened = result.ledger.fills.leg == Leg.OPEN
    notional = np.abs(result.ledger.fills.quantity * result.ledger.fills.price)[opened]
    assert len(notional) > 10
    np.testing.assert_allclose(notional, 500.0, rtol=1e-12)


def test_t35_half_the_equity_buys_half_as_much() -> None:
    opens: Floats = np.array([8.0, 8.0, 8.0, 4.0, 4.0, 4.0, 4.0])
    weights = {"weight": np.array([1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0])}
    rows = series(opens.tolist())
    brought = engine.data.bars.Series(rows.time, *(opens,) * 4, rows.volume, extra=weights)
    rules = {**FREE, "feature_lag": 0}
    result = engine.run(
        config(strategy={"name": "target_weight"}, execution=rules, initial_capital=1024.0), dataset(A=brought)
    )
    notional = np.abs(result.ledger.fills.quantity * result.ledger.fills.price)
    assert notional.tolist() == [1024.0, 512.0, 512.0]


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("every_bar", list(range(72))),
        ("daily", [0, 24, 48]),
        ("weekly", [0, 48]),
        ("monthly", [0, 24]),
    ],
)
def test_a_schedule_decides_at_the_first_bar_of_each_period(when: When, expected: list[int]) -> None:
    """From Saturday 2020-02-29 on: Sunday is March, Monday another week."""
    market = bars([1.0] * 72, timeframe="1h", start=1_582_934_400 * 10**9)
    assert np.flatnonzero(targets(FixedFraction(), ones(72), market, when).decides[:, 0]).tolist() == expected


def test_days_of_a_schedule_are_those_of_the_calendar() -> None:
    """A 24x5 day ends at 17:00 New York: 22:00 UTC in winter."""
    market = bars([1.0] * 48, "24x5", "1h", 1_578_268_800 * 10**9)  # Monday 2020-01-06
    assert np.flatnonzero(targets(FixedFraction(), ones(48), market, "daily").decides[:, 0]).tolist() == [0, 22, 46]


def test_steady_growth_has_no_volatility() -> None:
    """All returns are equal but for rounding, which is no reason for the largest position there is."""
    sizing = rule("volatility_target", lookback=5, max_leverage=100.0)
    assert not targets(sizing, ones(200), bars(1.01 ** np.arange(200))).weights.any()


def test_holes_and_a_flat_start_make_a_symbol_wait_for_its_first_size() -> None:
    """Decided before, at weight 0, a signal that holds would never be decided again."""
    closes = walk(6, 14, 3)
    closes[2:4, 1] = np.nan
    closes[:9, 2] = 50.0
    signals = Signals(np.ones((14, 3)), 0)
    made_ = targets(rule("volatility_target", lookback=4), signals, bars(closes))
    assert made_.signals.argmax(axis=0).tolist() == [4, 6, 9]
    assert made_.decides.sum(axis=0).tolist() == [1, 1, 1]
    assert np.all(made_.weights[made_.decides] > 0.0)
    assert signals.values.all()  # what was given is not written into
    flat = series([100.0] * 50 + walk(7, 60)[:, 0].tolist())
    result = engine.run(config(strategy=HOLD, risk={"name": "volatility_target"}), dataset(A=flat))
    assert len(result.ledger.fills) == 1


def test_a_spike_that_has_left_the_window_leaves_nothing_behind() -> None:
    sizing = rule("volatility_target", lookback=20, target_vol=1e-6, max_leverage=100.0)
    quiet = 100.0 + 1e-4 * (np.arange(400.0) % 3)
    spiked = quiet.copy()
    spiked[50] = 1e13
    one, other = (targets(sizing, ones(400), bars(closes)).weights[72:] for closes in (quiet, spiked))
    np.testing.assert_allclose(one, other, rtol=1e-9)
    assert one.all()


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("fixed_fraction", {"fraction": 0.5}),
        ("volatility_target", {"lookback": 5}),
        ("kelly_fraction", {"win_prob": 0.6, "reward_risk": 1.5}),
        ("risk_per_trade", {"risk": 0.02, "stop": 0.1}),
        ("fixed_notional", {"amount": 1000.0}),
    ],
)
def test_another_future_changes_no_size_of_the_past(name: str, params: dict[str, float]) -> None:
    sizing, closes, signals = rule(name, **params), walk(9, 80, 2), Signals(np.ones((80, 2)), 0)
    before = targets(sizing, signals, bars(closes))
    for cut in range(1, 80, 7):
        other = np.concatenate((closes[:cut], 3.0 * walk(cut, 80 - cut, 2)))
        after = targets(sizing, signals, bars(other))
        short = targets(sizing, Signals(np.ones((cut, 2)), 0), bars(closes[:cut]))
        for made_ in (after, short):
            assert made_.weights[:cut].tobytes() == before.weights[:cut].tobytes()
            assert made_.decides[:cut].tobytes() == before.decides[:cut].tobytes()


def test_a_weight_of_nothing_has_no_sign() -> None:
    closes = np.append(walk(7, 20)[:, 0], [50.0] * 20)
    short = Signals(-np.ones((40, 1)), 0)
    for sizing in (rule("volatility_target", lookback=4), rule("kelly_fraction", win_prob=0.1, reward_risk=1.0)):
        weights = targets(sizing, short, bars(closes)).weights
        assert np.any(weights == 0.0)
        assert not np.any(np.signbit(weights) & (weights == 0.0))

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.metrics.annualise import curve
from engine.metrics.core import DEFINITIONS, core_metrics
from engine.results import Ledger, Metric, Trades
from engine.types import NANOSECONDS_PER_DAY, Floats
from tests.engine.metrics.test_trades import make_ledger, make_trades

KEYS = [
    "total_return",
    "cagr",
    "volatility",
    "sharpe",
    "sharpe_standard_error",
    "sharpe_bar",
    "sharpe_lo",
    "psr",
    "min_track_record_length",
    "sortino",
    "calmar",
    "martin",
    "omega",
    "max_drawdown",
    "max_drawdown_duration",
    "average_drawdown",
    "average_drawdown_duration",
    "ulcer_index",
    "pain_index",
    "observations",
    "value_at_risk",
    "conditional_value_at_risk",
    "expected_shortfall",
    "tail_ratio",
    "skewness",
    "excess_kurtosis",
    "alpha",
    "beta",
    "benchmark_correlation",
    "tracking_error",
    "information_ratio",
    "up_capture",
    "down_capture",
    "exposure",
    "turnover",
    "win_rate",
    "payoff_ratio",
    "profit_factor",
    "expectancy",
    "sqn",
    "sqn_pnl",
    "kelly",
    "average_mae",
    "average_mfe",
    "trade_count",
    "final_equity",
    "total_commission",
    "total_slippage",
    "total_borrow_cost",
    "total_interest",
]
NO_TRADES = make_trades([], [])


def metrics(
    ledger: Ledger, trades: Trades = NO_TRADES, bars_per_day: int = 1, benchmark: Floats | None = None
) -> dict[str, Metric]:
    count = len(ledger.equity)
    times = np.arange(count + 1) * (NANOSECONDS_PER_DAY // bars_per_day)
    days = curve(np.arange(count) // bars_per_day, times[1:], ledger.equity, ledger.initial_capital, 365.25)
    return core_metrics(days, ledger, trades, int(times[0]), times[1:], 365.25 * bars_per_day, benchmark)


def undefined(values: dict[str, Metric]) -> set[str]:
    return {name for name, metric in values.items() if metric.value is None}


WAVE = [100.0 + i / 5.0 + 5.0 * math.sin(i * i) for i in range(1, 60)]
VARIATION = {"sharpe", "sharpe_standard_error", "sharpe_lo", "psr", "min_track_record_length"}
VARIATION |= {"skewness", "excess_kurtosis"}
LOSSES = {"sortino", "omega", "tail_ratio"}
TAILS = {"value_at_risk", "conditional_value_at_risk", "expected_shortfall"}
RELATIVE = {"alpha", "beta", "benchmark_correlation", "tracking_error", "information_ratio"}
RELATIVE |= {"up_capture", "down_capture"}
DAILY = VARIATION | LOSSES | TAILS | {"volatility"}
GROWTH = {"cagr", "calmar", "martin"}
FALLS = {"max_drawdown", "max_drawdown_duration", "ulcer_index", "pain_index"}
EPISODES = {"average_drawdown", "average_drawdown_duration"}
WON_AND_LOST = {"payoff_ratio", "profit_factor", "kelly"}
SQN = {"sqn", "sqn_pnl"}
TRADING = WON_AND_LOST | SQN | {"win_rate", "expectancy", "average_mae", "average_mfe"}
TWO_TRADES = [(1, 1.0, 9.0), (3, -1.0, 10.0), (3, 1.0, 9.0), (4, -1.0, 7.0)]
LOST_ALL = DAILY | GROWTH | {"sharpe_bar"}
CASES = {
    "ordinary": (make_ledger(WAVE, TWO_TRADES, stop=8.0), make_trades([1.0, -2.0], [3, 4]), set[str]()),
    "no stops": (make_ledger(WAVE, TWO_TRADES), make_trades([1.0, -2.0], [3, 4]), {"sqn"}),
    "equal trades": (make_ledger(WAVE, TWO_TRADES, stop=8.0), make_trades([0.1, 0.1], [3, 4]), WON_AND_LOST | SQN),
    "break-even trades": (make_ledger(WAVE, TWO_TRADES, stop=8.0), make_trades([0.0, 0.0], [3, 4]), WON_AND_LOST | SQN),
    "losing trades": (
        make_ledger(WAVE, TWO_TRADES, stop=8.0),
        make_trades([-1.0, -2.0], [3, 4]),
        {"payoff_ratio", "kelly"},
    ),
    "a periodic wave": (
        make_ledger([100.0 + 10.0 * math.sin(i) for i in range(60)]),
        NO_TRADES,
        TRADING | {"sharpe_lo"},
    ),
    "no bars": (
        make_ledger([]),
        NO_TRADES,
        DAILY | GROWTH | TRADING | FALLS | EPISODES | {"sharpe_bar", "total_return", "exposure"},
    ),
    "no trades": (make_ledger(WAVE), NO_TRADES, TRADING),
    "one winning trade": (make_ledger(WAVE, [(1, 1.0, 9.0)]), make_trades([1.0], [3]), WON_AND_LOST | SQN),
    "one open trade": (make_ledger(WAVE, [(1, 1.0, 9.0)]), make_trades([1.0], [-1]), TRADING),
    "one bar": (make_ledger([90.0]), NO_TRADES, DAILY | GROWTH | TRADING | {"sharpe_bar"}),
    "flat": (
        make_ledger([100.0] * 60),
        NO_TRADES,
        VARIATION | LOSSES | TRADING | EPISODES | {"sharpe_bar", "calmar", "martin"},
    ),
    "constant growth": (
        make_ledger(list(100.0 * 1.001 ** np.arange(1.0, 61.0))),
        NO_TRADES,
        VARIATION | LOSSES | TRADING | EPISODES | {"sharpe_bar", "calmar", "martin"},
    ),
    "only up": (
        make_ledger([100.0 + i * i for i in range(60)]),
        NO_TRADES,
        LOSSES | TRADING | EPISODES | {"calmar", "martin"},
    ),
    "only down": (
        make_ledger([100.0 - i * i / 50.0 for i in range(1, 61)]),
        NO_TRADES,
        TRADING | {"min_track_record_length"},
    ),
    "lost all": (make_ledger([100.0] * 40 + [0.0] * 20), NO_TRADES, LOST_ALL | TRADING),
    "owes money": (
        make_ledger([100.0] * 40 + [-7.0] * 20, [(1, 1.0, 9.0), (41, -1.0, 9.0)]),
        make_trades([-107.0], [41]),
        LOST_ALL | WON_AND_LOST - {"profit_factor"} | SQN | {"turnover"},
    ),
    "back from ruin": (make_ledger([100.0, -7.0, *WAVE]), NO_TRADES, DAILY | TRADING | {"sharpe_bar"}),
    "beyond floats": (
        make_ledger([1e-300, 1e300, *[1e300] * 58]),
        NO_TRADES,
        DAILY | TRADING | GROWTH | {"sharpe_bar"},
    ),
}


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("case", CASES)
def test_every_metric_is_a_finite_number_or_null_with_a_reason(case: str, name: str) -> None:
    ledger, trades, missing = CASES[case]
    metric = metrics(ledger, trades)[name]
    assert metric.unit == DEFINITIONS[name].unit
    if name in missing | RELATIVE:
        assert metric.value is None
        assert metric.reason
    else:
        assert type(metric.value) is float
        assert math.isfinite(metric.value)
        assert metric.reason is None
    if metric.interval is not None:
        assert metric.value is not None
        assert math.isfinite(metric.interval.low)
        assert math.isfinite(metric.interval.high)
        assert metric.interval.low <= metric.value <= metric.interval.high


ANY = st.floats(-1e308, 1e308) | st.sampled_from([0.0, 5e-324, 1e-300, 1e-160, 1e-13, 100.0, 100.00000000000001, 1e300])
ABOVE = ANY.map(abs) | st.just(100.0)


@settings(derandomize=True, deadline=None, max_examples=400)
@given(
    st.lists(ABOVE, max_size=45) | st.lists(ANY, max_size=9),
    st.lists(st.floats(-1e300, 1e300), max_size=8),
    st.lists(ABOVE.filter(bool), min_size=46, max_size=46),
)
def test_whatever_an_account_went_through_what_leaves_is_finite_or_null(
    equity: list[float], pnl: list[float], prices: list[float]
) -> None:
    benchmark = np.array(prices[: len(equity) + 1])
    values = metrics(make_ledger(equity), make_trades(pnl, range(len(pnl))), benchmark=benchmark)
    for name, metric in values.items():
        assert (metric.value is None) == bool(metric.reason), name
        numbers = [metric.value or 0.0]
        if metric.interval is not None:
            numbers += [metric.interval.low, metric.interval.high]
        assert all(map(math.isfinite, numbers)), name


def test_what_is_estimated_says_how_well() -> None:
    values = metrics(make_ledger(WAVE, TWO_TRADES, stop=8.0), make_trades([1.0, -2.0], [3, 4]))
    bounded = {name for name, metric in values.items() if metric.interval is not None}
    ratios = {"sharpe", "sharpe_bar", "sharpe_lo", "sortino", "calmar", "martin", "omega"}
    assert bounded == ratios | {"win_rate", "profit_factor", "sqn", "sqn_pnl"}
    for name, metric in values.items():
        assert list(metric.as_dict()) == ["value", "unit", "reason", *["interval"] * (name in bounded)]
    error, sharpe = values["sharpe_standard_error"].value, values["sharpe"]
    assert error is not None
    assert sharpe.interval is not None
    assert sharpe.interval.high - sharpe.interval.low == pytest.approx(2.0 * 1.959963984540054 * error)
    assert (sharpe.interval.level, sharpe.interval.method) == (0.95, "Mertens 2002")


def test_what_compares_needs_a_benchmark_of_the_same_days() -> None:
    ledger = make_ledger(WAVE)
    values = metrics(ledger, benchmark=np.linspace(100.0, 90.0, 60) + np.arange(60) % 3)
    assert undefined(values) & RELATIVE == set()
    assert metrics(ledger, benchmark=np.full(60, 5.0))["beta"].reason == "benchmark returns do not vary"
    huge = metrics(ledger, benchmark=np.r_[1e-300, np.full(59, 1e300)])
    assert {huge[name].reason for name in RELATIVE} == {"daily returns are too large for a float"}
    with pytest.raises(ValueError, match="one price for each point"):
        metrics(ledger, benchmark=np.ones(59))


def test_the_keys_are_these_in_this_order() -> None:
    values = metrics(*CASES["ordinary"][:2])
    assert list(values) == list(DEFINITIONS) == KEYS
    assert all(d.name == key and d.formula and d.source for key, d in DEFINITIONS.items())


def test_one_day_of_many_bars_has_no_daily_ratio() -> None:
    assert undefined(metrics(make_ledger(WAVE[:24]), bars_per_day=24)) == DAILY | GROWTH | TRADING | RELATIVE


def test_drawdown_is_seen_inside_the_day_and_sharpe_is_not_moved_by_it() -> None:
    calm = [100.0, 101.0, 102.0, 101.5, 103.0, 104.0]
    dip = [100.0, 101.0, 51.0, 101.5, 103.0, 104.0]
    first, second = (metrics(make_ledger(e), bars_per_day=2) for e in (calm, dip))
    assert first["sharpe"] == second["sharpe"]
    assert second["max_drawdown"].value == pytest.approx(51.0 / 101.0 - 1.0)


def test_bars_and_days_are_annualised_apart() -> None:
    """Every second bar takes back half of the one before: by the day there is nothing of it to see."""
    bounce = [100.0 * 1.001 ** (i // 2) * (1.01 if i % 2 == 0 else 1.0) * (1.0 + i % 7 * 1e-4) for i in range(60)]
    two, one = (metrics(make_ledger(bounce), bars_per_day=b) for b in (2, 1))
    assert one["sharpe_bar"].value == pytest.approx(one["sharpe"].value, rel=1e-12)
    assert two["sharpe_bar"].value == pytest.approx(math.sqrt(2.0) * (one["sharpe"].value or 0.0), rel=1e-12)
    assert (two["sharpe"].value or 0.0) > 2.0 * (two["sharpe_bar"].value or 0.0)


def test_a_year_by_hand() -> None:
    # 1461 days are four years by the clock; equity doubles twice, with a fall by a half on the way.
    equity = np.full(1461, 100.0)
    equity[100:200], equity[200:] = 50.0, 400.0
    ledger = make_ledger(list(equity), [(0, 1.0, 50.0), (487, -1.0, 200.0)])
    values = metrics(ledger, make_trades([300.0], [487]))
    expected = {
        "total_return": 3.0,
        "cagr": math.sqrt(2.0) - 1.0,
        "calmar": 2.0 * (math.sqrt(2.0) - 1.0),
        "max_drawdown": -0.5,
        "max_drawdown_duration": 101.0,
        "exposure": 1.0 / 3.0,
        "average_drawdown": -0.5,
        "average_drawdown_duration": 101.0,
        "ulcer_index": math.sqrt(100 * 0.25 / 1461),
        "pain_index": 100 * 0.5 / 1461,
        "martin": (math.sqrt(2.0) - 1.0) / math.sqrt(100 * 0.25 / 1461),
        "value_at_risk": 0.0,
        "expected_shortfall": -0.5 / (0.05 * 1461),
        "omega": 7.0 / 0.5,
        "turnover": 1.0,
        "win_rate": 1.0,
        "expectancy": 300.0,
        "trade_count": 1.0,
        "final_equity": 400.0,
        "total_commission": 2.0,
        "total_slippage": 1.0,
    }
    for name, number in expected.items():
        assert values[name].value == pytest.approx(number, rel=1e-12), name


def test_arrays_that_do_not_fit_are_refused() -> None:
    ledger = make_ledger([100.0, 101.0])
    times = np.arange(3) * NANOSECONDS_PER_DAY
    days = curve(np.arange(2), times[1:], ledger.equity, 100.0, 365.25)
    with pytest.raises(ValueError, match="one entry for each bar"):
        core_metrics(days, ledger, NO_TRADES, 0, times, 365.25)
    with pytest.raises(ValueError, match="finite"):
        core_metrics(days, replace(ledger, path=np.array([1.0, 1.0, np.nan])), NO_TRADES, 0, times[1:], 365.25)

import math
from dataclasses import replace

import numpy as np
import pytest

from engine.metrics.annualise import curve
from engine.metrics.core import DEFINITIONS, core_metrics
from engine.results import Ledger, Metric, Trades
from engine.types import NANOSECONDS_PER_DAY
from tests.engine.metrics.test_trades import make_ledger, make_trades

KEYS = [
    "total_return",
    "cagr",
    "volatility",
    "sharpe",
    "sortino",
    "calmar",
    "max_drawdown",
    "max_drawdown_duration",
    "exposure",
    "turnover",
    "win_rate",
    "profit_factor",
    "trade_count",
    "final_equity",
    "total_commission",
    "total_slippage",
    "total_borrow_cost",
    "total_interest",
]
NO_TRADES = make_trades([], [])


def metrics(ledger: Ledger, trades: Trades = NO_TRADES, bars_per_day: int = 1) -> dict[str, Metric]:
    count = len(ledger.equity)
    times = np.arange(count + 1) * (NANOSECONDS_PER_DAY // bars_per_day)
    days = curve(np.arange(count) // bars_per_day, times[1:], ledger.equity, ledger.initial_capital, 365.25)
    return core_metrics(days, ledger, trades, int(times[0]), times[1:])


def undefined(values: dict[str, Metric]) -> set[str]:
    return {name for name, metric in values.items() if metric.value is None}


WAVE = [100.0 + 10.0 * math.sin(i) for i in range(1, 60)]
DAILY = {"volatility", "sharpe", "sortino"}
GROWTH = {"cagr", "calmar"}
TRADING = {"win_rate", "profit_factor"}
CASES = {
    "ordinary": (make_ledger(WAVE, [(1, 1.0, 9.0)]), make_trades([1.0, -2.0], [3, 4]), set[str]()),
    "no bars": (
        make_ledger([]),
        NO_TRADES,
        DAILY | GROWTH | TRADING | {"total_return", "max_drawdown", "max_drawdown_duration", "exposure"},
    ),
    "no trades": (make_ledger(WAVE), NO_TRADES, TRADING),
    "one winning trade": (make_ledger(WAVE, [(1, 1.0, 9.0)]), make_trades([1.0], [3]), {"profit_factor"}),
    "one open trade": (make_ledger(WAVE, [(1, 1.0, 9.0)]), make_trades([1.0], [-1]), TRADING),
    "one bar": (make_ledger([90.0]), NO_TRADES, DAILY | GROWTH | TRADING),
    "flat": (make_ledger([100.0] * 60), NO_TRADES, TRADING | {"sharpe", "sortino", "calmar"}),
    "only up": (make_ledger([100.0 + i * i for i in range(60)]), NO_TRADES, TRADING | {"sortino", "calmar"}),
    "lost all": (make_ledger([100.0] * 40 + [0.0] * 20), NO_TRADES, DAILY | GROWTH | TRADING),
    "owes money": (
        make_ledger([100.0] * 40 + [-7.0] * 20, [(1, 1.0, 9.0), (41, -1.0, 9.0)]),
        make_trades([-107.0], [41]),
        DAILY | GROWTH | {"turnover"},
    ),
    "back from ruin": (make_ledger([100.0, -7.0, *WAVE]), NO_TRADES, DAILY | TRADING),
}


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("case", CASES)
def test_every_metric_is_a_finite_number_or_null_with_a_reason(case: str, name: str) -> None:
    ledger, trades, missing = CASES[case]
    metric = metrics(ledger, trades)[name]
    assert metric.unit == DEFINITIONS[name].unit
    if name in missing:
        assert metric.value is None
        assert metric.reason
    else:
        assert type(metric.value) is float
        assert math.isfinite(metric.value)
        assert metric.reason is None


def test_the_keys_are_these_in_this_order() -> None:
    values = metrics(*CASES["ordinary"][:2])
    assert list(values) == list(DEFINITIONS) == KEYS
    assert all(d.name == key and d.formula and d.source for key, d in DEFINITIONS.items())


def test_one_day_of_many_bars_has_no_daily_ratio() -> None:
    assert undefined(metrics(make_ledger(WAVE[:24]), bars_per_day=24)) == DAILY | GROWTH | TRADING


def test_drawdown_is_seen_inside_the_day_and_sharpe_is_not_moved_by_it() -> None:
    calm = [100.0, 101.0, 102.0, 101.5, 103.0, 104.0]
    dip = [100.0, 101.0, 51.0, 101.5, 103.0, 104.0]
    first, second = (metrics(make_ledger(e), bars_per_day=2) for e in (calm, dip))
    assert first["sharpe"] == second["sharpe"]
    assert second["max_drawdown"].value == pytest.approx(51.0 / 101.0 - 1.0)


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
        "turnover": 1.0,
        "win_rate": 1.0,
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
        core_metrics(days, ledger, NO_TRADES, 0, times)
    with pytest.raises(ValueError, match="finite"):
        core_metrics(days, replace(ledger, path=np.array([1.0, 1.0, np.nan])), NO_TRADES, 0, times[1:])

"""What idle cash earns takes no skill: ratios and tests of daily returns take it off."""

import math
from dataclasses import replace

import numpy as np
import pytest

import engine
from engine.data.synthetic import market
from engine.execution.fills import idle_growth
from engine.outcome import Result
from engine.types import Floats
from engine.validation.days import daily_returns
from tests.engine.test_pipeline import config, dataset, lively

RATE = 0.05
YEAR = 365 * 86_400
NEVER = {"name": "dual_sma", "params": {"fast": 3, "slow": 5000}}
RATIOS = ("sharpe", "sharpe_standard_error", "sharpe_bar", "sharpe_lo", "psr", "sortino", "omega")


def weekdays(rate: float, **changes: object) -> Result:
    """Hours of a market that is closed at weekends, over which interest runs on."""
    asked = config(
        dataset="synthetic", symbols=["SYNTH"], execution={"cash_rate": rate, "allow_short": False}, **changes
    )
    return engine.run(asked, market(bars=3000, seed=3, calendar="24x5", start="2020-01-03"))


def idle_days(result: Result) -> Floats:
    """What a unit of idle cash earned by day, bar for bar as the account earns it; 24 bars a day, the last ends it."""
    closes = result.frame("equity")["timestamp"]
    growth = (1.0 + RATE * closes.diff().dt.total_seconds().fillna(0.0) / YEAR).cumprod()
    days = (closes - np.timedelta64(1, "ns")).dt.tz_convert("America/New_York") + np.timedelta64(7, "h")
    last = growth.groupby(days.dt.date).last().to_numpy()
    return np.diff(np.concatenate(([1.0], last))) / np.concatenate(([1.0], last[:-1]))


def test_ratios_are_of_what_was_earned_beyond_idle_cash() -> None:
    result = weekdays(RATE, validation={"sharpe": {}})
    equity, idle = result.daily.equity, idle_days(result)
    excess = equity[1:] / equity[:-1] - 1.0 - idle
    expected = float(excess.mean() / excess.std(ddof=1)) * math.sqrt(260.0)
    assert float(idle.max()) > 2.5 * float(idle.min()) > 0.0  # a weekend
    assert result.metrics["sharpe"].value == pytest.approx(expected, rel=1e-9)
    downside = math.sqrt(float(np.mean(np.minimum(excess, 0.0) ** 2)))
    assert result.metrics["sortino"].value == pytest.approx(
        float(excess.mean()) / downside * math.sqrt(260.0), rel=1e-9
    )
    rolling = result.rolling_sharpe(len(excess))
    assert rolling["rolling_sharpe"].to_list() == pytest.approx([expected])
    assert result.validation[0].statistic == pytest.approx(expected, rel=1e-9)
    without = weekdays(0.0).metrics["sharpe"].value
    assert without is not None
    assert abs(expected - without) > 0.01


def test_growth_and_risk_keep_what_cash_earned() -> None:
    result = weekdays(RATE)
    equity = result.daily.equity
    returns = equity[1:] / equity[:-1] - 1.0
    assert result.metrics["total_return"].value == pytest.approx(float(equity[-1] / equity[0]) - 1.0)
    assert result.metrics["volatility"].value == pytest.approx(float(returns.std(ddof=1)) * math.sqrt(260.0))
    assert result.metrics["value_at_risk"].value == pytest.approx(float(np.quantile(returns, 0.05)))


@pytest.mark.parametrize("mode", ["portfolio", "independent"])
def test_an_account_that_never_trades_has_no_ratio(mode: str) -> None:
    data = dataset(A=lively(1, 960), B=lively(2, 700))
    asked = config(symbols=["A", "B"], strategy=NEVER, execution={"cash_rate": RATE}, portfolio={"mode": mode})
    result = engine.run(asked, data)
    assert (result.metrics["total_return"].value or 0.0) > 0.0
    assert len(result.ledger.fills) == 0
    assert {result.metrics[name].reason for name in RATIOS} == {
        "daily returns do not vary",
        "bar returns do not vary",
        "there is no losing day",
    }


def test_half_in_the_benchmark_and_half_in_cash_has_no_alpha_from_cash() -> None:
    found = []
    for rate in (0.0, RATE):
        asked = config(
            strategy={"name": "buy_and_hold"},
            benchmark="A",
            execution={"cash_rate": rate, "commission": {"bps": 0.0}, "rebalance": {"name": "every_bar"}},
            risk={"name": "fixed_fraction", "params": {"fraction": 0.5}},
        )
        metrics = engine.run(asked, dataset(A=lively(5, 2400))).metrics
        assert metrics["beta"].value == pytest.approx(0.5, abs=0.02)
        found.append(metrics["alpha"].value or 0.0)
    # Taken as it is, a return of half the rate would stand there as skill.
    assert found[1] - found[0] == pytest.approx(0.0, abs=0.02 * RATE)


def test_who_falls_behind_idle_cash_by_everything_has_no_daily_returns() -> None:
    run = weekdays(RATE)
    path, idle = np.array([1.0, 1.0, 2e-4, 3e-4]), np.array([1.0, 1.0004, 1.0008, 1.0012])
    ledger, ends = replace(run.ledger, path=path, idle=idle), np.arange(3)
    assert daily_returns(ledger, ends).reason == "a day's return is 100 % or more below that of idle cash"
    assert daily_returns(replace(ledger, idle=np.empty(0)), ends).reason is None
    assert daily_returns(ledger, ends, 2).returns.tolist() == pytest.approx([0.5 - 4e-4 / 1.0008])


@pytest.mark.parametrize("bars", [0, 1, 2])
def test_idle_cash_grows_from_the_first_close_on(bars: int) -> None:
    closes = np.arange(bars) * YEAR * 10**9
    assert idle_growth(closes, RATE).tolist() == [1.0, 1.0, 1.05][: bars + 1]
    assert len(idle_growth(closes, 0.0)) == 0


def test_a_sweep_and_its_columns_are_beyond_idle_cash_too() -> None:
    data = dataset(A=lively(1, 2400))
    asked = config(execution={"cash_rate": RATE})
    found = engine.sweep(asked, data, {"slow": [8, 13]}, returns=True)
    assert found.returns is not None
    for child, column in zip(found.children, found.returns.T, strict=True):
        sharpe = float(column.mean() / column.std(ddof=1)) * math.sqrt(365.25)
        assert child.metrics["sharpe"].value == pytest.approx(sharpe, rel=1e-9)

"""Every metric of a run over a million daily returns, and a rolling ratio over them; one core, warm.

Beside quantstats, and its limit, where there is one; quantstats is measured once, where it is installed.
"""

import importlib
import time
from collections.abc import Callable

import numpy as np

from engine.metrics import distribution, drawdown, edge, inference, periods, relative
from engine.metrics.annualise import curve
from engine.metrics.core import core_metrics
from engine.metrics.moments import moments
from engine.types import NANOSECONDS_PER_DAY
from tests.benchmarks.tables import Cell, quantile, show
from tests.engine.metrics.test_trades import make_ledger, make_trades

RETURNS, TRADES, RUNS = 1_000_000, 10_000, 15
WINDOW, ANNUAL = 252, 365.25
EVERYTHING, LIMIT = "all of core_metrics", 100.0

Work = Callable[[], object]


def main() -> None:
    rows: list[tuple[Cell, ...]] = []
    for name, work in _works().items():
        everything = name == EVERYTHING
        rows.append((name, 1000.0 * _median(work), _theirs() if everything else "", LIMIT if everything else ""))
    title = f"metrics over {RETURNS:,} returns and {TRADES:,} trades, warm, median ms"
    show(title, ("", "engine", "quantstats", "limit"), rows)


def _theirs() -> Cell:
    """Milliseconds of quantstats' full table over as many returns; empty where it is not installed."""
    try:
        reports, pandas = importlib.import_module("quantstats.reports"), importlib.import_module("pandas")
    except ImportError:
        return ""
    returns = np.random.default_rng(1).normal(1e-5, 1e-3, RETURNS)
    table = pandas.Series(returns, index=pandas.date_range("1900-01-01", periods=RETURNS, freq="h"))
    began = time.perf_counter()
    reports.metrics(table, mode="full", display=False)
    return 1000.0 * (time.perf_counter() - began)


def _works() -> dict[str, Work]:
    generator = np.random.default_rng(1)
    returns, other = generator.normal(1e-5, 1e-3, (2, RETURNS))
    path = 100.0 * np.cumprod(1.0 + returns)
    step = RETURNS // (2 * TRADES)
    ledger = make_ledger(path.tolist(), [(i * step, (-1.0) ** i, 9.0) for i in range(2 * TRADES)], stop=8.0)
    trades = make_trades(generator.normal(0.0, 1.0, TRADES).tolist(), (2 * np.arange(TRADES) + 1).tolist())
    times = np.arange(RETURNS + 1) * (NANOSECONDS_PER_DAY // 24)
    days = curve(np.arange(RETURNS), times[1:], ledger.equity, ledger.initial_capital, ANNUAL)
    of = moments(returns)
    return {
        EVERYTHING: lambda: core_metrics(days, ledger, trades, 0, times[1:], ANNUAL),
        "moments": lambda: moments(returns),
        "tails": lambda: distribution.tails(returns, of=of),
        "autocovariances": lambda: inference.autocovariances(returns - of.mean, inference.lag_rule(RETURNS)),
        "drawdown episodes": lambda: drawdown.underwater(ledger.path, 0, times[1:]),
        "R-multiples": lambda: edge.sqn(ledger, trades),
        "beta": lambda: relative.beta(returns, other),
        "monthly returns": lambda: periods.monthly_returns(days),
        f"rolling Sharpe, {WINDOW} days": lambda: periods.rolling_sharpe(returns, WINDOW, ANNUAL),
    }


def _median(work: Work) -> float:
    work()
    took = []
    for _ in range(RUNS):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return quantile(took, 0.5)

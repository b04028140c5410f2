"""One backtest beside other engines: averages of 20 and 50 bars, long or flat, all in at the next open.

5 bps of commission, 1 bp of slippage (a tenth of both in ten million bars, or nothing would be left), from prices in
memory to equity, trades and metrics, warm. Peers that are not
installed are left out: ``uv run --group parity python -m tests.benchmarks peers`` has them all. Every engine and
size is measured in a process of its own, where the peak of memory is its own too. All must end with the same equity,
but for averages that are equal in one engine and not quite in another.
"""

import ctypes
import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from engine import run
from engine.data import synthetic
from engine.data.bars import Dataset, Series
from engine.kernels import kernel
from engine.types import Floats
from tests.benchmarks.tables import quantile, show
from tests.live import ROOT
from tests.parity.cases import Rules, peer

SIZES = (2_520, 100_000, 1_000_000, 10_000_000)
WARM_UP = 1_000
SECONDS, FEWEST, MOST = 3.0, 2, 100
"""So long is measured, but no fewer and no more times."""
FAST, SLOW = 20, 50
CAPITAL = 100_000.0
SAME = 0.02
RAW_BYTES = 6 * 8

Work = Callable[[], float]


class Engine(NamedTuple):
    """``prepare`` turns a dataset into work that returns the final equity; ``most`` is what it is asked for."""

    needs: str
    most: int
    prepare: Callable[[Dataset], Work]


def main() -> None:
    installed = [name for name, engine in ENGINES.items() if importlib.util.find_spec(engine.needs)]
    measured = {n: {bars: _in_a_process(n, bars) for bars in SIZES if bars <= ENGINES[n].most} for n in installed}
    ours = measured[OURS]
    for bars in SIZES:
        ends = [found[bars]["equity"] for found in measured.values() if bars in found]
        np.testing.assert_allclose(ends, ours[bars]["equity"], rtol=SAME)
    head = tuple(f"{bars:,}" for bars in SIZES)
    _table("averages of 20 and 50 bars, warm, median ms", head, measured, lambda got, _: 1000 * got["seconds"])
    _table("times as long as ours", head, measured, lambda got, bars: got["seconds"] / ours[bars]["seconds"])
    _table("peak growth / raw bytes", head, measured, lambda got, bars: got["growth"] / (bars * RAW_BYTES))


def _table(
    title: str, head: tuple[str, ...], measured: Mapping[str, Any], value: Callable[[Mapping[str, Any], int], float]
) -> None:
    rows = [(n, *(value(found[b], b) if b in found else "-" for b in SIZES)) for n, found in measured.items()]
    show(title, ("bars", *head), rows)


def _in_a_process(name: str, bars: int) -> dict[str, float]:
    command = [sys.executable, "-W", "ignore", "-m", "tests.benchmarks.peers", name, str(bars)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def _measure(name: str, bars: int) -> dict[str, float]:
    prepare = ENGINES[name].prepare
    prepare(_market(WARM_UP))()
    work = prepare(_market(bars))
    ctypes.CDLL(None).malloc_trim(0)  # what the making of the market left free would hide growth
    Path("/proc/self/clear_refs").write_text("5")  # and its peak too
    before = _kibibytes("VmRSS")
    equity = work()
    growth = (_kibibytes("VmHWM") - before) * 1024
    took: list[float] = []
    until = time.perf_counter() + SECONDS
    while len(took) < FEWEST or (time.perf_counter() < until and len(took) < MOST):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return {"seconds": quantile(took, 0.5), "growth": growth, "equity": equity}


def _kibibytes(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def _market(bars: int) -> Dataset:
    return synthetic.market(bars=bars, timeframe="1m", start="2000-01-01")


def _rules(data: Dataset) -> Rules:
    share = min(1.0, 1_000_000 / len(_series(data)))
    return Rules(slippage=1e-4 * share, commission=5e-4 * share)


def _series(data: Dataset) -> Series:
    return next(iter(data.series.values()))


def _frame(data: Dataset) -> pd.DataFrame:
    series = _series(data)
    columns = {name.title(): getattr(series, name) for name in ("open", "high", "low", "close", "volume")}
    return pd.DataFrame(columns, index=pd.to_datetime(series.time))


def _ours(data: Dataset) -> Work:
    rules = _rules(data)
    config = {
        "dataset": data.name,
        "symbols": list(data.series),
        "strategy": {"name": "dual_sma", "params": {"fast": FAST, "slow": SLOW}},
        "initial_capital": CAPITAL,
        "execution": {
            "feature_lag": 0,
            "size_at": "fill",
            "allow_short": False,
            "slippage_bps": rules.slippage * 1e4,
            "commission": {"bps": rules.commission * 1e4},
        },
    }
    return lambda: float(run(config, data).ledger.equity[-1])


def _bare(data: Dataset) -> Work:
    series, rules = _series(data), _rules(data)
    equity = np.empty(len(series))
    return lambda: bare(series.open, series.close, FAST, SLOW, rules.slippage, rules.commission, CAPITAL, equity)


@kernel
def bare(
    opens: Floats,
    closes: Floats,
    fast: int,
    slow: int,
    slippage: float,
    commission: float,
    cash: float,
    equity: Floats,
) -> float:  # fmt: skip
    """One pass with running sums: no orders, no checks, no trades, only the equity at each close."""
    near, far, held, wanted = 0.0, 0.0, 0.0, False
    for t in range(len(closes)):
        if wanted and held == 0.0:
            price = opens[t] * (1.0 + slippage)
            held, cash = cash / (price * (1.0 + commission)), 0.0
        elif not wanted and held > 0.0:
            cash, held = held * opens[t] * (1.0 - slippage) * (1.0 - commission), 0.0
        near += closes[t] - (closes[t - fast] if t >= fast else 0.0)
        far += closes[t] - (closes[t - slow] if t >= slow else 0.0)
        wanted = t >= slow - 1 and near / fast - far / slow > 1e-12 * far / slow
        equity[t] = cash + held * closes[t]
    return float(equity[-1])


def _vectorbt(engine: str) -> Callable[[Dataset], Work]:
    def prepare(data: Dataset) -> Work:
        vectorbt, frame, rules = peer("vectorbt"), _frame(data), _rules(data)

        def work() -> float:
            fast, slow = (vectorbt.MA.run(frame["Close"], n, engine=engine).ma for n in (FAST, SLOW))
            above = (fast > slow).to_numpy()
            wanted = np.concatenate(([False], above[:-1]))
            before = np.concatenate(([False], wanted[:-1]))
            found = vectorbt.Portfolio.from_signals(
                frame["Close"],
                entries=wanted & ~before,
                exits=before & ~wanted,
                price=frame["Open"],
                fees=rules.commission,
                slippage=rules.slippage,
                init_cash=CAPITAL,
                freq="1min",
                engine=engine,
            )
            found.stats()
            return float(found.value().iloc[-1])

        return work

    return prepare


def _backtesting(data: Dataset) -> Work:
    frame, rules = _frame(data), _rules(data)
    base: Any = peer("backtesting").Strategy
    costs = peer("tests.parity.peer_backtesting").Costs

    def average(values: Any, n: int) -> Any:
        return pd.Series(values).rolling(n).mean()

    class Cross(base):  # type: ignore[misc]
        def init(self) -> None:
            self.fast, self.slow = (self.I(average, self.data.Close, n) for n in (FAST, SLOW))

        def next(self) -> None:
            above = self.fast[-1] > self.slow[-1]
            if above and not self.position:
                self.buy()
            elif self.position and not above:
                self.position.close()

    def work() -> float:
        test = peer("backtesting.lib").FractionalBacktest(
            frame, Cross, cash=CAPITAL, spread=rules.slippage, commission=costs(rules), fractional_unit=1e-12
        )
        return float(test.run()["Equity Final [$]"])

    return work


def _backtrader(data: Dataset) -> Work:
    backtrader, frame, rules = peer("backtrader"), _frame(data), _rules(data)
    base: Any = backtrader.Strategy

    class Cross(base):  # type: ignore[misc]
        def __init__(self) -> None:
            self.fast, self.slow = (backtrader.indicators.SMA(self.data.close, period=n) for n in (FAST, SLOW))

        def next_open(self) -> None:
            above = self.fast[0] > self.slow[0]  # of the bar that has closed: they advance after the open
            if above and not self.position:
                price = self.data.open[0] * (1.0 + rules.slippage)
                self.buy(size=self.broker.get_cash() / (price * (1.0 + rules.commission)) * (1.0 - 1e-12))
            elif self.position and not above:
                self.close()

    def work() -> float:
        cerebro = backtrader.Cerebro(cheat_on_open=True, stdstats=False)
        cerebro.adddata(backtrader.feeds.PandasData(dataname=frame))
        cerebro.addstrategy(Cross)
        for analyzer in ("SharpeRatio", "DrawDown", "TradeAnalyzer"):
            cerebro.addanalyzer(getattr(backtrader.analyzers, analyzer))
        cerebro.broker.set_cash(CAPITAL)
        cerebro.broker.setcommission(commission=rules.commission)
        cerebro.broker.set_checksubmit(False)
        cerebro.broker.set_slippage_perc(rules.slippage, slip_open=True, slip_match=True, slip_out=True)
        cerebro.run()
        return float(cerebro.broker.getvalue())

    return work


OURS = "this engine"
ENGINES = {
    OURS: Engine("engine", SIZES[-1], _ours),
    "bare pass, one core": Engine("numba", SIZES[-1], _bare),
    "vectorbt, Rust": Engine("vectorbt_rust", SIZES[-1], _vectorbt("rust")),
    "vectorbt, numba": Engine("vectorbt", SIZES[-1], _vectorbt("numba")),
    "backtesting.py": Engine("backtesting", SIZES[2], _backtesting),
    "backtrader": Engine("backtrader", SIZES[1], _backtrader),
}

if __name__ == "__main__":
    sys.stdout.write(json.dumps(_measure(sys.argv[1], int(sys.argv[2]))))

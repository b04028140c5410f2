"""One simulation of each test: the p-value it gives to data of one law, as a function of the seed."""

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Literal

import numpy as np

from engine.data.bars import Bars, Conventions, Series
from engine.execution import Execution, simulate
from engine.hooks import NoHooks
from engine.results import Ledger, Targets
from engine.types import NANOSECONDS_PER_DAY, Floats
from engine.validation.bar_permutation import BarPermutation
from engine.validation.base import Report
from engine.validation.bootstrap import Interval, SharpeBootstrap, bootstrap_sharpe
from engine.validation.monte_carlo import MonteCarlo
from engine.validation.multiple import benjamini_yekutieli, holm
from engine.validation.overfitting import probability_of_overfitting
from engine.validation.permutation import Permutation
from engine.validation.resample import Blocks
from engine.validation.sharpe import deflated_sharpe, mertens_error, moments, psr
from engine.validation.spa import Superiority, superiority
from tests.benchmarks.laws import Law, holdings, normal, series, strategies, winner_and_loser
from tests.engine.metrics.test_trades import make_ledger, make_trades

LEVEL = 0.05
NORMAL = NormalDist()
ROWS = 500
DRIFT = 0.1
"""A Sharpe ratio per period: 1.6 a year of daily returns."""

EFFECT = 4.0
"""Standard errors that one of twenty effects is away from nought."""

PValueOf = Callable[[int], float]
Method = Literal["cyclic", "holding_periods"]
Which = Literal["consistent", "reality_check", "stepdown"]


def known(p_value: float | None) -> float:
    if p_value is None:
        raise AssertionError("these data have a p-value")
    return p_value


def of(report: Report) -> float:
    return known(report.p_value)


# --- timing ------------------------------------------------------------------------------------------------------


def timing(law: Law, method: Method) -> PValueOf:
    """Positions that know nothing of the returns."""
    test = Permutation(n=199, method=method)
    return lambda seed: of(test.evaluate(holdings(seed, 600), series(law, seed, 600), seed, NoHooks()))


def foresight(law: Law, method: Method) -> PValueOf:
    """Returns that lean a tenth of their deviation to the side of the position."""
    test = Permutation(n=199, method=method)

    def p_value(seed: int) -> float:
        held = holdings(seed, 1000)
        return of(test.evaluate(held, series(law, seed, 1000) + 0.12 * held, seed, NoHooks()))

    return p_value


def market(returns: Floats) -> Bars:
    closes = 100.0 * np.exp(np.cumsum(returns))
    time = np.arange(len(closes), dtype=np.int64) * NANOSECONDS_PER_DAY
    return Bars.of("A", Series(time, closes, closes, closes, closes, np.zeros(len(closes))), Conventions("1d", "24x7"))


def follow(bars: Bars) -> Ledger:
    """The account that is long after a rising bar."""
    weights = np.zeros(bars.close.shape)
    weights[1:] = bars.close[1:] > bars.close[:-1]
    return simulate(bars, Targets(weights, np.ones(weights.shape, dtype=np.bool_), weights), Execution(), 1e5)


def shuffled(law: Law) -> PValueOf:
    """A market without order, or with one the rule does not look for."""

    def p_value(seed: int) -> float:
        bars = market(0.01 * series(law, seed, 150))
        return of(BarPermutation(n=49).evaluate(bars, follow(bars), follow, seed, NoHooks()))

    return p_value


def trending(law: Law) -> PValueOf:
    """Ten bars of one direction, and of the other."""

    def p_value(seed: int) -> float:
        signs = np.repeat(np.random.default_rng(seed).choice([-1.0, 1.0], 15), 10)
        bars = market(0.003 * signs + 0.004 * series(law, seed, 150))
        return of(BarPermutation(n=49).evaluate(bars, follow(bars), follow, seed, NoHooks()))

    return p_value


def ordered(pnl: Floats, seed: int) -> float:
    trades = make_trades(pnl.tolist(), list(range(len(pnl))))
    return of(MonteCarlo(n=199).evaluate(make_ledger([100.0] * len(pnl)), trades, seed, NoHooks()))


def reordered(law: Law) -> PValueOf:
    """Trades in an order that means nothing."""
    return lambda seed: ordered(series(law, seed, 100), seed)


def evened(law: Law) -> PValueOf:
    """Every loss is followed by an equal gain: an order that falls less deep than most."""

    def p_value(seed: int) -> float:
        size = np.repeat(np.abs(series(law, seed, 50)), 2)
        return ordered(np.where(np.arange(100) % 2, size, -size), seed)

    return p_value


# --- one Sharpe ratio ----------------------------------------------------------------------------------------------


def bootstrapped(law: Law, mean: float = 0.0) -> PValueOf:
    def p_value(seed: int) -> float:
        found = bootstrap_sharpe(series(law, seed, ROWS, mean), seed, replicates=199).p_value
        return known(None if found is None else found.value)

    return p_value


def probable(law: Law, mean: float = 0.0) -> PValueOf:
    return lambda seed: 1.0 - known(psr(moments(series(law, seed, ROWS, mean))).value)


def outside(lower: float | None, upper: float | None) -> float:
    """0 where an interval does not hold the true ratio, 1 where it does: a coverage as a rejection."""
    return float(lower is not None and upper is not None and lower <= DRIFT <= upper)


def mertens(law: Law) -> PValueOf:
    def p_value(seed: int) -> float:
        found = moments(series(law, seed, ROWS, DRIFT))
        reach = NORMAL.inv_cdf(1.0 - LEVEL / 2) * known(mertens_error(found).value)
        return outside(found.known()[0] - reach, found.known()[0] + reach)

    return p_value


def misses(law: Law, which: Callable[[SharpeBootstrap], Interval]) -> PValueOf:
    def p_value(seed: int) -> float:
        values = series(law, seed, ROWS, DRIFT)
        found = which(bootstrap_sharpe(values, seed, replicates=400, confidence=1.0 - LEVEL))
        return outside(found.lower, found.upper)

    return p_value


# --- the best of several -------------------------------------------------------------------------------------------


def smallest(found: Superiority, which: Which) -> float:
    if which == "stepdown":
        return min(p.value for p in found.stepdown if p is not None)
    p = found.consistent if which == "consistent" else found.reality_check
    return known(None if p is None else p.value)


def superior(law: Law, which: Which, automatic: bool = False) -> PValueOf:
    """Ten strategies that earn nothing; blocks of one row, which is right where returns are uncorrelated."""
    cut = None if automatic else Blocks()
    return lambda seed: smallest(superiority(strategies(law, seed, ROWS, 10), seed, blocks=cut, replicates=199), which)


def long_blocks(seed: int) -> float:
    excess, cut = strategies(normal, seed, 250, 20, 0.0), Blocks("stationary", 10.0)
    return smallest(superiority(excess, seed, blocks=cut, replicates=199), "consistent")


def winning(which: Which) -> PValueOf:
    return lambda seed: smallest(superiority(winner_and_loser(seed), seed, blocks=Blocks(), replicates=199), which)


def one_of_ten(which: Which) -> PValueOf:
    def p_value(seed: int) -> float:
        excess = strategies(normal, seed, ROWS, 10)
        excess[:, 3] += 1.5 * DRIFT
        return smallest(superiority(excess, seed, blocks=Blocks(), replicates=199), which)

    return p_value


def overfit(law: Law, best: float = 0.0) -> PValueOf:
    def p_value(seed: int) -> float:
        returns = strategies(law, seed, 240, 10, 0.0)
        returns[:, 3] += best
        band = probability_of_overfitting(returns, seed, blocks=8, replicates=99, band_splits=70).band
        return known(None if band is None else band.p_value.value)

    return p_value


def selected(law: Law, *, deflate: bool, best: float = 0.0) -> PValueOf:
    """The best of fifty strategies, of which one may be good."""

    def p_value(seed: int) -> float:
        returns = strategies(law, seed, ROWS, 50, 0.0)
        returns[:, 7] += best
        ratios = returns.mean(axis=0) / returns.std(axis=0, ddof=1)
        found = moments(returns[:, int(np.argmax(ratios))])
        variance = float(np.delete(ratios, 7).var(ddof=1)) if best else float(ratios.var(ddof=1))
        return 1.0 - known(deflated_sharpe(found, 50, variance).value if deflate else psr(found).value)

    return p_value


def expected_best(count: int) -> float:
    """Expected largest of ``count`` standard normal numbers."""
    x = np.linspace(-10.0, 10.0, 20_001)
    below = np.array([NORMAL.cdf(value) for value in x.tolist()])
    # E = integral of x d F(x)^n, by parts about nought.
    rising = below**count
    step = float(x[1] - x[0])
    return float(np.sum(np.where(x > 0, 1.0 - rising, -rising))) * step


def family(
    method: Literal["holm", "benjamini_yekutieli"], law: Law = normal, shared: float = 0.0, effects: int = 0
) -> PValueOf:
    """The smallest adjusted p-value of twenty tests of a mean, some of which may have something to find."""
    adjust = holm if method == "holm" else benjamini_yekutieli

    def p_value(seed: int) -> float:
        returns = strategies(law, seed, ROWS, 20, shared)
        z = math.sqrt(ROWS) * returns.mean(axis=0) / returns.std(axis=0)
        z[:effects] += EFFECT
        return float(adjust([math.erfc(abs(x) / math.sqrt(2)) for x in z.tolist()]).p_values.min())

    return p_value

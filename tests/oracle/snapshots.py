"""Semantics section 8, snapshots: what the account holds every so many closes, and the correlations last looked at."""

import math
import statistics
from dataclasses import dataclass

from tests.oracle.account import Account, Grid
from tests.oracle.aims import PortfolioRules
from tests.oracle.correlation import correlations


@dataclass(frozen=True)
class Snapshot:
    """``pairs`` are the known correlations of symbols i < j, ``ratio`` is NaN where there is none.

    ``observations`` are the returns behind them, 0 while there are too few.
    """

    bar: int
    ratio: float
    observations: int
    pairs: dict[tuple[int, int], float]


def snapshots(
    account: Account, returns: Grid, looked: list[int], last: list[int], rules: PortfolioRules
) -> list[Snapshot]:
    """The closes of every so many bars. ``looked`` is the last decision at each close, -1 before the first.

    Symbols that have ended, after their ``last`` bar, are in no pair. Of a single symbol there are none.
    """
    if account.market.assets == 1:
        return []
    interval, window, minimum = rules.snapshot_interval, rules.window, rules.minimum
    found = []
    for t in range(interval - 1, account.market.bars, interval):
        rows = returns[1 : looked[t] + 1][-window:] if looked[t] >= 0 else []
        known = rows if len(rows) >= minimum else []
        rho = correlations(returns, max(looked[t], 0), window, minimum)
        pairs = {(i, j): rho[i][j] for i in range(len(rho)) for j in range(i + 1, len(rho))}
        values = [q * p if q != 0.0 else 0.0 for q, p in zip(account.held[t], account.mark[t], strict=True)]
        sigma = [volatility([row[i] for row in known], minimum) for i in range(len(rho))]
        there = {pair: r for pair, r in pairs.items() if not math.isnan(r) and all(t <= last[i] for i in pair)}
        found.append(Snapshot(t, ratio(values, sigma, rho), len(known), there))
    return found


def volatility(returns: list[float], minimum: int) -> float:
    """The standard deviation per bar of those there are; none of too few or of what does not move."""
    there = [value for value in returns if not math.isnan(value)]
    if len(there) < minimum or max(there) == min(there):
        return math.nan
    return statistics.stdev(there)


def ratio(values: list[float], sigma: list[float], rho: Grid) -> float:
    """Average volatility of what is held, by size, over that of the whole."""
    held = [i for i, value in enumerate(values) if value != 0.0]
    apart = math.fsum(abs(values[i]) * sigma[i] for i in held)
    variance = math.fsum(
        values[i] * sigma[i] * values[j] * sigma[j] * (1.0 if i == j else rho[i][j]) for i in held for j in held
    )
    return apart / math.sqrt(variance) if variance > 0.0 else math.nan

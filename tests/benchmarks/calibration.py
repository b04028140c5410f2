"""``python -m tests.benchmarks.calibration [simulations]``: how often each test rejects what is true, and what is not.

Sizes are shown beside their target with three binomial standard errors; below them the power under an alternative.
"""

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from engine.types import Floats
from engine.validation.bootstrap import Interval, SharpeBootstrap, bootstrap_sharpe
from engine.validation.inputs import PValue
from engine.validation.multiple import holm
from engine.validation.overfitting import overfitting
from engine.validation.resample import Blocks
from engine.validation.sharpe import deflated_sharpe, mertens_error, moments, psr
from engine.validation.spa import superiority
from tests.benchmarks.tables import show

LEVEL = 0.05
SIMULATIONS = 600
TRUE = 0.1
"""The Sharpe ratio per period that intervals should cover: 1.6 a year of daily returns."""


@dataclass(frozen=True)
class Study:
    """``rejects(seed)`` is one simulation. ``target`` is the share of rejections wanted, None where it is power."""

    name: str
    law: str
    rejects: Callable[[int], bool]
    target: float | None = LEVEL


def normal(seed: int, rows: int, sharpe: float = TRUE) -> Floats:
    return np.random.default_rng(seed).normal(sharpe, 1.0, rows)


def heavy(seed: int, rows: int, sharpe: float = TRUE) -> Floats:
    """Student's t with 8 degrees of freedom."""
    return np.random.default_rng(seed).standard_t(8, rows) / math.sqrt(8 / 6) + sharpe


def autoregressive(seed: int, rows: int, sharpe: float = TRUE) -> Floats:
    """AR(1) of 0.2."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=rows) * math.sqrt(1 - 0.2**2)
    values[0] = rng.normal()
    for t in range(1, rows):
        values[t] += 0.2 * values[t - 1]
    return values + sharpe


def correlated(seed: int, rows: int, columns: int) -> Floats:
    """Columns of mean nought that share half of their variance."""
    rng = np.random.default_rng(seed)
    return math.sqrt(0.5) * (rng.normal(size=(rows, 1)) + rng.normal(size=(rows, columns)))


def probable(law: Callable[[int, int], Floats], rows: int) -> Callable[[int], bool]:
    return lambda seed: (psr(moments(law(seed, rows)), TRUE).value or 0.0) > 1 - LEVEL


def mertens(law: Callable[[int, int], Floats], rows: int) -> Callable[[int], bool]:
    reach = NormalDist().inv_cdf(1 - LEVEL / 2)

    def rejects(seed: int) -> bool:
        of = moments(law(seed, rows))
        return abs(of.known()[0] - TRUE) > reach * (mertens_error(of).value or 0.0)

    return rejects


def misses(
    law: Callable[[int, int], Floats], rows: int, which: Callable[[SharpeBootstrap], Interval], count: int = 400
) -> Callable[[int], bool]:
    def rejects(seed: int) -> bool:
        found = which(bootstrap_sharpe(law(seed, rows), seed, replicates=count, confidence=1 - LEVEL))
        return found.lower is None or found.upper is None or not found.lower <= TRUE <= found.upper

    return rejects


def bootstrapped(law: Callable[[int, int], Floats], rows: int) -> Callable[[int], bool]:
    return lambda seed: small(bootstrap_sharpe(law(seed, rows), seed, replicates=199, benchmark=TRUE).p_value)


def superior(
    make: Callable[[int], Floats], which: str = "consistent", blocks: Blocks | None = None
) -> Callable[[int], bool]:
    return lambda seed: small(getattr(superiority(make(seed), seed, blocks=blocks, replicates=199), which))


def families(seed: int) -> bool:
    """Whether Holm rejects any of twenty true hypotheses, independent z-tests."""
    z = np.random.default_rng(seed).normal(size=20)
    return bool(holm([math.erfc(abs(x) / math.sqrt(2)) for x in z]).rejected(LEVEL))


def winner_and_loser(seed: int) -> Floats:
    rng = np.random.default_rng(seed)
    return np.column_stack((rng.normal(0.1, 1.0, 500), rng.normal(-2.0, 20.0, 500)))


def selected(seed: int, deflate: bool) -> bool:
    """Whether the best of fifty noise strategies passes, with and without deflation."""
    returns = np.random.default_rng(seed).normal(size=(500, 50))
    ratios = returns.mean(axis=0) / returns.std(axis=0, ddof=1)
    of = moments(returns[:, int(np.argmax(ratios))])
    found = deflated_sharpe(of, 50, float(ratios.var(ddof=1))).value if deflate else psr(of).value
    return (found or 0.0) > 1 - LEVEL


def overfit(seed: int) -> bool:
    returns = np.random.default_rng(seed).normal(size=(240, 10))
    band = overfitting(returns, seed, blocks=8, replicates=99, band_splits=70).band
    return band is not None and small(band.p_value)


def small(p: PValue | None) -> bool:
    return p is not None and p.value <= LEVEL


HOLM = 1 - (1 - LEVEL / 20) ** 20
"""Exact for independent tests that are all true: the smallest p-value is judged at LEVEL / 20."""

SHORT = (
    Study("PSR above 0.95 at the truth", "iid normal, T 500", probable(normal, 500)),
    Study("interval of Mertens", "iid normal, T 500", mertens(normal, 500)),
    Study("interval of Mertens", "iid t(8), T 500", mertens(heavy, 500)),
    Study("bootstrap percentile", "iid normal, T 500", misses(normal, 500, lambda b: b.percentile)),
    Study("bootstrap BCa", "iid normal, T 500", misses(normal, 500, lambda b: b.bca)),
    Study("bootstrap studentised", "iid normal, T 500", misses(normal, 500, lambda b: b.studentised)),
    Study("bootstrap p-value", "iid normal, T 500", bootstrapped(normal, 500)),
    Study("SPA, consistent", "k 10, r 0.5, T 500", superior(lambda seed: correlated(seed, 500, 10), blocks=Blocks())),
    Study("Reality Check", "k 10, r 0.5, T 500", superior(lambda seed: correlated(seed, 500, 10), "reality_check")),
    Study("Holm, any of twenty", "iid", families, HOLM),
    Study("PBO below its band", "N 10, S 8, T 240", overfit),
)
LONG = (
    Study("interval of Mertens", "AR(1) 0.2, T 252", mertens(autoregressive, 252)),
    Study("bootstrap percentile", "AR(1) 0.2, T 252", misses(autoregressive, 252, lambda b: b.percentile)),
    Study("bootstrap BCa", "AR(1) 0.2, T 252", misses(autoregressive, 252, lambda b: b.bca)),
    Study("bootstrap studentised", "AR(1) 0.2, T 252", misses(autoregressive, 252, lambda b: b.studentised)),
    Study("SPA, automatic block", "k 20, T 250", superior(lambda seed: correlated(seed, 250, 20))),
    Study(
        "SPA, block 10",
        "k 20, T 250",
        superior(lambda seed: correlated(seed, 250, 20), blocks=Blocks("stationary", 10.0)),
    ),
    Study("PSR of the best of fifty", "noise, T 500", lambda seed: selected(seed, False)),
    Study("deflated Sharpe of the same", "noise, T 500", lambda seed: selected(seed, True)),
)
POWER = (
    Study("SPA, consistent", "winner, noisy loser", superior(winner_and_loser), None),
    Study("Reality Check", "winner, noisy loser", superior(winner_and_loser, "reality_check"), None),
    Study(
        "PSR above 0.95 at 0",
        "iid normal, T 500",
        lambda seed: (psr(moments(normal(seed, 500))).value or 0) > 0.95,
        None,
    ),
)


def share(study: Study, simulations: int) -> float:
    return sum(study.rejects(1000 + seed) for seed in range(simulations)) / simulations


def tolerance(target: float, simulations: int) -> float:
    """Three binomial standard errors."""
    return 3.0 * math.sqrt(target * (1.0 - target) / simulations)


def main(simulations: int = SIMULATIONS) -> None:
    rows = []
    for study in (*SHORT, *LONG, *POWER):
        found = share(study, simulations)
        if study.target is None:
            rows.append((study.name, study.law, f"{found:.1%}", "power", ""))
            continue
        reach = tolerance(study.target, simulations)
        verdict = "" if abs(found - study.target) <= reach else "off"
        rows.append((study.name, study.law, f"{found:.1%}", f"{study.target:.1%} +- {reach:.1%}", verdict))
    show(f"rejections in {simulations} simulations at {LEVEL:.0%}", ("test", "under", "share", "target", ""), rows)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else SIMULATIONS)

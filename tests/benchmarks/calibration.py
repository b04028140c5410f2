"""``python -m tests.benchmarks.calibration [simulations]``: how often each test rejects what is true, and what is not.

Of each test three nulls (independent normal returns, GARCH, AR(1), or what else could mislead it) and two alternatives.
Sizes are shown beside
their target with three binomial standard errors, p-values beside the distance they may have from the uniform law.
"""

import math
import sys
from dataclasses import dataclass

import numpy as np

from engine.types import Floats
from tests.benchmarks import trials
from tests.benchmarks.laws import AR, autoregressive, clustered, heavy, normal, skewed
from tests.benchmarks.tables import show
from tests.benchmarks.trials import LEVEL, NORMAL, PValueOf

SIMULATIONS = 600
CRITICAL = math.sqrt(-math.log(0.0005) / 2.0)
"""Of the root of n times Kolmogorov's distance, at 0.1 %: Massey 1951."""


@dataclass(frozen=True)
class Study:
    """One test under one law; ``p_value(seed)`` is one simulation.

    ``target`` is the share of rejections it should have, None where no theory says so: then at least ``least`` and at
    most ``most``. ``grid`` is 1/(B+1) where p-values should be uniform up to ``upto``, None where they should not.
    """

    name: str
    law: str
    p_value: PValueOf
    target: float | None = LEVEL
    least: float = 0.0
    most: float = 1.0
    grid: float | None = None
    upto: float = 1.0

    def bounds(self, simulations: int) -> tuple[float, float]:
        """Between what the share of rejections should be: three binomial standard errors about the target."""
        if self.target is None:
            return self.least, self.most
        reach = 3.0 * math.sqrt(self.target * (1.0 - self.target) / simulations)
        return self.target - reach, self.target + reach


def p_values(study: Study, simulations: int) -> Floats:
    """Sorted; (simulations,)."""
    return np.sort([study.p_value(1000 + seed) for seed in range(simulations)])


def share(values: Floats, level: float = LEVEL) -> float:
    """Of p-values at most ``level``; a p-value on the level is one of (b + 1) / (B + 1)."""
    return float(np.mean(values <= level + 1e-12))


def distance(values: Floats, upto: float = 1.0) -> float:
    """Kolmogorov's distance of sorted p-values (n,) from the uniform law, where that is at most ``upto``."""
    steps = np.arange(len(values) + 1) / len(values)
    near = values <= upto
    above, below = steps[1:][near] - values[near], values[near] - steps[:-1][near]
    return max(float(above.max(initial=0.0)), float(below.max(initial=0.0)))


def farthest(study: Study, simulations: int) -> float:
    """What the distance may be: the critical value, and the grid that p-values lie on."""
    return CRITICAL / math.sqrt(simulations) + (study.grid or 0.0)


NULLS = (("iid normal", normal), ("GARCH", clustered), (f"AR(1) {AR:g}", autoregressive))
T200, T100, T50 = 1 / 200, 1 / 100, 1 / 50
INFLATED = 1.0 - NORMAL.cdf(NORMAL.inv_cdf(1.0 - LEVEL) / math.sqrt((1.0 + AR) / (1.0 - AR)))
"""What a test that takes returns to be independent rejects under AR(1): the mean varies more than it thinks."""

HOLM = 1.0 - (1.0 - LEVEL / 20) ** 20
"""Exact for independent tests that are all true: the smallest p-value is judged at LEVEL / 20."""

BHY = LEVEL / math.fsum(1.0 / i for i in range(1, 21))
"""Exact for the same (Simes 1986): any rejection is a false one."""

BEST = 1.0 - NORMAL.cdf(NORMAL.inv_cdf(1.0 - LEVEL)) ** 50
"""That the best of fifty passes a test for one."""

DEFLATED = 1.0 - NORMAL.cdf(trials.expected_best(50) + NORMAL.inv_cdf(1.0 - LEVEL)) ** 50
"""That the best of fifty exceeds what is expected of it by what one should: the deflated ratio is conservative."""

UPPER = LEVEL + 3.0 * math.sqrt(LEVEL * (1.0 - LEVEL) / SIMULATIONS)
"""What a test that holds its level under any dependence may reject."""

BEST_OF = ("deflated Sharpe, best of 50",)

LIBERAL = 0.1175
"""Measured over 4,000 simulations: the price of blocks so long that there are only 25 of them."""

SIZES = (
    *(Study("permutation, cyclic", name, trials.timing(law, "cyclic"), grid=T200) for name, law in NULLS),
    *(Study("permutation, holding", name, trials.timing(law, "holding_periods"), grid=T200) for name, law in NULLS),
    Study("bar permutation", "iid normal", trials.shuffled(normal), grid=T50),
    Study("Monte Carlo, order", "iid normal", trials.reordered(normal), grid=T200),
    Study("Monte Carlo, order", "iid t(8)", trials.reordered(heavy), grid=T200),
    Study("Monte Carlo, order", "iid lognormal", trials.reordered(skewed), grid=T200),
    *(Study("bootstrap, centred", name, trials.bootstrapped(law), grid=T200) for name, law in NULLS[:2]),
    *(Study("SPA, consistent", n, trials.superior(law, "consistent"), grid=T200, upto=0.5) for n, law in NULLS[:2]),
    *(Study("Reality Check", n, trials.superior(law, "reality_check"), grid=T200) for n, law in NULLS[:2]),
    *(Study("Romano-Wolf, any", n, trials.superior(law, "stepdown"), grid=T200) for n, law in NULLS[:2]),
    *(Study("PSR at the truth", name, trials.probable(law), grid=0.0) for name, law in NULLS[:2]),
    Study("PSR at the truth", NULLS[2][0], trials.probable(autoregressive), INFLATED),
    Study("PBO below its band", "iid normal", trials.overfit(normal), grid=T100),
    *(Study("Holm, any of twenty", name, trials.family("holm", law), HOLM) for name, law in NULLS[:2]),
    Study("Holm, any of twenty", "correlation 0.5", trials.family("holm", shared=0.5), None, 0.0, UPPER),
    *(Study("BHY, any of twenty", name, trials.family("benjamini_yekutieli", law), BHY) for name, law in NULLS[:2]),
    Study("BHY, any of twenty", "correlation 0.5", trials.family("benjamini_yekutieli", shared=0.5), None, 0.0, UPPER),
    *(Study(*BEST_OF, name, trials.selected(law, deflate=True), DEFLATED) for name, law in NULLS[:2]),
    Study(*BEST_OF, NULLS[2][0], trials.selected(autoregressive, deflate=True), None, 0.0, 0.034),
    Study("PSR, best of 50", "iid normal", trials.selected(normal, deflate=False), BEST),
    Study("SPA, block 10, T 250", "iid normal, k 20", trials.long_blocks, LIBERAL),
    Study("interval of Mertens", "iid normal", trials.mertens(normal)),
    Study("interval of Mertens", "iid t(8)", trials.mertens(heavy)),
    Study("bootstrap percentile", "iid normal", trials.misses(normal, lambda b: b.percentile)),
    Study("bootstrap BCa", "iid normal", trials.misses(normal, lambda b: b.bca)),
    Study("bootstrap studentised", "iid normal", trials.misses(normal, lambda b: b.studentised)),
)
"""What theory or a published measurement gives the size of."""

DRIFT = NORMAL.cdf(trials.DRIFT * math.sqrt(trials.ROWS) - NORMAL.inv_cdf(1.0 - LEVEL))
"""Power of a test of the mean, its standard deviation known."""

FOUND = 1.0 - NORMAL.cdf(NORMAL.inv_cdf(1.0 - LEVEL / 40) - trials.EFFECT)
"""That the one effect among twenty is seen."""

POWERS = (
    *(Study("permutation, cyclic", f"timing, {n}", trials.foresight(law, "cyclic"), None, 0.6) for n, law in NULLS[:2]),
    *(
        Study("permutation, holding", f"timing, {name}", trials.foresight(law, "holding_periods"), None, 0.6)
        for name, law in NULLS[:2]
    ),
    *(Study("bar permutation", f"trends, {name}", trials.trending(law), None, 0.75) for name, law in NULLS[:2]),
    *(Study("Monte Carlo, order", f"evened, {n}", trials.evened(law), None, 0.8) for n, law in NULLS[:2]),
    *(
        Study("bootstrap, centred", f"drift, {name}", trials.bootstrapped(law, trials.DRIFT), None, 0.9 * DRIFT)
        for name, law in NULLS[:2]
    ),
    *(Study("PSR above 0", f"drift, {name}", trials.probable(law, trials.DRIFT), DRIFT) for name, law in NULLS[:2]),
    Study("SPA, consistent", "winner, noisy loser", trials.winning("consistent"), None, 0.55),
    Study("SPA, consistent", "drift of one of ten", trials.one_of_ten("consistent"), None, 0.5),
    Study("Romano-Wolf, the winner", "winner, noisy loser", trials.winning("stepdown"), None, 0.55),
    Study("Romano-Wolf, any", "drift of one of ten", trials.one_of_ten("stepdown"), None, 0.5),
    Study("Reality Check", "winner, noisy loser", trials.winning("reality_check"), None, 0.0, 0.02),
    Study("Reality Check", "drift of one of ten", trials.one_of_ten("reality_check"), None, 0.5),
    *(
        Study("PBO below its band", f"one good, {name}", trials.overfit(law, 0.25), None, 0.5)
        for name, law in NULLS[:2]
    ),
    Study("Holm, any of twenty", "one effect", trials.family("holm", effects=1), None, 0.9 * FOUND),
    Study("Holm, any of twenty", "three effects", trials.family("holm", effects=3), None, 0.9 * FOUND),
    Study("BHY, any of twenty", "one effect", trials.family("benjamini_yekutieli", effects=1), None, 0.5),
    Study("BHY, any of twenty", "three effects", trials.family("benjamini_yekutieli", effects=3), None, 0.8),
    *(
        Study(*BEST_OF, f"one at 3.2, {name}", trials.selected(law, deflate=True, best=0.2), None, 0.45)
        for name, law in NULLS[:2]
    ),
)

MEASURED = (
    Study("bootstrap, centred", NULLS[2][0], trials.bootstrapped(autoregressive), None),
    Study("bar permutation", "GARCH", trials.shuffled(clustered), None),
    Study("bar permutation", NULLS[2][0], trials.shuffled(autoregressive), None),
    Study("SPA, automatic block", NULLS[2][0], trials.superior(autoregressive, "consistent", automatic=True), None),
    Study("Reality Check, automatic block", NULLS[2][0], trials.superior(autoregressive, "reality_check", True), None),
    Study("Romano-Wolf, automatic block", NULLS[2][0], trials.superior(autoregressive, "stepdown", True), None),
    Study("interval of Mertens", NULLS[2][0], trials.mertens(autoregressive), None),
    Study("bootstrap percentile", NULLS[2][0], trials.misses(autoregressive, lambda b: b.percentile), None),
    Study("bootstrap BCa", NULLS[2][0], trials.misses(autoregressive, lambda b: b.bca), None),
    Study("bootstrap studentised", NULLS[2][0], trials.misses(autoregressive, lambda b: b.studentised), None),
    Study("PBO below its band", "GARCH", trials.overfit(clustered), None),
    Study("PBO below its band", NULLS[2][0], trials.overfit(autoregressive), None),
)
"""What assumptions do not cover: how far off it is, without a bound."""


def main(simulations: int = SIMULATIONS) -> None:
    rows = []
    for study in (*SIZES, *POWERS, *MEASURED):
        values = p_values(study, simulations)
        found, (low, high) = share(values), study.bounds(simulations)
        wanted = f"{max(0.0, low):.1%} to {min(1.0, high):.1%}" if (low, high) != (0.0, 1.0) else ""
        near = "" if study.grid is None else f"{distance(values, study.upto):.3f}"
        limit = "" if study.grid is None else f"{farthest(study, simulations):.3f}"
        fine = low <= found <= high and (not near or float(near) < float(limit))
        rows.append((study.name, study.law, f"{found:.1%}", wanted, near, limit, "" if fine else "off"))
    title = f"rejections in {simulations} simulations at {LEVEL:.0%}, and how far p-values are from uniform"
    show(title, ("test", "under", "share", "wanted", "distance", "at most", ""), rows)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else SIMULATIONS)

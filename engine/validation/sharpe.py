"""How sure a Sharpe ratio is: of one strategy, and of the best of several that were tried.

Every Sharpe ratio here is per period of the returns it comes from, so ``T`` counts those periods: the annual ratio
divided by the root of the periods a year. ``kurtosis`` is raw, 3 for the normal law, never the excess.

A probabilistic Sharpe ratio of a strategy that was selected means nothing without the number of trials: of the best of
50 noise strategies it exceeds 0.95 in 93 % of cases. Use :func:`deflated_sharpe` there.
"""

import math
from dataclasses import dataclass
from operator import index
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from engine.metrics import inference
from engine.metrics.inference import LARGEST, normal_probability
from engine.metrics.moments import moments as moments_of
from engine.results import Metric
from engine.validation.inputs import constant, fraction, number, series
from engine.validation.multiple import benjamini_yekutieli, holm

NORMAL = NormalDist()
EULER_GAMMA = 0.5772156649015329
EXACT_BELOW = 10
"""The expected maximum of fewer trials is integrated: the approximation is 8 % low for two of them."""

CONSTANT = "returns do not vary"
NO_VARIANCE = "the estimated variance of the Sharpe ratio is zero"
NOT_ABOVE = "the Sharpe ratio is not above the benchmark"
_NODES, _REACH = 1201, 12.0


@dataclass(frozen=True)
class Moments:
    """What inference needs to know of T returns, or why it cannot.

    ``sharpe`` is mean / standard deviation (ddof 1) per period; ``skewness`` and ``kurtosis`` are the population
    g1 and g2 + 3, and at least ``skewness^2 + 1``: what rounding left below that is taken as this bound. All three are
    None where ``reason`` says why. Raises ``ValueError`` for values that are not finite.
    """

    periods: int
    sharpe: float | None
    skewness: float | None = 0.0
    kurtosis: float | None = 3.0
    reason: str | None = None

    def __post_init__(self) -> None:
        values = (self.sharpe, self.skewness, self.kurtosis)
        if self.reason is not None:
            if any(value is not None for value in values):
                raise ValueError("moments with a reason have no values")
            return
        self.known()

    def known(self) -> tuple[float, float, float]:
        """``(sharpe, skewness, kurtosis)``, the last at its bound or above. Raises ``ValueError`` for None."""
        if self.sharpe is None or self.skewness is None or self.kurtosis is None:
            raise ValueError("moments without a reason have all values")
        for value in (self.sharpe, self.skewness, self.kurtosis):
            number(value, "moments")
        if self.periods < 2:
            raise ValueError("a Sharpe ratio needs at least two periods")
        return self.sharpe, self.skewness, max(self.kurtosis, self.skewness * self.skewness + 1.0)


def moments(returns: npt.ArrayLike) -> Moments:
    """Moments of ``returns`` (T,), already in excess of the risk-free rate where that matters.

    None with a reason for fewer than two returns and for returns that do not vary. Raises ``ValueError`` for another
    rank and for values that are not finite.
    """
    values = series(returns)
    if len(values) < 2:
        return Moments(len(values), None, None, None, "fewer than two returns")
    if constant(values):
        return Moments(len(values), None, None, None, CONSTANT)
    found = moments_of(values / float(np.abs(values).max()))  # keeps powers of 1e-100 to 1e100 inside float64
    return Moments(len(values), found.mean / found.deviation, found.skewness, found.kurtosis)


def psr(of: Moments, benchmark: float = 0.0) -> Metric:
    """Probability that the true Sharpe ratio exceeds ``benchmark`` (per period).

    ``Z[(SR - SR*) sqrt(T - 1) / sqrt(1 - g3 SR + (g4 - 1) / 4 SR^2)]``, Bailey & Lopez de Prado 2012, "The Sharpe ratio
    efficient frontier", Journal of Risk 15(2). None where the returns do not vary and where the variance is zero, as
    for some series of two values. Raises ``ValueError`` for a benchmark that is not finite, as all of these do.
    """
    score = _psr_score(of, benchmark)
    return score if score.value is None else Metric(normal_probability(score.value), "probability")


def psr_p_value(of: Moments, benchmark: float = 0.0) -> Metric:
    """One less :func:`psr`, from its own tail: that keeps its digits where the probability is 1 but for rounding."""
    score = _psr_score(of, benchmark)
    return score if score.value is None else Metric(upper_tail(score.value), "probability")


def upper_tail(z: float) -> float:
    """One-sided p-value of a standard normal ``z``, never 0: at least the smallest normal float."""
    return max(normal_probability(-z), float(np.finfo(np.float64).tiny))


def _psr_score(of: Moments, benchmark: float) -> Metric:
    """What :func:`psr` is the normal probability of."""
    number(benchmark, "benchmark")
    if of.reason is not None:
        return Metric(None, "probability", of.reason)
    sharpe, skewness, kurtosis = of.known()
    score = inference.sharpe_score(sharpe, of.periods, skewness, kurtosis, benchmark)
    return Metric(score, "probability", NO_VARIANCE if score is None else None)


def psr_null_variance(of: Moments, benchmark: float = 0.0, rho: float = 0.0) -> Metric:
    """The revised probabilistic Sharpe ratio: variance at the benchmark instead of at the estimate, over T, AR(1).

    ``Z[(SR - SR0) / sqrt(V)]`` with
    ``T V = (1 + rho) / (1 - rho) - (1 + B + C) g3 SR0 + (1 + 2 C) (g4 - 1) / 4 SR0^2``, ``B = rho / (1 - rho)``,
    ``C = rho^2 / (1 - rho^2)``; ``rho`` is the first autocorrelation. Lopez de Prado, Lipton & Zoonekynd 2025, "How to
    use the Sharpe ratio". Skewness and kurtosis drop out at benchmark 0: not comparable with :func:`psr`.
    """
    if not -1.0 < rho < 1.0:
        raise ValueError("rho must be between -1 and 1")
    number(benchmark, "benchmark")
    if of.reason is not None:
        return Metric(None, "probability", of.reason)
    sharpe, skewness, kurtosis = of.known()
    variance = autocorrelated_shape(benchmark, skewness, kurtosis, rho)
    if variance <= 1e-12:
        return Metric(None, "probability", NO_VARIANCE)
    return Metric(normal_probability((sharpe - benchmark) * math.sqrt(of.periods / variance)), "probability")


def autocorrelated_shape(sharpe: float, skewness: float, kurtosis: float, rho: float) -> float:
    """T times the variance of an estimated Sharpe ratio of AR(1) returns; see :func:`psr_null_variance`."""
    b, c = rho / (1.0 - rho), rho * rho / (1.0 - rho * rho)
    tail = (1.0 + 2.0 * c) * (kurtosis - 1.0) / 4.0 * sharpe * sharpe
    return (1.0 + 2.0 * b) - (1.0 + b + c) * skewness * sharpe + tail


def min_track_record_length(of: Moments, benchmark: float = 0.0, confidence: float = 0.95) -> Metric:
    """Periods after which :func:`psr` reaches ``confidence``, were the moments to stay as they are.

    ``1 + (1 - g3 SR + (g4 - 1) / 4 SR^2) (Zinv(confidence) / (SR - SR*))^2``, Bailey & Lopez de Prado 2012. None where
    the ratio is not above the benchmark. Raises ``ValueError`` for a confidence below a half.
    """
    if fraction(confidence, "confidence") < 0.5:
        raise ValueError("confidence must be at least one half")
    number(benchmark, "benchmark")
    if of.reason is not None:
        return Metric(None, "periods", of.reason)
    sharpe, skewness, kurtosis = of.known()
    length = inference.track_record_length(sharpe, skewness, kurtosis, benchmark, confidence)
    if length is not None:
        return Metric(length, "periods")
    if sharpe <= benchmark:
        return Metric(None, "periods", NOT_ABOVE)
    known = inference.error_variance(sharpe, skewness, kurtosis) > 0.0
    return Metric(None, "periods", "the length is beyond any number" if known else NO_VARIANCE)


def lo_error(of: Moments) -> Metric:
    """Standard error ``sqrt((1 + SR^2 / 2) / T)`` for independent normal returns: Lo 2002, FAJ 58(4)."""
    if of.reason is not None:
        return Metric(None, "ratio", of.reason)
    return Metric(inference.standard_error(of.known()[0], of.periods), "ratio")


def mertens_error(of: Moments) -> Metric:
    """Standard error ``sqrt((1 - g3 SR + (g4 - 1) / 4 SR^2) / T)`` for independent returns: Mertens 2002.

    With autocorrelation it is too small: at AR(1) 0.2 a 95 % interval covers 88 %. Bootstrap there.
    """
    if of.reason is not None:
        return Metric(None, "ratio", of.reason)
    sharpe, skewness, kurtosis = of.known()
    error = inference.standard_error(sharpe, of.periods, skewness, kurtosis)
    return Metric(error, "ratio") if error else Metric(None, "ratio", NO_VARIANCE)


def lo_scaled_sharpe(returns: npt.ArrayLike, q: int) -> Metric:
    """Sharpe ratio over ``q`` periods with the autocorrelations of the returns.

    ``SR q / sqrt(q + 2 sum_{k=1}^{q-1} (q - k) rho_k)``, Lo 2002; ``rho_k`` are the sample autocorrelations about the
    mean, over T, which keeps the variance over ``q`` periods above zero. None where the returns do not vary and where
    there are not more than ``q`` of them. Raises ``ValueError`` for ``q < 1`` and ``TypeError`` where it is no integer.
    """
    q = index(q)
    if q < 1:
        raise ValueError("q must be at least 1")
    values = series(returns)
    of = moments(values)
    if of.reason is not None:
        return Metric(None, "ratio", of.reason)
    if len(values) <= q:
        return Metric(None, "ratio", f"{len(values)} returns are too few for {q} periods")
    products = inference.autocovariances((values - values.mean()) / float(np.abs(values).max()), q - 1)
    factor = inference.aggregation_factor(products[1:] / products[0], q)
    if factor is None:  # rounding alone: the variance of sums is above zero
        return Metric(None, "ratio", NO_VARIANCE)
    return Metric(of.known()[0] * factor, "ratio")


def expected_maximum_sharpe(trials: float, variance: float) -> float:
    """Expected largest of ``trials`` independent Sharpe ratios of skilless strategies whose variance is ``variance``.

    ``sqrt(V) [(1 - g) Zinv(1 - 1/N) + g Zinv(1 - 1/(N e))]``, g Euler's constant: Bailey & Lopez de Prado 2014. Below
    :data:`EXACT_BELOW` trials ``sqrt(V) E[max]`` by integration. ``trials`` need not be whole: it may be an effective
    number. Raises ``ValueError`` for fewer than one trial and for a negative variance.
    """
    trials, variance = float(trials), float(variance)  # a narrow float would take the bound for infinity
    if not 1.0 <= trials < LARGEST:
        raise ValueError("trials must be at least 1, and finite")
    if not 0.0 <= variance < LARGEST:
        raise ValueError("variance must be at least 0, and finite")
    if trials == 1.0:
        return 0.0  # the integral leaves rounding
    expected = _expected_normal_maximum(trials) if trials < EXACT_BELOW else _approximate_maximum(trials)
    return math.sqrt(variance) * expected


@dataclass(frozen=True)
class DeflatedSharpe:
    """Probability ``value`` that a Sharpe ratio exceeds ``benchmark``, the expected best of ``trials`` without skill.

    ``variance`` is that of the trials' Sharpe ratios per period. ``value`` is None where ``reason`` says why.
    """

    value: float | None
    benchmark: float
    trials: float
    variance: float
    reason: str | None = None


def deflated_sharpe(of: Moments, trials: float, variance: float) -> DeflatedSharpe:
    """The deflated Sharpe ratio of the selected strategy: Bailey & Lopez de Prado 2014, JPM 40(5).

    ``trials`` counts all that were tried (or their effective number), ``variance`` is that of their Sharpe ratios per
    period; one trial gives ``psr`` at 0. Errors as :func:`expected_maximum_sharpe`.
    """
    benchmark = expected_maximum_sharpe(trials, variance)
    found = psr(of, benchmark)
    return DeflatedSharpe(found.value, benchmark, float(trials), float(variance), found.reason)


def minimum_backtest_length(trials: float, target: float = 1.0) -> float:
    """Years of data at which the best of ``trials`` without skill is expected to have annual Sharpe ``target``.

    ``(E[max] / target)^2``; with fewer years than this a search over that many trials proves nothing. Bailey, Borwein,
    Lopez de Prado & Zhu 2014, "Pseudo-mathematics and financial charlatanism". Raises ``ValueError`` for fewer than one
    trial and a target not above zero.
    """
    if not 1.0 / LARGEST < float(target) < LARGEST:
        raise ValueError("target must be above 0, and finite")
    return (expected_maximum_sharpe(trials, 1.0) / float(target)) ** 2


@dataclass(frozen=True)
class Haircut:
    """What is left of a Sharpe ratio: the one whose own p-value is the adjusted ``p_value``.

    ``sharpe`` is per period, ``fraction`` is ``1 - sharpe / observed``, from 0 (nothing lost) to 1.
    """

    p_value: float
    sharpe: float
    fraction: float


@dataclass(frozen=True)
class Haircuts:
    """Harvey & Liu's haircut of one Sharpe ratio under several adjustments for ``trials`` tests.

    ``p_value`` is the two-sided one of the ratio alone. ``sidak`` is exact for independent tests, ``bonferroni`` holds
    under any dependence; ``holm`` and ``bhy`` need the p-values of the other trials and are None without them. All
    are None where ``reason`` says why.
    """

    trials: int
    p_value: float | None = None
    bonferroni: Haircut | None = None
    sidak: Haircut | None = None
    holm: Haircut | None = None
    bhy: Haircut | None = None
    reason: str | None = None


def haircut_sharpe(of: Moments, trials: int, others: npt.ArrayLike | None = None) -> Haircuts:
    """Haircut for multiple testing: Harvey & Liu 2015, "Backtesting", Journal of Portfolio Management 42(1).

    The p-value of ``t = SR sqrt(T)`` under the normal law, adjusted for ``trials`` tests, is turned back into a ratio.
    ``others`` are the two-sided p-values of the ``trials - 1`` other tests; where the paper draws them from a fitted
    model, these are the real ones. None with a reason where the ratio is not above zero. Raises ``ValueError`` for
    fewer than one trial and another number of p-values.
    """
    if not 1 <= trials < math.inf:
        raise ValueError("trials must be at least 1, and finite")
    beside = None if others is None else np.asarray(others, dtype=np.float64)
    if beside is not None and beside.shape != (trials - 1,):
        raise ValueError("others must hold one p-value for each of the other trials")
    if of.reason is not None:
        return Haircuts(trials, reason=of.reason)
    sharpe = of.known()[0]
    if sharpe <= 0.0:
        return Haircuts(trials, reason="the Sharpe ratio is not above zero")
    own = 2.0 * normal_probability(-sharpe * math.sqrt(of.periods))
    if own < np.finfo(np.float64).tiny:
        return Haircuts(trials, reason="the p-value is below the smallest number")

    def cut(p_value: float) -> Haircut:
        left = -NORMAL.inv_cdf(p_value / 2.0) / math.sqrt(of.periods)
        left = min(sharpe, max(0.0, left))
        return Haircut(p_value, left, 1.0 - left / sharpe)

    everyone = None if beside is None else np.concatenate(([own], beside))
    return Haircuts(
        trials,
        own,
        bonferroni=cut(min(1.0, own * trials)),
        sidak=cut(-math.expm1(trials * math.log1p(-own)) if own < 1.0 else 1.0),
        holm=None if everyone is None else cut(float(holm(everyone).p_values[0])),
        bhy=None if everyone is None else cut(float(benjamini_yekutieli(everyone).p_values[0])),
    )


def _approximate_maximum(trials: float) -> float:
    # Zinv(1 - x) = -Zinv(x), which keeps its digits for any number of trials.
    first, second = -NORMAL.inv_cdf(1.0 / trials), -NORMAL.inv_cdf(1.0 / (trials * math.e))
    return (1.0 - EULER_GAMMA) * first + EULER_GAMMA * second


def _expected_normal_maximum(trials: float) -> float:
    # Integral of x N phi(x) Phi(x)^(N-1); the trapezoid rule converges faster than any power on such a function.
    step = 2.0 * _REACH / (_NODES - 1)
    nodes = (-_REACH + step * i for i in range(_NODES))
    return step * math.fsum(x * trials * NORMAL.pdf(x) * normal_probability(x) ** (trials - 1.0) for x in nodes)

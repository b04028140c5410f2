"""Sizing (semantics section 7): from a signal in [-1, 1] to a target weight, and from weights to decisions."""

from abc import abstractmethod
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field
from typing_extensions import override

from engine.data.bars import Bars
from engine.data.sessions import bars_per_year, days
from engine.portfolio.volatility import rolling_deviation
from engine.registry import Frozen, Plugin, Real, Registry, WholeNumber
from engine.results import Signals, Targets
from engine.types import Bools, Floats, Ints

MONDAY_OFFSET = 3  # 1970-01-01 was a Thursday
NO_VOLATILITY = 1e-12
"""A standard deviation of returns this small is rounding: a price that grows steadily has none."""

Fraction = Annotated[Real, Field(gt=0.0, le=1.0)]
When = Literal["on_change", "every_bar", "daily", "weekly", "monthly"]


class Sizing(Plugin):
    """A rule from signals to weights: signed notional as a fraction of equity at the decision."""

    notional: ClassVar[bool] = False
    """Whether the rule gives currency instead."""

    @property
    def warmup(self) -> int:
        """Number of leading bars on which the rule cannot size anything yet."""
        return 0

    @abstractmethod
    def weights(self, signals: Floats, bars: Bars) -> Floats:
        """(T, N) target weights for (T, N) signals; bars 0..t may be used at t (semantics section 2)."""


sizings: Registry[Sizing] = Registry("risk rule", "tplusone.sizing")


class FixedFractionParams(Frozen):
    """The fraction of equity a full signal commits."""

    fraction: Annotated[Fraction, Field(description="share of equity per full signal")] = 1.0


@sizings.register
class FixedFraction(Sizing):
    """The same fraction of live equity for every full signal."""

    name: Literal["fixed_fraction"] = "fixed_fraction"
    params: FixedFractionParams = FixedFractionParams()

    @override
    def weights(self, signals: Floats, bars: Bars) -> Floats:
        return _times(signals, self.params.fraction)


class VolatilityTargetParams(Frozen):
    """The volatility aimed at, and how the market's is measured."""

    target_vol: Annotated[Real, Field(gt=0.0, le=10.0, description="annual volatility aimed at, fraction")] = 0.1
    lookback: Annotated[WholeNumber, Field(ge=2, le=100_000, description="returns measured")] = 20
    max_leverage: Annotated[Real, Field(gt=0.0, le=100.0, description="largest fraction")] = 1.0


@sizings.register
class VolatilityTarget(Sizing):
    """Target over realised volatility, capped; zero while the price does not move.

    Volatility is the standard deviation (ddof 1) of the last ``lookback`` simple returns of closes, by year of the
    calendar. Until so many returns exist nothing is decided: they belong to the warm-up. Source: Moreira & Muir
    2017, "Volatility-managed portfolios".
    """

    name: Literal["volatility_target"]
    params: VolatilityTargetParams = VolatilityTargetParams()

    @property
    def warmup(self) -> int:
        """The bars before the first full window: at bar ``lookback`` it is there."""
        return self.params.lookback

    def weights(self, signals: Floats, bars: Bars) -> Floats:
        p = self.params
        per_bar = p.target_vol / np.sqrt(bars_per_year(bars.conventions))
        weights = rolling_deviation(bars.close, p.lookback)
        moving = weights > NO_VOLATILITY
        np.divide(per_bar, weights, out=weights, where=moving)
        weights[~moving] = 0.0
        np.minimum(weights, p.max_leverage, out=weights)
        weights *= signals
        weights += 0.0  # a short of nothing is 0.0, not -0.0
        return weights


class KellyFractionParams(Frozen):
    """The odds of the trades, as the caller believes them to be."""

    win_prob: Annotated[Real, Field(ge=0.0, le=1.0, description="share of winning trades")]
    reward_risk: Annotated[Real, Field(gt=0.0, le=1e6, description="average win over average loss")]
    base_fraction: Annotated[Fraction, Field(description="share of the full Kelly fraction")] = 1.0


@sizings.register
class KellyFraction(Sizing):
    """``base_fraction`` * (p - (1 - p) / R), within [0, 1]. Source: Kelly 1956."""

    name: Literal["kelly_fraction"]
    params: KellyFractionParams

    @override
    def weights(self, signals: Floats, bars: Bars) -> Floats:
        p = self.params
        edge = p.win_prob - (1.0 - p.win_prob) / p.reward_risk
        return _times(signals, min(max(p.base_fraction * edge, 0.0), 1.0))


class RiskPerTradeParams(Frozen):
    """What a stop-out may cost, and how far away the stop is."""

    risk: Annotated[Fraction, Field(description="share of equity a stop-out costs")]
    stop: Annotated[Fraction, Field(description="distance of the stop, fraction of the entry price")]


@sizings.register
class RiskPerTrade(Sizing):
    """``risk`` / ``stop``: a stop-out at that distance costs ``risk`` of equity.

    The stop itself is ``execution.stop_loss``. Source: Tharp 1998, fixed fractional position sizing.
    """

    name: Literal["risk_per_trade"]
    params: RiskPerTradeParams

    @override
    def weights(self, signals: Floats, bars: Bars) -> Floats:
        return _times(signals, self.params.risk / self.params.stop)


class FixedNotionalParams(Frozen):
    """The size of a position."""

    amount: Annotated[Real, Field(gt=0.0, le=1e15, description="currency per full signal")]


@sizings.register
class FixedNotional(Sizing):
    """The same amount of currency for every full signal, whatever equity is."""

    notional: ClassVar[bool] = True
    name: Literal["fixed_notional"]
    params: FixedNotionalParams

    @override
    def weights(self, signals: Floats, bars: Bars) -> Floats:
        return _times(signals, self.params.amount)


def targets(sizing: Sizing, signals: Signals, bars: Bars, when: When = "on_change") -> Targets:
    """Weights at every bar, and the bars on which an order may leave (semantics section 3).

    ``on_change``: where the signal changes; before the first bar it is 0. A schedule: the first bar of each period,
    for that a bar is the last of its day is known only when the next one is there. A signal counts from the first bar
    on which its symbol has a size; decided earlier, under ``on_change``, it would be decided at 0 and never again.
    """
    values = signals.values
    weights = sizing.weights(values, bars)
    if sizing.warmup > 0:
        values = _sized(values, weights)
    return Targets(weights, decides(values, bars, when), values, notional=sizing.notional)


def _sized(values: Floats, weights: Floats) -> Floats:
    """(T, N) signals, 0 before the first weight of their symbol: holes and a flat start make that later."""
    sized = weights != 0.0
    early = ~np.logical_or.accumulate(sized, axis=0) & (values != 0.0)
    return np.where(early, 0.0, values) if early.any() else values


def decides(values: Floats, bars: Bars, when: When) -> Bools:
    """(T, N) True where an order may leave."""
    result = np.ones(values.shape, dtype=np.bool_)
    if when == "every_bar":
        return result
    if when == "on_change":
        result[:1] = values[:1] != 0.0
        np.not_equal(values[1:], values[:-1], out=result[1:])
        return result
    day = days(bars.time, bars.conventions)
    period = {"daily": day, "weekly": (day + MONDAY_OFFSET) // 7, "monthly": _month(day)}[when]
    result[1:] = (period[1:] != period[:-1])[:, None]
    return result


def _month(day: Ints) -> Ints:
    months: Ints = day.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    return months


def _times(signals: Floats, factor: float) -> Floats:
    if factor == 0.0:
        return np.zeros_like(signals)  # and not -0.0 for a short
    return signals if factor == 1.0 else signals * factor

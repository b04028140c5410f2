"""The weightings of semantics section 8."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError
from typing_extensions import override

from engine.errors import ConfigError, FieldError
from engine.portfolio.covariance import Target, intensity_of, shrink_estimates, usable_correlation
from engine.portfolio.hrp import hierarchical_weights
from engine.portfolio.solvers import equal_risk, nonnegative
from engine.portfolio.weighting import (
    Estimates,
    Solution,
    Weighting,
    Weights,
    equal,
    fallback,
    normalised,
    shaped,
    solve,
    weightings,
)
from engine.registry import Frozen, Real
from engine.types import Floats


class NoWeightingParams(Frozen):
    """No parameters."""


@weightings.register
class Equal(Weighting):
    """The same share for every symbol."""

    name: Literal["equal"] = "equal"
    params: NoWeightingParams = NoWeightingParams()

    @override
    def weights(self, estimates: Estimates) -> Weights:
        return Weights(equal(len(estimates.symbols)))


@weightings.register
class InverseVolatility(Weighting):
    """Shares proportional to 1 / volatility."""

    needs_volatility: ClassVar[bool] = True
    name: Literal["inverse_volatility"]
    params: NoWeightingParams = NoWeightingParams()

    @override
    def weights(self, estimates: Estimates) -> Weights:
        lacking = fallback(self, estimates)
        if lacking is not None:
            return lacking
        volatility = shaped(estimates.volatility, (len(estimates.symbols),), "volatility")
        return Weights(normalised(volatility.min() / volatility))


@weightings.register
class RiskParity(Weighting):
    """Every symbol contributes the same risk. Sources: Maillard, Roncalli & Teiletche 2010; Spinu 2013."""

    needs_volatility: ClassVar[bool] = True
    needs_correlation: ClassVar[bool] = True
    name: Literal["risk_parity"]
    params: NoWeightingParams = NoWeightingParams()

    @override
    def weights(self, estimates: Estimates) -> Weights:
        return solve(self, estimates, self._solve)

    @staticmethod
    def _solve(volatility: Floats, correlation: Floats, _: Floats | None) -> Solution:
        exposure, residual = equal_risk(usable_correlation(correlation))
        return Solution(exposure * (volatility.min() / volatility), residual)


class ShrinkageParams(Frozen):
    """How the covariance is shrunk before it is used."""

    shrinkage: Annotated[Target, Field(description="target of Ledoit-Wolf shrinkage")] = "constant_correlation"


class Shrunken(Weighting):
    """The base of rules that invert or cluster a covariance: Ledoit-Wolf shrinkage comes first."""

    needs_volatility: ClassVar[bool] = True
    needs_correlation: ClassVar[bool] = True
    needs_returns: ClassVar[bool] = True
    params: ShrinkageParams = ShrinkageParams()

    @override
    def weights(self, estimates: Estimates) -> Weights:
        return solve(self, estimates, self._solve)

    def _solve(self, volatility: Floats, correlation: Floats, returns: Floats | None) -> Solution:
        target = self.params.shrinkage
        intensity = None if returns is None else intensity_of(returns, target)
        shrunk = shrink_estimates(volatility, correlation, intensity or 0.0, target)
        raw, residual = self.shares(*shrunk)
        return Solution(raw, residual, intensity)

    @abstractmethod
    def shares(self, volatility: Floats, correlation: Floats) -> tuple[Floats, float]:
        """Shares (N,) up to a factor and their residual, for a positive definite correlation matrix (N, N)."""


@weightings.register
class HierarchicalRiskParity(Shrunken):
    """Risk is split down a tree of clusters; no matrix is inverted. Source: Lopez de Prado 2016.

    Single linkage of the distances sqrt((1 - rho) / 2), optimal leaf order, recursive bisection.
    """

    name: Literal["hrp"]

    @override
    def shares(self, volatility: Floats, correlation: Floats) -> tuple[Floats, float]:
        scaled = volatility / volatility.min()
        return hierarchical_weights(scaled * scaled, correlation), 0.0


@weightings.register
class MinVariance(Shrunken):
    """The long-only portfolio of least variance. Source: Markowitz 1952."""

    name: Literal["min_variance"]

    @override
    def shares(self, volatility: Floats, correlation: Floats) -> tuple[Floats, float]:
        inverse = volatility.min() / volatility
        exposure, residual = nonnegative(correlation, inverse)
        return exposure * inverse, residual


@weightings.register
class MaxDiversification(Shrunken):
    """The long-only portfolio of the largest diversification ratio. Source: Choueifaty & Coignard 2008.

    That of least variance on the correlation matrix, divided by volatility.
    """

    name: Literal["max_diversification"]

    @override
    def shares(self, volatility: Floats, correlation: Floats) -> tuple[Floats, float]:
        exposure, residual = nonnegative(correlation, np.ones(len(volatility)))
        return exposure * (volatility.min() / volatility), residual


Share = Annotated[Real, Field(ge=0.0, le=1e6)]


class CustomParams(Frozen):
    """The weights."""

    weights: Annotated[Mapping[str, Share], Field(min_length=1, description="weight by symbol, scaled to sum 1")]

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not any(self.weights.values()):
            message = "every weight is 0, so nothing would be held: give a symbol a weight"
            raise PydanticCustomError("without_effect", message, {"field": "weights"})
        return self


@weightings.register
class Custom(Weighting):
    """Weights by hand, scaled to sum 1 over the active symbols; a symbol of weight 0 is not held.

    While every active symbol has weight 0 all weights are 0, and the reason says so. A symbol without a weight is a
    ``ConfigError``.
    """

    name: Literal["custom"]
    params: CustomParams

    @override
    def weights(self, estimates: Estimates) -> Weights:
        given = self.params.weights
        missing = sorted(set(estimates.symbols) - set(given))
        if missing:
            message = f"no weight of {', '.join(missing)}; 0 holds none"
            raise ConfigError([FieldError("/portfolio/weighting/params/weights", "missing", message)])
        raw = np.array([given[symbol] for symbol in estimates.symbols])
        if not raw.any():
            return Weights(raw, reason="every active symbol has weight 0")
        return Weights(normalised(raw))


weightings.load_entry_points()

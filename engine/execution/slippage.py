"""Price impact models (semantics section 4): how far a fill of some quantity moves the price it gets.

A model is data: the kernel knows the formulas by ``kind``, so every run, sweep and test prices fills alike.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from engine.registry import Frozen, Plugin, Real, Registry, WholeNumber

LARGEST_IMPACT = 0.99
"""No model takes more of a price: it stays above zero."""

NO_SLIPPAGE, SPREAD, PARTICIPATION, SQUARE_ROOT = range(4)


class Slippage(Plugin):
    """A formula of the kernel with its numbers."""

    kind: ClassVar[int]
    needs_volume: ClassVar[bool] = False

    @property
    def amount(self) -> float:
        """The number of the formula: a fraction of price, or the coefficient k."""
        return 0.0


slippages: Registry[Slippage] = Registry("slippage model", "tplusone.slippage")


class NoSlippageParams(Frozen):
    """No parameters."""


@slippages.register
class NoSlippage(Slippage):
    """The base price; ``slippage_bps`` comes on top."""

    kind: ClassVar[int] = NO_SLIPPAGE
    name: Literal["none"] = "none"
    params: NoSlippageParams = NoSlippageParams()


class SpreadParams(Frozen):
    """The quoted spread."""

    spread: Annotated[Real, Field(gt=0.0, lt=2.0, description="bid to ask, fraction of price; half is paid")]


@slippages.register
class SpreadPct(Slippage):
    """Half a spread against every fill: p * (1 + side * spread / 2)."""

    kind: ClassVar[int] = SPREAD
    name: Literal["spread_pct"]
    params: SpreadParams

    @property
    def amount(self) -> float:
        return self.params.spread / 2.0


class ParticipationParams(Frozen):
    """The impact of taking all of a bar's volume."""

    impact: Annotated[Real, Field(gt=0.0, lt=1.0, description="fraction of price at full participation")]


@slippages.register
class ParticipationRate(Slippage):
    """Linear in the share of the fill bar's volume: p * (1 + side * min(1, q / volume) * impact)."""

    kind: ClassVar[int] = PARTICIPATION
    needs_volume: ClassVar[bool] = True
    name: Literal["participation_rate"]
    params: ParticipationParams

    @property
    def amount(self) -> float:
        return self.params.impact


class SquareRootParams(Frozen):
    """The coefficient of the square-root law and the window of its inputs."""

    k: Annotated[Real, Field(gt=0.0, le=100.0, description="coefficient; about 1 in the literature")] = 1.0
    lookback: Annotated[WholeNumber, Field(ge=2, le=100_000, description="bars of sigma and of average volume")] = 20


@slippages.register
class SquareRoot(Slippage):
    """The square-root law: p * (1 + side * k * sigma * sqrt(q / ADV)), as known at the decision.

    Volatility and average volume are taken per bar over the last ``lookback`` bars: the horizon cancels in
    sigma * sqrt(q / volume). The whole impact is below 0.99 of the price. Source: Almgren, Thum, Hauptmann & Li
    2005, "Direct estimation of equity market impact"; Toth et al. 2011.
    """

    kind: ClassVar[int] = SQUARE_ROOT
    needs_volume: ClassVar[bool] = True
    name: Literal["square_root"]
    params: SquareRootParams = SquareRootParams()

    @property
    def amount(self) -> float:
        return self.params.k

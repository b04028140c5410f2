"""The parameters of execution (semantics sections 2 to 4 and 6)."""

from typing import Annotated, Literal

from pydantic import Field

from engine.registry import Frozen, Real, WholeNumber

BASIS_POINT = 1e-4

Bps = Annotated[Real, Field(ge=0.0, le=10_000.0)]


class Commission(Frozen):
    """What a broker charges: ``bps`` of the notional of each fill."""

    bps: Annotated[Bps, Field(description="basis points of notional, per fill")] = 0.0


class Execution(Frozen):
    """How decisions become fills.

    A field that has one value today states the rule in force; another value is refused until it is built.
    """

    feature_lag: Annotated[
        WholeNumber, Field(ge=0, le=1000, description="bars between a feature's bar and the decision")
    ] = 1
    fill_lag: Annotated[
        WholeNumber, Field(ge=1, le=1000, description="bars between the decision and the fill; 0 is refused")
    ] = 1
    fill_price: Annotated[Literal["open"], Field(description="price of the fill bar")] = "open"
    size_at: Annotated[
        Literal["decision", "fill"],
        Field(description="equity and price that turn a weight into a quantity"),
    ] = "decision"
    slippage_bps: Annotated[
        Real, Field(ge=0.0, lt=10_000.0, description="basis points against the trade; all of a price is too much")
    ] = 1.0
    commission: Commission = Commission(bps=5.0)
    allow_short: Annotated[bool, Field(description="false clips targets at zero")] = True
    untradable_bar: Annotated[Literal["wait"], Field(description="an order waits for a tradable bar")] = "wait"
    end_policy: Annotated[
        Literal["mark"], Field(description="trades still open at the end are marked at the last close")
    ] = "mark"

    @property
    def slippage_rate(self) -> float:
        """Fraction of price."""
        return self.slippage_bps * BASIS_POINT

    @property
    def commission_rate(self) -> float:
        """Fraction of notional."""
        return self.commission.bps * BASIS_POINT

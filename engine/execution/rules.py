"""The parameters of execution (semantics sections 2 to 6)."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from engine.errors import step
from engine.execution.slippage import NoSlippage, slippages
from engine.registry import Frozen, Real, WholeNumber

BASIS_POINT = 1e-4

Bps = Annotated[Real, Field(ge=0.0, le=10_000.0)]
Money = Annotated[Real, Field(ge=0.0, le=1e12)]
Share = Annotated[Real, Field(gt=0.0, lt=1.0)]
Rate = Annotated[Real, Field(ge=0.0, le=10.0)]


class Commission(Frozen):
    """What a broker charges: the sum of the first three, at least the fourth."""

    bps: Annotated[Bps, Field(description="basis points of notional")] = 0.0
    per_unit: Annotated[Money, Field(description="currency per unit traded")] = 0.0
    per_order: Annotated[Money, Field(description="currency per order; a flip is two")] = 0.0
    minimum: Annotated[Money, Field(description="currency, least per order")] = 0.0

    @property
    def rate(self) -> float:
        """Fraction of notional."""
        return self.bps * BASIS_POINT


class Rebalance(Frozen):
    """When orders leave: where the signal changes, at every bar, or at the first bar of each day, week or month."""

    name: Annotated[
        Literal["on_change", "every_bar", "daily", "weekly", "monthly"], Field(description="when orders leave")
    ] = "on_change"
    band: Annotated[
        Real, Field(ge=0.0, lt=1.0, description="drift of the weight that is left alone; not for on_change")
    ] = 0.0

    @model_validator(mode="after")
    def _effective(self) -> Self:
        if self.name == "on_change" and self.band:
            raise PydanticCustomError(
                "without_effect",
                "on_change trades no drift, so band has no effect: leave it at 0 or choose a schedule",
                {"field": "band"},
            )
        return self


class Costs(Frozen):
    """What trading and holding a symbol costs, and in what quantities it trades."""

    slippage: Annotated[slippages.union(), Field(description="price impact model")] = NoSlippage()  # type: ignore[valid-type]
    slippage_bps: Annotated[
        Real, Field(ge=0.0, lt=10_000.0, description="basis points against the trade; all of a price is too much")
    ] = 1.0
    commission: Annotated[Commission, Field(description="what the broker charges")] = Commission(bps=5.0)
    borrow_rate: Annotated[Rate, Field(description="annual, on the market value of a short, actual/365")] = 0.0
    quantity_step: Annotated[Money, Field(description="lot: quantities are multiples of it; 0 is fractional")] = 0.0
    min_notional: Annotated[Money, Field(description="currency; smaller openings are not sent")] = 0.0
    max_participation: Annotated[
        Real | None, Field(gt=0.0, le=1.0, description="largest share of a bar's volume a fill may take")
    ] = None


class SymbolCosts(Frozen):
    """What differs for one symbol; null is as for all."""

    slippage: Annotated[slippages.union() | None, Field(description="price impact model")] = None  # type: ignore[valid-type]
    slippage_bps: Annotated[Real | None, Field(ge=0.0, lt=10_000.0, description="basis points")] = None
    commission: Annotated[Commission | None, Field(description="what the broker charges")] = None
    borrow_rate: Annotated[Rate | None, Field(description="annual")] = None
    quantity_step: Annotated[Money | None, Field(description="lot")] = None
    min_notional: Annotated[Money | None, Field(description="currency")] = None
    max_participation: Annotated[Real | None, Field(gt=0.0, le=1.0, description="share of a bar's volume")] = None

    def without_trading_costs(self) -> "SymbolCosts":
        """The same without slippage and commission of its own."""
        return self.model_copy(update={"slippage": None, "slippage_bps": None, "commission": None})


class Execution(Costs):
    """How decisions become fills."""

    feature_lag: Annotated[
        WholeNumber, Field(ge=0, le=1000, description="bars between a feature's bar and the decision")
    ] = 1
    fill_lag: Annotated[
        WholeNumber, Field(ge=1, le=1000, description="bars between the decision and the fill; 0 is refused")
    ] = 1
    fill_price: Annotated[
        Literal["open", "mid", "typical", "vwap", "close"], Field(description="price of the fill bar")
    ] = "open"
    size_at: Annotated[
        Literal["decision", "fill"],
        Field(description="equity and price that turn a weight into a quantity"),
    ] = "decision"
    cash_rate: Annotated[Rate, Field(description="annual, on idle cash, actual/365")] = 0.0
    rebalance: Annotated[Rebalance, Field(description="when orders leave")] = Rebalance()
    allow_short: Annotated[bool, Field(description="false clips targets at zero")] = True
    allow_leverage: Annotated[bool, Field(description="false keeps gross exposure within equity at the fill")] = False
    untradable_bar: Annotated[
        Literal["wait", "skip", "fill"],
        Field(description="an order meeting one waits, ends, or (zero volume only) fills"),
    ] = "wait"
    stop_loss: Annotated[Share | None, Field(description="fraction of the average entry price")] = None
    take_profit: Annotated[Real | None, Field(gt=0.0, le=1000.0, description="fraction of the average entry price")] = (
        None
    )
    trailing_stop: Annotated[Share | None, Field(description="fraction of the best price since entry")] = None
    max_holding_bars: Annotated[
        WholeNumber | None, Field(ge=1, le=10_000_000, description="bars a position is held at most")
    ] = None
    bar_path: Annotated[
        Literal["stop_first", "target_first", "nearest_open_first"],
        Field(description="which of stop and target comes first inside one bar"),
    ] = "stop_first"
    end_policy: Annotated[
        Literal["mark", "close"], Field(description="open trades at the end: marked, or closed with costs")
    ] = "mark"
    per_symbol: Annotated[dict[str, SymbolCosts], Field(description="costs that differ, by symbol")] = Field(
        default_factory=dict
    )

    @model_validator(mode="after")
    def _effective(self) -> Self:
        """Refuse what these fields alone show to be without effect."""
        if self.bar_path != "stop_first" and (self.take_profit is None or not self.stops):
            raise PydanticCustomError(
                "without_effect",
                "bar_path decides between a stop and a target in one bar: set both, or leave it at stop_first",
                {"field": "bar_path"},
            )
        lent = [] if self.allow_short else self._borrowed()
        if lent:
            raise PydanticCustomError(
                "without_effect",
                "nothing is sold short, so borrow_rate has no effect: leave it at 0",
                {"field": lent[0]},
            )
        if self.fill_lag > 1 and self.rebalance.name == "every_bar":
            raise PydanticCustomError(
                "never_fills",
                "with a fill_lag above 1 the next bar's order would supersede each order before it fills",
                {"field": "rebalance/name"},
            )
        return self

    def _borrowed(self) -> list[str]:
        """The fields that let a short pay."""
        own = [
            f"per_symbol/{step(symbol)}/borrow_rate" for symbol, costs in self.per_symbol.items() if costs.borrow_rate
        ]
        return [*(["borrow_rate"] if self.borrow_rate else []), *own]

    @property
    def stops(self) -> bool:
        """Whether there is a stop of either kind."""
        return self.stop_loss is not None or self.trailing_stop is not None

    @property
    def exits(self) -> bool:
        """Whether anything but the signal closes a position."""
        return self.stops or self.take_profit is not None or self.max_holding_bars is not None

    def costs(self, symbol: str) -> Costs:
        """The costs of one symbol."""
        own = self.per_symbol.get(symbol)
        return Costs.model_construct(
            **{
                name: value if own is None or getattr(own, name) is None else getattr(own, name)
                for name in Costs.model_fields
                for value in (getattr(self, name),)
            }
        )

"""The rules of an account of several symbols, as configured (semantics section 8)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    SerializerFunctionWrapHandler,
    WrapSerializer,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from engine.errors import step
from engine.portfolio.weighting import weightings
from engine.portfolio.weighting_rules import Equal
from engine.registry import Frozen, Real, WholeNumber
from engine.types import Floats, Ints

Fraction = Annotated[Real, Field(gt=0.0, le=1.0)]
Exposure = Annotated[Real, Field(gt=0.0, le=1000.0)]
Threshold = Annotated[Real, Field(ge=0.0, le=1.0)]


def readings(pair: str) -> list[tuple[str, str]]:
    """The two symbols of a pair, in the order of names; several where symbols may hold colons themselves."""
    cut = [(pair[:k], pair[k + 1 :]) for k, sign in enumerate(pair) if sign == ":"]
    return [(first, second) for first, second in cut if "" < first < second]


def pair_of(pair: str, symbols: Collection[str]) -> tuple[str, str] | None:
    """The two of ``symbols`` that a pair names; None unless these are two and no others could be meant."""
    found = [both for both in readings(pair) if set(both) <= set(symbols)]
    return found[0] if len(found) == 1 else None


def _named(value: Any) -> Any:
    """``"equal"`` as the weighting of that name."""
    return {"name": value} if isinstance(value, str) else value


def _short(value: Any, handler: SerializerFunctionWrapHandler) -> Any:
    """A weighting whose parameters are the defaults is its name alone."""
    full = handler(value)
    plain = value.model_fields_set <= {"name"} or value.params == type(value).model_fields["params"].default
    return full["name"] if plain else full


class _NameOrMore:
    """A weighting in JSON: a name, or an object."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        names = [name for name in weightings.members() if name != "custom"]
        return {"anyOf": [{"type": "string", "enum": sorted(names)}, handler(schema)]}


class SymbolLimits(Frozen):
    """Limits of one symbol, in place of those of all."""

    max_symbol_weight: Annotated[Exposure | None, Field(description="largest weight, fraction of equity")] = None
    max_symbol_daily_loss: Annotated[
        Fraction | None, Field(description="loss that halts the symbol until the next day, fraction of equity")
    ] = None


class Limits(Frozen):
    """Limits on exposure and losses; null is none."""

    max_gross_exposure: Annotated[Exposure | None, Field(description="largest sum of |weight|")] = None
    max_net_exposure: Annotated[Exposure | None, Field(description="largest |sum of weights|")] = None
    max_symbol_weight: Annotated[Exposure | None, Field(description="largest weight of a symbol")] = None
    max_positions: Annotated[
        Annotated[WholeNumber, Field(ge=1, le=100_000)] | None, Field(description="most symbols held")
    ] = None
    max_symbol_daily_loss: Annotated[
        Fraction | None, Field(description="loss that halts a symbol until the next day, fraction of equity")
    ] = None
    max_drawdown: Annotated[Fraction | None, Field(description="drawdown that flattens and halts all")] = None
    per_symbol: Annotated[Mapping[str, SymbolLimits], Field(description="limits of single symbols")] = Field(
        default_factory=dict
    )

    def of(self, symbol: str, name: str) -> float | None:
        """A symbol's own limit, else that of all."""
        own = self.per_symbol.get(symbol)
        value = None if own is None else getattr(own, name)
        limit: float | None = getattr(self, name) if value is None else value
        return limit

    @property
    def any(self) -> bool:
        """Whether there is a limit at all."""
        return self != Limits()


class Portfolio(Frozen):
    """How several symbols share an account, or do not."""

    mode: Annotated[
        Literal["independent", "portfolio"], Field(description="an account for each symbol, or one for all")
    ] = "portfolio"
    weighting: Annotated[
        weightings.union(),  # type: ignore[valid-type]
        BeforeValidator(_named),
        WrapSerializer(_short),
        _NameOrMore(),
        Field(description="how equity is divided; a name, or a name with parameters"),
    ] = Equal()
    correlation_threshold: Annotated[Threshold, Field(description="above it two symbols are redundant")] = 0.8
    correlation_overrides: Annotated[
        Mapping[str, Threshold], Field(description="threshold by pair, as EURUSD:GBPUSD, in the order of names")
    ] = Field(default_factory=dict)
    correlation_window: Annotated[WholeNumber, Field(ge=3, le=10_000, description="log returns looked at")] = 100
    correlation_minimum: Annotated[
        WholeNumber, Field(ge=3, le=10_000, description="fewest log returns for a correlation")
    ] = 20
    redundancy: Annotated[
        Literal["scale", "filter", "off"], Field(description="what becomes of symbols that move together")
    ] = "scale"
    redistribute: Annotated[bool, Field(description="give what redundancy freed to the symbols that are not")] = False
    align: Annotated[
        Literal["intersection", "union"], Field(description="bars all symbols have, or bars any symbol has")
    ] = "intersection"
    limits: Limits = Limits()
    parameters: Annotated[
        Mapping[str, Mapping[str, Any]], Field(description="strategy parameters of single symbols, by symbol")
    ] = Field(default_factory=dict)
    snapshot_interval: Annotated[WholeNumber, Field(ge=1, le=1_000_000, description="bars between snapshots")] = 50

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.correlation_minimum > self.correlation_window:
            raise PydanticCustomError(
                "minimum_above_window",
                "correlation_minimum is above correlation_window: there would never be a correlation",
                {"field": "correlation_minimum"},
            )
        for pair in self.correlation_overrides:
            if not readings(pair):
                raise PydanticCustomError(
                    "invalid_pair",
                    "a pair is two symbols with a colon between them, in the order of names: EURUSD:GBPUSD",
                    {"field": f"correlation_overrides/{step(pair)}"},
                )
        return self


@dataclass(frozen=True)
class Together:
    """What the account as a whole goes by: the rules, and what of the data they need.

    ``shares`` (D, N) at the bars where they change, of which bar t uses row ``share_row[t]``; ``last`` (N,) the last
    bar of each symbol's data; ``day`` (T,) the day of each bar. ``symbols`` are in the order of the arrays.
    """

    rules: Portfolio
    symbols: tuple[str, ...]
    shares: Floats
    share_row: Ints
    last: Ints
    day: Ints

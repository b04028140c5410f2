"""RunConfig: everything that decides a result, frozen, with its identity (semantics section 9)."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Self, TypeVar

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from engine.canonical import canonical_bytes, sha256_hex
from engine.config.effects import without_effect
from engine.config.instants import Instant
from engine.config.problems import field_errors
from engine.config.window import Window
from engine.data.bars import COLUMNS, SYMBOL_PATTERN, TIMEFRAME_PATTERN, Dataset, Series
from engine.data.resample import check_timeframe
from engine.errors import ConfigError, FieldError, UnknownNameError, nearest, step
from engine.execution import Execution
from engine.features.base import Column, Feature
from engine.features.plugins import indicators
from engine.portfolio import Portfolio, sizings
from engine.portfolio.sizing import FixedFraction
from engine.registry import Frozen, Real, WholeNumber, sequence
from engine.strategies import Strategy, strategies
from engine.validation.suite import Validation, check_grids

SCHEMA = 4
"""Raised when the form of a configuration changes."""

SEMANTICS = 3
"""Raised only when results can change; the golden tests guard it."""

RUN_ID_DIGITS = 32
NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,63}$"
MOST_SYMBOLS = 1000

Symbol = Annotated[str, StringConstraints(pattern=f"^{SYMBOL_PATTERN}$")]


class IndicatorUse(Frozen):
    """An indicator to record beside each trade, and for rules that name it."""

    model_config = ConfigDict(serialize_by_alias=True)

    name: Annotated[str, Field(description="one of the catalog's indicators")]
    params: Annotated[dict[str, Any], Field(description="its parameters; the catalog has their schema")] = Field(
        default_factory=dict
    )
    alias: Annotated[str, Field(alias="as", pattern=r"^[a-z][a-z0-9_]{0,31}$", description="its name in this run")]

    @model_validator(mode="after")
    def _resolved(self) -> Self:
        """Fill in its defaults. The first thing wrong with a parameter is reported."""
        try:
            made = indicators.get(self.name).model_validate({"name": self.name, "params": self.params})
        except UnknownNameError as error:
            raise PydanticCustomError(
                "unknown_name", "{message}", {"message": error.message, "field": "name"}
            ) from None
        except ValidationError as error:
            first = field_errors(error.errors(include_url=False), indicators.get(self.name))[0]
            raise PydanticCustomError(
                "invalid_parameter", "{message}", {"message": first.message, "field": first.pointer[1:]}
            ) from None
        object.__setattr__(self, "params", made.params.model_dump(mode="json"))
        return self

    def features(self) -> dict[str, Feature]:
        """Each output under its name: the main one under ``as``, others with their own name behind it."""
        made = indicators.get(self.name).model_validate({"name": self.name, "params": self.params})
        outputs = made.features()
        main = next(iter(outputs))
        return {self.alias if o == main else f"{self.alias}_{o}": feature for o, feature in outputs.items()}


class RunConfig(Frozen):
    """A backtest, complete: equal configurations on equal data give equal bytes."""

    dataset: Annotated[str, Field(pattern=NAME_PATTERN, description="name of a dataset")]
    symbols: Annotated[
        tuple[Symbol, ...],
        BeforeValidator(sequence),
        Field(min_length=1, max_length=MOST_SYMBOLS, description="the symbols to trade"),
    ]
    timeframe: Annotated[
        str | None, Field(pattern=TIMEFRAME_PATTERN, description="bar length; null is the dataset's own")
    ] = None
    start: Annotated[Instant | None, Field(description="first bar opens at or after this")] = None
    end: Annotated[Instant | None, Field(description="bars open before this")] = None
    fraction: Annotated[Real, Field(gt=0.0, le=1.0, description="size of the slice of the period")] = 1.0
    portion: Annotated[WholeNumber, Field(ge=1, le=10_000, description="which slice, from 1")] = 1
    indicators: Annotated[
        tuple[IndicatorUse, ...],
        BeforeValidator(sequence),
        Field(max_length=50, description="recorded at the entry and exit of each trade"),
    ] = ()
    strategy: strategies.union()  # type: ignore[valid-type]
    risk: sizings.union() = FixedFraction()  # type: ignore[valid-type]
    execution: Execution = Execution()
    portfolio: Portfolio = Portfolio()
    initial_capital: Annotated[Real, Field(ge=1e-6, le=1e15, description="currency")] = 100_000.0
    benchmark: Annotated[Symbol | None, Field(description="a symbol of the dataset to compare with, day by day")] = None
    validation: Validation = Validation()
    seed: Annotated[WholeNumber, Field(ge=0, le=2**53 - 1, description="root of every random stream")] = 42

    @model_validator(mode="after")
    def _effective(self) -> Self:
        """Refuse what the configuration alone shows to be impossible or without effect."""
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise PydanticCustomError("empty_period", "start must be before end", {"field": "start"})
        if self.portion * self.fraction > 1.0 + 1e-9:
            raise PydanticCustomError(
                "portion_out_of_range",
                "portion times fraction is above 1: that slice does not exist",
                {"field": "portion"},
            )
        if self.execution.feature_lag != 1 and not self.strategy.features():
            raise PydanticCustomError(
                "without_effect",
                "this strategy looks at no feature, so feature_lag has no effect: leave it at 1",
                {"field": "execution/feature_lag"},
            )
        if self.validation.ambiguity is not None and (not self.execution.stops or self.execution.take_profit is None):
            raise PydanticCustomError(
                "without_effect",
                "there is no bar with both a stop and a target to be ambiguous: set both, or leave this out",
                {"field": "validation/ambiguity"},
            )
        check_grids(self.validation, self.parameters)
        names = list(COLUMNS) + [name for use in self.indicators for name in use.features()]
        for k, use in enumerate(self.indicators):
            if any(names.count(name) > 1 for name in use.features()):
                raise PydanticCustomError(
                    "duplicate_name", "this name is taken already", {"field": f"indicators/{k}/as"}
                )
        strangers = sorted(set(self.execution.per_symbol) - set(self.symbols))
        if strangers:
            raise PydanticCustomError(
                "without_effect",
                "per_symbol names a symbol that is not in symbols",
                {"field": f"execution/per_symbol/{step(strangers[0])}"},
            )
        if len(set(self.symbols)) < len(self.symbols):
            raise PydanticCustomError("duplicate_symbol", "a symbol is named twice", {"field": "symbols"})
        for field, message in without_effect(self.portfolio, self.symbols):
            raise PydanticCustomError(
                "without_effect", "{message}", {"message": message, "field": f"portfolio/{field}"}
            )
        for symbol in self.portfolio.parameters:
            self._check_parameters(symbol)
        if not self.execution.allow_short and not any(self.strategy_of(s).goes_short for s in self.symbols):
            raise PydanticCustomError(
                "without_effect",
                "this strategy never goes short, so allow_short has no effect: leave it at true",
                {"field": "execution/allow_short"},
            )
        return self

    def _check_parameters(self, symbol: str) -> None:
        try:
            self.strategy_of(symbol)
        except ValidationError as error:
            first = field_errors(error.errors(include_url=False), type(self.strategy))[0]
            field = f"portfolio/parameters/{step(symbol)}{first.pointer.removeprefix('/params')}"
            raise PydanticCustomError(
                "invalid_parameter", "{message}", {"message": first.message, "field": field}
            ) from None

    def strategy_of(self, symbol: str) -> Strategy:
        """The strategy with the parameters of one symbol."""
        own = self.portfolio.parameters.get(symbol)
        if own is None:
            strategy: Strategy = self.strategy
            return strategy
        values = self.strategy.model_dump(mode="json")
        made: Strategy = type(self.strategy).model_validate(values | {"params": values["params"] | dict(own)})
        return made

    @property
    def parameters(self) -> Frozen:
        """Those of the strategy; one that an installed package brings may have none."""
        own: Frozen = getattr(self.strategy, "params", Frozen())
        return own

    def varied(self, params: Mapping[str, Any]) -> Self:
        """The same with other parameters of the strategy. Raises ``ConfigError`` where they are refused."""
        values = self.plain()
        values["strategy"]["params"] = values["strategy"].get("params", {}) | dict(params)
        return _parse(type(self), values)

    def context(self) -> dict[str, Feature]:
        """The configured indicators by name."""
        return {name: feature for use in self.indicators for name, feature in use.features().items()}

    def features(self, symbol: str) -> dict[str, Feature]:
        """What the strategy of a symbol looks at; a column that is the name of an indicator is that indicator."""
        context = self.context()
        return {
            name: context.get(feature.name, feature) if isinstance(feature, Column) else feature
            for name, feature in self.strategy_of(symbol).features().items()
        }

    def _features_by_pointer(self, symbol: str) -> list[tuple[str, Feature]]:
        """Every feature of the run for a symbol, and the field it comes from."""
        own = [("/strategy/params/column", feature) for feature in self.features(symbol).values()]
        for k, use in enumerate(self.indicators):
            own += [(f"/indicators/{k}/params/column", feature) for feature in use.features().values()]
        return own

    def plain(self) -> dict[str, Any]:
        """The configuration as JSON values, every default written out."""
        return self.model_dump(mode="json")

    def resolve(self, dataset: Dataset) -> "RunConfig":
        """Fill in what the dataset decides; symbols in the order of names. Raises ``ConfigError`` where they disagree.

        Where accounts are independent, symbols that cannot be run are left to :meth:`unusable`, unless none can.
        """
        own = dataset.conventions
        timeframe = own.timeframe if self.timeframe is None else check_timeframe(self.timeframe, own)
        self._check_benchmark(dataset)
        wrong = self.unusable(dataset)
        if wrong and not (self.lenient and len(wrong) < len(self.symbols)):
            raise ConfigError([error for errors in wrong.values() for error in errors])
        return self.model_copy(update={"timeframe": timeframe, "symbols": tuple(sorted(self.symbols))})

    def _check_benchmark(self, dataset: Dataset) -> None:
        if self.benchmark is not None and self.benchmark not in dataset.series:
            raise ConfigError([unknown_symbol("/benchmark", self.benchmark, dataset.name, dataset.series)])

    @property
    def lenient(self) -> bool:
        """Whether a symbol that cannot be run is skipped, and the others go on."""
        return self.portfolio.mode == "independent"

    def unusable(self, dataset: Dataset) -> dict[str, list[FieldError]]:
        """What symbols lack in a dataset, for those that lack something."""
        found = {
            symbol: self._lacking(symbol, series)
            for symbol, series in zip(self.symbols, dataset.select(self.symbols), strict=True)
        }
        return {symbol: errors for symbol, errors in found.items() if errors}

    def _lacking(self, symbol: str, series: Series) -> list[FieldError]:
        """The columns that the configuration needs and a symbol has not."""
        wrong = []
        if self.execution.fill_price == "vwap" and "vwap" not in series.extra:
            message = f"{symbol} has no column vwap; choose open, mid, typical or close"
            wrong.append(FieldError("/execution/fill_price", "missing_column", message))
        known = [*COLUMNS, *series.extra]
        for pointer, feature in self._features_by_pointer(symbol):
            for column in sorted(set(feature.columns) - set(known)):
                message = f"{symbol} has no column '{column}'.{nearest(column, known)}"
                wrong.append(FieldError(pointer, "missing_column", message, tuple(known)))
        costs = self.execution.costs(symbol)
        for field, needs in (
            ("slippage", costs.slippage.needs_volume),
            ("max_participation", costs.max_participation is not None),
        ):
            if needs and not series.has_volume:
                message = f"{symbol} has no volume, which this needs"
                wrong.append(FieldError(f"/execution/{field}", "missing_volume", message))
        return wrong

    @property
    def window(self) -> Window:
        """Which bars of its symbols a run uses."""
        common = self.portfolio.mode == "portfolio" and self.portfolio.align == "intersection"
        return Window(
            self.symbols,
            self.start,
            self.end,
            self.fraction,
            self.portion,
            self.timeframe,
            common,
            self.lenient,
            self.benchmark,
        )

    def identity(self, digests: Mapping[str, str]) -> str:
        """SHA-256 of the run: schema, semantics, digests of its rows (``Window.digests``), resolved configuration."""
        return sha256_hex(
            canonical_bytes(
                {
                    "schema": SCHEMA,
                    "semantics": SEMANTICS,
                    "data": dict(digests),
                    "config": self.plain() | {"symbols": sorted(self.symbols)},
                }
            )
        )


Config = TypeVar("Config", bound=RunConfig)


def unknown_symbol(pointer: str, symbol: str, dataset: str, held: Iterable[str]) -> FieldError:
    """A field names a symbol that the dataset has not."""
    known = sorted(held)
    message = f"'{dataset}' has no symbol '{symbol}'.{nearest(symbol, known)}"
    return FieldError(pointer, "unknown_symbol", message, tuple(known[:50]))


def run_id(identity: str) -> str:
    """The name of a run: the first 32 hex digits of its hash."""
    return identity[:RUN_ID_DIGITS]


def parse_config(value: Any) -> RunConfig:
    """A configuration from plain values. Raises ``ConfigError`` with one entry per field."""
    return _parse(RunConfig, value)


def _parse(kind: type[Config], value: Any) -> Config:
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise ConfigError(field_errors(error.errors(include_url=False), kind)) from None

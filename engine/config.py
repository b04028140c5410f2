"""RunConfig: everything that decides a result, frozen, with its identity (semantics section 9)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from engine.canonical import canonical_bytes, sha256_hex
from engine.data.bars import COLUMNS, SYMBOL_PATTERN, TIMEFRAME_PATTERN, Conventions, Dataset, Series
from engine.data.resample import Resampled, check_timeframe, resample
from engine.errors import ConfigError, FieldError, UnknownNameError, nearest
from engine.execution import Execution
from engine.features.base import Column, Feature
from engine.features.plugins import indicators
from engine.portfolio import sizings
from engine.portfolio.sizing import FixedFraction
from engine.registry import Frozen, Real, WholeNumber, sequence
from engine.strategies import strategies
from engine.validation.costs import Ambiguity, BreakEven, CostSensitivity
from engine.validation.permutation import Permutation

SCHEMA = 2
"""Raised when the form of a configuration changes."""

SEMANTICS = 2
"""Raised only when results can change; the golden tests guard it."""

RUN_ID_DIGITS = 32
EARLIEST, LATEST = -(2**63), 2**63 - 1
NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,63}$"


# Without an offset the text passes here, for an error of its own. More digits would be cut off without a word.
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?([Zz]|[+-]\d\d:\d\d)?)?", re.ASCII)


def _instant(value: Any) -> Any:
    """RFC 3339 text with an offset, or an aware datetime; anything else is refused."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value if _RFC_3339.fullmatch(value) else "")
        except ValueError:
            raise PydanticCustomError(
                "invalid_time", "not an RFC 3339 time such as 2019-01-01T00:00:00Z, to the microsecond"
            ) from None
    if not isinstance(value, datetime):
        raise PydanticCustomError(
            "invalid_time", "a time is RFC 3339 text with an offset, such as 2019-01-01T00:00:00Z"
        )
    if value.tzinfo is None:
        raise PydanticCustomError("missing_offset", "a time needs an offset: append Z for UTC")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError("invalid_time", "a time lies in the years 1 to 9999 UTC") from None


def instant_text(value: datetime) -> str:
    """RFC 3339 in UTC with Z; fractions of a second only where there are any."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


Instant = Annotated[
    datetime,
    BeforeValidator(_instant),
    PlainSerializer(instant_text, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


Symbol = Annotated[str, StringConstraints(pattern=f"^{SYMBOL_PATTERN}$")]


class Validation(Frozen):
    """The tests of the result; each runs when its block is there."""

    permutation: Annotated[Permutation | None, Field(description="does the timing of entries matter?")] = None
    cost_sensitivity: Annotated[
        CostSensitivity | None, Field(description="the result under multiples of the costs")
    ] = None
    break_even: Annotated[BreakEven | None, Field(description="the cost that leaves nothing")] = None
    ambiguity: Annotated[
        Ambiguity | None, Field(description="the result under either path inside bars that hold stop and target")
    ] = None


@dataclass(frozen=True)
class Window:
    """Which bars of which symbols a run uses.

    Of the rows in [start, end) one of the slices of size ``fraction``, and of those bars of ``timeframe``; None is
    the rows' own.
    """

    symbols: tuple[str, ...]
    start: datetime | None
    end: datetime | None
    fraction: float
    portion: int
    timeframe: str | None = None

    def bars(self, series: Series, conventions: Conventions) -> Resampled:
        """The bars of one symbol. Raises ``ConfigError`` when none are left."""
        return resample(self.rows(series), conventions, self.timeframe or conventions.timeframe)

    def rows(self, series: Series) -> Series:
        """The rows of one symbol. Raises ``ConfigError`` when none are left."""
        rows = series.between(_nanoseconds(self.start), _nanoseconds(self.end))
        size = int(len(rows) * self.fraction + 1e-9)
        rows = rows.slice((self.portion - 1) * size, self.portion * size)
        if len(rows) == 0:
            span = f"{_stamp(series.time[0])} to {_stamp(series.time[-1])}"
            pointer = "/fraction" if size == 0 and self.fraction < 1.0 else "/start"
            raise ConfigError([FieldError(pointer, "empty_period", f"no bar is left; bars open from {span}")])
        return rows


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
            first = error.errors(include_url=False)[0]
            field = "/".join(map(str, first["loc"]))
            raise PydanticCustomError(
                "invalid_parameter", "{message}", {"message": first["msg"], "field": field}
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
        Field(min_length=1, max_length=1, description="the symbol to trade; one a run"),
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
    initial_capital: Annotated[Real, Field(ge=1e-6, le=1e15, description="currency")] = 100_000.0
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
                {"field": f"execution/per_symbol/{strangers[0]}"},
            )
        if not self.execution.allow_short and not self.strategy.goes_short:
            raise PydanticCustomError(
                "without_effect",
                "this strategy never goes short, so allow_short has no effect: leave it at true",
                {"field": "execution/allow_short"},
            )
        return self

    def context(self) -> dict[str, Feature]:
        """The configured indicators by name."""
        return {name: feature for use in self.indicators for name, feature in use.features().items()}

    def features(self) -> dict[str, Feature]:
        """What the strategy looks at; a column that is the name of an indicator is that indicator."""
        context = self.context()
        return {
            name: context.get(feature.name, feature) if isinstance(feature, Column) else feature
            for name, feature in self.strategy.features().items()
        }

    def _features_by_pointer(self) -> list[tuple[str, Feature]]:
        """Every feature of the run, and the field it comes from."""
        own = [("/strategy/params/column", feature) for feature in self.features().values()]
        for k, use in enumerate(self.indicators):
            own += [(f"/indicators/{k}/params/column", feature) for feature in use.features().values()]
        return own

    def plain(self) -> dict[str, Any]:
        """The configuration as JSON values, every default written out."""
        return self.model_dump(mode="json")

    def resolve(self, dataset: Dataset) -> "RunConfig":
        """Fill in what the dataset decides. Raises ``ConfigError`` where they disagree."""
        own = dataset.conventions
        timeframe = own.timeframe if self.timeframe is None else check_timeframe(self.timeframe, own)
        self._check_columns(dataset)
        return self.model_copy(update={"timeframe": timeframe})

    def _check_columns(self, dataset: Dataset) -> None:
        """Refuse what needs a column the dataset has not. Raises ``ConfigError`` with every such field."""
        wrong = []
        for symbol, series in zip(self.symbols, dataset.select(self.symbols), strict=True):
            if self.execution.fill_price == "vwap" and "vwap" not in series.extra:
                message = f"{symbol} has no column vwap; choose open, mid, typical or close"
                wrong.append(FieldError("/execution/fill_price", "missing_column", message))
            known = [*COLUMNS, *series.extra]
            for pointer, feature in self._features_by_pointer():
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
        if wrong:
            raise ConfigError(wrong)

    @property
    def window(self) -> "Window":
        """Which bars of its symbols a run uses."""
        return Window(self.symbols, self.start, self.end, self.fraction, self.portion, self.timeframe)

    def identity(self, digests: Mapping[str, str]) -> str:
        """SHA-256 of the run: schema, semantics, the rows' digest by symbol, and the resolved configuration."""
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


def run_id(identity: str) -> str:
    """The name of a run: the first 32 hex digits of its hash."""
    return identity[:RUN_ID_DIGITS]


def _nanoseconds(value: datetime | None) -> int | None:
    if value is None:
        return None
    whole = value.replace(microsecond=0)
    nanoseconds = int(whole.timestamp()) * 10**9 + value.microsecond * 1000
    return max(EARLIEST, min(nanoseconds, LATEST))  # no bar lies beyond what 64 bits can say


def _stamp(nanoseconds: int) -> str:
    return instant_text(datetime.fromtimestamp(int(nanoseconds) / 1e9, UTC))


def parse_config(value: Any) -> RunConfig:
    """A configuration from plain values. Raises ``ConfigError`` with one entry per field."""
    try:
        return RunConfig.model_validate(value)
    except ValidationError as error:
        raise ConfigError(field_errors(error.errors(include_url=False), RunConfig)) from None


def field_errors(errors: list[ErrorDetails], model: type[Frozen]) -> list[FieldError]:
    """The errors of pydantic in our form: JSON pointer, stable code, message, allowed values; never the input."""
    return [_field_error(error, model) for error in errors]


def _field_error(error: ErrorDetails, model: type[Frozen]) -> FieldError:
    context: dict[str, Any] = error.get("ctx", {})
    path, known = _walk(model, error["loc"])
    path += str(context["field"]).split("/") if "field" in context else []
    pointer = "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in path)
    if error["type"] == "extra_forbidden":
        message = f"there is no field '{path[-1]}'.{nearest(path[-1], known)}"
        return FieldError(pointer, "unknown_field", message, tuple(known))
    if error["type"] == "union_tag_invalid":
        names = _quoted(context["expected_tags"])
        tag = str(context["tag"])
        return FieldError(f"{pointer}/name", "unknown_name", f"unknown name.{nearest(tag, names)}", names)
    if error["type"] == "union_tag_not_found":
        return FieldError(f"{pointer}/name", "missing", "a name is required", ())
    allowed = _quoted(context["expected"]) if error["type"] == "literal_error" else ()
    message = str(error["msg"]).removeprefix("Value error, ")
    return FieldError(pointer, error["type"], message, allowed)


def _quoted(names: Any) -> tuple[str, ...]:
    return tuple(re.findall(r"'([^']*)'", str(names)))


def _walk(model: type[Frozen], location: tuple[int | str, ...]) -> tuple[list[str], list[str]]:
    """The steps of a JSON pointer from pydantic's location, and the names of the fields beside the last one.

    A location also names the member of a union; a pointer has no such step.
    """
    schema: Any = TypeAdapter(model).json_schema()
    definitions = schema.get("$defs", {})
    path: list[str] = []
    beside: list[str] = []
    for part in map(str, location):
        members = schema.get("discriminator", {}).get("mapping", {})
        if part in members:
            schema = _deref({"$ref": members[part]}, definitions)
            continue
        path.append(part)
        beside = sorted(schema.get("properties", {}))
        schema = _deref(schema.get("properties", {}).get(part, {}), definitions)
    return path, beside


def _deref(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """What a reference points to; of a value that may be null, what it is otherwise."""
    if "$ref" in schema:
        return _deref(definitions[schema["$ref"].rsplit("/", 1)[1]], definitions)
    options = [option for option in schema.get("anyOf", ()) if option.get("type") != "null"]
    return _deref(options[0], definitions) if options else schema

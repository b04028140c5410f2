"""Indicators by name: what a configuration may ask for, our own and all of TA-Lib."""

from abc import abstractmethod
from functools import cache
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import Field, create_model

from engine.features import indicators as own
from engine.features.base import Feature
from engine.features.talib import AVERAGES, TalibFunction, function, function_names, least_period, talib_feature
from engine.registry import Frozen, Plugin, Real, Registry, WholeNumber, describe

LONGEST = 100_000
LARGEST = 3e37  # of TA-Lib's real parameters
REAL_BOUNDS = {
    "fastlimit": (0.01, 0.99),
    "slowlimit": (0.01, 0.99),
    "vfactor": (0.0, 1.0),
    "percentile": (0.0, 100.0),
    **dict.fromkeys(("nbdev", "nbdevup", "nbdevdn", "startvalue"), (-LARGEST, LARGEST)),
}
"""Those that are not 0 to the largest."""


class Indicator(Plugin):
    """A named feature with parameters."""

    params: Any

    @abstractmethod
    def features(self) -> dict[str, Feature]:
        """The feature of each output by its name; the first is the main one."""


class Indicators(Registry[Indicator]):
    """The registry; TA-Lib's functions join when they are asked for, for the library is slow to import."""

    def get(self, name: str) -> type[Indicator]:
        """The indicator of that name. Raises ``UnknownNameError`` with the nearest known name."""
        if name not in self._members and name in function_names():
            self.register(talib_indicator(name))
        if name not in self._members:
            self.members()
        return super().get(name)

    def members(self) -> dict[str, type[Indicator]]:
        """Every indicator by name, sorted."""
        for name in function_names():
            if name not in self._members:
                self.register(talib_indicator(name))
        return super().members()

    def describe(self) -> list[dict[str, Any]]:
        """What the catalog says of each, with inputs, outputs and the lookback at the defaults."""
        return [self._describe(name, member) for name, member in self.members().items()]

    @staticmethod
    def _describe(name: str, member: type[Indicator]) -> dict[str, Any]:
        made = member.model_validate({"name": name}).features()
        first = next(iter(made.values()))
        return describe(name, member) | {
            "inputs": list(first.columns),
            "outputs": list(made),
            "lookback": first.lookback,
        }


indicators: Indicators = Indicators("indicator", "tplusone.indicators")

ColumnName = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,64}$", description="column of the dataset")]


class TalibIndicator(Indicator):
    """A function of TA-Lib."""

    function_name: ClassVar[str]

    def features(self) -> dict[str, Feature]:
        """Each output as TA-Lib computes it."""
        values = self.params.model_dump()
        known = function(self.function_name)
        columns = list(known.columns)
        for place, field in zip(known.free, column_fields(known), strict=True):
            columns[place] = values.pop(field)
        return {output: talib_feature(known.name, output, tuple(columns), **values) for output in known.outputs}


def column_fields(known: TalibFunction) -> tuple[str, ...]:
    """The parameters that choose a function's inputs."""
    return ("column",) if len(known.free) == 1 else tuple(f"column{k}" for k in range(len(known.free)))


@cache
def talib_indicator(name: str) -> type[Indicator]:
    """The plugin of a TA-Lib function, its parameters typed and bounded."""
    known = function(name)
    fields: dict[str, Any] = {p: _parameter(name, p, default) for p, default in known.defaults.items()}
    for place, field in zip(known.free, column_fields(known), strict=True):
        fields[field] = (ColumnName, known.columns[place])
    params = create_model(f"{name}_params", __base__=Frozen, **fields)
    own_fields: dict[str, Any] = {"name": (Literal[name], ...), "params": (params, params())}
    made: type[TalibIndicator] = create_model(
        f"{name}_indicator",
        __base__=TalibIndicator,
        __doc__=f"{known.title} ({known.group}). Source: TA-Lib.",
        **own_fields,
    )
    made.function_name = name
    return made


def _parameter(function_name: str, name: str, default: Any) -> Any:
    if isinstance(default, str):
        return Annotated[Literal[AVERAGES], Field(description="kind of moving average")], default
    if isinstance(default, float):
        least, most = REAL_BOUNDS.get(name, (0.0, LARGEST))
        return Annotated[Real, Field(ge=least, le=most, description=f"TA-Lib's {name}")], default
    least = least_period(function_name, name)
    return Annotated[WholeNumber, Field(ge=least, le=LONGEST, description=f"TA-Lib's {name}, bars")], default


class LengthParams(Frozen):
    """A window."""

    length: Annotated[WholeNumber, Field(ge=2, le=LONGEST, description="bars")] = 20
    column: ColumnName = "close"


class ReturnsParams(Frozen):
    """What a return is taken over."""

    length: Annotated[WholeNumber, Field(ge=1, le=LONGEST, description="bars")] = 1
    kind: Annotated[Literal["simple", "log"], Field(description="fraction, or natural logarithm")] = "simple"
    column: ColumnName = "close"


class VolatilityParams(Frozen):
    """The window and the unit of a volatility."""

    length: Annotated[WholeNumber, Field(ge=2, le=LONGEST, description="returns")] = 20
    annualise: Annotated[bool, Field(description="by year of the calendar, else per bar")] = True


class ChannelParams(Frozen):
    """The window of a channel."""

    length: Annotated[WholeNumber, Field(ge=1, le=LONGEST, description="bars")] = 20


class AverageParams(Frozen):
    """The window of an average."""

    length: Annotated[WholeNumber, Field(ge=1, le=LONGEST, description="bars")] = 20
    column: ColumnName = "close"


class NoParams(Frozen):
    """No parameters."""


@indicators.register
class Sma(Indicator):
    """Simple moving average, its sum compensated (Neumaier 1974): a spike leaves nothing behind."""

    name: Literal["sma"]
    params: AverageParams = AverageParams()

    def features(self) -> dict[str, Feature]:
        return {"value": own.SimpleMovingAverage(self.params.length, self.params.column)}


@indicators.register
class ReturnsIndicator(Indicator):
    """Simple or log return over a number of bars."""

    name: Literal["returns"]
    params: ReturnsParams = ReturnsParams()

    def features(self) -> dict[str, Feature]:
        return {"value": own.Returns(self.params.length, self.params.kind, self.params.column)}


@indicators.register
class RealisedVolatilityIndicator(Indicator):
    """Standard deviation (ddof 1) of log returns of closes."""

    name: Literal["realised_volatility"]
    params: VolatilityParams = VolatilityParams()

    def features(self) -> dict[str, Feature]:
        return {"value": own.RealisedVolatility(self.params.length, self.params.annualise)}


@indicators.register
class ZScoreIndicator(Indicator):
    """Distance from the rolling mean in standard deviations (ddof 1)."""

    name: Literal["z_score"]
    params: LengthParams = LengthParams()

    def features(self) -> dict[str, Feature]:
        return {"value": own.ZScore(self.params.length, self.params.column)}


@indicators.register
class DonchianIndicator(Indicator):
    """Highest high and lowest low of the last bars, the newest included, and their middle. Source: Donchian 1960."""

    name: Literal["donchian"]
    params: ChannelParams = ChannelParams()

    def features(self) -> dict[str, Feature]:
        return {side: own.Donchian(self.params.length, side) for side in get_args(own.Side)}


@indicators.register
class RollingRankIndicator(Indicator):
    """Share of the window's other values that lie below the newest; equal ones count half."""

    name: Literal["rolling_rank"]
    params: LengthParams = LengthParams()

    def features(self) -> dict[str, Feature]:
        return {"value": own.RollingRank(self.params.length, self.params.column)}


@indicators.register
class SessionVwapIndicator(Indicator):
    """Volume-weighted mean of the typical price since the calendar's day began."""

    name: Literal["session_vwap"]
    params: NoParams = NoParams()

    def features(self) -> dict[str, Feature]:
        return {"value": own.SessionVwap()}


indicators.load_entry_points()

"""What the caller says about a file: every option of an import, for notebooks, HTTP and the command line."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, ValidationError

from engine.data.policy import parse_policy
from engine.errors import DataError, nearest
from engine.registry import Frozen


def _policy(text: str) -> str:
    try:
        parse_policy(text)
    except DataError as error:
        raise ValueError(error.message) from None
    return text


class LoadOptions(Frozen):
    """Declarations about a file. What is left out is inferred by a stated rule, or asked for where it cannot be."""

    model_config = ConfigDict(strict=False)  # a query and a command line have nothing but text

    symbol: Annotated[str | None, Field(description="names the rows of a file without a symbol column")] = None
    timeframe: Annotated[str | None, Field(description="bar length, such as 1h")] = None
    label: Annotated[Literal["open", "close"] | None, Field(description="the end of a bar its stamp names")] = None
    timezone: Annotated[str | None, Field(description="zone of stamps without an offset")] = None
    calendar: Annotated[str | None, Field(description="24x7, 24x5 or an exchange code")] = None
    adjustment: Annotated[
        Literal["none", "split", "total"] | None, Field(description="what prices are adjusted for")
    ] = None
    day_first: Annotated[bool | None, Field(description="whether 01/02/2020 is the 1st of February")] = None
    date: Annotated[
        str | None, Field(pattern=r"^\d{4}-\d\d-\d\d$", description="the day of times that are counted from midnight")
    ] = None
    decimal: Annotated[Literal[".", ","] | None, Field(description="the decimal sign of numbers in text")] = None
    side: Annotated[
        Literal["bid", "ask", "mid"] | None, Field(description="which prices of a file with bid and ask are taken")
    ] = None
    scale: Annotated[
        float | None, Field(gt=0.0, description="factor on every price, such as 0.00001 for prices in points")
    ] = None
    on_bad_rows: Annotated[
        str,
        AfterValidator(_policy),
        Field(
            max_length=1000,
            description="refuse or drop rows that cannot be, and refuse, drop or keep by finding:"
            " drop,scale_jump=refuse,ohlc_incoherent=keep",
        ),
    ] = "refuse"

    def completed(self, held: Mapping[str, str]) -> "LoadOptions":
        """These options with the conventions of a dataset where nothing else was said."""
        return self.model_copy(update={k: v for k, v in held.items() if getattr(self, k) is None})

    def declared(self) -> dict[str, str | bool | float]:
        """The conventions that were said, by name."""
        return self.model_dump(exclude_none=True, exclude={"on_bad_rows"})


def parse_options(values: Mapping[str, Any]) -> LoadOptions:
    """The options of plain values. Raises ``DataError`` for the first that cannot be one."""
    try:
        return LoadOptions.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field, value = str(first["loc"][0]), first["input"]
        if first["type"] == "extra_forbidden":
            raise DataError(f"there is no option '{field}'.{nearest(field, list(LoadOptions.model_fields))}") from None
        raise DataError(f"{field} {value!r}: {str(first['msg']).removeprefix('Value error, ')}") from None

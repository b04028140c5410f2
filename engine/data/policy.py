"""What can be found in the rows of a file, and what is done about it.

A finding is refused by default where prices or times would be wrong, and kept and reported where they may be right.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, cast

from engine.errors import DataError, nearest

Action = Literal["refuse", "drop", "keep"]


@dataclass(frozen=True)
class Rule:
    """One kind of finding: what it says, which option may be what is wrong, and what may be done about it.

    ``defect`` findings follow the general policy; of the others the first action is the default.
    """

    message: str
    option: str | None
    actions: tuple[Action, ...]
    defect: bool = False


def _defect(message: str, option: str | None = None, *, keep: bool = False) -> Rule:
    return Rule(message, option, ("refuse", "drop", "keep") if keep else ("refuse", "drop"), defect=True)


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "unparsable_time": _defect("the time cannot be read"),
        "unresolved_local_time": _defect("the local time does not exist or is ambiguous in the zone", "timezone"),
        "non_finite_price": _defect("a price is missing, not a number or infinite", keep=True),
        "non_positive_price": _defect("a price is zero or negative", keep=True),
        "scale_jump": _defect(
            "open or close is a power of ten away from the closes around it: a lost decimal point?", "scale", keep=True
        ),
        "ohlc_incoherent": _defect("open or close lies outside low to high", keep=True),
        "non_finite_volume": _defect("the volume is missing, not finite or negative"),
        "out_of_order": _defect("the time is earlier than one before it"),
        "duplicate_time": _defect("the time repeats the row before; the first is the one to keep"),
        "overlapping_bars": _defect("the bar opens before the one before it has closed", "timeframe"),
        "zero_volume": Rule("nothing traded in the bar", "untradable_bar", ("keep", "drop", "refuse")),
        "stuck_prices": Rule("{bars} or more bars in a row show one price only", None, ("keep", "drop", "refuse")),
        "price_jump": Rule(
            "the close moved by a factor above {factor}: an unadjusted split?", "adjustment", ("keep", "refuse")
        ),
        "price_spike": Rule(
            "high or low is more than {factor} times away from open and close: a bad print?", None,
            ("keep", "drop", "refuse"),
        ),
        "gaps": Rule("bars are missing before the row, at most {most} at once", "calendar", ("keep", "refuse")),
        "unaligned": Rule(
            "the bar does not open on a multiple of {timeframe} from midnight UTC", "timeframe",
            ("keep", "drop", "refuse"),
        ),
        "dst_signature": Rule(
            "the market opens an hour off in one half of the year: the clock of the stamps has another daylight"
            " saving time than was declared{zone}", "timezone", ("keep", "refuse"),
        ),
    }
)  # fmt: skip


@dataclass(frozen=True)
class Policy:
    """What to do about each finding."""

    general: Action
    by_code: Mapping[str, Action]

    def action(self, code: str) -> Action:
        """What is done about a finding."""
        rule = RULES[code]
        return self.by_code.get(code, self.general if rule.defect else rule.actions[0])


def parse_policy(text: str) -> Policy:
    """A policy from its text: ``refuse`` or ``drop``, then ``code=action`` for single findings, between commas.

    Raises ``DataError`` for what is not one, and for an action that a finding does not allow.
    """
    general: Action = "refuse"
    by_code: dict[str, Action] = {}
    for place, part in enumerate(text.split(",")):
        code, equals, action = (piece.strip() for piece in part.partition("="))
        if not equals and place == 0 and code in ("refuse", "drop"):
            general = cast(Action, code)
        elif not equals:
            raise DataError(
                f"on_bad_rows '{part.strip()}' is neither refuse, drop nor a finding with what to do about it,"
                " such as ohlc_incoherent=keep"
            )
        elif code not in RULES:
            hint = nearest(code, list(RULES))
            raise DataError(f"on_bad_rows: there is no finding '{code}'.{hint} Known: {', '.join(RULES)}")
        elif code in by_code:
            raise DataError(f"on_bad_rows names {code} twice")
        elif action not in RULES[code].actions:
            allowed = ", ".join(sorted(RULES[code].actions))
            raise DataError(f"on_bad_rows: {code} cannot be '{action}'; it can be {allowed}")
        else:
            by_code[code] = action
    return Policy(general, by_code)

"""What a configuration alone shows to have no effect: it is refused, for nothing is silently ignored."""

from collections.abc import Iterator

from engine.errors import step
from engine.portfolio import Portfolio
from engine.portfolio.plan import pair_of, readings

TOGETHER = (
    "weighting",
    "correlation_threshold",
    "correlation_overrides",
    "correlation_window",
    "correlation_minimum",
    "redundancy",
    "redistribute",
    "align",
    "snapshot_interval",
)
"""Rules that need an account of several symbols."""


def without_effect(portfolio: Portfolio, symbols: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Fields of the portfolio without effect, and why."""
    default = Portfolio()
    changed = [name for name in TOGETHER if getattr(portfolio, name) != getattr(default, name)]
    if portfolio.mode == "independent":
        for name in changed:
            yield name, "accounts are independent, so this has no effect: leave it out, or set mode to portfolio"
    elif len(symbols) == 1:
        for name in changed:
            yield name, "there is one symbol, so this has no effect: leave it out"
    if portfolio.limits.max_positions is not None and (portfolio.mode == "independent" or len(symbols) == 1):
        yield "limits/max_positions", "an account here holds one symbol, so this has no effect: leave it out"
    if portfolio.redundancy == "off":
        for name in ("correlation_threshold", "correlation_overrides", "redistribute"):
            if name in changed:
                yield name, "redundancy is off, so this has no effect: leave it out"
    yield from _strangers(portfolio, symbols)


def _strangers(portfolio: Portfolio, symbols: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Names that are not among the symbols, where they must be."""
    named = {"limits/per_symbol": portfolio.limits.per_symbol, "parameters": portfolio.parameters}
    for field, names in named.items():
        for name in sorted(set(names) - set(symbols)):
            yield f"{field}/{step(name)}", f"'{name}' is not in symbols"
    for pair in portfolio.correlation_overrides:
        if pair_of(pair, symbols) is None:
            yield f"correlation_overrides/{step(pair)}", _no_pair(pair, symbols)
    weights = getattr(portfolio.weighting.params, "weights", None)
    for name in sorted(set(weights or ()) ^ set(symbols)) if weights is not None else ():
        yield "weighting/params/weights", f"'{name}' needs a weight here and a place in symbols, or neither"


def _no_pair(pair: str, symbols: tuple[str, ...]) -> str:
    """Why a pair does not name two of the symbols."""
    both, *others = readings(pair)
    strangers = [f"'{name}'" for name in both if name not in symbols]
    if others or not strangers:
        return "with the colons inside of names this is not exactly one pair of symbols"
    return f"{' and '.join(strangers)} {'is' if len(strangers) == 1 else 'are'} not in symbols"

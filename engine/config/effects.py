"""What a configuration alone shows to have no effect: it is refused, for nothing is silently ignored."""

from collections.abc import Iterator

from engine.portfolio import Portfolio

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
    if portfolio.redundancy == "off":
        for name in ("correlation_threshold", "correlation_overrides", "redistribute"):
            if name in changed:
                yield name, "redundancy is off, so this has no effect: leave it out"
    named = {
        "limits/per_symbol": portfolio.limits.per_symbol,
        "parameters": portfolio.parameters,
        "correlation_overrides": [s for pair in portfolio.correlation_overrides for s in pair.split(":")],
    }
    for field, names in named.items():
        for name in sorted(set(names) - set(symbols)):
            at = name if field != "correlation_overrides" else _pair_of(portfolio, name)
            yield f"{field}/{at}", f"'{name}' is not in symbols"
    weights = getattr(portfolio.weighting.params, "weights", None)
    for name in sorted(set(weights or ()) ^ set(symbols)) if weights is not None else ():
        yield "weighting/params/weights", f"'{name}' needs a weight here and a place in symbols, or neither"


def _pair_of(portfolio: Portfolio, symbol: str) -> str:
    return next(pair for pair in portfolio.correlation_overrides if symbol in pair.split(":"))

"""Bars with a bid and an ask: one side of them, or the middle."""

import re

import polars as pl

from engine.data.dialects import PRICES, Found

SPREAD = "spread"


def _clean(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.lower())


def is_quoted(names: list[str]) -> bool:
    """Whether there are open, high, low and close of a bid and of an ask."""
    clean = {_clean(name) for name in names}
    return {side + price for side in ("bid", "ask") for price in PRICES} <= clean


def one_side(found: Found, side: str) -> Found:
    """The bars of one side, bid, ask or mid, the mean of both; the spread at the close is a further column.

    Other columns stay as they are; the sizes of quotes are no volume.
    """
    clean = [_clean(name) for name in found.names]
    columns = found.frame.collect_schema().names()
    at = {name: columns[clean.index(name)] for name in (f"{s}{p}" for s in ("bid", "ask") for p in PRICES)}

    def price(name: str) -> pl.Expr:
        return pl.col(at[name]).cast(pl.Float64, strict=False)

    made = {p: (price(f"bid{p}") + price(f"ask{p}")) / 2.0 if side == "mid" else price(f"{side}{p}") for p in PRICES}
    made[SPREAD] = price("askclose") - price("bidclose")
    taken = set(at.values())
    kept = [(c, n) for c, n in zip(columns, found.names, strict=True) if c not in taken]
    frame = found.frame.select(
        *(pl.col(c) for c, _ in kept), *(expression.alias(f"quoted {p}") for p, expression in made.items())
    )
    return Found(frame, [*(n for _, n in kept), *made], found.dialect, found.assumed)

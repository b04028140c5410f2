"""Importing this module runs tiny backtests through the kernels of every run, so that none pays for compiling.

The fork server of the process executor loads it, and its workers are ready when they are forked. Run as a program,
as the image's build does to fill numba's cache, it goes through the kernels that only some runs need as well. It uses
no threads of any library: they would not survive a fork.
"""

from typing import Any

import app.runs.worker  # noqa: F401 - the job itself, so that a forked worker has it
import engine
from engine.data import synthetic
from engine.data.bars import Dataset

WEIGHTINGS = ("risk_parity", "hrp", "min_variance", "max_diversification")


def markets() -> tuple[Dataset, dict[str, Any]]:
    """Three small markets, and a configuration on the first of them."""
    made = [synthetic.market(symbol=name, bars=200, seed=seed) for seed, name in enumerate("ABC")]
    data = Dataset("small", made[0].conventions, {s: rows for part in made for s, rows in part.series.items()})
    return data, {"dataset": data.name, "symbols": ["A"], "strategy": _strategy("dual_sma", fast=2, slow=5)}


def warm_up() -> None:
    """Run every stage once: one symbol, and several on one account."""
    data, base = markets()
    engine.run(base | {"validation": {"permutation": {"n": 10}}}, data)
    steady = {"risk": {"name": "volatility_target"}, "execution": {"slippage": {"name": "square_root"}}}
    for name in ("zscore_reversion", "donchian_breakout"):
        engine.run(base | steady | {"strategy": {"name": name}}, data)
    engine.run(base | {"symbols": list("ABC")}, data)


def warm_all() -> None:
    """Run what only some runs need."""
    data, base = markets()
    for name in WEIGHTINGS:
        engine.run(base | {"symbols": list("ABC"), "portfolio": {"weighting": name}}, data)


def _strategy(name: str, **params: int) -> dict[str, Any]:
    return {"name": name, "params": params}


warm_up()
if __name__ == "__main__":
    warm_all()

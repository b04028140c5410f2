"""Importing this module runs a tiny backtest through every kernel, so that no run pays for compiling.

The fork server of the process executor loads it, and its workers are ready when they are forked; the image's
build runs it to fill numba's cache. It uses no threads of any library: they would not survive a fork.
"""

import app.runs.worker  # noqa: F401 - the job itself, so that a forked worker has it
import engine
from engine.data import synthetic


def warm_up() -> None:
    """Run every stage once on a small market."""
    data = synthetic.market(bars=200)
    base = {"dataset": data.name, "symbols": list(data.series), "validation": {"permutation": {"n": 10}}}
    engine.run(base | {"strategy": {"name": "dual_sma", "params": {"fast": 2, "slow": 5}}}, data)
    steady = {"risk": {"name": "volatility_target"}, "execution": {"slippage": {"name": "square_root"}}}
    for name in ("zscore_reversion", "donchian_breakout"):
        engine.run(base | steady | {"strategy": {"name": name}}, data)


warm_up()

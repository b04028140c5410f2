"""How much of the result hangs on when the run began.

A feature that remembers all of the past, and a strategy that is in a trade or not, give other values where they start
later. The run is repeated on the same bars without the first ones; once its warm-up is over it should agree with the
run that knew more. Where it does not, the live strategy will not do what the backtest did. The idea is freqtrade's
recursive analysis, here on signals and results and not on indicators.
"""

from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from engine.data.bars import Bars
from engine.hooks import Hooks, Mapper, spread
from engine.registry import Frozen, WholeNumber
from engine.results import Ledger
from engine.types import Floats
from engine.validation.base import Report
from engine.validation.days import RUINED
from engine.validation.progress import ticker

NAME = "startup"
ROUNDING = 1e-9
_NOTE = "statistic: largest difference of a signal, after warm-up, between the run and one that starts later"


class Startup(Frozen):
    """Repeats the run from later starts and compares it with the run that knew more bars."""

    starts: Annotated[WholeNumber, Field(ge=1, le=1000, description="later starts, evenly spread")] = 8

    def evaluate(
        self,
        bars: Bars,
        warmup: int,
        signals_of: Callable[[Bars], Floats],
        rerun: Callable[[Bars], Ledger],
        seed: int,
        hooks: Hooks,
        mapper: Mapper = map,
    ) -> Report:
        """Start later by up to half of the ``bars``; ``warmup`` is how many of them the strategy needs.

        ``details["starts"]``, for each: ``bar`` (where it starts), ``largest`` difference of signals after its
        warm-up, ``share`` of those bars that differ, ``agrees_after`` (bars from the end of warm-up until all agree),
        and the total returns ``late`` and ``full`` of both runs over the bars after that warm-up (null where equity is
        at or below zero, as ``reason`` says). Null with a reason for too few bars, and where there is never a signal.
        """
        last = min(len(bars) // 2, len(bars) - warmup - 1)
        if last < 1:
            return self._report(seed, reason=f"{len(bars)} bars are too few for a later start")
        full = signals_of(bars)
        if not full.any():
            return self._report(seed, reason="there is never a signal")
        equity, tick = rerun(bars).path, ticker(hooks, NAME)
        places = np.unique(np.linspace(1, last, self.starts).round().astype(np.int64)).tolist()

        def begun(bar: int) -> dict[str, Any]:
            late = bars.slice(bar, len(bars))
            row = differences(full[bar + warmup :], signals_of(late)[warmup:])
            earned = {"late": _growth(rerun(late).path[warmup:]), "full": _growth(equity[bar + warmup :])}
            return {"bar": bar, **row, **earned} | ({"reason": RUINED} if None in earned.values() else {})

        rows = []
        for done, row in enumerate(spread(mapper, begun, places), 1):
            rows.append(row)
            tick(done, len(places))
        gaps = [abs(r["late"] - r["full"]) for r in rows if r["late"] is not None and r["full"] is not None]
        return self._report(
            seed,
            statistic=max(row["largest"] for row in rows),
            replicates=len(rows),
            exact=True,
            details={"warmup": warmup, "starts": rows}
            | {"largest_return_difference": max(gaps) if gaps else None}
            | ({} if gaps else {"reason": RUINED}),
        )

    def _report(self, seed: int, **values: Any) -> Report:
        return Report(name=NAME, parameters=self.model_dump(), seed=seed, note=_NOTE, **values)


def differences(full: Floats, late: Floats) -> dict[str, Any]:
    """``largest``, ``share`` and ``agrees_after`` of signals (K, N) of the same bars; rounding is no difference."""
    off = np.abs(full - late)
    differs = np.flatnonzero((off > ROUNDING * np.maximum(1.0, np.abs(full))).any(axis=1))
    if len(differs) == 0:
        return {"largest": 0.0, "share": 0.0, "agrees_after": 0}
    return {"largest": float(off.max()), "share": len(differs) / len(full), "agrees_after": int(differs[-1]) + 1}


def _growth(path: Floats) -> float | None:
    if float(path.min()) <= 0.0:
        return None
    return float(path[-1] / path[0]) - 1.0

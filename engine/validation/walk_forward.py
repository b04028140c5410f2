"""What parameters chosen on the past earn on what follows.

Windows are laid over the days of the run: training, a gap, a test; the next test begins where the last one ended.
Without a grid the windows are pieces of one run with the configured parameters: they say how even its result is. With
one, every point of the grid is run on the training window, and the best on the test window. A run on a window knows the
bars before it, as a trader would, and trades only inside it; it begins flat, with the initial capital.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from engine.data.bars import Bars
from engine.errors import ConfigError
from engine.hooks import Hooks, Mapper, spread
from engine.registry import Frozen, Real, WholeNumber
from engine.results import Ledger
from engine.types import Floats, Ints
from engine.validation.base import Report
from engine.validation.days import Daily, Measure, annual_sharpe, daily_returns, day_ends, measured, unmeasured
from engine.validation.grids import Grid, Params, points, size_of
from engine.validation.inputs import Tick
from engine.validation.progress import ticker
from engine.validation.splits import Window, walk_forward_windows

NAME = "walk_forward"
NOTHING_BEST = "no parameters have a value in training: nothing is held"
_NOTE = (
    "statistic: the metric of the returns of all test windows, one after another; efficiency: their rate a year over"
    " the mean rate of what was chosen in the training windows"
)

Refit = Callable[[Params, Bars, int], Ledger]


@dataclass(frozen=True)
class Piece:
    """One window: what was chosen, and the daily returns there in training and in the test."""

    window: Window
    params: Params | None
    trained: Floats
    tested: Floats
    reason: str | None = None


class WalkForwardTest(Frozen):
    """Returns out of sample, window by window, with the parameters as configured or chosen from a grid."""

    windows: Annotated[WholeNumber, Field(ge=1, le=1000, description="test windows, of equal length")] = 5
    scheme: Annotated[
        Literal["rolling", "anchored"],
        Field(description="training of one length, or from the first day on and ever longer"),
    ] = "rolling"
    train_share: Annotated[
        Real, Field(gt=0.0, lt=1.0, description="share of the first training and test window that trains")
    ] = 0.7
    gap: Annotated[WholeNumber, Field(ge=0, le=10_000, description="days left out between training and test")] = 0
    grid: Annotated[Grid | None, Field(description="values by parameter of the strategy; null keeps those it has")] = (
        None
    )
    metric: Annotated[Measure, Field(description="what the best has the most of, beyond idle cash")] = "sharpe"

    def evaluate(
        self,
        bars: Bars,
        daily: Daily,
        params: Params,
        refit: Refit,
        annual: float,
        seed: int,
        hooks: Hooks,
        mapper: Mapper = map,
    ) -> Report:
        """Lay the windows and judge them; ``daily`` (D,) and ``params`` are those of the run itself.

        Test windows are as long as whole days allow, the first training window takes the rest, so the last test ends
        with the data. ``details``: ``in_sample`` (mean over the training windows of what was chosen),
        ``efficiency`` or its ``efficiency_reason``, ``profitable`` (share of test windows above zero), ``trials`` (runs
        to choose from), and ``windows``. Null with a reason for too few days, and equity at or below zero.
        """
        if daily.reason is not None:
            return self._report(seed, reason=daily.reason)
        windows = self.laid(len(daily.returns))
        if windows is None:
            return self._report(seed, reason=f"{len(daily.returns)} days are too few for {self.windows} windows")
        ends, tick = day_ends(bars), ticker(hooks, NAME)
        pieces: list[Piece] = []
        for done, window in enumerate(windows, 1):
            if self.grid is None:
                pieces.append(_sliced(window, daily.returns, params))
                tick(done, len(windows))
            else:
                on = _Fits(bars, ends, window, refit)
                pieces.append(self._chosen(on, annual, _within(tick, done - 1, len(windows)), mapper))
        ruined = next((piece.reason for piece in pieces if piece.reason not in (None, NOTHING_BEST)), None)
        if ruined is not None:
            return self._report(seed, reason=ruined, details={"windows": [_row(p, bars, ends) for p in pieces]})
        return self._judged(pieces, bars, ends, annual, seed)

    def laid(self, days: int) -> tuple[Window, ...] | None:
        """The windows over that many days; None where there is not a day for each part."""
        # train = share (train + test), as fractions of what is written: 0.8 / (1 - 0.8) in floats is above 4.
        share = Fraction(str(self.train_share))
        test = math.floor((days - self.gap) * (1 - share) / (self.windows * (1 - share) + share))
        train = days - self.gap - self.windows * max(test, 1)
        if test < 1 or train < 1:
            return None
        return walk_forward_windows(days, train, test, gap=self.gap, anchored=self.scheme == "anchored").windows

    def _chosen(self, on: "_Fits", annual: float, tick: Tick, mapper: Mapper) -> Piece:
        """The best point in training and what it earns in the test; the first of equals."""
        every = points(self.grid or {})
        best: tuple[float, Params, Floats] | None = None
        for done, found in enumerate(spread(mapper, on.train, every), 1):
            value = None if found is None else measured(self.metric, found, annual)
            if found is not None and value is not None and (best is None or value > best[0]):
                best = value, every[done - 1], found
            tick(done, len(every))
        if best is None:
            days = on.window.test_end - on.window.test_start
            return Piece(on.window, None, np.empty(0), np.zeros(days), NOTHING_BEST)
        tested = on.test(best[1])
        return Piece(on.window, best[1], best[2], tested.returns, tested.reason)

    def _judged(self, pieces: list[Piece], bars: Bars, ends: Ints, annual: float, seed: int) -> Report:
        stitched = np.concatenate([piece.tested for piece in pieces])
        value = measured(self.metric, stitched, annual)
        trained = [_rate(self.metric, p.trained, annual) for p in pieces]
        known = [rate for rate in trained if rate is not None]
        inside = math.fsum(known) / len(known) if known else None
        outside = _rate(self.metric, stitched, annual)
        reason = None
        if inside is None or outside is None:
            reason = "undefined in or out of sample"
        elif inside <= 0.0:
            reason = "not above zero in sample"
        rows = [_row(p, bars, ends) | self._values(p, annual) for p in pieces]
        return self._report(
            seed,
            statistic=value,
            reason=None if value is not None else f"out of sample: {unmeasured(self.metric, stitched)}",
            replicates=len(pieces),
            exact=True,
            details={
                "days": len(stitched),
                "in_sample": inside,
                "out_of_sample": outside,
                "efficiency": None if reason or inside is None or outside is None else outside / inside,
                "efficiency_reason": reason,
                **({"in_sample_reason": "undefined in every training window"} if inside is None else {}),
                "profitable": float(np.mean([float(np.log1p(p.tested).sum()) > 0.0 for p in pieces])),
                "trials": 1 if self.grid is None else size_of(self.grid),
                "windows": rows,
            },
        )

    def _values(self, piece: Piece, annual: float) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for side, returns in (("in_sample", piece.trained), ("out_of_sample", piece.tested)):
            found[side] = measured(self.metric, returns, annual)
            if found[side] is None:
                found[f"{side}_reason"] = unmeasured(self.metric, returns)
        return found

    def _report(self, seed: int, **values: Any) -> Report:
        return Report(name=NAME, parameters=self.model_dump(), seed=seed, note=_NOTE, **values)


@dataclass(frozen=True)
class _Fits:
    """Runs on the two parts of a window; ``ends`` (D,) are the last bars of the days."""

    bars: Bars
    ends: Ints
    window: Window
    refit: Refit

    def train(self, params: Params) -> Floats | None:
        """Daily returns in training; None for what the strategy refuses and what is ruined there."""
        try:
            found = self._days(params, self.window.train_start, self.window.train_end)
        except ConfigError:
            return None
        return found.returns if found.reason is None else None

    def test(self, params: Params) -> Daily:
        return self._days(params, self.window.test_start, self.window.test_end)

    def _days(self, params: Params, first: int, end: int) -> Daily:
        known = self.bars.slice(0, int(self.ends[end - 1]) + 1)
        ledger = self.refit(params, known, _first_bar(self.ends, first))
        return daily_returns(ledger, self.ends[:end], first)


def _first_bar(ends: Ints, day: int) -> int:
    return int(ends[day - 1]) + 1 if day else 0


def _sliced(window: Window, returns: Floats, params: Params) -> Piece:
    trained, tested = returns[window.train_start : window.train_end], returns[window.test_start : window.test_end]
    return Piece(window, params, trained, tested)


def _within(tick: Tick, done: int, total: int) -> Tick:
    """Progress inside one of several windows."""
    return lambda part, parts: tick(done * parts + part, total * parts)


def _rate(measure: Measure, returns: Floats, annual: float) -> float | None:
    """The metric by year, so that windows of different length compare: growth as its logarithm."""
    if len(returns) == 0:
        return None
    if measure == "sharpe":
        return annual_sharpe(returns, annual)
    return math.fsum(np.log1p(returns).tolist()) * annual / len(returns)


def _row(piece: Piece, bars: Bars, ends: Ints) -> dict[str, Any]:
    w = piece.window
    return {
        "train": _span(bars, ends, w.train_start, w.train_end),
        "test": _span(bars, ends, w.test_start, w.test_end),
        "params": piece.params,
        "reason": piece.reason,
    }


def _span(bars: Bars, ends: Ints, first: int, end: int) -> dict[str, Any]:
    """Open of the first bar, close of the last, and how many days."""
    times = (bars.time[_first_bar(ends, first)], bars.close_time[ends[end - 1]])
    start, stop = (f"{np.datetime64(int(t), 'ns').astype('datetime64[s]')}Z" for t in times)
    return {"start": start, "end": stop, "days": end - first}

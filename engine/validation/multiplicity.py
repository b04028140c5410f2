"""Every Sharpe ratio of a grid judged as one of many: adjusted p-values, haircuts, and the best after N trials."""

import math
from dataclasses import asdict
from typing import Any

import numpy as np

from engine.hooks import Hooks, Mapper
from engine.registry import Frozen
from engine.types import Floats
from engine.validation.base import Report
from engine.validation.grids import DailyOf, GridReturns, SearchGrid, grid_returns
from engine.validation.multiple import benjamini_yekutieli, effective_trials, holm
from engine.validation.progress import ticker
from engine.validation.sharpe import Haircut, Moments, deflated_sharpe, haircut_sharpe, moments, upper_tail

NAME = "multiplicity"
LEVEL = 0.05
LISTED = 100
"""Most points that a report lists."""

_NOTE = (
    "statistic: annual Sharpe ratio of the best point; p-value: one-sided, upper, of t = SR sqrt(T), adjusted by Holm"
    " for all points; haircuts: Harvey & Liu 2015, from two-sided p-values; deflated: Bailey & Lopez de Prado 2014 with"
    " the variance over the points"
)


class Multiplicity(Frozen):
    """Holm, Benjamini-Yekutieli, Bonferroni and Sidak adjustments and haircuts over all points of a grid."""

    grid: SearchGrid

    def evaluate(self, daily_of: DailyOf, annual: float, seed: int, hooks: Hooks, mapper: Mapper = map) -> Report:
        """Run every point of the grid, and judge the best as the best of so many.

        ``details``: ``best`` parameters, its ``haircuts`` (p-value, annual ratio left, fraction lost, by adjustment; a
        reason where the ratio is not above zero), ``deflated`` with the number of ``points`` and with the
        ``effective`` number of trials, ``effective_trials``, ``significant`` (points above zero at 5 % under each
        adjustment), ``points`` (the best 100 with ratio and p-values), ``strategies``, ``refused``, ``ruined``. Null
        with a reason where no point has a ratio.
        """
        runs = grid_returns(self.grid, daily_of, ticker(hooks, NAME), mapper)
        of = [moments(column) for column in runs.returns.T]
        judged = [i for i, m in enumerate(of) if m.sharpe is not None]
        details: dict[str, Any] = runs.counts() | {"undefined": len(of) - len(judged)}
        if not judged:
            return self._report(seed, reason="no point of the grid has a Sharpe ratio", details=details)
        sharpes = np.array([of[i].known()[0] for i in judged])
        scores = np.array([sharpe * math.sqrt(of[i].periods) for sharpe, i in zip(sharpes, judged, strict=True)])
        single = np.array([upper_tail(score) for score in scores.tolist()])
        adjusted = {"holm": holm(single).p_values, "bhy": benjamini_yekutieli(single).p_values}
        best = int(np.argmax(sharpes))
        root = math.sqrt(annual)
        others = np.array([min(1.0, 2.0 * upper_tail(abs(score))) for score in np.delete(scores, best).tolist()])
        return self._report(
            seed,
            statistic=float(sharpes[best]) * root,
            p_value=float(adjusted["holm"][best]),
            exact=True,
            details=details
            | {
                "best": runs.points[judged[best]],
                "haircuts": _haircuts(of[judged[best]], others, root),
                **_deflated(runs, judged, of[judged[best]], sharpes, root),
                "significant": {
                    name: int(np.count_nonzero((p <= LEVEL) & (sharpes > 0.0)))
                    for name, p in ({"single": single} | adjusted).items()
                },
                "points": [
                    {
                        "params": runs.points[judged[i]],
                        "sharpe": float(sharpes[i]) * root,
                        "p_value": float(single[i]),
                        **{name: float(p[i]) for name, p in adjusted.items()},
                    }
                    for i in np.argsort(-sharpes, kind="stable")[:LISTED].tolist()
                ],
            },
        )

    def _report(self, seed: int, **values: Any) -> Report:
        return Report(name=NAME, parameters=self.model_dump(), seed=seed, note=_NOTE, **values)


def _haircuts(of: Moments, others: Floats, root: float) -> dict[str, Any]:
    """``others`` are the two-sided p-values of the other points, the convention of Harvey & Liu."""
    found = haircut_sharpe(of, len(others) + 1, others)
    cuts = {name: getattr(found, name) for name in ("bonferroni", "sidak", "holm", "bhy")}
    shown = {name: asdict(c) | {"sharpe": c.sharpe * root} for name, c in cuts.items() if isinstance(c, Haircut)}
    return {"trials": found.trials, "p_value": found.p_value, **shown, "reason": found.reason}


def _deflated(runs: GridReturns, judged: list[int], of: Moments, sharpes: Floats, root: float) -> dict[str, Any]:
    """The deflated ratio of the best, for as many trials as points and for as many as these amount to."""
    variance = float(np.var(sharpes, ddof=1)) if len(sharpes) > 1 else 0.0
    amounting = effective_trials(runs.returns[:, judged])
    numbers = {"points": float(len(sharpes)), "effective": amounting.by_correlation}
    found = {}
    for name, number in numbers.items():
        if number is not None:
            deflated = asdict(deflated_sharpe(of, number, variance))
            found[name] = deflated | {"benchmark": deflated["benchmark"] * root, "variance": variance * root * root}
    return {"effective_trials": asdict(amounting), "deflated": found}

"""How sure the Sharpe ratio of a run is by formula, and what is left of it after the number of trials.

Every ratio a user gives or gets is annual; inside, ratios are per day, as the formulas have them.
"""

import math
from dataclasses import asdict
from typing import Annotated, Any

from pydantic import Field

from engine.hooks import Hooks
from engine.registry import Frozen, Real
from engine.results import Metric
from engine.validation.base import Report
from engine.validation.days import Daily
from engine.validation.progress import ticker
from engine.validation.sharpe import (
    NORMAL,
    Moments,
    deflated_sharpe,
    expected_maximum_sharpe,
    lo_error,
    mertens_error,
    min_track_record_length,
    minimum_backtest_length,
    moments,
    psr,
    psr_p_value,
)

_NOTE = (
    "statistic: annual Sharpe ratio of daily returns; p-value: one less the probabilistic Sharpe ratio, or less the"
    " deflated one where trials are given; one-sided, upper"
)


class Trials(Frozen):
    """What was tried before this was chosen."""

    number: Annotated[Real, Field(ge=1.0, le=1e9, description="trials, or their effective number")]
    variance: Annotated[Real, Field(ge=0.0, le=1e6, description="of the trials' annual Sharpe ratios")]


class SharpeTest(Frozen):
    """Probabilistic and deflated Sharpe ratio, minimum track record, and intervals by formula."""

    trials: Annotated[Trials | None, Field(description="null says that nothing else was tried")] = None
    benchmark: Annotated[Real, Field(ge=-100.0, le=100.0, description="annual Sharpe ratio to exceed")] = 0.0
    confidence: Annotated[Real, Field(ge=0.5, le=0.999, description="of intervals and track record")] = 0.95

    def evaluate(self, daily: Daily, annual: float, seed: int, hooks: Hooks) -> Report:
        """Judge ``daily`` returns (D,) on ``annual`` days a year.

        ``details``: ``psr``, ``min_track_record`` (days), the intervals ``lo`` and ``mertens`` of the annual ratio, and
        with trials ``deflated`` with its ``benchmark`` (the annual ratio expected of the best without skill) and
        ``min_backtest_years``; each is null with a reason where it is undefined. Null as a whole for fewer than two
        days, returns that do not vary, and equity at or below zero.
        """
        of = moments(daily.returns)
        reason = daily.reason or of.reason
        if reason is not None or of.sharpe is None:
            return self._report(seed, reason=reason)
        root = math.sqrt(annual)
        details: dict[str, Any] = {
            "days": of.periods,
            "psr": _plain(psr(of, self.benchmark / root)),
            "min_track_record": _plain(min_track_record_length(of, self.benchmark / root, self.confidence)),
            "lo": self._interval(of.sharpe, lo_error(of), root),
            "mertens": self._interval(of.sharpe, mertens_error(of), root),
        }
        benchmark = self.benchmark / root
        if self.trials is not None:
            details["deflated"] = self._deflated(of, self.trials, annual)
            benchmark = expected_maximum_sharpe(self.trials.number, self.trials.variance / annual)
        p = psr_p_value(of, benchmark)
        ticker(hooks, "sharpe")(1, 1)
        return self._report(
            seed,
            statistic=of.sharpe * root,
            p_value=p.value,
            reason=p.reason,
            exact=True,
            details=details,
        )

    def _interval(self, sharpe: float, error: Metric, root: float) -> dict[str, Any]:
        if error.value is None:
            return {"lower": None, "upper": None, "reason": error.reason}
        reach = NORMAL.inv_cdf((1.0 + self.confidence) / 2.0) * error.value
        return {"lower": (sharpe - reach) * root, "upper": (sharpe + reach) * root, "reason": None}

    def _deflated(self, of: Moments, trials: Trials, annual: float) -> dict[str, Any]:
        found = asdict(deflated_sharpe(of, trials.number, trials.variance / annual))
        years = minimum_backtest_length(trials.number)
        return found | {
            "benchmark": found["benchmark"] * math.sqrt(annual),
            "variance": trials.variance,
            "min_backtest_years": years,
        }

    def _report(self, seed: int, **values: Any) -> Report:
        return Report(name="sharpe", parameters=self.model_dump(), seed=seed, note=_NOTE, **values)


def _plain(metric: Metric) -> dict[str, Any]:
    return {"value": metric.value, "reason": metric.reason}

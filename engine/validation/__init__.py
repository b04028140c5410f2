"""How much of a result could be luck: tests of returns, and of the best of several that were tried.

>>> from engine import validation
>>> record = validation.moments(returns)
>>> validation.deflated_sharpe(record, trials=100, variance=0.0005).value
>>> validation.probability_of_overfitting(columns, seed=1).pbo
>>> validation.superiority(columns, seed=1).consistent.value

Ratios here are per period of the returns they come from. :class:`Validation` has the tests that a run can ask for.
"""

from engine.validation.base import Report
from engine.validation.bootstrap import automatic_blocks, bootstrap_sharpe
from engine.validation.multiple import benjamini_hochberg, benjamini_yekutieli, effective_trials, holm
from engine.validation.overfitting import probability_of_overfitting
from engine.validation.resample import Blocks, optimal_block_length
from engine.validation.sharpe import (
    Moments,
    deflated_sharpe,
    expected_maximum_sharpe,
    haircut_sharpe,
    lo_error,
    lo_scaled_sharpe,
    mertens_error,
    min_track_record_length,
    minimum_backtest_length,
    moments,
    psr,
    psr_null_variance,
)
from engine.validation.spa import superiority
from engine.validation.splits import combinatorial_folds, purged_folds, walk_forward_windows
from engine.validation.suite import Validation

__all__ = [
    "Blocks",
    "Moments",
    "Report",
    "Validation",
    "automatic_blocks",
    "benjamini_hochberg",
    "benjamini_yekutieli",
    "bootstrap_sharpe",
    "combinatorial_folds",
    "deflated_sharpe",
    "effective_trials",
    "expected_maximum_sharpe",
    "haircut_sharpe",
    "holm",
    "lo_error",
    "lo_scaled_sharpe",
    "mertens_error",
    "min_track_record_length",
    "minimum_backtest_length",
    "moments",
    "optimal_block_length",
    "probability_of_overfitting",
    "psr",
    "psr_null_variance",
    "purged_folds",
    "superiority",
    "walk_forward_windows",
]

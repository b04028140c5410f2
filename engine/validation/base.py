"""What a validation test answers with.

A test states its null hypothesis, and a number it cannot know is null with a reason. Monte Carlo p-values are
``(b + 1) / (B + 1)``, never zero (Phipson & Smyth 2010), and carry their own standard error.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.canonical import plain


@dataclass(frozen=True)
class Report:
    """The answer of one validation test.

    ``statistic`` is in the test's own unit, which ``note`` names. ``standard_error`` is the Monte Carlo error
    of ``p_value``: 0 where all outcomes were enumerated (``exact``). ``percentiles`` (``p05`` and so on) are
    those of the statistic under the null hypothesis. ``replicates`` is how many outcomes were computed;
    ``details`` are further values of this test alone.
    """

    name: str
    parameters: Mapping[str, Any]
    seed: int
    statistic: float | None = None
    p_value: float | None = None
    standard_error: float | None = None
    reason: str | None = None
    replicates: int = 0
    exact: bool = False
    percentiles: Mapping[str, float] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    note: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain form for an artifact: floats rounded, every field present. Raises ``ValueError`` on NaN."""
        values: dict[str, Any] = plain(vars(self))
        return values

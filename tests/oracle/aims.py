"""What a decision wants of one symbol while the rules of a portfolio work on it."""

import math
from dataclasses import dataclass, field

from tests.oracle.account import Order, sign


@dataclass(frozen=True)
class PortfolioRules:
    """What semantics section 8 leaves to the configuration; None is no limit.

    ``overrides`` are thresholds of pairs, ``"A:B"`` with the names in order.
    """

    redundancy: str = "scale"
    threshold: float = 0.8
    overrides: dict[str, float] = field(default_factory=dict)
    redistribute: bool = False
    window: int = 100
    minimum: int = 20
    max_gross_exposure: float | None = None
    max_net_exposure: float | None = None
    max_symbol_weight: float | None = None
    max_positions: int | None = None
    max_symbol_daily_loss: float | None = None
    max_drawdown: float | None = None
    snapshot_interval: int = 50

    def theta(self, one: str, other: str) -> float:
        """The correlation above which two symbols are the same bet."""
        first, second = sorted((one, other))
        return self.overrides.get(f"{first}:{second}", self.threshold)


@dataclass
class Aim:
    """One symbol at a decision bar. Weights are fractions of equity.

    ``wanted`` is the share of the sizing weight, ``before`` what of it a rule may take, ``weight`` what is left so
    far and ``reason`` the last rule that took something away. Who does not decide aims at what is there or on its way.
    """

    name: str
    wanted: float
    before: float
    weight: float
    held: bool
    reason: str = "NONE"
    partner: int = -1
    rho: float = math.nan
    factor: float = 1.0
    decides: bool = True

    @property
    def side(self) -> float:
        return sign(self.weight)

    @property
    def refusal(self) -> str:
        """Why nothing is left of something."""
        return self.reason if self.weight == 0.0 and self.before != 0.0 else "NONE"

    @property
    def scale(self) -> float:
        """What redundancy and limits left of the weight, if less than all."""
        return min(1.0, self.weight / self.before) if self.before != 0.0 else 1.0

    def cut(self, weight: float, reason: str) -> None:
        """A rule leaves this much."""
        if abs(weight) < abs(self.weight):
            self.weight, self.reason = weight, reason

    def stamp(self, order: Order) -> None:
        """An order says what the rules did to its weight."""
        order.partner, order.rho, order.factor = self.partner, self.rho, self.factor
        if self.scale < 1.0:
            order.scale = order.cut = self.scale
            order.scale_reason = order.cut_reason = self.reason


def ranked(aims: list[Aim]) -> list[Aim]:
    """Held symbols first, then by absolute weight, then by name."""
    return sorted(aims, key=lambda aim: (not aim.held, -abs(aim.weight), aim.name))

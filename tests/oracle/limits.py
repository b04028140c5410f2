"""Semantics section 8, limits: they count what is held and what is on its way, and shrink only what adds to it."""

from dataclasses import dataclass

from tests.oracle.account import Account, Order, sign
from tests.oracle.aims import Aim, PortfolioRules, ranked
from tests.oracle.redundancy import note_close_ranks


@dataclass
class Exposure:
    """One symbol. ``base`` is the part of the weight that adds no risk; limits leave it alone.

    For a symbol that does not decide, ``aim.weight`` is not what counts but ``base``, held or on its way.
    """

    aim: Aim
    decides: bool
    base: float

    @property
    def weight(self) -> float:
        return self.aim.weight if self.decides else self.base

    @property
    def increase(self) -> float:
        return self.weight - self.base

    def shrink(self, factor: float) -> None:
        self.aim.cut(self.base + factor * self.increase, "EXPOSURE_LIMIT")


def current(account: Account, asset: int, decides: bool, equity: float) -> float:
    """Weight of what is held; of the target where an order waits and no decision is about to replace it.

    An order to be sized at its fill wants a weight, or an amount of currency, until its first attempt.
    """
    position = account.positions[asset]
    order: Order | None = None if decides else position.waiting
    if order is not None and not order.sized:
        return order.wish / equity if account.rules.notional else order.wish
    quantity = position.held if order is None else order.target
    return quantity * position.mark / equity if quantity != 0.0 else 0.0


def beyond(account: Account, value: float, limit: float) -> bool:
    """Above it by more than rounding errors: weights that add up to a limit meet it."""
    return value > limit and not account.same(value, limit)


def safe_part(account: Account, weight: float, now: float) -> float:
    """What of the weight is there already, on the same side."""
    if weight == 0.0 or sign(now) != sign(weight):
        return 0.0
    return now if beyond(account, abs(weight), abs(now)) else weight


def limit(account: Account, aims: list[Aim], decides: list[bool], equity: float, rules: PortfolioRules) -> None:
    """All four, one after the other, each on what the one before left."""
    exposures = []
    for i, (aim, decided) in enumerate(zip(aims, decides, strict=True)):
        now = current(account, i, decided, equity)
        exposures.append(Exposure(aim, decided, safe_part(account, aim.weight, now) if decided else now))
    if rules.max_symbol_weight is not None:
        limit_each(account, exposures, rules.max_symbol_weight)
    if rules.max_positions is not None:
        limit_number(account, exposures, rules.max_positions)
    if rules.max_gross_exposure is not None:
        limit_gross(account, exposures, rules.max_gross_exposure)
    if rules.max_net_exposure is not None:
        limit_net(account, exposures, rules.max_net_exposure)


def limit_each(account: Account, exposures: list[Exposure], largest: float) -> None:
    """What is more already may stay."""
    for e in exposures:
        allowed = max(largest, abs(e.base))
        if e.decides and beyond(account, abs(e.weight), allowed):
            e.aim.cut(sign(e.weight) * allowed, "EXPOSURE_LIMIT")


def limit_number(account: Account, exposures: list[Exposure], most: int) -> None:
    """Those that do not decide keep their places, and so do those that are held."""
    wanting = [e.aim for e in exposures if e.decides and e.weight != 0.0]
    note_close_ranks(account, wanting)
    taken = sum(not e.decides and e.base != 0.0 for e in exposures)
    for aim in ranked(wanting):
        if aim.held or taken < most:
            taken += 1
        else:
            aim.cut(0.0, "MAX_POSITIONS")


def limit_gross(account: Account, exposures: list[Exposure], largest: float) -> None:
    """One factor for everything that adds exposure."""
    there = sum(abs(e.base) for e in exposures)
    added = sum(abs(e.increase) for e in exposures)
    if added == 0.0 or not beyond(account, there + added, largest):
        return
    factor = (largest - there) / added if beyond(account, largest, there) else 0.0
    for e in exposures:
        if e.increase != 0.0:
            e.shrink(factor)


def limit_net(account: Account, exposures: list[Exposure], largest: float) -> None:
    """One factor for everything that adds to the side that is too large."""
    net = sum(e.weight for e in exposures)
    pushing = [e for e in exposures if e.increase * net > 0.0]
    if not pushing or not beyond(account, abs(net), largest):
        return
    added = sum(abs(e.increase) for e in pushing)
    there = abs(net) - added
    factor = (largest - there) / added if beyond(account, largest, there) else 0.0
    for e in pushing:
        e.shrink(factor)

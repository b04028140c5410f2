"""Semantics section 8, redundancy: bets on the same thing shrink, or all but one are left out.

A bet is what is wanted by who decides, and what is held or on its way of who does not. The latter stands as it is.
"""

from tests.oracle.account import Account, Grid
from tests.oracle.aims import Aim, PortfolioRules, ranked

Pairs = list[list[bool]]


def reduce_redundant(account: Account, aims: list[Aim], rho: Grid, rules: PortfolioRules) -> None:
    """Scale or filter, then hand out what was freed if that is asked for."""
    if rules.redundancy == "off":
        return
    pairs = redundant_pairs(account, aims, rho, rules)
    gross = sum(abs(aim.weight) for aim in aims)
    if rules.redundancy == "scale":
        scale(aims, rho, pairs)
    else:
        keep_the_first(account, aims, rho, pairs)
    for aim in aims:
        if aim.decides:
            aim.cut(aim.factor * aim.weight, "CORRELATED")
    if rules.redistribute:
        hand_out(aims, gross - sum(abs(aim.weight) for aim in aims))


def same_way(one: Aim, other: Aim, rho: float) -> float:
    """Their correlation as bets: a short of the opposite is the same bet. NaN stays NaN."""
    return one.side * other.side * rho


def redundant_pairs(account: Account, aims: list[Aim], rho: Grid, rules: PortfolioRules) -> Pairs:
    """``[i][j]``: both want something, and it is the same. No correlation is above nothing."""
    pairs = [[False for _ in aims] for _ in aims]
    for i, one in enumerate(aims):
        for j, other in enumerate(aims):
            if i != j and one.weight != 0.0 and other.weight != 0.0:
                pairs[i][j] = account.above(same_way(one, other, rho[i][j]), rules.theta(one.name, other.name))
    return pairs


def scale(aims: list[Aim], rho: Grid, pairs: Pairs) -> None:
    """Each by its own redundant ones, all from the weights as they were before."""
    for i, aim in enumerate(aims):
        terms = {
            j: abs(rho[i][j]) * min(1.0, abs(other.weight) / abs(aim.weight))
            for j, other in enumerate(aims)
            if pairs[i][j]
        }
        if terms:
            aim.factor = 1.0 / (1.0 + sum(terms.values()))
            aim.partner = min(terms, key=lambda j: (-terms[j], aims[j].name))
            aim.rho = rho[i][aim.partner]


def keep_the_first(account: Account, aims: list[Aim], rho: Grid, pairs: Pairs) -> None:
    """In their order; one redundant with an accepted one is rejected. What stands is not asked."""
    note_close_ranks(account, aims)
    accepted: list[int] = []
    for aim in ranked([aim for aim in aims if aim.weight != 0.0]):
        i = aims.index(aim)
        against = {j: same_way(aim, aims[j], rho[i][j]) for j in accepted if pairs[i][j]}
        if not against or not aim.decides:
            accepted.append(i)
            continue
        aim.factor = 0.0
        aim.partner = min(against, key=lambda j: (-against[j], aims[j].name))
        aim.rho = rho[i][aim.partner]


def note_close_ranks(account: Account, aims: list[Aim]) -> None:
    """Weights that are equal but for rounding errors have no order by size."""
    for one in aims:
        for other in aims:
            if one is not other and one.held == other.held:
                account.above(abs(one.weight), abs(other.weight))


def hand_out(aims: list[Aim], freed: float) -> None:
    """Pro rata to those who are redundant with nobody; without any it stays in cash, and so does a part not taken."""
    free = [aim for aim in aims if aim.weight != 0.0 and aim.partner < 0]
    total = sum(abs(aim.weight) for aim in free)
    for aim in free:
        if aim.decides:
            aim.factor = 1.0 + freed / total
            aim.weight *= aim.factor

"""What moves together counts once: scaling, filtering and redistribution (semantics section 8).

Symbol i is redundant with j when sign(w_i) * sign(w_j) * rho_ij > theta_ij; a correlation that is unknown is not.
The weight of a symbol that does not decide is what it holds or waits for, as in the limits: those that decide see it,
and its own factor is 1, as nothing makes its order again. Without either it is nobody's partner, whatever its signal.
"""

import numpy as np

from engine.kernels import part
from engine.types import Bools, Floats, Ints

OFF, SCALE, FILTER = range(3)
MODES = {"off": OFF, "scale": SCALE, "filter": FILTER}


@part
def together(weights: Floats, correlation: Floats, theta: Floats, i: int, j: int) -> bool:
    """Whether i is redundant with j."""
    if i == j or weights[i] == 0.0 or weights[j] == 0.0:
        return False
    sign = 1.0 if (weights[i] > 0.0) == (weights[j] > 0.0) else -1.0
    return bool(sign * correlation[i, j] > theta[i, j])


@part
def reduce_redundant(
    mode: int, share_out: bool, weights: Floats, current: Floats, decides: Bools, correlation: Floats, theta: Floats,
    rank: Ints, factor: Floats, partner: Ints,
) -> None:  # fmt: skip
    """Scale or filter weights (N,) in place, then hand out what was freed if asked; ``mode`` is not off.

    ``current`` (N,) is what is held, and for a symbol that does not decide what it waits for: there it is the weight.
    """
    for i in range(len(weights)):
        if not decides[i]:
            weights[i] = current[i]
    if mode == SCALE:
        scale_redundant(weights, decides, correlation, theta, factor, partner)
    else:
        filter_redundant(weights, current, decides, correlation, theta, rank, factor, partner)
    if share_out:
        redistribute(weights, decides, partner, factor)
    for i in range(len(weights)):
        weights[i] *= factor[i]


@part
def scale_redundant(
    weights: Floats, decides: Bools, correlation: Floats, theta: Floats, factor: Floats, partner: Ints
) -> None:
    """Write factors (N,) 1 / (1 + sum |rho_ij| min(1, |w_j| / |w_i|)), and the partner of the largest term, or -1.

    A symbol that does not decide has a partner too, as redistribution asks for it, but keeps its weight.
    """
    for i in range(len(weights)):
        load, largest = 0.0, 0.0
        partner[i] = -1
        for j in range(len(weights)):
            if together(weights, correlation, theta, i, j):
                term = abs(correlation[i, j]) * min(1.0, abs(weights[j] / weights[i]))
                load += term
                if term > largest:
                    largest = term
                    partner[i] = j
        factor[i] = 1.0 / (1.0 + load) if decides[i] else 1.0


@part
def ranked(weights: Floats, current: Floats, rank: Ints) -> int:
    """Write who comes first: what is there before what is not, then by |w|, then by position.

    Returns how many have a weight.
    """
    count = 0
    for i in range(len(weights)):
        if weights[i] == 0.0:
            continue
        at = count
        while at > 0:
            j = rank[at - 1]
            if (current[j] != 0.0, abs(weights[j])) >= (current[i] != 0.0, abs(weights[i])):
                break
            rank[at] = j
            at -= 1
        rank[at] = i
        count += 1
    return count


@part
def filter_redundant(
    weights: Floats, current: Floats, decides: Bools, correlation: Floats, theta: Floats, rank: Ints, factor: Floats,
    partner: Ints,
) -> None:  # fmt: skip
    """Write factors (N,): 0 for a symbol redundant with one accepted before it, and that of the largest correlation.

    A symbol that does not decide is always accepted: whatever it is redundant with, it stays.
    """
    factor[:] = 1.0
    partner[:] = -1
    count = ranked(weights, current, rank)
    for k in range(count):
        i, largest = rank[k], 0.0
        if not decides[i]:
            continue
        for other in range(k):
            j = rank[other]
            size = abs(correlation[i, j])
            if factor[j] > 0.0 and together(weights, correlation, theta, i, j):
                factor[i] = 0.0
                if size > largest or (size == largest and j < partner[i]):
                    largest = size
                    partner[i] = j


@part
def redistribute(weights: Floats, decides: Bools, partner: Ints, factor: Floats) -> None:
    """Raise the factors (N,) of symbols without a partner by what the others gave, pro rata to |w|; in place.

    The part of a symbol that does not decide stays in cash; nobody gets more for it.
    """
    freed, room = 0.0, 0.0
    for i in range(len(weights)):
        freed += abs(weights[i]) * (1.0 - factor[i])
        if partner[i] < 0:
            room += abs(weights[i])
    if freed > 0.0 and room > 0.0:
        for i in range(len(weights)):
            if decides[i] and partner[i] < 0 and weights[i] != 0.0:
                factor[i] = 1.0 + freed / room


def redundant_plain(weights: Floats, correlation: Floats, theta: Floats) -> Bools:
    """(N, N) twin of :func:`together`."""
    sign = np.outer(np.sign(weights), np.sign(weights))
    found: Bools = (sign * correlation > theta) & (sign != 0.0)
    np.fill_diagonal(found, val=False)
    return found


def scale_redundant_plain(weights: Floats, decides: Bools, correlation: Floats, theta: Floats) -> tuple[Floats, Ints]:
    """Twin of :func:`scale_redundant`: factors and partners (N,)."""
    found = redundant_plain(weights, correlation, theta)
    factor, partner = np.ones(len(weights)), np.full(len(weights), -1)
    for i in range(len(weights)):
        terms = {j: abs(correlation[i, j]) * min(1.0, abs(weights[j] / weights[i])) for j in np.flatnonzero(found[i])}
        factor[i] = 1.0 / (1.0 + sum(terms.values())) if decides[i] else 1.0
        if terms:
            partner[i] = max(terms, key=lambda j: (terms[j], -j))
    return factor, partner


def filter_redundant_plain(
    weights: Floats, current: Floats, decides: Bools, correlation: Floats, theta: Floats
) -> tuple[Floats, Ints]:
    """Twin of :func:`filter_redundant`: factors and partners (N,)."""
    found = redundant_plain(weights, correlation, theta)
    factor, partner = np.ones(len(weights)), np.full(len(weights), -1)
    accepted: list[int] = []
    for i in ranked_plain(weights, current):
        rivals = [j for j in accepted if found[i, j] and decides[i]]
        if rivals:
            factor[i], partner[i] = 0.0, max(rivals, key=lambda j: (abs(correlation[i, j]), -j))
        else:
            accepted.append(i)
    return factor, partner


def ranked_plain(weights: Floats, current: Floats) -> list[int]:
    """Twin of :func:`ranked`."""
    return sorted(np.flatnonzero(weights).tolist(), key=lambda i: (current[i] == 0.0, -abs(weights[i]), i))


def redistribute_plain(weights: Floats, decides: Bools, partner: Ints, factor: Floats) -> Floats:
    """Twin of :func:`redistribute`: the factors (N,) after it."""
    alone = (partner < 0) & (weights != 0.0)
    room = np.abs(weights[alone]).sum()
    freed = (np.abs(weights) * (1.0 - factor)).sum()
    return np.where(alone & decides, 1.0 + freed / room, factor) if freed > 0.0 and room > 0.0 else factor

"""What moves together counts once: scaling, filtering and redistribution (semantics section 8).

Symbol i is redundant with j when sign(w_i) * sign(w_j) * rho_ij > theta_ij; a correlation that is unknown is not.
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
def scale_redundant(weights: Floats, correlation: Floats, theta: Floats, factor: Floats, partner: Ints) -> None:
    """Write factors (N,) 1 / (1 + sum |rho_ij| min(1, |w_j| / |w_i|)), and the partner of the largest term, or -1."""
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
        factor[i] = 1.0 / (1.0 + load)


@part
def ranked(weights: Floats, held: Bools, rank: Ints) -> int:
    """Write who comes first: held before not held, then by |w|, then by position; returns how many have a weight."""
    count = 0
    for i in range(len(weights)):
        if weights[i] == 0.0:
            continue
        at = count
        while at > 0:
            j = rank[at - 1]
            if (held[j], abs(weights[j])) >= (held[i], abs(weights[i])):
                break
            rank[at] = j
            at -= 1
        rank[at] = i
        count += 1
    return count


@part
def filter_redundant(
    weights: Floats, held: Bools, correlation: Floats, theta: Floats, rank: Ints, factor: Floats, partner: Ints
) -> None:
    """Write factors (N,): 0 for a symbol redundant with one accepted before it, and that of the largest correlation."""
    factor[:] = 1.0
    partner[:] = -1
    count = ranked(weights, held, rank)
    for k in range(count):
        i, largest = rank[k], 0.0
        for other in range(k):
            j = rank[other]
            size = abs(correlation[i, j])
            if factor[j] > 0.0 and together(weights, correlation, theta, i, j):
                factor[i] = 0.0
                if size > largest or (size == largest and j < partner[i]):
                    largest = size
                    partner[i] = j


@part
def redistribute(weights: Floats, partner: Ints, factor: Floats) -> None:
    """Raise the factors (N,) of symbols without a partner by what the others gave, pro rata to |w|; in place."""
    freed, room = 0.0, 0.0
    for i in range(len(weights)):
        freed += abs(weights[i]) * (1.0 - factor[i])
        if partner[i] < 0:
            room += abs(weights[i])
    if freed > 0.0 and room > 0.0:
        for i in range(len(weights)):
            if partner[i] < 0 and weights[i] != 0.0:
                factor[i] = 1.0 + freed / room


def redundant_plain(weights: Floats, correlation: Floats, theta: Floats) -> Bools:
    """(N, N) twin of :func:`together`."""
    sign = np.outer(np.sign(weights), np.sign(weights))
    found: Bools = (sign * correlation > theta) & (sign != 0.0)
    np.fill_diagonal(found, val=False)
    return found


def scale_redundant_plain(weights: Floats, correlation: Floats, theta: Floats) -> tuple[Floats, Ints]:
    """Twin of :func:`scale_redundant`: factors and partners (N,)."""
    found = redundant_plain(weights, correlation, theta)
    factor, partner = np.ones(len(weights)), np.full(len(weights), -1)
    for i in range(len(weights)):
        terms = {j: abs(correlation[i, j]) * min(1.0, abs(weights[j] / weights[i])) for j in np.flatnonzero(found[i])}
        factor[i] = 1.0 / (1.0 + sum(terms.values()))
        if terms:
            partner[i] = max(terms, key=lambda j: (terms[j], -j))
    return factor, partner


def filter_redundant_plain(weights: Floats, held: Bools, correlation: Floats, theta: Floats) -> tuple[Floats, Ints]:
    """Twin of :func:`filter_redundant`: factors and partners (N,)."""
    found = redundant_plain(weights, correlation, theta)
    factor, partner = np.ones(len(weights)), np.full(len(weights), -1)
    accepted: list[int] = []
    for i in ranked_plain(weights, held):
        rivals = [j for j in accepted if found[i, j]]
        if rivals:
            factor[i], partner[i] = 0.0, max(rivals, key=lambda j: (abs(correlation[i, j]), -j))
        else:
            accepted.append(i)
    return factor, partner


def ranked_plain(weights: Floats, held: Bools) -> list[int]:
    """Twin of :func:`ranked`."""
    return sorted(np.flatnonzero(weights).tolist(), key=lambda i: (not held[i], -abs(weights[i]), i))


def redistribute_plain(weights: Floats, partner: Ints, factor: Floats) -> Floats:
    """Twin of :func:`redistribute`: the factors (N,) after it."""
    alone = (partner < 0) & (weights != 0.0)
    room = np.abs(weights[alone]).sum()
    freed = (np.abs(weights) * (1.0 - factor)).sum()
    return np.where(alone, 1.0 + freed / room, factor) if freed > 0.0 and room > 0.0 else factor

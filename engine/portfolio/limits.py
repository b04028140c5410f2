"""Limits on exposure and positions: they shrink only orders that increase risk (semantics section 8).

Every symbol has a part of its target that adds nothing, its ``base``: what it holds, or less. Only what goes beyond it
is shrunk, by one factor for all. What is held and what still waits counts.
"""

import math
from typing import NamedTuple

import numpy as np

from engine.kernels import kernel, part
from engine.portfolio.redundancy import ranked, ranked_plain
from engine.results import Reason
from engine.types import Bools, Floats, Ints

EXPOSURE_LIMIT, MAX_POSITIONS = int(Reason.EXPOSURE_LIMIT), int(Reason.MAX_POSITIONS)
NO_LIMIT = np.inf

ROUNDING = 1e-12
"""What is beyond a limit by less than this, relative to it, meets it: weights that sum to a limit are not cut."""


class Bounds(NamedTuple):
    """Limits as numbers, infinite for none; ``symbol`` (N,) is that of each weight."""

    gross: float
    net: float
    symbol: Floats
    positions: float


@part
def beyond(value: float, limit: float) -> bool:
    """Whether a value is above a limit by more than rounding."""
    return bool(value - limit > ROUNDING * max(abs(value), abs(limit)))


@part
def base_of(weight: float, current: float) -> float:
    """The part of a target that does not increase risk."""
    if weight * current <= 0.0:
        return 0.0
    return current if beyond(abs(weight), abs(current)) else weight


@part
def limit(
    weights: Floats, current: Floats, decides: Bools, bounds: Bounds, base: Floats, rank: Ints, why: Ints
) -> None:
    """Shrink weights (N,) in place; ``why`` (N,) gets the reason of the last rule that did.

    ``current`` (N,) is what is held, and for a symbol that does not decide what it waits for; ``base`` and ``rank``
    (N,) are room to work.
    """
    assets = len(weights)
    for i in range(assets):
        if not decides[i]:
            weights[i] = current[i]
        base[i] = base_of(weights[i], current[i]) if decides[i] else current[i]
        most = max(bounds.symbol[i], abs(base[i]))
        if decides[i] and most < NO_LIMIT and beyond(abs(weights[i]), most):
            weights[i] = np.copysign(most, weights[i])
            why[i] = EXPOSURE_LIMIT
    if bounds.positions < assets:
        limit_positions(weights, current, decides, bounds.positions, rank, why)
    if bounds.gross < NO_LIMIT:
        fixed, more = 0.0, 0.0
        for i in range(assets):
            fixed += abs(base[i])
            more += abs(weights[i] - base[i])
        if more > 0.0 and beyond(fixed + more, bounds.gross):
            shrink(weights, base, share_of_room(bounds.gross, fixed, more), 0.0, why)
    if bounds.net < NO_LIMIT:
        net = 0.0
        for i in range(assets):
            net += weights[i]
        side, more = np.sign(net), 0.0
        for i in range(assets):
            more += max(side * (weights[i] - base[i]), 0.0)
        if more > 0.0 and beyond(abs(net), bounds.net):
            shrink(weights, base, share_of_room(bounds.net, abs(net) - more, more), side, why)


@part
def share_of_room(limit: float, fixed: float, more: float) -> float:
    """How much of what is added fits beside what is there; room for no more than rounding errors is none."""
    return (limit - fixed) / more if beyond(limit, fixed) else 0.0


@kernel
def limit_positions(weights: Floats, current: Floats, decides: Bools, most: float, rank: Ints, why: Ints) -> None:
    """Positions beyond ``most`` are not entered: held symbols count first, then the largest weights."""
    count = 0
    for i in range(len(weights)):
        if not decides[i] and current[i] != 0.0:
            count += 1
    for k in range(ranked(weights, current, rank)):
        i = rank[k]
        if not decides[i]:
            continue
        if count >= most and current[i] == 0.0:
            weights[i] = 0.0
            why[i] = MAX_POSITIONS
        else:
            count += 1


@part
def shrink(weights: Floats, base: Floats, factor: float, side: float, why: Ints) -> None:
    """Scale what goes beyond the base, in the direction ``side`` alone unless it is 0."""
    for i in range(len(weights)):
        more = weights[i] - base[i]
        if more != 0.0 and side * more >= 0.0:
            weights[i] = base[i] + factor * more
            why[i] = EXPOSURE_LIMIT


def limit_plain(weights: Floats, current: Floats, decides: Bools, bounds: Bounds) -> tuple[Floats, Ints]:
    """Twin of :func:`limit`: weights and reasons (N,), 0 for none."""
    names = range(len(weights))
    why = np.zeros(len(weights), dtype=np.int64)
    wanted = [float(w) if d else float(c) for w, c, d in zip(weights, current, decides, strict=True)]
    base = [base_of_plain(w, float(c)) if d else w for w, c, d in zip(wanted, current, decides, strict=True)]
    for i in names:
        most = max(float(bounds.symbol[i]), abs(base[i]))
        if decides[i] and beyond_plain(abs(wanted[i]), most):
            wanted[i], why[i] = float(np.copysign(most, wanted[i])), EXPOSURE_LIMIT
    count = sum(1 for i in names if not decides[i] and current[i] != 0.0)
    for i in ranked_plain(np.array(wanted), current):
        if decides[i] and bounds.positions < len(weights):
            if count >= bounds.positions and current[i] == 0.0:
                wanted[i], why[i] = 0.0, MAX_POSITIONS
            else:
                count += 1
    fixed, more = sum(map(abs, base)), sum(abs(w - b) for w, b in zip(wanted, base, strict=True))
    if more > 0.0 and beyond_plain(fixed + more, bounds.gross):
        room = bounds.gross - fixed if beyond_plain(bounds.gross, fixed) else 0.0
        _shrink_plain(wanted, base, room / more, 0.0, why)
    net = sum(wanted)
    side = float(np.sign(net))
    more = sum(max(side * (w - b), 0.0) for w, b in zip(wanted, base, strict=True))
    if more > 0.0 and beyond_plain(abs(net), bounds.net):
        others = abs(net) - more
        room = bounds.net - others if beyond_plain(bounds.net, others) else 0.0
        _shrink_plain(wanted, base, room / more, side, why)
    return np.array(wanted), why


def base_of_plain(weight: float, current: float) -> float:
    """Twin of :func:`base_of`."""
    if weight * current <= 0.0:
        return 0.0
    return current if beyond_plain(abs(weight), abs(current)) else weight


def beyond_plain(value: float, limit: float) -> bool:
    """Twin of :func:`beyond`. Nothing is beyond an infinite limit."""
    return value > limit and not math.isclose(value, limit, rel_tol=ROUNDING, abs_tol=0.0)


def _shrink_plain(wanted: list[float], base: list[float], factor: float, side: float, why: Ints) -> None:
    for i, (weight, fixed) in enumerate(zip(list(wanted), base, strict=True)):
        if weight != fixed and side * (weight - fixed) >= 0.0:
            wanted[i], why[i] = fixed + factor * (weight - fixed), EXPOSURE_LIMIT

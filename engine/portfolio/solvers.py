"""The two optimisations behind the weightings, exact to rounding, on positive definite correlation matrices.

Both work on exposures y = volatility * weight, so that symbols of very different volatility are one scale.
"""

import math

import numpy as np

from engine.kernels import kernel
from engine.portfolio.linear import cholesky, dot, substitute, times
from engine.types import Bools, Floats

PURE = 0.95 * (3.0 - math.sqrt(5.0)) / 2.0
"""Newton decrement below which a full step stays inside the domain and converges quadratically."""

NEWTON_STEPS = 500
"""Ten are usual."""

PRECISION = 1e-13
"""Iterations end here, relative; rounding may end them before."""

EXCHANGES = 4
"""Whole exchanges without progress before the active set is changed one symbol at a time."""

ROUNDS = 10
"""Times each symbol may enter on average; once is usual."""

_ROUNDING = 4.0 * float(np.finfo(np.float64).eps)


@kernel
def equal_risk(correlation: Floats) -> tuple[Floats, float]:
    """Exposures (N,) > 0 with y_i (R y)_i = 1 for each i, and the largest deviation from that.

    Damped Newton on y'Ry / 2 - sum(ln y_i), strictly convex with one minimum. Source: Spinu 2013, "An algorithm for
    computing risk parity weights".
    """
    n = len(correlation)
    total = 0.0
    for i in range(n):
        for j in range(n):
            total += correlation[i, j]
    y = np.full(n, math.sqrt(n / total))
    best, best_residual = y, np.inf
    hessian, step, stalled = np.empty((n, n)), np.empty(n), 0
    for _ in range(NEWTON_STEPS):
        gradient = times(correlation, y)
        residual = 0.0
        for i in range(n):
            residual = max(residual, abs(y[i] * gradient[i] - 1.0))
            gradient[i] -= 1.0 / y[i]
            step[i] = gradient[i]
        stalled = 0 if residual < 0.5 * best_residual else stalled + 1
        if residual < best_residual:
            best, best_residual = y.copy(), residual
        hessian[:] = correlation
        for i in range(n):
            hessian[i, i] += 1.0 / (y[i] * y[i])
        if best_residual <= PRECISION or not cholesky(hessian, n):
            break
        substitute(hessian, n, step)
        decrement, longest = 0.0, 0.0
        for i in range(n):
            decrement += gradient[i] * step[i]
            longest = max(longest, abs(step[i] / y[i]))
        pure = decrement < PURE * PURE
        if pure and stalled > 2:
            break  # rounding
        scale = 1.0 if pure else 1.0 / (1.0 + longest)
        y = y - scale * step
    return best, best_residual


def equal_risk_plain(correlation: Floats) -> Floats:
    """Twin of :func:`equal_risk`: one exposure at a time solves its own quadratic equation, in turn, to the end.

    Source: Griveau-Billion, Richard & Roncalli 2013, "A fast algorithm for computing high-dimensional risk parity
    portfolios".
    """
    y = np.ones(len(correlation))
    for _ in range(100_000):
        before = y.copy()
        for i in range(len(y)):
            rest = float(correlation[i] @ y) - y[i]
            y[i] = 0.5 * (math.sqrt(rest * rest + 4.0) - rest)
        if np.max(np.abs(y / before - 1.0)) < 1e-15:
            break
    return y


@kernel
def nonnegative(correlation: Floats, aim: Floats) -> tuple[Floats, float]:
    """Exposures (N,) >= 0 that minimise y'Ry / 2 - aim'y for ``aim`` (N,) > 0, and how far they are from it.

    With ``aim`` 1 / volatility, y / volatility is proportional to the long-only portfolio of least variance; with
    ``aim`` 1, to the most diversified one. The residual is the largest violation of the Karush-Kuhn-Tucker
    conditions, relative to the largest ``aim``: (R y)_i = aim_i where y_i > 0, and no less elsewhere.

    Block principal pivoting: all violations change sides at once. Where the count of violations stops falling, the
    active set is changed one symbol at a time instead. Sources: Portugal, Judice & Vicente 1994, "A comparison of
    block pivoting and interior-point algorithms for linear least squares problems with nonnegative variables"; Lawson
    & Hanson 1974, "Solving least squares problems", chapter 23.
    """
    n = len(aim)
    free, y = np.ones(n, dtype=np.bool_), np.zeros(n)
    fewest, left = n + 1, EXCHANGES
    while left > 0:
        if not _solve(correlation, aim, free, y):
            break
        wrong = _violations(correlation, aim, free, y)
        count = wrong.sum()
        if count == 0:
            break
        if count < fewest:
            fewest, left = count, EXCHANGES
        else:
            left -= 1
        free ^= wrong
    if left == 0:
        _one_by_one(correlation, aim, free, y)
    y = np.maximum(y, 0.0)
    pull = times(correlation, y)
    residual = 0.0
    for i in range(n):
        short = aim[i] - pull[i]
        residual = max(residual, abs(short) if y[i] > 0.0 else short)
    return y, residual / aim.max()


@kernel
def _one_by_one(correlation: Floats, aim: Floats, free: Bools, y: Floats) -> None:
    """From nothing held on, the symbol that gains most enters, and those that would be short leave.

    Each round lowers the objective, so no active set comes twice; rounding apart, for which rounds are limited.
    """
    n = len(aim)
    wanted = np.zeros(n)
    free[:] = False
    y[:] = 0.0
    for _ in range(ROUNDS * n):
        wrong = _violations(correlation, aim, free, y)
        gain = np.where(wrong, aim - times(correlation, y), 0.0)
        entering = np.argmax(gain)
        if gain[entering] <= 0.0:
            return
        free[entering] = True
        while _solve(correlation, aim, free, wanted):
            step, blocking = 1.0, -1
            for i in range(n):
                if free[i] and wanted[i] <= 0.0:
                    possible = y[i] / (y[i] - wanted[i])
                    if blocking < 0 or possible < step:
                        step, blocking = possible, i
            if blocking < 0:
                y[:] = wanted
                break
            y += step * (wanted - y)
            free[blocking] = False
            y[blocking] = 0.0
        else:
            return


@kernel
def _solve(correlation: Floats, aim: Floats, free: Bools, y: Floats) -> bool:
    """Write the y that solves R y = aim on the free symbols and is 0 elsewhere, refined once."""
    index = np.flatnonzero(free)
    k = len(index)
    part, factor, x = np.empty((k, k)), np.empty((k, k)), np.empty((1, k))
    for i in range(k):
        x[0, i] = aim[index[i]]
        for j in range(k):
            part[i, j] = factor[i, j] = correlation[index[i], index[j]]
    if not cholesky(factor, k):
        return False
    substitute(factor, k, x[0])
    error = np.empty(k)
    for i in range(k):
        error[i] = aim[index[i]] - dot(part, i, x, 0, k)
    substitute(factor, k, error)
    y[:] = 0.0
    for i in range(k):
        y[index[i]] = x[0, i] + error[i]
    return True


@kernel
def _violations(correlation: Floats, aim: Floats, free: Bools, y: Floats) -> Bools:
    """Free symbols that are short, and others that would rather be held; (N,), beyond rounding."""
    n = len(y)
    pull = times(correlation, y)
    total = 0.0
    for i in range(n):
        total += abs(y[i])
    wrong = np.empty(n, dtype=np.bool_)
    for i in range(n):
        if free[i]:
            wrong[i] = y[i] < -_ROUNDING * total
        else:
            wrong[i] = pull[i] < aim[i] - _ROUNDING * (total + aim[i])
    return wrong


def nonnegative_plain(correlation: Floats, aim: Floats) -> Floats:
    """Twin of :func:`nonnegative`: the symbol that gains most enters, those that would be short leave.

    The same in plain words as its last resort, which most inputs never reach.
    """
    y = np.zeros(len(aim))
    held: list[int] = []
    while True:
        gain = aim - correlation @ y
        gain[held] = 0.0
        entering = int(np.argmax(gain))
        if gain[entering] <= 1e-12 * aim[entering]:
            return y
        held.append(entering)
        while True:
            wanted = np.linalg.solve(correlation[np.ix_(held, held)], aim[held])
            if np.all(wanted > 0.0):
                break
            here = y[held]
            short = wanted <= 0.0
            y[held] = here + float(np.min(here[short] / (here[short] - wanted[short]))) * (wanted - here)
            held = [i for i in held if y[i] > 1e-15]
            y[[i for i in range(len(y)) if i not in held]] = 0.0
        y[:] = 0.0
        y[held] = wanted

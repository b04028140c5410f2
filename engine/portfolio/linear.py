"""Linear algebra for matrices of a few hundred symbols, in kernels.

LAPACK splits its sums over threads, so its last bits depend on how many there are. Weights must not: a run on a
machine of two cores and one of sixty give the same bytes. So what decisions depend on is computed here.
"""

import math

import numpy as np

from engine.kernels import kernel, part
from engine.types import Floats

SWEEPS = 60
"""Iterations of QL for one eigenvalue; two are usual."""

_EPS = float(np.finfo(np.float64).eps)


@part
def dot(a: Floats, i: int, b: Floats, j: int, n: int) -> float:
    """Sum over k < n of a[i, k] * b[j, k], in four running sums that are joined in a fixed order."""
    s0 = s1 = s2 = s3 = 0.0
    body = n - n % 4
    for k in range(0, body, 4):
        s0 += a[i, k] * b[j, k]
        s1 += a[i, k + 1] * b[j, k + 1]
        s2 += a[i, k + 2] * b[j, k + 2]
        s3 += a[i, k + 3] * b[j, k + 3]
    total = (s0 + s1) + (s2 + s3)
    for k in range(body, n):
        total += a[i, k] * b[j, k]
    return total


@kernel
def cholesky(a: Floats, n: int) -> bool:
    """Lower factor of the leading (n, n) block, in place; False where the matrix is not positive definite."""
    for i in range(n):
        for j in range(i):
            a[i, j] = (a[i, j] - dot(a, i, a, j, j)) / a[j, j]
        left = a[i, i] - dot(a, i, a, i, i)
        if not left > 0.0:
            return False
        a[i, i] = math.sqrt(left)
    return True


def cholesky_plain(a: Floats) -> Floats | None:
    """Twin of :func:`cholesky`: the factor (n, n), or None."""
    try:
        return np.asarray(np.linalg.cholesky(a), dtype=np.float64)
    except np.linalg.LinAlgError:
        return None


@kernel
def substitute(factor: Floats, n: int, x: Floats) -> None:
    """Solve L L' x = b in place: ``x`` (n,) is b before and the solution after."""
    for i in range(n):
        total = x[i]
        for k in range(i):
            total -= factor[i, k] * x[k]
        x[i] = total / factor[i, i]
    for i in range(n - 1, -1, -1):
        x[i] /= factor[i, i]
        for k in range(i):
            x[k] -= factor[i, k] * x[i]


def substitute_plain(factor: Floats, b: Floats) -> Floats:
    """Twin of :func:`substitute`."""
    return np.linalg.solve(factor.T, np.linalg.solve(factor, b))


@kernel
def eigen(matrix: Floats) -> tuple[Floats, Floats]:
    """Eigenvalues (N,) and eigenvectors (N, N), one a row, of a symmetric finite matrix; in no order.

    Householder reduction to a tridiagonal matrix, then QL with implicit shifts. Source: Bowdler, Martin, Reinsch &
    Wilkinson 1968, "The QR and QL algorithms for symmetric matrices".
    """
    a = matrix.copy()
    n = len(a)
    diagonal, off = np.empty(n), np.zeros(n)
    reflections = np.zeros((n, n))
    v, p = np.empty(n), np.empty(n)
    for k in range(n - 2):
        norm = 0.0
        for i in range(k + 1, n):
            v[i] = a[i, k]
            norm += v[i] * v[i]
        off[k] = -math.copysign(math.sqrt(norm), v[k + 1])
        v[k + 1] -= off[k]
        length = norm - 2.0 * off[k] * a[k + 1, k] + off[k] * off[k]
        if length > 0.0:
            _reflect(a, v, p, 2.0 / length, k + 1)
            scale = math.sqrt(2.0 / length)
            for i in range(k + 1, n):
                reflections[k, i] = v[i] * scale
    if n > 1:
        off[n - 2] = a[n - 1, n - 2]
    vectors = np.eye(n)
    for i in range(n):
        diagonal[i] = a[i, i]
    # Rows of ``vectors`` are columns of Q = H_0 H_1 ...: each reflection acts on every row from the right.
    for k in range(n - 3, -1, -1):
        for i in range(k + 1, n):
            along = 0.0
            for j in range(k + 1, n):
                along += vectors[i, j] * reflections[k, j]
            for j in range(k + 1, n):
                vectors[i, j] -= along * reflections[k, j]
    ql(diagonal, off, vectors)
    return diagonal, vectors


@part
def _reflect(a: Floats, v: Floats, p: Floats, beta: float, first: int) -> None:
    """``a`` becomes H a H on the block from ``first``, for the reflection H = I - beta v v'."""
    n = len(a)
    along = 0.0
    for i in range(first, n):
        total = 0.0
        for j in range(first, n):
            total += a[i, j] * v[j]
        p[i] = beta * total
        along += p[i] * v[i]
    for i in range(first, n):
        p[i] -= 0.5 * beta * along * v[i]
    for i in range(first, n):
        for j in range(first, n):
            a[i, j] -= v[i] * p[j] + p[i] * v[j]


@kernel
def ql(d: Floats, e: Floats, vectors: Floats) -> None:
    """Diagonalise the tridiagonal matrix (``d``, ``e``) in place, turning the rows of ``vectors`` along."""
    n = len(d)
    for first in range(n):
        for _ in range(SWEEPS):
            last = first
            while last < n - 1 and abs(e[last]) > _EPS * (abs(d[last]) + abs(d[last + 1])):
                last += 1
            if last == first:
                break
            g = (d[first + 1] - d[first]) / (2.0 * e[first])
            g = d[last] - d[first] + e[first] / (g + math.copysign(math.hypot(g, 1.0), g))
            s, c, p = 1.0, 1.0, 0.0
            whole = True
            for i in range(last - 1, first - 1, -1):
                f, b = s * e[i], c * e[i]
                r = math.hypot(f, g)
                e[i + 1] = r
                if r == 0.0:
                    d[i + 1] -= p
                    e[last] = 0.0
                    whole = False
                    break
                s, c = f / r, g / r
                g = d[i + 1] - p
                r = (d[i] - g) * s + 2.0 * c * b
                p = s * r
                d[i + 1] = g + p
                g = c * r - b
                for k in range(n):
                    f = vectors[i + 1, k]
                    vectors[i + 1, k] = s * vectors[i, k] + c * f
                    vectors[i, k] = c * vectors[i, k] - s * f
            if whole:
                d[first] -= p
                e[first] = g
                e[last] = 0.0


def eigen_plain(matrix: Floats) -> tuple[Floats, Floats]:
    """Twin of :func:`eigen`, in ascending order."""
    values, vectors = np.linalg.eigh(matrix)
    return values, np.ascontiguousarray(vectors.T)


@kernel
def recompose(values: Floats, vectors: Floats) -> Floats:
    """The symmetric matrix (N, N) of these eigenvalues and eigenvectors (one a row)."""
    n = len(values)
    columns = np.ascontiguousarray(vectors.T)
    scaled = columns * values
    result = np.empty((n, n))
    for i in range(n):
        for j in range(i + 1):
            result[i, j] = dot(scaled, i, columns, j, n)
            result[j, i] = result[i, j]
    return result


def recompose_plain(values: Floats, vectors: Floats) -> Floats:
    """Twin of :func:`recompose`."""
    matrix: Floats = np.einsum("ki,k,kj->ij", vectors, values, vectors)
    return matrix


@kernel
def times(matrix: Floats, x: Floats) -> Floats:
    """Product (N,) of a matrix (N, N) and a vector (N,)."""
    row = x.reshape((1, len(x)))
    result = np.empty(len(x))
    for i in range(len(x)):
        result[i] = dot(matrix, i, row, 0, len(x))
    return result


def times_plain(matrix: Floats, x: Floats) -> Floats:
    """Twin of :func:`times`."""
    return np.array([math.fsum(row * x) for row in matrix])

"""Hierarchical risk parity: cluster the symbols, put neighbours side by side, and split risk down the list.

Single linkage of the distances sqrt((1 - rho) / 2), optimal leaf order, recursive bisection. A tree of N leaves has
2^(N-1) orders, and bisection depends on the order: only with the best one (the smallest sum of distances between
neighbours) is the answer a function of the data. The tree is kept as positions in a list: every cluster is a range.

Sources: Lopez de Prado 2016, "Building diversified portfolios that outperform out of sample"; Bar-Joseph, Gifford &
Jaakkola 2001, "Fast optimal leaf ordering for hierarchical clustering", which scipy's function of that name does not
carry out to the end: it drops the choice made for a cluster by the clusters above.
"""

import itertools
from collections.abc import Iterator

import numpy as np

from engine.kernels import kernel
from engine.types import Floats, Ints

Tree = int | tuple["Tree", "Tree"]
"""A symbol's index, or two clusters."""


def hierarchical_weights(variance: Floats, correlation: Floats) -> Floats:
    """Weights (N,), summing to 1, from variances (N,) > 0 and correlations (N, N) without holes."""
    distance = np.sqrt(np.clip(0.5 * (1.0 - correlation), 0.0, 1.0))
    covariance = correlation * np.sqrt(np.outer(variance, variance))
    np.fill_diagonal(covariance, variance)
    return bisection_kernel(covariance, best_order(distance, *single_linkage(distance)))


@kernel
def single_linkage(distance: Floats) -> tuple[Ints, Ints]:
    """Merges (N - 1, 2) of clusters by their nearest members, and the leaves (N,) in the order of the tree.

    A row names two clusters, the smaller number first: a symbol below N, or N plus the row that made it. Of equal
    distances the one found first by Prim's algorithm from symbol 0 comes first.
    """
    n = len(distance)
    near, source = np.full(n, np.inf), np.zeros(n, dtype=np.int64)
    start, end, length = np.zeros(n - 1, np.int64), np.zeros(n - 1, np.int64), np.zeros(n - 1)
    joined = np.zeros(n, dtype=np.bool_)
    here = 0
    for step in range(n - 1):
        joined[here] = True
        best = -1
        for j in range(n):
            if not joined[j]:
                if distance[here, j] < near[j]:
                    near[j], source[j] = distance[here, j], here
                if best < 0 or near[j] < near[best]:
                    best = j
        start[step], end[step], length[step] = source[best], best, near[best]
        here = best
    merges = np.zeros((n - 1, 2), dtype=np.int64)
    root = np.arange(2 * n - 1)
    for row, step in enumerate(np.argsort(length, kind="mergesort")):
        a, b = start[step], end[step]
        while root[a] != a:
            a = root[a]
        while root[b] != b:
            b = root[b]
        root[a] = root[b] = n + row
        merges[row, 0], merges[row, 1] = min(a, b), max(a, b)
    leaves, stack = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
    stack[0], depth, found = 2 * n - 2, 1, 0
    while depth > 0:
        depth -= 1
        node = stack[depth]
        if node < n:
            leaves[found] = node
            found += 1
        else:
            stack[depth], stack[depth + 1] = merges[node - n, 1], merges[node - n, 0]
            depth += 2
    return merges, leaves


@kernel
def best_order(distance: Floats, merges: Ints, leaves: Ints) -> Ints:
    """The leaves (N,) of the tree in its order of smallest total distance between neighbours.

    ``cost[u, w]`` is that of the smallest cluster with both u and w when they are its ends; u and w then lie in its
    two children, whose inner ends m and k are chosen. All indices are positions in ``leaves``. O(N^3) at worst.
    """
    n = len(leaves)
    if n == 1:
        return leaves
    d = distance[leaves][:, leaves]
    first, cut, last = _ranges(merges, leaves)
    cost, inner = np.zeros((n, n)), np.zeros((n, n), dtype=np.int64)
    reach, through = np.empty(n), np.empty(n, dtype=np.int64)
    for row in range(n - 1):
        left, right = merges[row]
        a, b, c = first[n + row], cut[n + row], last[n + row]
        for u in range(a, b):
            m_from, m_to = _partners(u, first[left], cut[left], last[left])
            for k in range(b, c):
                reach[k] = np.inf
                for m in range(m_from, m_to):
                    if cost[u, m] + d[m, k] < reach[k]:
                        reach[k], through[k] = cost[u, m] + d[m, k], m
            for w in range(b, c):
                k_from, k_to = _partners(w, first[right], cut[right], last[right])
                least = np.inf
                for k in range(k_from, k_to):
                    if reach[k] + cost[k, w] < least:
                        least = reach[k] + cost[k, w]
                        inner[u, w], inner[w, u] = through[k], k
                cost[u, w] = cost[w, u] = least
    a, b, c = first[2 * n - 2], cut[2 * n - 2], last[2 * n - 2]
    u_best, w_best = a, b
    for u in range(a, b):
        for w in range(b, c):
            if cost[u, w] < cost[u_best, w_best]:
                u_best, w_best = u, w
    return _unfold(inner, u_best, w_best, leaves)


@kernel
def _ranges(merges: Ints, leaves: Ints) -> tuple[Ints, Ints, Ints]:
    """Each cluster (2N - 1,) as positions first..cut-1 of its left child and cut..last-1 of its right one."""
    n = len(leaves)
    first, cut, last = np.empty(2 * n - 1, np.int64), np.empty(2 * n - 1, np.int64), np.empty(2 * n - 1, np.int64)
    for position in range(n):
        leaf = leaves[position]
        first[leaf], cut[leaf], last[leaf] = position, position, position + 1
    for row in range(n - 1):
        left, right = merges[row]
        first[n + row], cut[n + row], last[n + row] = first[left], first[right], last[right]
    return first, cut, last


@kernel
def _partners(u: int, first: int, cut: int, last: int) -> tuple[int, int]:
    """The positions that can be the other end of a cluster when ``u`` is one: those of its other child."""
    if last - first == 1:
        return u, u + 1
    return (cut, last) if u < cut else (first, cut)


@kernel
def _unfold(inner: Ints, u: int, w: int, leaves: Ints) -> Ints:
    """The order whose ends are ``u`` and ``w``: between them the ends chosen inside, and so on down."""
    n = len(leaves)
    order = np.empty(n, dtype=np.int64)
    ends = np.empty((n, 2), dtype=np.int64)
    ends[0, 0], ends[0, 1] = u, w
    depth, found = 1, 0
    while depth > 0:
        depth -= 1
        u, w = ends[depth]
        if u == w:
            order[found] = leaves[u]
            found += 1
        else:
            ends[depth + 1, 0], ends[depth + 1, 1] = u, inner[u, w]
            ends[depth, 0], ends[depth, 1] = inner[w, u], w
            depth += 2
    return order


@kernel
def bisection_kernel(covariance: Floats, order: Ints) -> Floats:
    """Weights (N,): halve the list; each half gets a share by the variance of the other; and so on down.

    The variance of a half is that of its inverse-variance portfolio.
    """
    n = len(order)
    weights = np.ones(n)
    stack = np.empty((n + 1, 2), dtype=np.int64)
    stack[0, 0], stack[0, 1] = 0, n
    depth = 1
    variance = np.empty(2)
    while depth > 0:
        depth -= 1
        begin, end = stack[depth]
        if end - begin < 2:
            continue
        middle = begin + (end - begin) // 2
        for half in range(2):
            lower, upper = (begin, middle) if half == 0 else (middle, end)
            total = spent = 0.0
            for i in range(lower, upper):
                a = order[i]
                total += 1.0 / covariance[a, a]
                for j in range(lower, upper):
                    b = order[j]
                    spent += covariance[a, b] / (covariance[a, a] * covariance[b, b])
            variance[half] = spent / (total * total)
        share = variance[1] / (variance[0] + variance[1])
        for i in range(begin, end):
            weights[order[i]] *= share if i < middle else 1.0 - share
        stack[depth, 0], stack[depth, 1] = begin, middle
        stack[depth + 1, 0], stack[depth + 1, 1] = middle, end
        depth += 2
    weights /= weights.sum()
    return weights


def hierarchical_weights_plain(variance: Floats, correlation: Floats) -> Floats:
    """Twin of :func:`hierarchical_weights` for a few symbols: every order of the tree is tried."""
    distance = np.sqrt(np.clip(0.5 * (1.0 - correlation), 0.0, 1.0))
    covariance = correlation * np.sqrt(np.outer(variance, variance))
    np.fill_diagonal(covariance, variance)
    orders = _orders(single_linkage_plain(distance), root=True)
    order = min(orders, key=lambda o: sum(distance[a, b] for a, b in itertools.pairwise(o)))
    return bisection_plain(covariance, order)


def single_linkage_plain(distance: Floats) -> Tree:
    """Twin of :func:`single_linkage`: the tree; the cluster that is older, and of symbols the first, to the left."""
    clusters: list[tuple[int, list[int], Tree]] = [(i, [i], i) for i in range(len(distance))]
    for number in range(len(distance), 2 * len(distance) - 1):
        pairs = itertools.combinations(clusters, 2)
        a, b = min(pairs, key=lambda pair: min(distance[i, j] for i in pair[0][1] for j in pair[1][1]))
        clusters = [*(c for c in clusters if c not in (a, b)), (number, a[1] + b[1], (a[2], b[2]))]
    return clusters[0][2]


def _orders(tree: Tree, *, root: bool = False) -> Iterator[list[int]]:
    if isinstance(tree, int):
        yield [tree]
        return
    for left, right in itertools.product(*(list(_orders(child)) for child in tree)):
        yield left + right
        if not root:  # a list and its reverse have one sum: the older cluster comes first
            yield right + left


def bisection_plain(covariance: Floats, order: list[int]) -> Floats:
    """Twin of :func:`bisection_kernel`."""
    weights = np.ones(len(covariance))
    halves = [order]
    while halves:
        items = halves.pop()
        if len(items) < 2:
            continue
        left, right = items[: len(items) // 2], items[len(items) // 2 :]
        parts = []
        for half in (left, right):
            part = covariance[np.ix_(half, half)]
            inverse = 1.0 / np.diag(part) / np.sum(1.0 / np.diag(part))
            parts.append(float(inverse @ part @ inverse))
        weights[left] *= 1.0 - parts[0] / (parts[0] + parts[1])
        weights[right] *= parts[0] / (parts[0] + parts[1])
        halves += [left, right]
    weights /= weights.sum()
    return weights

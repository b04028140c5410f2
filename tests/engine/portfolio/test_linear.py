"""The kernels of linear algebra equal LAPACK."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from engine.portfolio.linear import (
    cholesky,
    cholesky_plain,
    eigen,
    eigen_plain,
    recompose,
    recompose_plain,
    substitute,
    substitute_plain,
    times,
    times_plain,
)
from engine.types import Floats
from tests.engine.portfolio.matrices import correlation

MATRICES = {
    "one": np.ones((1, 1)),
    "two": np.array([[1.0, -0.3], [-0.3, 1.0]]),
    "identity": np.eye(6),
    "equal": np.full((7, 7), 0.4) + 0.6 * np.eye(7),
    "diagonal": np.diag([3.0, -1.0, 0.0, 2.0]),
    "singular": correlation(1, 30, 20),
    "large": correlation(2, 120, 400),
    "indefinite": np.array([[1.0, 0.9, -0.9], [0.9, 1.0, 0.9], [-0.9, 0.9, 1.0]]),
}
DEFINITE = ("one", "two", "identity", "equal", "large")


@pytest.mark.parametrize("matrix", MATRICES.values(), ids=MATRICES)
def test_eigenvalues_and_vectors(matrix: Floats) -> None:
    values, vectors = eigen(matrix)
    assert_allclose(np.sort(values), eigen_plain(matrix)[0], atol=1e-12)
    assert_allclose(vectors @ vectors.T, np.eye(len(matrix)), atol=1e-12)
    assert_allclose(matrix @ vectors.T, vectors.T * values, atol=1e-12)


@pytest.mark.parametrize("matrix", MATRICES.values(), ids=MATRICES)
def test_a_matrix_is_put_together_again(matrix: Floats) -> None:
    assert_allclose(recompose(*eigen(matrix)), matrix, atol=1e-12)
    assert_allclose(recompose_plain(*eigen_plain(matrix)), matrix, atol=1e-12)


@pytest.mark.parametrize("name", DEFINITE)
def test_the_factor_and_the_solution(name: str) -> None:
    matrix, wanted = MATRICES[name], np.linspace(-1.0, 2.0, len(MATRICES[name]))
    factor, plain = matrix.copy(), cholesky_plain(matrix)
    assert cholesky(factor, len(factor))
    assert plain is not None
    assert_allclose(np.tril(factor), plain, atol=1e-13)
    x = times(matrix, wanted)
    assert_allclose(substitute_plain(plain, x), wanted, atol=1e-12)
    substitute(factor, len(factor), x)
    assert_allclose(x, wanted, atol=1e-12)


@pytest.mark.parametrize("name", ["indefinite", "diagonal"])
def test_what_is_not_positive_definite_has_no_factor(name: str) -> None:
    assert not cholesky(MATRICES[name].copy(), len(MATRICES[name]))
    assert cholesky_plain(MATRICES[name]) is None


def test_only_the_leading_block_is_factored() -> None:
    matrix = np.diag([4.0, 9.0, -1.0])
    assert cholesky(matrix, 2)
    assert np.diag(matrix).tolist() == [2.0, 3.0, -1.0]


@pytest.mark.parametrize("n", range(1, 12))
def test_products(n: int) -> None:
    draw = np.random.default_rng(n)
    matrix, x = draw.standard_normal((n, n)), draw.standard_normal(n)
    assert_allclose(times(matrix, x), times_plain(matrix, x), atol=1e-13)

import math

import numpy as np
import pytest

from engine.validation.inputs import (
    PValue,
    constant,
    fraction,
    monte_carlo,
    no_tick,
    series,
    table,
    varying,
    without_unit,
)


def test_a_monte_carlo_p_value_is_never_nought_and_knows_its_error() -> None:
    assert monte_carlo(0, 99) == PValue(0.01, math.sqrt(0.01 * 0.99 / 100), 99)
    assert monte_carlo(99, 99) == PValue(1.0, 0.0, 99)


def test_its_error_is_the_spread_over_repetitions() -> None:
    count, p = 400, 0.2
    drawn = np.random.default_rng(1).binomial(count, p, 4000)
    values = [monte_carlo(int(b), count).value for b in drawn]
    assert monte_carlo(round(p * count), count).standard_error == pytest.approx(float(np.std(values)), rel=0.05)


def test_arrays_are_checked_and_made_contiguous() -> None:
    column = np.arange(6.0).reshape(3, 2)[:, 0]
    assert series(column).flags.c_contiguous
    assert series([1, 2]).dtype == np.float64
    assert table(np.arange(6.0).reshape(3, 2).T).flags.c_contiguous
    with pytest.raises(ValueError, match="x must have one axis"):
        series(1.0, "x")
    with pytest.raises(ValueError, match="x must have 2 axes"):
        table([1.0], "x")
    for value in (math.nan, -math.inf, 1e100):
        with pytest.raises(ValueError, match="x must be finite"):
            series([0.0, value], "x")


def test_what_varies_does_so_by_more_than_rounding() -> None:
    columns = np.array([[0.0, 0.0, 5.0, -5.0, 0.1], [1e-13, 2e-13, 5.0 + 4e-13, -5.0 - 6e-13, 0.1]])
    assert varying(columns).tolist() == [False, True, False, True, False]
    assert varying(columns[:0]).tolist() == [False] * 5
    assert [bool(varying(columns[:, i])) for i in range(5)] == [False, True, False, True, False]


def test_a_unit_is_taken_from_large_returns_only() -> None:
    assert without_unit(np.array([1e-9, -2e-9])).tolist() == [1e-9, -2e-9]
    assert without_unit(np.array([[4.0, 0.5], [-8.0, 0.25]])).tolist() == [[0.5, 0.5], [-1.0, 0.25]]


def test_constants_and_fractions() -> None:
    assert constant(np.full(20, 0.1))
    assert constant(np.empty(0))
    assert constant(np.array([0.1, np.nextafter(0.1, 1)]))
    assert fraction(0.5, "x") == 0.5
    for value in (0.0, 1.0, math.nan):
        with pytest.raises(ValueError, match="x must be between"):
            fraction(value, "x")
    no_tick(1, 2)

"""What somebody hands to a public function in a notebook, as arrays in the order of the symbols.

Lists and arrays are taken by position; dicts, Series and frames by symbol. pandas is recognised by what its objects
can do: the engine does not import it. Everything wrong is a ``ConfigError`` that names the argument.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np

from engine.errors import ConfigError, FieldError
from engine.portfolio.weighting import SAME
from engine.types import Floats

LARGEST_CAPITAL = Decimal(10) ** 15


def invalid(name: str, message: str, code: str = "invalid_value") -> ConfigError:
    """The error for an argument."""
    return ConfigError([FieldError(f"/{name}", code, message)])


def names(symbols: Iterable[object]) -> tuple[str, ...]:
    """Distinct, non-empty names, at least one."""
    if isinstance(symbols, (str, bytes, Mapping)):
        raise invalid("symbols", "a list of names is needed, even for one")
    try:
        found = tuple(symbols)
    except TypeError:
        raise invalid("symbols", "a list of names is needed") from None
    texts = tuple(symbol for symbol in found if isinstance(symbol, str) and symbol)
    if not found or len(texts) < len(found):
        raise invalid("symbols", "at least one name is needed, and each must be text")
    twice = sorted({symbol for symbol in texts if texts.count(symbol) > 1})
    if twice:
        raise invalid("symbols", f"{', '.join(twice)}: named more than once")
    return texts


def vector(values: object, symbols: Sequence[str], name: str, *, all_used: bool = False) -> Floats:
    """(N,) numbers; None and NaN are NaN. ``all_used``: a symbol too many is refused instead of ignored."""
    labels = _labels(values, "index")
    if isinstance(values, Mapping):
        labels = list(values)
    if labels is None or labels == list(range(len(symbols))):
        return _numbers(values, (len(symbols),), name)
    _check(labels, symbols, name, all_used=all_used)
    if isinstance(values, Mapping):
        return _numbers([values[symbol] for symbol in symbols], (len(symbols),), name)
    return _numbers(values, (len(labels),), name)[[labels.index(symbol) for symbol in symbols]]


def correlations(values: object, symbols: Sequence[str]) -> Floats:
    """(N, N) symmetric, in [-1, 1] or NaN, with a diagonal of 1."""
    name, n = "correlation", len(symbols)
    rows, columns = _labels(values, "index"), _labels(values, "columns")
    if isinstance(values, Mapping):
        _check(list(values), symbols, name)
        matrix = np.array([vector(values[symbol], symbols, name) for symbol in symbols])
    elif rows is None or columns is None or rows == columns == list(range(n)):
        matrix = _numbers(values, (n, n), name)
    else:
        _check(rows, symbols, name)
        _check(columns, symbols, name)
        matrix = _numbers(values, (len(rows), len(columns)), name)
        matrix = matrix[np.ix_([rows.index(s) for s in symbols], [columns.index(s) for s in symbols])]
    _check_correlations(matrix)
    result: Floats = np.clip(0.5 * (matrix + matrix.T), -1.0, 1.0)
    np.fill_diagonal(result, 1.0)
    return result


def _check_correlations(matrix: Floats) -> None:
    name = "correlation"
    if np.any(np.abs(matrix) > 1.0 + SAME):
        raise invalid(name, "every value must be in [-1, 1], or NaN where it is unknown; is it a covariance?")
    if np.any(np.abs(np.diag(matrix) - 1.0) > SAME):
        raise invalid(name, "the diagonal must be 1; is it a covariance?")
    if np.any(np.abs(matrix - matrix.T) > SAME) or np.any(np.isnan(matrix) != np.isnan(matrix.T)):
        raise invalid(name, "the matrix must be symmetric")


def cents(capital: object) -> int:
    """An amount of currency as whole cents. A float may be off by its own rounding, an exact number may not."""
    if isinstance(capital, np.generic):
        capital = capital.item()
    if isinstance(capital, bool) or not isinstance(capital, (int, float, Decimal, str)):
        raise invalid("capital", "a number is needed")
    try:
        exact = Decimal(repr(capital) if isinstance(capital, float) else capital)
    except InvalidOperation:
        raise invalid("capital", "a number is needed") from None
    if not exact.is_finite() or not Decimal(0) < exact <= LARGEST_CAPITAL:
        raise invalid("capital", "it must be above 0 and at most 1e15")
    whole = int((exact * 100).to_integral_value())
    rounded = isinstance(capital, float) and math.isclose(whole / 100.0, capital, rel_tol=1e-15)
    if whole < 1 or (exact * 100 != whole and not rounded):
        raise invalid("capital", "it must be a whole number of cents, at least 1")
    return whole


def number(value: object, low: float, high: float, name: str) -> float:
    """A finite number in [low, high]."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise invalid(name, f"a number in [{low:g}, {high:g}] is needed")
    return float(value)


def _labels(values: object, axis: str) -> list[Any] | None:
    # Lists have an ``index`` too, which is a method.
    found = getattr(values, axis, None) if hasattr(values, "to_numpy") else None
    return None if found is None else list(found)


def _check(labels: list[Any], symbols: Sequence[str], name: str, *, all_used: bool = False) -> None:
    missing = [symbol for symbol in symbols if symbol not in labels]
    if missing:
        raise invalid(name, f"nothing for {', '.join(missing)}", "missing")
    if len(set(labels)) < len(labels):
        raise invalid(name, "a label stands there twice")
    if all_used and len(labels) > len(symbols):
        others = ", ".join(sorted(str(label) for label in labels if label not in symbols))
        raise invalid(name, f"{others}: not among the symbols", "unknown_name")


def _numbers(values: object, shape: tuple[int, ...], name: str) -> Floats:
    try:
        found = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise invalid(name, f"numbers of shape {shape} are needed") from None
    if found.shape != shape:
        raise invalid(name, f"the shape is {found.shape} where {shape} is needed")
    return found

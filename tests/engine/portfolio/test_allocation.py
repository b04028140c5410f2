"""Allocation by hand, in any order, from anything a notebook has, and to the cent."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import engine
from engine.errors import ConfigError
from engine.portfolio.allocation import Allocation, Redundancy, allocate, hamilton
from tests.engine.portfolio.matrices import correlation

OFTEN = settings(derandomize=True, deadline=None, max_examples=300)
NAMES = ("A", "B", "C")
RHO = [[1.0, 0.9, 0.0], [0.9, 1.0, 0.0], [0.0, 0.0, 1.0]]
VOLS = [0.1, 0.1, 0.2]


def test_it_is_public() -> None:
    assert engine.allocate is allocate


def test_it_maps_symbols_to_amounts() -> None:
    found = allocate(NAMES, VOLS, np.eye(3), capital=1000)
    assert dict(found) == found == found.amounts
    assert (list(found), len(found), found["C"]) == (list(NAMES), 3, Decimal("200.00"))
    assert sum(found.values()) == Decimal(1000)


def test_inverse_volatility_is_the_base() -> None:
    found = allocate(NAMES, VOLS, np.eye(3), capital=1000)
    assert found.base_weights == pytest.approx({"A": 0.4, "B": 0.4, "C": 0.2})
    assert found.weights == pytest.approx({"A": 0.4, "B": 0.4, "C": 0.2})
    assert found.amounts == {"A": Decimal("400.00"), "B": Decimal("400.00"), "C": Decimal("200.00")}
    assert (found.capital, found.redundancies, found.reason) == (Decimal("1000.00"), (), None)


def test_redundant_symbols_are_scaled_by_the_formula() -> None:
    """A 0.5, B 0.25, C 0.25 at rho 0.9: A / (1 + 0.9 * 0.5), B / (1 + 0.9)."""
    found = allocate(NAMES, VOLS, RHO, [0.5, 0.25, 0.25], 100)
    assert found.factors == pytest.approx({"A": 1.0 / 1.45, "B": 1.0 / 1.9, "C": 1.0})
    raw = np.array([0.5 / 1.45, 0.25 / 1.9, 0.25])
    assert list(found.weights.values()) == pytest.approx((raw / raw.sum()).tolist())
    assert found.redundancies == (
        Redundancy("A", "B", 0.9, found.factors["A"]),
        Redundancy("B", "A", 0.9, found.factors["B"]),
    )
    assert found.amounts == {"A": Decimal("47.47"), "B": Decimal("18.11"), "C": Decimal("34.42")}


@pytest.mark.parametrize(("rho", "shared"), [(0.9, False), (-0.9, True)])
def test_direction_counts(rho: float, shared: bool) -> None:
    """A long beside a short of what moves along is a hedge; beside a short of what moves against it, one bet."""
    found = allocate(["A", "B"], None, [[1.0, rho], [rho, 1.0]], [0.5, -0.5], 100)
    assert bool(found.redundancies) is shared
    assert found.weights == {"A": 0.5, "B": -0.5}
    assert found.amounts == {"A": Decimal("50.00"), "B": Decimal("50.00")}


def test_the_threshold_is_exclusive_and_pairs_have_their_own() -> None:
    rho = [[1.0, 0.8], [0.8, 1.0]]
    assert not allocate(["A", "B"], [1, 1], rho).redundancies
    assert allocate(["A", "B"], [1, 1], rho, threshold=0.79).redundancies
    assert allocate(["B", "A"], [1, 1], rho, overrides={"A:B": 0.75}).redundancies
    assert not allocate(["A", "B"], [1, 1], rho, threshold=0.5, overrides={"A:B": 0.9}).redundancies


def test_symbols_may_have_colons() -> None:
    rho = [[1.0, 0.8], [0.8, 1.0]]
    assert allocate(["X:A", "X:B"], [1, 1], rho, overrides={"X:A:X:B": 0.7}).redundancies


def test_filter_keeps_the_larger_then_the_first_by_name() -> None:
    rho = np.full((3, 3), 0.9) + 0.1 * np.eye(3)
    kept = allocate(NAMES, VOLS, rho, [0.2, 0.5, 0.3], redundancy="filter")
    assert kept.factors == {"A": 0.0, "B": 1.0, "C": 0.0}
    assert [(r.symbol, r.partner) for r in kept.redundancies if r.partner == "B"] == [("A", "B"), ("C", "B")]
    assert allocate(["B", "A"], [1, 1], [[1, 0.9], [0.9, 1]], redundancy="filter").factors == {"B": 0.0, "A": 1.0}
    chain = [[1.0, 0.9, 0.0], [0.9, 1.0, 0.9], [0.0, 0.9, 1.0]]  # B falls for A, so C has no partner left
    assert allocate(NAMES, VOLS, chain, [0.5, 0.3, 0.2], redundancy="filter").factors == {"A": 1, "B": 0, "C": 1}


def test_off_leaves_the_base() -> None:
    for rho in (RHO, None):
        found = allocate(NAMES, VOLS, rho, redundancy="off")
        assert found.weights == pytest.approx(found.base_weights)
        assert found.redundancies == ()


def test_an_unknown_correlation_is_not_redundant_and_a_weight_of_0_has_no_partner() -> None:
    unknown = [[1.0, None, 0.0], [None, 1.0, 0.0], [0.0, 0.0, None]]
    assert not allocate(NAMES, VOLS, unknown).redundancies
    found = allocate(NAMES, VOLS, RHO, [1.0, 0.0, 1.0], threshold=0.0)
    assert found.redundancies == ()
    assert found.amounts["B"] == 0


@pytest.mark.parametrize("unknown", [None, float("nan"), 0.0])
def test_while_a_volatility_is_unknown_the_base_is_equal(unknown: float | None) -> None:
    found = allocate(NAMES, [0.1, unknown, 0.2], np.eye(3), capital="0.10")
    assert list(found.amounts.values()) == [Decimal("0.04"), Decimal("0.03"), Decimal("0.03")]
    assert found.reason == "no volatility of B: weights are equal"


def test_the_order_of_symbols_changes_nothing() -> None:
    names = [f"S{i}" for i in range(9)]
    draw = np.random.default_rng(4)
    rho, vols, base = correlation(4, 9, common=2.0), draw.uniform(0.1, 1.0, 9), draw.normal(size=9)
    for rule in ("scale", "filter"):
        expected = allocate(names, vols, rho, base, 12_345.67, 0.5, redundancy=rule)
        assert expected.redundancies
        for _ in range(60):
            order = draw.permutation(9)
            other = [names[i] for i in order]
            found = allocate(
                other, vols[order], rho[np.ix_(order, order)], base[order], 12_345.67, 0.5, redundancy=rule
            )
            assert found == expected
            assert list(found.amounts) == other


def test_lists_dicts_arrays_and_pandas_say_the_same() -> None:
    expected = allocate(NAMES, VOLS, RHO, [0.5, 0.3, 0.2])
    shuffled, more = ["C", "A", "B"], ["D", "C", "B", "A"]
    vols = pd.Series(VOLS, NAMES)
    frame = pd.DataFrame(RHO, NAMES, NAMES)
    base = {"C": 0.2, "B": 0.3, "A": 0.5}
    made: list[tuple[Any, Any, Any, Any]] = [
        (np.array(NAMES), np.array(VOLS), np.array(RHO), np.array([0.5, 0.3, 0.2])),
        (pd.Index(NAMES), vols[shuffled], frame.loc[shuffled, more[1:]], pd.Series(base)),
        (list(NAMES), vols.reindex(more), frame.reindex(index=more, columns=more), base),
        (NAMES, pd.Series(VOLS), pd.DataFrame(RHO), tuple(base[s] for s in NAMES)),
        (NAMES, vols.to_dict(), frame.to_dict(), base),
    ]
    for symbols, volatility, rho, weights in made:
        assert allocate(symbols, volatility, rho, weights) == expected


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("symbols", "ABC", "/symbols: a list of names"),
        ("symbols", 3, "/symbols: a list of names"),
        ("symbols", [], "/symbols: at least one name"),
        ("symbols", ["A", "B", 3], "/symbols: at least one name"),
        ("symbols", ["A", "B", "A"], "/symbols: A: named more than once"),
        ("volatility", [0.1, 0.2], r"/volatility: the shape is \(2,\)"),
        ("volatility", ["x", 0.1, 0.2], "/volatility: numbers"),
        ("volatility", {"A": 0.1, "B": 0.2}, "/volatility: nothing for C"),
        ("volatility", [0.1, -0.2, 0.3], "/volatility: it must be finite and not negative"),
        ("volatility", [0.1, float("inf"), 0.3], "/volatility: it must be finite"),
        ("volatility", None, "/volatility: it is needed"),
        ("volatility", pd.Series([1, 2, 3, 4], list("AABC")), "/volatility: a label stands there twice"),
        ("correlation", np.eye(2), "/correlation: the shape"),
        ("correlation", None, "/correlation: numbers|/correlation: the shape"),
        ("correlation", np.diag([0.04, 0.09, 0.01]), "/correlation: the diagonal must be 1; is it a covariance"),
        ("correlation", [[1, 2, 0], [2, 1, 0], [0, 0, 1]], "/correlation: every value must be in"),
        ("correlation", [[1, 0.2, 0], [0.3, 1, 0], [0, 0, 1]], "/correlation: the matrix must be symmetric"),
        ("correlation", [[1, None, 0], [0.3, 1, 0], [0, 0, 1]], "/correlation: the matrix must be symmetric"),
        ("correlation", pd.DataFrame(np.eye(2), list("AB"), list("AB")), "/correlation: nothing for C"),
        ("base_weights", [0.0, 0.0, 0.0], "/base_weights: they must be finite, and one of them not 0"),
        ("base_weights", [1.0, None, 1.0], "/base_weights: they must be finite"),
        ("base_weights", {"A": 1, "B": 1, "C": 1, "D": 1}, "/base_weights: D: not among the symbols"),
        ("capital", 0, "/capital: it must be above 0"),
        ("capital", -5.0, "/capital: it must be above 0"),
        ("capital", float("nan"), "/capital: it must be above 0"),
        ("capital", "1e16", "/capital: it must be above 0"),
        ("capital", "much", "/capital: a number"),
        ("capital", True, "/capital: a number"),
        ("capital", 10.005, "/capital: it must be a whole number of cents"),
        ("capital", Decimal("0.001"), "/capital: it must be a whole number of cents"),
        ("threshold", 1.5, "/threshold: a number in"),
        ("threshold", None, "/threshold: a number in"),
        ("overrides", {"B:A": 0.5}, "/overrides: 'B:A' is not a pair"),
        ("overrides", {"A:B": 2.0}, "/overrides: a number in"),
        ("overrides", ["A:B"], "/overrides: a dict by pair"),
        ("redundancy", "drop", "/redundancy: one of scale, filter, off"),
    ],
)
def test_what_is_wrong_names_the_argument(argument: str, value: Any, message: str) -> None:
    good: dict[str, Any] = {"symbols": NAMES, "volatility": VOLS, "correlation": RHO}
    with pytest.raises(ConfigError, match=f"^{message}"):
        allocate(**{**good, argument: value})


@pytest.mark.parametrize("capital", [0.1 + 0.2, "0.30", Decimal("0.3"), np.float64(0.3)])
def test_a_float_may_be_off_by_its_own_rounding(capital: Any) -> None:
    assert allocate(NAMES, VOLS, RHO, [1, 1, 1], capital, redundancy="off").capital == Decimal("0.30")


@OFTEN
@given(
    st.lists(st.floats(0.0, 1e6), min_size=1, max_size=12).filter(any),
    st.integers(1, 10**17),
)
def test_hamilton_is_exact_and_within_the_quota(shares: list[float], total: int) -> None:
    parts = hamilton(np.array(shares), total)
    assert sum(parts) == total
    whole = sum(Fraction(share) for share in shares)
    quotas = [total * Fraction(share) / whole for share in shares]
    assert all(quota - 1 < part < quota + 1 for part, quota in zip(parts, quotas, strict=True))
    assert all(part == 0 for part, share in zip(parts, shares, strict=True) if share == 0.0)
    rest = [quota - int(quota) for quota in quotas]
    up = [i for i, part in enumerate(parts) if part > int(quotas[i])]
    assert all((rest[i], -i) >= (rest[j], -j) for i in up for j in range(len(parts)) if j not in up)


@OFTEN
@given(
    st.lists(st.floats(-1e3, 1e3).filter(lambda w: abs(w) > 1e-9), min_size=1, max_size=8),
    st.integers(1, 10**12),
    st.integers(0, 10**6),
    st.sampled_from(["scale", "filter", "off"]),
)
def test_amounts_sum_to_the_capital_to_the_cent(base: list[float], cents: int, seed: int, rule: Any) -> None:
    names = [f"S{i}" for i in range(len(base))]
    capital = Decimal(cents).scaleb(-2)
    found: Allocation = allocate(
        names, None, correlation(seed, len(base), common=3.0), base, capital, 0.3, redundancy=rule
    )
    assert sum(found.amounts.values()) == capital == found.capital
    assert sum(abs(w) for w in found.weights.values()) == pytest.approx(1.0, abs=1e-12)
    for name, amount in found.amounts.items():
        assert abs(amount - capital * Decimal(abs(found.weights[name]))) <= Decimal("0.0100001") + capital * Decimal(
            "1e-14"
        )
        assert amount >= 0
        assert amount == amount.quantize(Decimal("0.01"))

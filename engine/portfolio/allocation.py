"""Capital over symbols, to the cent: base weights, less for symbols that move together (semantics section 8)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Literal

import numpy as np

from engine.portfolio.arguments import cents, correlations, invalid, names, number, vector
from engine.portfolio.weighting import Estimates, by_name
from engine.portfolio.weighting_rules import InverseVolatility
from engine.types import Bools, Floats

Rule = Literal["scale", "filter", "off"]
RULES: tuple[Rule, ...] = ("scale", "filter", "off")


@dataclass(frozen=True)
class Redundancy:
    """``symbol`` moves with ``partner``: their correlation in the direction of both positions is above the threshold.

    ``correlation`` is that of their returns; ``factor`` is what the symbol's weight was multiplied by, for all its
    partners together.
    """

    symbol: str
    partner: str
    correlation: float
    factor: float


@dataclass(frozen=True, eq=False)
class Allocation(Mapping[str, Decimal]):
    """Capital by symbol, in the order in which the symbols were given: a mapping to ``amounts``.

    ``base_weights`` as used; ``factors`` in [0, 1] for redundancy; ``weights`` after it, signed, their absolute values
    summing to 1; ``amounts`` in currency, at least 0 and whole cents, summing to ``capital`` exactly. ``redundancies``
    in the order of names. ``reason`` says why base weights are equal where no volatility was known.
    """

    capital: Decimal
    base_weights: Mapping[str, float]
    factors: Mapping[str, float]
    weights: Mapping[str, float]
    amounts: Mapping[str, Decimal]
    redundancies: tuple[Redundancy, ...] = ()
    reason: str | None = None

    def __getitem__(self, symbol: str) -> Decimal:
        """The amount of a symbol."""
        return self.amounts[symbol]

    def __iter__(self) -> Iterator[str]:
        """The symbols."""
        return iter(self.amounts)

    def __len__(self) -> int:
        """How many symbols there are."""
        return len(self.amounts)


def allocate(
    symbols: Sequence[str],
    volatility: object,
    correlation: object,
    base_weights: object = None,
    capital: float | Decimal | str = 100_000,
    threshold: float = 0.8,
    overrides: Mapping[str, float] | None = None,
    redundancy: Rule = "scale",
) -> Allocation:
    """Divide capital over N symbols.

    Base weights are those given, else inverse volatility (equal while one is unknown). Symbol i is redundant with j
    when sign(w_i) * sign(w_j) * rho_ij > theta. ``redundancy``: ``scale`` divides w_i by 1 + the sum over its j of
    |rho_ij| * min(1, |w_j| / |w_i|); ``filter`` accepts symbols by |w|, then name, and drops one that is redundant
    with one accepted before; ``off``. What is left is scaled to a sum of 1, and capital rounded to cents by largest
    remainder (Hamilton), equal remainders by name.

    ``volatility`` and ``base_weights``: a list or array (N,), or a dict or Series by symbol; ``correlation``: (N, N),
    a frame, or a dict of dicts; NaN or None where unknown, which is never redundant. Weights may be negative (short).
    Volatility may be None where base weights are given, correlation where ``redundancy`` is off. ``threshold``:
    theta, in [0, 1]; ``overrides``: theta by pair, as ``{"EURUSD:GBPUSD": 0.75}``, in the order of names.

    Raises ``ConfigError`` naming the argument.
    """
    given = names(symbols)
    total = cents(capital)
    if redundancy not in RULES:
        raise invalid("redundancy", f"one of {', '.join(RULES)} is needed")
    base, reason = _base(given, volatility, base_weights)
    theta = _thresholds(given, number(threshold, 0.0, 1.0, "threshold"), overrides)
    if correlation is None and redundancy == "off":
        rho = np.full(theta.shape, np.nan)
    else:
        rho = correlations(correlation, given)
    # In the order of names, so that the order in which symbols are given changes no bit.
    order = by_name(given)
    ordered = given if order is None else tuple(given[i] for i in order.tolist())
    if order is not None:
        base, theta, rho = base[order], theta[order][:, order], rho[order][:, order]
    together = redundant(base, rho, theta)
    factors = {"scale": scaling, "filter": filtering, "off": _all}[redundancy](base, rho, together)
    if redundancy == "off":
        together[:] = False
    weights = base / np.abs(base).max() * factors
    weights /= np.abs(weights).sum()
    amounts = [Decimal(part).scaleb(-2) for part in hamilton(np.abs(weights), total)]
    place = {symbol: i for i, symbol in enumerate(ordered)}
    return Allocation(
        capital=Decimal(total).scaleb(-2),
        base_weights={symbol: float(base[place[symbol]]) for symbol in given},
        factors={symbol: float(factors[place[symbol]]) for symbol in given},
        weights={symbol: float(weights[place[symbol]]) for symbol in given},
        amounts={symbol: amounts[place[symbol]] for symbol in given},
        redundancies=tuple(
            Redundancy(ordered[i], ordered[j], float(rho[i, j]), float(factors[i]))
            for i, j in np.argwhere(together & (factors < 1.0)[:, None]).tolist()
        ),
        reason=reason,
    )


def redundant(weights: Floats, correlation: Floats, threshold: Floats) -> Bools:
    """(N, N) True where i is redundant with j: sign(w_i) * sign(w_j) * rho_ij > theta_ij. NaN is not."""
    sign = np.sign(weights)
    found: Bools = np.outer(sign, sign) * correlation > threshold
    found &= np.outer(sign, sign) != 0.0
    np.fill_diagonal(found, val=False)
    return found


def scaling(weights: Floats, correlation: Floats, together: Bools) -> Floats:
    """Factors (N,): 1 / (1 + sum over redundant j of |rho_ij| * min(1, |w_j| / |w_i|))."""
    size = np.abs(weights)
    ratio = np.ones(together.shape)
    np.divide(size[None, :], size[:, None], out=ratio, where=size[:, None] > size[None, :])
    factors: Floats = 1.0 / (1.0 + np.where(together, np.abs(correlation) * ratio, 0.0).sum(axis=1))
    return factors


def filtering(weights: Floats, _: Floats, together: Bools) -> Floats:
    """Factors (N,): 0 for a symbol that is redundant with one accepted before it, by |w| and then position, else 1."""
    accepted = np.zeros(len(weights), dtype=np.bool_)
    for i in np.argsort(-np.abs(weights), kind="stable").tolist():
        accepted[i] = not (together[i] & accepted).any()
    return accepted.astype(np.float64)


def _all(weights: Floats, _: Floats, __: Bools) -> Floats:
    return np.ones(len(weights))


def hamilton(shares: Floats, total: int) -> list[int]:
    """``total`` split in whole parts by shares (N,) >= 0, not all 0: rounded down, then the largest remainders up.

    Exact in integers; equal remainders go by position, and a share of 0 gets nothing.
    """
    exact = [Fraction(share) for share in shares.tolist()]
    whole = sum(exact)
    quotas = [total * share / whole for share in exact]
    parts = [int(quota) for quota in quotas]
    by_remainder = sorted(range(len(parts)), key=lambda i: (parts[i] - quotas[i], i))
    for i in by_remainder[: total - sum(parts)]:
        parts[i] += 1
    return parts


def _base(symbols: tuple[str, ...], volatility: object, base_weights: object) -> tuple[Floats, str | None]:
    known = None if volatility is None else vector(volatility, symbols, "volatility")
    if known is not None and np.any((known < 0.0) | np.isinf(known)):
        raise invalid("volatility", "it must be finite and not negative, or NaN where it is unknown")
    if base_weights is not None:
        weights = vector(base_weights, symbols, "base_weights", all_used=True)
        if not np.isfinite(weights).all() or not weights.any():
            raise invalid("base_weights", "they must be finite, and one of them not 0")
        return weights + 0.0, None
    if known is None:
        raise invalid("volatility", "it is needed where there are no base weights", "missing")
    found = InverseVolatility(name="inverse_volatility").weights(Estimates(symbols, known))
    return found.weights, found.reason


def _thresholds(symbols: tuple[str, ...], threshold: float, overrides: Mapping[str, float] | None) -> Floats:
    """(N, N) thresholds; the pair of an override is written in the order of names."""
    theta = np.full((len(symbols), len(symbols)), threshold)
    if not overrides:
        return theta
    if not isinstance(overrides, Mapping):
        raise invalid("overrides", 'a dict by pair is needed, as {"EURUSD:GBPUSD": 0.75}')
    pairs = {f"{a}:{b}": (i, j) for i, a in enumerate(symbols) for j, b in enumerate(symbols) if a < b}
    for pair, value in overrides.items():
        if pair not in pairs:
            raise invalid("overrides", f"'{pair}' is not a pair of the symbols, in the order of names", "unknown_name")
        i, j = pairs[pair]
        theta[i, j] = theta[j, i] = number(value, 0.0, 1.0, "overrides")
    return theta

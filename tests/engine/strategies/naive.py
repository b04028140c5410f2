"""Every strategy once more, from its description alone: plain Python on lists of closes, highs and lows.

Nothing of the engine is used but names of parameters. A value that does not exist yet is None, and a signal is
None while one of the rule's inputs is.
"""

import itertools
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Line = Sequence[float | None]


@dataclass(frozen=True)
class Prices:
    high: list[float]
    low: list[float]
    close: list[float]


def sma(values: Sequence[float], n: int) -> Line:
    return [math.fsum(values[t + 1 - n : t + 1]) / n if t >= n - 1 else None for t in range(len(values))]


def ema(values: Line, n: int) -> Line:
    """Begins with the mean of the first ``n`` known values."""
    known = [v for v in values if v is not None]
    made: list[float | None] = [None] * (len(values) - len(known))
    for t, value in enumerate(known):
        if t < n - 1:
            made.append(None)
        elif t == n - 1:
            made.append(math.fsum(known[:n]) / n)
        else:
            before = made[-1] or 0.0
            made.append(before + 2.0 / (n + 1.0) * (value - before))
    return made


def rsi(closes: Sequence[float], n: int) -> Line:
    changes = [b - a for a, b in itertools.pairwise(closes)]
    made: list[float | None] = [None] * min(n, len(closes))
    up = math.fsum(max(c, 0.0) for c in changes[:n]) / n
    down = math.fsum(max(-c, 0.0) for c in changes[:n]) / n
    for t in range(n, len(closes)):
        if t > n:
            up = (up * (n - 1) + max(changes[t - 1], 0.0)) / n
            down = (down * (n - 1) + max(-changes[t - 1], 0.0)) / n
        made.append(100.0 * up / (up + down) if up + down > 0.0 else 50.0)
    return made


def deviation(closes: Sequence[float], n: int, sample: bool) -> Line:
    one = statistics.stdev if sample else statistics.pstdev
    return [one(closes[t + 1 - n : t + 1]) if t >= n - 1 else None for t in range(len(closes))]


def sign(left: Line, right: Line) -> list[float | None]:
    return [
        None if a is None or b is None else float(not math.isclose(a, b, rel_tol=1e-12)) * (1.0 if a > b else -1.0)
        for a, b in zip(left, right, strict=True)
    ]


def shifted(values: Sequence[float], n: int) -> Line:
    return [None] * min(n, len(values)) + list(values[: max(len(values) - n, 0)])


def dual_sma(p: Prices, fast: int, slow: int) -> list[float | None]:
    return sign(sma(p.close, fast), sma(p.close, slow))


def ema_cross(p: Prices, fast: int, slow: int) -> list[float | None]:
    return sign(ema(p.close, fast), ema(p.close, slow))


def macd(p: Prices, fast: int, slow: int, signal: int) -> list[float | None]:
    # The fast average begins together with the slow one, with the mean of the closes just before.
    late = [None] * (slow - fast) + list(p.close[slow - fast :])
    line = [None if a is None or b is None else a - b for a, b in zip(ema(late, fast), ema(p.close, slow), strict=True)]
    return sign(line, ema(line, signal))


def time_series_momentum(p: Prices, lookback: int, skip: int) -> list[float | None]:
    return sign(shifted(p.close, skip), shifted(p.close, lookback))


def buy_and_hold(p: Prices) -> list[float | None]:
    return [1.0] * len(p.close)


def held(rule: Callable[[int, float], float | None], length: int) -> list[float | None]:
    """The states of a rule that says at bar t, in a state, what the next state is; None while it cannot say."""
    states: list[float | None] = []
    state = 0.0
    for t in range(length):
        said = rule(t, state)
        state = state if said is None else said
        states.append(said)
    return states


def bands(
    value: Line, low: Callable[[int], float], middle: Callable[[int, float], float], high: Callable[[int], float]
) -> list[float | None]:
    """Long below ``low``, short above ``high``, flat again at or beyond ``middle``, which may depend on the side."""

    def rule(t: int, state: float) -> float | None:
        x = value[t]
        if x is None:
            return None
        if x < low(t):
            return 1.0
        if x > high(t):
            return -1.0
        if (state > 0 and x >= middle(t, state)) or (state < 0 and x <= middle(t, state)):
            return 0.0
        return state

    return held(rule, len(value))


def rsi_reversion(p: Prices, length: int, lower: float, upper: float, exit: float) -> list[float | None]:  # noqa: A002
    return bands(rsi(p.close, length), lambda _: lower, lambda _t, _s: exit, lambda _: upper)


def bollinger_reversion(p: Prices, length: int, width: float) -> list[float | None]:
    mean, spread = sma(p.close, length), deviation(p.close, length, sample=False)
    value = [c if m is not None else None for c, m in zip(p.close, mean, strict=True)]
    return bands(
        value,
        lambda t: (mean[t] or 0.0) - width * (spread[t] or 0.0),
        lambda t, _: mean[t] or 0.0,
        lambda t: (mean[t] or 0.0) + width * (spread[t] or 0.0),
    )


def zscore_reversion(p: Prices, length: int, entry: float, exit: float) -> list[float | None]:  # noqa: A002
    mean, spread = sma(p.close, length), deviation(p.close, length, sample=SAMPLE)
    score = [(c - m) / s if m is not None and s else None for c, m, s in zip(p.close, mean, spread, strict=True)]
    return bands(score, lambda _: -entry, lambda _, state: -exit if state > 0 else exit, lambda _: entry)


SAMPLE = True
"""Whether the z-score divides by the deviation of a sample (ddof 1)."""


def donchian_breakout(p: Prices, entry: int, exit: int) -> list[float | None]:  # noqa: A002
    def rule(t: int, state: float) -> float | None:
        if t < entry:
            return None
        if p.close[t] > max(p.high[t - entry : t]):
            return 1.0
        if p.close[t] < min(p.low[t - entry : t]):
            return -1.0
        left = state > 0 and p.close[t] < min(p.low[t - exit : t])
        covered = state < 0 and p.close[t] > max(p.high[t - exit : t])
        return 0.0 if left or covered else state

    return held(rule, len(p.close))


def signal(p: Prices, column: str, **thresholds: float) -> list[float | None]:
    def one(x: float) -> float:
        for side, level in thresholds.items():
            if (x > level) if side.endswith("above") else (x < level):
                return 1.0 if side.startswith("long") else -1.0
        return 0.0

    return [None if math.isnan(x) else one(x) for x in getattr(p, column)]


def target_weight(p: Prices, column: str) -> list[float | None]:
    return [None if math.isnan(x) else x for x in getattr(p, column)]


def signals(prices: Prices, name: str, params: dict[str, Any], feature_lag: int) -> list[float]:
    """What the strategy should say at every bar: the past shifted by the lag, the last one kept, 0 at first."""
    late = shifted_signals(globals()[name](prices, **params), feature_lag if name != "buy_and_hold" else 0)
    made: list[float] = []
    for value in late:
        made.append(value if value is not None else (made[-1] if made else 0.0))
    return made


def shifted_signals(values: Line, lag: int) -> Line:
    return [None] * min(lag, len(values)) + list(values[: len(values) - lag])

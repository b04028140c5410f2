"""What comes before the account: averages, signals, and the bars at which orders leave."""

import math
from datetime import UTC, datetime, timedelta

from tests.oracle.account import Flags, Grid

SECOND = 1_000_000_000


def average(values: list[float]) -> float:
    return math.fsum(values) / len(values)


def sma(values: list[float], length: int) -> list[float | None]:
    """The mean of the last ``length`` values of each bar, where there are that many."""
    return [average(values[t + 1 - length : t + 1]) if t + 1 >= length else None for t in range(len(values))]


def lag(values: list[float | None], bars: int) -> list[float | None]:
    """What was known ``bars`` bars ago."""
    return [values[t - bars] if t >= bars else None for t in range(len(values))]


def dual_sma(close: list[float], fast: int, slow: int, feature_lag: int) -> list[float]:
    """+1 while the fast average is above the slow one, -1 below, 0 while equal or not yet known."""
    signal = []
    for quick, calm in zip(lag(sma(close, fast), feature_lag), lag(sma(close, slow), feature_lag), strict=True):
        if quick is None or calm is None or abs(quick - calm) <= 1e-12 * abs(calm):
            signal.append(0.0)
        else:
            signal.append(1.0 if quick > calm else -1.0)
    return signal


def buy_and_hold(close: list[float]) -> list[float]:
    return [1.0 for _ in close]


def changes(signals: Grid) -> Flags:
    """Where each signal differs from the one before; before the first bar it is 0."""
    before = [[0.0] * len(signals[0]), *signals[:-1]]
    return [[a != b for a, b in zip(old, new, strict=True)] for old, new in zip(before, signals, strict=True)]


def first_bars(opened_at: list[int], schedule: str) -> list[bool]:
    """The first bar of each UTC day, week (from Monday) or month; every bar if that is the schedule."""
    if schedule == "every_bar":
        return [True] * len(opened_at)
    periods = []
    for stamp in opened_at:
        day = datetime.fromtimestamp(stamp // SECOND, UTC).date()
        monday = day - timedelta(days=day.weekday())
        periods.append({"daily": day, "weekly": monday, "monthly": day.replace(day=1)}[schedule])
    return [t == 0 or periods[t] != periods[t - 1] for t in range(len(periods))]

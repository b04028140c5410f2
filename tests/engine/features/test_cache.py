"""Features are computed once for the same rows, within a bound of bytes."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import engine
from engine.data.bars import Bars
from engine.features import FeatureCache, feature_matrix
from engine.types import Floats
from tests.engine.features.markets import market
from tests.engine.test_pipeline import config, dataset, gappy

BARS = market(rows=100)


@dataclass(frozen=True)
class Counting:
    """A feature that counts how often it is computed."""

    name: str
    calls: list[str] = field(compare=False)
    lookback: int = 1
    recursive: bool = False
    columns: tuple[str, ...] = ("close",)

    def compute(self, bars: Bars) -> Floats:
        self.calls.append(self.name)
        return bars.close * 2.0


def made(cache: FeatureCache | None, calls: list[str], name: str = "a", digest: str = "d", lag: int = 1) -> Floats:
    return feature_matrix(BARS, {"x": Counting(name, calls)}, lag, cache, digest)["x"]


def test_a_second_use_computes_nothing() -> None:
    cache, calls = FeatureCache(10**6), list[str]()
    first, second = made(cache, calls), made(cache, calls)
    assert calls == ["a"]
    assert first is second
    other = made(cache, calls, lag=0)
    np.testing.assert_array_equal(other[:-1], first[1:])


def test_other_rows_and_other_features_are_others() -> None:
    cache, calls = FeatureCache(10**6), list[str]()
    made(cache, calls)
    made(cache, calls, digest="e")
    made(cache, calls, name="b")
    assert calls == ["a", "a", "b"]
    assert cache.nbytes == 3 * 800


def test_what_was_used_longest_ago_leaves_first() -> None:
    cache, calls = FeatureCache(1600), list[str]()
    for name in ("a", "b", "a", "c", "a", "b"):
        made(cache, calls, name=name)
    assert calls == ["a", "b", "c", "b"]
    assert cache.nbytes <= 1600


def test_what_is_larger_than_everything_is_not_kept() -> None:
    cache, calls = FeatureCache(799), list[str]()
    made(cache, calls)
    made(cache, calls)
    assert (calls, cache.nbytes) == (["a", "a"], 0)


def test_what_is_kept_cannot_be_written() -> None:
    values = made(FeatureCache(10**6), [], lag=0)
    with pytest.raises(ValueError, match="read-only"):
        values[0] = 1.0


@pytest.mark.parametrize("name", ["dual_sma", "macd", "donchian_breakout"])
def test_a_run_with_a_cache_is_the_run_without(name: str) -> None:
    data, cache = dataset(A=gappy()), FeatureCache(10**7)
    asked: dict[str, Any] = config(strategy={"name": name}, execution={"feature_lag": 0})
    plain, first, second = (engine.run(asked, data, cache=c) for c in (None, cache, cache))
    for result in (first, second):
        assert result.ledger.equity.tobytes() == plain.ledger.equity.tobytes()
        assert result.hash == plain.hash
    assert cache.nbytes > 0

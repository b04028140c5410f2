"""One pass counts what the masks mark, and finds the gaps that every step would show."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.data.bars import Bars, Conventions, Series, mark_valid, mark_valid_plain
from engine.data.sessions import missing_bars
from engine.data.tally import Tally, gaps, longer_steps, longer_steps_plain, tally, tally_plain
from engine.types import NANOSECONDS_PER_DAY, Times

MINUTE = 60 * 10**9
PROPERTY = settings(deadline=None, derandomize=True, max_examples=300)
PRICES = st.sampled_from(
    [1.0, 1.0, 1.0, 2.0, 2.9, 3.0, 3.0000001, 9.1, 0.3, 1 / 3, 0.0, -0.0, -1.0, 5e-324, 1.5e-323, 1.7e308, np.inf,
     -np.inf, np.nan]
)  # fmt: skip


def series(rows: Any) -> Series:
    columns = np.array(rows, dtype=np.float64).reshape(-1, 5).T
    return Series(MINUTE * np.arange(columns.shape[1]), *columns)


@PROPERTY
@given(rows=st.lists(st.tuples(PRICES, PRICES, PRICES, PRICES, st.sampled_from([0.0, 0.0, 1.0])), max_size=8))
def test_counts_are_those_of_the_masks(rows: list[tuple[float, ...]]) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        assert tally(series(rows)) == tally_plain(series(rows))


def test_a_tally_by_hand() -> None:
    rows = [
        (10.0, 10.0, 10.0, 10.0, 5.0),  # still
        (10.0, 31.0, 9.0, 10.0, 0.0),  # a high over 3 times away, and no volume
        (10.0, 11.0, 3.0, 9.5, 1.0),  # a low of under a third
        (9.5, 31.0, 9.0, 30.0, 1.0),  # a jump of the close, which the high shares
        (30.0, 31.0, 29.0, np.nan, 1.0),
        (30.0, 31.0, 29.0, 0.0, 1.0),
    ]
    assert tally(series(rows)) == Tally(silent=1, flat=1, jumps=1, spikes=2, unpriced=2)
    without_volume = [(*row[:4], 0.0) for row in rows]
    assert tally(series(without_volume)).silent == 0


def opens(conventions: Conventions, missing: float) -> Times:
    bar, random = conventions.bar_ns, np.random.default_rng(5)
    time = 1_700_000_100 * 10**9 // bar * bar + bar * np.arange(20_000 if bar < NANOSECONDS_PER_DAY else 400)
    kept = time[random.random(len(time)) >= missing]
    return kept[~((kept // NANOSECONDS_PER_DAY) % 5 == 0)] if missing else kept


@pytest.mark.parametrize("missing", [0.0, 0.001, 0.9])
@pytest.mark.parametrize("timeframe", ["1m", "15m", "4h", "1d", "1w"])
@pytest.mark.parametrize("calendar", ["24x7", "24x5", "XNYS"])
def test_gaps_are_those_of_every_step(calendar: str, timeframe: str, missing: float) -> None:
    conventions = Conventions(timeframe, calendar)
    time = opens(conventions, missing)
    every = missing_bars(time, conventions)
    assert gaps(time, conventions) == (int(np.count_nonzero(every > 0)), int(every.max()))
    assert missing == 0.0 or every.max() > 0


def test_no_rows_and_one_have_no_gaps() -> None:
    for rows in (0, 1):
        assert gaps(np.zeros(rows, dtype=np.int64), Conventions("1m", "24x7")) == (0, 0)


@PROPERTY
@given(steps=st.lists(st.integers(0, 4), max_size=20), bar=st.integers(1, 3))
def test_longer_steps_equal_their_twin(steps: list[int], bar: int) -> None:
    time = np.cumsum(np.array(steps, dtype=np.int64))
    one, two = np.zeros(len(time), dtype=np.int64), np.zeros(len(time), dtype=np.int64)
    assert longer_steps(time, bar, one) == longer_steps_plain(time, bar, two)
    assert one.tolist() == two.tolist()


@PROPERTY
@given(rows=st.lists(st.tuples(PRICES, PRICES, PRICES, PRICES), max_size=8))
def test_validity_equals_its_twin_and_the_tally(rows: list[tuple[float, ...]]) -> None:
    first, high, low, last = np.ascontiguousarray(np.array(rows, dtype=np.float64).reshape(-1, 4).T)
    one, two = np.empty(len(rows), dtype=np.bool_), np.empty(len(rows), dtype=np.bool_)
    mark_valid(first, high, low, last, one)
    mark_valid_plain(first, high, low, last, two)
    assert one.tolist() == two.tolist()
    rows_ = series([(*row, 1.0) for row in rows])
    with np.errstate(over="ignore", invalid="ignore"):
        assert tally(rows_).unpriced == np.count_nonzero(~one)
    assert Bars.of("A", rows_, Conventions("1m", "24x7")).valid[:, 0].tolist() == one.tolist()

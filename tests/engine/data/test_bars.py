import pickle
import re
from dataclasses import replace

import numpy as np
import pytest

from engine.data.bars import (
    COLUMNS,
    SYMBOL_PATTERN,
    Bars,
    Conventions,
    Dataset,
    Series,
    timeframe_name,
    timeframe_ns,
)
from engine.errors import DataError

HOUR = 3600 * 10**9


def series(rows: int = 4, volume: tuple[float, ...] | None = None) -> Series:
    price = np.arange(rows, dtype=np.float64) + 10.0
    traded = np.zeros(rows) if volume is None else np.array(volume, dtype=np.float64)
    return Series(np.arange(rows, dtype=np.int64) * HOUR, price, price + 1, price - 1, price, traded)


H1 = Conventions(timeframe="1h", calendar="24x7")


@pytest.mark.parametrize("name", ["1s", "90s", "1m", "15m", "1h", "4h", "1d", "1w"])
def test_timeframe_names_survive_the_way_to_nanoseconds_and_back(name: str) -> None:
    assert timeframe_ns(timeframe_name(timeframe_ns(name))) == timeframe_ns(name)


@pytest.mark.parametrize("name", ["", "h", "0m", "1M", "1.5h", "1h ", "-1h", "12345s"])
def test_other_timeframes_are_refused(name: str) -> None:
    with pytest.raises(DataError, match="timeframe"):
        timeframe_ns(name)


def test_between_takes_the_start_and_leaves_the_end() -> None:
    assert series().between(HOUR, 3 * HOUR).time.tolist() == [HOUR, 2 * HOUR]
    assert len(series().between(None, None)) == 4
    assert len(series().between(3 * HOUR, HOUR)) == 0


def test_a_digest_depends_on_rows_and_conventions_but_not_on_the_zone() -> None:
    base = series().digest(H1)
    assert series().digest(Conventions("1h", "24x7", timezone="Europe/London")) == base
    assert series().digest(Conventions("1h", "24x7", label="close")) != base
    assert series().slice(0, 3).digest(H1) != base


def test_select_names_every_missing_symbol() -> None:
    dataset = Dataset("d", H1, {"EURUSD": series()})
    assert dataset.select(["EURUSD"])[0] is dataset.series["EURUSD"]
    with pytest.raises(DataError, match=r"EURUSX, B\. Did you mean 'EURUSD'\?"):
        dataset.select(["EURUSX", "B"])


@pytest.mark.parametrize(
    ("volume", "tradable"), [(None, [True] * 4), ((1.0, 0.0, 2.0, 0.0), [True, False, True, False])]
)
def test_zero_volume_is_untradable_only_where_there_is_volume(
    volume: tuple[float, ...] | None, tradable: list[bool]
) -> None:
    bars = Bars.of("X", series(volume=volume), H1)
    assert bars.tradable[:, 0].tolist() == tradable
    assert bars.close_time[0] == HOUR
    assert all(bars.column(c).shape == (4, 1) for c in COLUMNS)


@pytest.mark.parametrize(("symbol", "good"), [("BTC/USDT", True), ("^GSPC", True), ("../x", False), ("", False)])
def test_symbol_pattern(symbol: str, good: bool) -> None:
    assert bool(re.fullmatch(SYMBOL_PATTERN, symbol)) is good


def test_close_times_are_made_when_asked_for_and_slices_keep_them() -> None:
    even = Bars.of("A", series(4), H1)
    uneven = Bars.of("A", replace(series(4), close_time=HOUR * np.array([1, 2, 3, 9])), H1)
    assert "close_time" not in vars(even.slice(1, 3))
    for bars, closes in ((even, [1, 2, 3, 4]), (uneven, [1, 2, 3, 9])):
        expected = [HOUR * c for c in closes]
        assert bars.closes_at(np.arange(4)).tolist() == expected
        assert bars.closes_at(-1) == expected[-1]
        assert np.diff(bars.clock).tolist() == np.diff(expected).tolist()
        assert bars.slice(1, 4).closes_at(-1) == expected[-1]
        assert bars.slice(1, 3).close_time.tolist() == expected[1:3]
        assert bars.close_time.tolist() == expected
        assert bars.closes_at(1) == expected[1]
        assert bars.slice(1, 3).close_time.tolist() == expected[1:3]
        assert replace(bars, symbols=("B",)).close_time.tolist() == expected
        assert pickle.loads(pickle.dumps(bars)).close_time.tolist() == expected


def test_known_prices_are_valid_without_a_look() -> None:
    bars = Bars.of("A", series(4), H1, priced=True)
    assert bars.valid.tolist() == Bars.of("A", series(4), H1).valid.tolist() == [[True]] * 4
    holed = replace(bars, open=bars.open * np.array([[1.0], [np.nan], [0.0], [np.inf]]))
    assert holed.valid[:, 0].tolist() == [True, False, False, False]

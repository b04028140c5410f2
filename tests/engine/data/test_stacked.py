from dataclasses import fields

import numpy as np
import pytest

import engine
from engine.data.align import align
from engine.data.bars import COLUMNS, Bars, Conventions, Dataset, Series, mark_valid_plain
from engine.data.stacked import Stacked
from engine.types import Floats

MINUTE = 60_000_000_000
RULES = Conventions("1m", "24x7")


def rows(*minutes: int, first: float) -> Series:
    price: Floats = first + np.arange(len(minutes), dtype=np.float64)
    volume = np.where(np.arange(len(minutes)) == 1, 0.0, 5.0)
    extra = {"score": -price, "mine": price} if first < 20.0 else {"score": -price}
    return Series(MINUTE * np.array(minutes), price, price + 2.0, price - 2.0, price + 1.0, volume, extra=extra)


def union() -> Bars:
    return align({"B": rows(1, 2, 3, first=20.0), "A": rows(0, 1, 3, first=10.0)}, RULES, "union").bars


def test_bars_stand_where_they_are_and_nothing_where_there_are_none() -> None:
    bars, nan = union(), np.nan
    assert isinstance(bars, Stacked)
    assert bars.symbols == ("A", "B")
    np.testing.assert_array_equal(bars.open, [[10.0, nan], [11.0, 20.0], [nan, 21.0], [12.0, 22.0]])
    np.testing.assert_array_equal(bars.high - bars.open, np.where(np.isnan(bars.open), nan, 2.0))
    assert bars.volume.tolist() == [[5.0, 0.0], [0.0, 5.0], [0.0, 0.0], [5.0, 5.0]]
    assert bars.tradable.tolist() == [[True, False], [False, True], [False, False], [True, True]]
    assert bars.valid.tolist() == [[True, False], [True, True], [False, True], [True, True]]
    np.testing.assert_array_equal(bars.extra["score"], -bars.open)
    assert list(bars.extra) == ["score"]


def test_valid_is_what_the_prices_say() -> None:
    holed = rows(0, 1, 2, first=10.0)
    holed.low[1], holed.close[2] = 0.0, np.inf
    bars = align({"A": holed, "B": rows(0, 1, 2, first=20.0)}, RULES).bars
    expected = np.empty(bars.close.shape, dtype=np.bool_)
    mark_valid_plain(bars.open, bars.high, bars.low, bars.close, expected)
    assert bars.valid.tolist() == expected.tolist() == [[True, True], [False, True], [False, True]]


def test_a_column_of_one_symbol_is_that_of_the_whole() -> None:
    bars = union()
    for name in (*COLUMNS, "tradable", "valid"):
        for i in range(2):
            np.testing.assert_array_equal(bars.one(name, i), getattr(bars, name)[:, i])


def test_parts_are_those_of_bars_that_are_all_there() -> None:
    bars = union()
    plain = Bars(**{f.name: getattr(bars, f.name) for f in fields(Bars)})
    for mine, other in (
        (bars.slice(1, 3), plain.slice(1, 3)),
        (bars.only(1, np.array([1, 3])), plain.only(1, np.array([1, 3]))),
    ):
        for field in fields(Bars):
            if field.name not in ("symbols", "conventions", "ends", "extra"):
                np.testing.assert_array_equal(getattr(mine, field.name), getattr(other, field.name))
        assert mine.symbols == other.symbols
        np.testing.assert_array_equal(mine.extra["score"], other.extra["score"])


def test_there_is_no_other_column() -> None:
    with pytest.raises(AttributeError, match="median"):
        _ = union().median  # type: ignore[attr-defined]


def test_a_run_puts_together_what_it_reads() -> None:
    data = Dataset("d", RULES, {s: rows(*range(200), first=10.0 * k) for k, s in enumerate("ABC", start=1)})
    config = {"dataset": "d", "symbols": ["A", "B", "C"], "strategy": {"name": "buy_and_hold"}}
    assert not {"high", "low", "volume"} & set(vars(engine.run(config, data).bars))
    stopped = engine.run(config | {"execution": {"stop_loss": 0.1}}, data)
    assert {"high", "low"} <= set(vars(stopped.bars))

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from engine.execution.inputs import FILL, ORDER
from engine.execution.records import BLOCK, columns, transpose, transpose_plain
from engine.results import Fills, Orders


@pytest.mark.parametrize("rows", [0, 1, BLOCK, 3 * BLOCK - 1])
@pytest.mark.parametrize(("layout", "kind"), [(ORDER, Orders), (FILL, Fills)])
def test_fields_become_columns_of_their_type(layout: np.dtype[np.void], kind: type[Any], rows: int) -> None:
    records = np.zeros(rows, dtype=layout)
    for k, name in enumerate(layout.names or ()):
        records[name] = np.arange(rows) + 1000 * k
    made = columns(records, kind)
    assert list(made) == list(kind.__dataclass_fields__)
    for name, column in made.items():
        assert column.dtype == layout[name]
        assert column.flags.c_contiguous
        assert_array_equal(column, records[name])


@pytest.mark.parametrize("rows", [0, 5, BLOCK, 2 * BLOCK + 3])
def test_the_kernel_equals_its_twin(rows: int) -> None:
    words, place = np.arange(rows * 6).reshape(rows, 6), np.array([4, 0, 5])
    one, two = np.zeros((3, rows), dtype=np.int64), np.zeros((3, rows), dtype=np.int64)
    transpose(words, place, one)
    transpose_plain(words, place, two)
    assert_array_equal(one, two)

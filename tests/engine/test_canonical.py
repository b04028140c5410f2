import hashlib
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.canonical import PIECE, array_digest, canonical_bytes, file_digest, plain, rounded, sha256_hex


def test_bytes_are_rfc_8785() -> None:
    value = {"b": [1.0, 1e21, 0.1, -0.0, True, None], "a": "€\n", "\U0001f600": 1, "\ufb33": 2}
    text = '{"a":"€\\n","b":[1,1e+21,0.1,0,true,null],"\U0001f600":1,"\ufb33":2}'
    assert canonical_bytes(value) == text.encode()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 2**53])
def test_what_json_cannot_say_is_refused(value: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - a subclass of the library's own, worded by it
        canonical_bytes([value])


def test_digests_are_sha256(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    assert sha256_hex(b"abc") == file_digest(path) == hashlib.sha256(b"abc").hexdigest()


def test_an_array_digest_sees_values_shape_type_and_order_but_not_the_sign_of_zero() -> None:
    a, b = np.array([0.0, 1.0]), np.array([2.0, 3.0])
    assert array_digest([a]) == array_digest([np.array([-0.0, 1.0])])
    assert array_digest([np.array([1.0, 9.0, 2.0])[::2]]) == array_digest([np.array([1.0, 2.0])])
    different = [[a], [b], [a, b], [b, a], [a.reshape(2, 1)], [a.astype(np.float32)], [a.astype(np.int64)], []]
    assert len({array_digest(arrays) for arrays in different}) == len(different)
    array_digest([np.empty((0, 3))])


def test_floats_leave_with_twelve_digits() -> None:
    assert rounded(0.1 + 0.2) == 0.3
    assert rounded(1 / 3) == 0.333333333333
    assert str(rounded(-0.0)) == "0.0"
    with pytest.raises(ValueError, match="finite"):
        rounded(float("nan"))


class Colour(IntEnum):
    RED = 1


def test_plain_makes_json_of_what_the_engine_uses() -> None:
    value = {"a": (np.float64(0.1) * 3, np.int64(2)), 3: [True, None, "x"], "c": Colour.RED}
    assert plain(value) == {"a": [0.3, 2], "3": [True, None, "x"], "c": 1}
    assert type(plain(Colour.RED)) is int
    with pytest.raises(TypeError, match="set"):
        plain({"x": {1}})


def test_an_array_digest_in_pieces_is_that_of_the_whole() -> None:
    for values in (np.arange(2.5 * PIECE), np.arange(PIECE), -np.zeros((PIECE, 3)), np.arange(2 * PIECE + 1)):
        whole = values + 0.0 if values.dtype.kind == "f" else values
        expected = hashlib.sha256(f"{whole.dtype.str}{whole.shape}".encode() + whole.tobytes()).hexdigest()
        assert array_digest([values]) == expected

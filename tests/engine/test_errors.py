import pickle

import pytest

from engine.errors import (
    CancelledError,
    ConfigError,
    DataError,
    EngineError,
    FieldError,
    UnknownNameError,
    nearest,
)

FIELD = FieldError("/a", "code", "is wrong", ("x",))
ERRORS = [
    ConfigError([FIELD, FieldError("", "model_type", "is no object")]),
    DataError("no", {"report": {"rows": [1, 2]}}),
    UnknownNameError("no", {"known": ["a"]}),
    CancelledError("enough"),
    EngineError("other"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: type(e).__name__)
def test_an_error_crosses_a_process_whole(error: EngineError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert (again.message, again.details, again.code) == (error.message, error.details, error.code)
    assert str(again) == str(error)
    assert isinstance(again, EngineError)


def test_codes_are_distinct() -> None:
    assert len({e.code for e in ERRORS}) == len(ERRORS)


def test_a_config_error_names_every_field() -> None:
    error = ERRORS[0]
    assert str(error) == "/a: is wrong; /: is no object"
    assert error.details["errors"] == [
        {"pointer": "/a", "code": "code", "message": "is wrong", "allowed": ["x"]},
        {"pointer": "", "code": "model_type", "message": "is no object"},
    ]


def test_nearest_suggests_only_what_is_near() -> None:
    assert nearest("fasst", ["fast", "slow"]) == " Did you mean 'fast'?"
    assert nearest("gbpusd", ["EURUSD", "GBPUSD"]) == " Did you mean 'GBPUSD'?"
    assert nearest("zzz", ["fast", "slow"]) == ""
    assert nearest("x", []) == ""

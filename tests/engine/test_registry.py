from typing import Any, Literal

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from engine.errors import UnknownNameError
from engine.registry import Frozen, Plugin, Real, Registry, WholeNumber


class Params(Frozen):
    length: WholeNumber = 20
    share: Real = 0.5


class Alpha(Plugin):
    """The first."""

    name: Literal["alpha"]
    params: Params = Params()


class Beta(Plugin):
    name: Literal["beta"]


@pytest.fixture
def registry() -> Registry[Any]:
    made: Registry[Any] = Registry("thing", "tplusone.nothing")
    for plugin in (Beta, Alpha):
        made.register(plugin)
    return made


def test_members_are_sorted_by_name(registry: Registry[Any]) -> None:
    assert registry.members() == {"alpha": Alpha, "beta": Beta}
    assert registry.get("alpha") is Alpha


def test_a_name_is_taken_once(registry: Registry[Any]) -> None:
    with pytest.raises(ValueError, match="thing 'alpha' is registered twice"):
        registry.register(Alpha)


def test_an_unknown_name_lists_the_known(registry: Registry[Any]) -> None:
    with pytest.raises(UnknownNameError, match=r"no thing 'alhpa'. Did you mean 'alpha'\? Known: alpha, beta"):
        registry.get("alhpa")


def test_the_union_fills_defaults_in(registry: Registry[Any]) -> None:
    union: TypeAdapter[Any] = TypeAdapter(registry.union())
    value = union.validate_python({"name": "alpha"})
    assert value.model_dump() == {"name": "alpha", "params": {"length": 20, "share": 0.5}}
    with pytest.raises(ValidationError):
        union.validate_python({"name": "gamma"})


def test_no_entry_points_are_fine(registry: Registry[Any]) -> None:
    registry.load_entry_points()
    assert len(registry.members()) == 2


def test_the_catalog_describes_every_member(registry: Registry[Any]) -> None:
    first = registry.describe()[0]
    assert (first["name"], first["description"]) == ("alpha", "The first.")
    assert first["parameters"]["properties"]["name"]["const"] == "alpha"


def test_numbers_are_what_a_json_client_means() -> None:
    params = Params.model_validate({"length": 3.0, "share": 1})
    assert (params, type(params.length), type(params.share)) == (Params(length=3, share=1.0), int, float)
    assert str(Params.model_validate({"share": -0.0}).share) == "0.0"


@pytest.mark.parametrize("value", [True, "3", float("nan"), float("inf"), None])
@pytest.mark.parametrize("field", ["length", "share"])
def test_nothing_else_is_a_number(field: str, value: Any) -> None:
    with pytest.raises(ValidationError):
        Params.model_validate({field: value})


def test_configured_values_do_not_change() -> None:
    params: BaseModel = Params()
    with pytest.raises(ValidationError):
        params.length = 3  # type: ignore[attr-defined]
    assert hash(Params()) == hash(Params(length=20))

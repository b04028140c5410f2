"""One registry class for every kind of plugin.

A plugin is a frozen pydantic model with a literal ``name``, typed ``params`` and one method. Registering it
is all there is: the registry's union fills defaults in before hashing, rejects unknown names with the
known ones, and becomes OpenAPI. Installed packages add theirs through an entry point of the registry's group.
"""

from importlib.metadata import entry_points
from inspect import getdoc
from typing import Annotated, Any, Generic, TypeVar, Union

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from engine.errors import UnknownNameError, nearest


def _whole(value: Any) -> Any:
    # 20 and 20.0 are the same number to a JSON client, so they are the same configuration.
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _positive_zero(value: Any) -> Any:
    return value + 0.0 if isinstance(value, float) else value


WholeNumber = Annotated[int, BeforeValidator(_whole)]
"""An integer; 20.0 is taken as 20, true and "20" are refused."""

Real = Annotated[float, BeforeValidator(_positive_zero)]
"""A finite float; integers are taken, true and "1.5" are refused, -0.0 is 0.0."""


def sequence(value: Any) -> Any:
    """A JSON list as the tuple a frozen value holds."""
    if not isinstance(value, (list, tuple)):
        raise PydanticCustomError("list_type", "a list is needed, even for one")
    return tuple(value)


_BOUNDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}


class Frozen(BaseModel):
    """The base of every configured value: immutable, nothing unknown, nothing infinite, no coercion of text."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Bounds of a field that is validated beforehand come out under pydantic's names: give them JSON Schema's."""
        found = handler(schema)
        for field in handler.resolve_ref_schema(found).get("properties", {}).values():
            for part in (field, field.get("items", {}), *field.get("anyOf", ())):
                for own, name in _BOUNDS.items():
                    if own in part:
                        part[name] = part.pop(own)
        return found


class Plugin(Frozen):
    """A named piece of a run. Subclasses declare ``name: Literal[...]`` and, if they have any, ``params``."""


P = TypeVar("P", bound=Plugin)


class Registry(Generic[P]):
    """Plugins of one kind by name. Duplicates are refused; an unknown name lists the known."""

    def __init__(self, kind: str, group: str) -> None:
        self.kind = kind
        self.group = group
        self._members: dict[str, type[P]] = {}

    def register(self, plugin: type[P]) -> type[P]:
        """Add a plugin class; usable as a decorator. Raises ``ValueError`` when its name is taken."""
        name = self.name_of(plugin)
        if name in self._members:
            raise ValueError(f"{self.kind} '{name}' is registered twice")
        self._members[name] = plugin
        return plugin

    def load_entry_points(self) -> None:
        """Register what installed packages declare under this registry's entry-point group."""
        for entry in entry_points(group=self.group):
            self.register(entry.load())

    @staticmethod
    def name_of(plugin: type[P]) -> str:
        """The literal name a plugin class declares."""
        return str(plugin.model_fields["name"].annotation.__args__[0])  # type: ignore[union-attr]

    def get(self, name: str) -> type[P]:
        """The plugin of that name. Raises ``UnknownNameError`` with the known names."""
        try:
            return self._members[name]
        except KeyError:
            known = sorted(self._members)
            raise UnknownNameError(
                f"there is no {self.kind} '{name}'.{nearest(name, known)} Known: {', '.join(known)}",
                {"known": known},
            ) from None

    def members(self) -> dict[str, type[P]]:
        """Every plugin by name, sorted."""
        return dict(sorted(self._members.items()))

    def union(self) -> Any:
        """The discriminated union of all members, as a type for pydantic fields."""
        return Annotated[Union[tuple(self.members().values())], Field(discriminator="name")]  # noqa: UP007 - built at run time

    def describe(self) -> list[dict[str, Any]]:
        """Name, description, JSON Schema and module of every member, for the catalog."""
        return [describe(name, plugin) for name, plugin in self.members().items()]


def describe(name: str, model: type[BaseModel]) -> dict[str, Any]:
    """What the catalog says of a configured value."""
    schema = model.model_json_schema()
    return {"name": name, "description": getdoc(model) or "", "parameters": schema, "source": model.__module__}

"""What pydantic refuses, in our form: a JSON pointer, a stable code, a sentence, and what would be allowed."""

import re
from functools import cache
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import ErrorDetails

from engine.errors import FieldError, nearest, step
from engine.registry import Frozen

NO_OBJECT = ("model_type", "model_attributes_type", "dict_type", "mapping_type")
"""Pydantic's sentences about these name classes of Python."""


def field_errors(errors: list[ErrorDetails], model: type[Frozen]) -> list[FieldError]:
    """The errors of pydantic in our form: JSON pointer, stable code, message, allowed values; never the input."""
    return [_field_error(error, model) for error in errors]


def _field_error(error: ErrorDetails, model: type[Frozen]) -> FieldError:
    context: dict[str, Any] = error.get("ctx", {})
    path, known = _walk(model, error["loc"])
    pointer = "".join(f"/{step(part)}" for part in path) + (f"/{context['field']}" if "field" in context else "")
    if error["type"] == "extra_forbidden":
        message = f"there is no field '{path[-1]}'.{nearest(path[-1], known)}"
        return FieldError(pointer, "unknown_field", message, tuple(known))
    if error["type"] == "union_tag_invalid":
        names = _quoted(context["expected_tags"])
        tag = str(context["tag"])
        return FieldError(f"{pointer}/name", "unknown_name", f"unknown name.{nearest(tag, names)}", names)
    if error["type"] == "union_tag_not_found":
        return FieldError(f"{pointer}/name", "missing", "a name is required", ())
    allowed = _quoted(context["expected"]) if error["type"] == "literal_error" else ()
    if error["type"] in NO_OBJECT:
        return FieldError(pointer, error["type"], "an object is needed, with a field for each thing it says")
    message = str(error["msg"]).removeprefix("Value error, ")
    return FieldError(pointer, error["type"], message, allowed)


def _quoted(names: Any) -> tuple[str, ...]:
    return tuple(re.findall(r"'([^']*)'", str(names)))


def _walk(model: type[Frozen], location: tuple[int | str, ...]) -> tuple[list[str], list[str]]:
    """The steps of a JSON pointer from pydantic's location, and the names of the fields beside the last one.

    A location also names the member of a union; a pointer has no such step.
    """
    schema = _schema(model)
    definitions = schema.get("$defs", {})
    path: list[str] = []
    beside: list[str] = []
    for part in map(str, location):
        members = schema.get("discriminator", {}).get("mapping", {})
        if part in members:
            schema = _deref({"$ref": members[part]}, definitions)
            continue
        path.append(part)
        beside = sorted(schema.get("properties", {}))
        named, others = schema.get("properties", {}), schema.get("additionalProperties")
        schema = _deref(named.get(part, others if isinstance(others, dict) else {}), definitions)
    return path, beside


@cache
def _schema(model: type[Frozen]) -> Any:
    return TypeAdapter(model).json_schema()


def _deref(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """What a reference points to; of a value that may be null or a name too, what it is otherwise."""
    if "$ref" in schema:
        return _deref(definitions[schema["$ref"].rsplit("/", 1)[1]], definitions)
    options = sorted(schema.get("anyOf", ()), key=lambda option: option.get("type") in ("null", "string"))
    return _deref(options[0], definitions) if options else schema

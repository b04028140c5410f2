"""The OpenAPI document, made fit for generators: named problems, no stock validation schemas."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from app.errors import PROBLEM, Problem
from app.events.schemas import RunEvent

STOCK = ("HTTPValidationError", "ValidationError")
REF = "#/components/schemas/"


def document(app: FastAPI) -> dict[str, Any]:
    """OpenAPI 3.1 of the application; computed once."""
    if app.openapi_schema is None:
        made = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
            tags=app.openapi_tags,
            separate_input_output_schemas=False,
        )
        schemas = made["components"]["schemas"]
        _, extra = models_json_schema(
            [(Problem, "serialization"), (RunEvent, "serialization")], ref_template=REF + "{model}"
        )
        schemas |= extra["$defs"]
        for name in STOCK:
            schemas.pop(name, None)
        _name_validation_problems(made["paths"])
        app.openapi_schema = made
    return app.openapi_schema


def _name_validation_problems(paths: dict[str, Any]) -> None:
    """A 422 of ours is a problem, whatever the framework says by itself."""
    problem = {PROBLEM: {"schema": {"$ref": REF + "Problem"}}}
    for path in paths.values():
        for operation in path.values():
            answer = operation["responses"].get("422")
            if answer is not None:
                answer["content"] = problem
                answer["description"] = "The request makes no sense; one entry per field"

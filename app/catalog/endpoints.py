"""What there is to name in a configuration."""

from dataclasses import asdict
from inspect import getdoc, getmodule
from typing import Any

from fastapi import APIRouter, Response

from app.catalog.schemas import Catalog, MetricInfo, PluginInfo
from app.responses import json_response
from engine.config import RunConfig, Validation
from engine.metrics.core import DEFINITIONS
from engine.portfolio import sizings
from engine.registry import Registry
from engine.strategies import strategies
from engine.validation.permutation import Permutation

router = APIRouter(tags=["catalog"])

VALIDATORS = {"permutation": Permutation}


def _plugin(name: str, model: type[Any], schema: dict[str, Any]) -> PluginInfo:
    module = getmodule(model)
    return PluginInfo(
        name=name,
        description=getdoc(model) or "",
        parameters=schema,
        source="" if module is None else module.__name__,
    )


def _members(registry: Registry[Any]) -> list[PluginInfo]:
    return [_plugin(name, model, model.model_json_schema()) for name, model in registry.members().items()]


@router.get("/catalog", operation_id="getCatalog", response_model=Catalog)
async def get_catalog() -> Response:
    """Strategies, risk rules, validators and metrics, with JSON Schema, description and source."""
    return json_response(
        Catalog(
            strategies=_members(strategies),
            risk=_members(sizings),
            validators=[
                _plugin(name, VALIDATORS[name], VALIDATORS[name].model_json_schema())
                for name in Validation.model_fields
            ],
            metrics=[MetricInfo(**asdict(definition)) for definition in DEFINITIONS.values()],
            config=RunConfig.model_json_schema(),
        )
    )

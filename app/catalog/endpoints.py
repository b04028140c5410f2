"""What there is to name in a configuration."""

from dataclasses import asdict

from fastapi import APIRouter, Response

from app.catalog.schemas import Catalog, MetricInfo, PluginInfo
from app.responses import json_response
from engine.config import RunConfig
from engine.metrics.core import DEFINITIONS
from engine.portfolio import sizings
from engine.registry import describe
from engine.strategies import strategies
from engine.validation.permutation import Permutation

router = APIRouter(tags=["catalog"])

VALIDATORS = {"permutation": Permutation}


@router.get("/catalog", operation_id="getCatalog", response_model=Catalog)
async def get_catalog() -> Response:
    """Strategies, risk rules, validators and metrics, with JSON Schema, description and source."""
    return json_response(
        Catalog(
            strategies=[PluginInfo(**entry) for entry in strategies.describe()],
            risk=[PluginInfo(**entry) for entry in sizings.describe()],
            validators=[PluginInfo(**describe(name, model)) for name, model in VALIDATORS.items()],
            metrics=[MetricInfo(**asdict(definition)) for definition in DEFINITIONS.values()],
            config=RunConfig.model_json_schema(),
        )
    )

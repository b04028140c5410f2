"""What there is to name in a configuration."""

from dataclasses import asdict
from functools import cache

from fastapi import APIRouter, Response

from app.catalog.schemas import Catalog, IndicatorInfo, MetricInfo, PluginInfo
from app.responses import json_response
from engine.config import RunConfig
from engine.execution.slippage import slippages
from engine.features.plugins import indicators
from engine.metrics.core import DEFINITIONS
from engine.portfolio import sizings, weightings
from engine.registry import describe
from engine.strategies import strategies
from engine.validation.suite import TESTS

router = APIRouter(tags=["catalog"])


@router.get("/catalog", operation_id="getCatalog", response_model=Catalog)
def get_catalog() -> Response:
    """Strategies, indicators, risk rules, slippage, weightings, tests and metrics, with JSON Schema and source."""
    return json_response(_catalog())


@cache
def _catalog() -> Catalog:
    return Catalog(
        strategies=[PluginInfo(**entry) for entry in strategies.describe()],
        indicators=[IndicatorInfo(**entry) for entry in indicators.describe()],
        risk=[PluginInfo(**entry) for entry in sizings.describe()],
        slippage=[PluginInfo(**entry) for entry in slippages.describe()],
        weightings=[PluginInfo(**entry) for entry in weightings.describe()],
        validators=[PluginInfo(**describe(name, model)) for name, model in TESTS.items()],
        metrics=[MetricInfo(**asdict(definition)) for definition in DEFINITIONS.values()],
        config=RunConfig.model_json_schema(),
    )

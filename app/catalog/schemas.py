"""What goes over the wire about the catalog."""

from typing import Any

from pydantic import BaseModel


class PluginInfo(BaseModel):
    """A strategy, rule or test that a configuration may name."""

    name: str
    description: str
    parameters: dict[str, Any]
    source: str


class IndicatorInfo(PluginInfo):
    """An indicator: the columns it reads and bars it needs at its defaults, and what it gives, the main value first."""

    inputs: list[str]
    outputs: list[str]
    lookback: int


class MetricInfo(BaseModel):
    """The definition of a metric."""

    name: str
    unit: str
    formula: str
    source: str


class Catalog(BaseModel):
    """Everything a configuration may name, and everything a run reports."""

    strategies: list[PluginInfo]
    indicators: list[IndicatorInfo]
    risk: list[PluginInfo]
    slippage: list[PluginInfo]
    weightings: list[PluginInfo]
    validators: list[PluginInfo]
    metrics: list[MetricInfo]
    config: dict[str, Any]

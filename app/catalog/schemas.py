"""What goes over the wire about the catalog."""

from typing import Any

from pydantic import BaseModel


class PluginInfo(BaseModel):
    """A strategy, rule or test that a configuration may name."""

    name: str
    description: str
    parameters: dict[str, Any]
    source: str


class MetricInfo(BaseModel):
    """The definition of a metric."""

    name: str
    unit: str
    formula: str
    source: str


class Catalog(BaseModel):
    """Everything a configuration may name, and everything a run reports."""

    strategies: list[PluginInfo]
    risk: list[PluginInfo]
    validators: list[PluginInfo]
    metrics: list[MetricInfo]
    config: dict[str, Any]

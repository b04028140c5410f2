"""What a run is asked to do."""

from engine.config.instants import instant_text
from engine.config.problems import field_errors
from engine.config.run import (
    NAME_PATTERN,
    SCHEMA,
    SEMANTICS,
    IndicatorUse,
    RunConfig,
    parse_config,
    run_id,
    unknown_symbol,
)
from engine.config.window import Window

__all__ = [
    "NAME_PATTERN",
    "SCHEMA",
    "SEMANTICS",
    "IndicatorUse",
    "RunConfig",
    "Window",
    "field_errors",
    "instant_text",
    "parse_config",
    "run_id",
    "unknown_symbol",
]

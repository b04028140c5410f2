"""Many runs that differ in the strategy's parameters: rows are read once, and each feature is computed once.

A child is exactly the run of its configuration up to its metrics: the same hash, and every number equal to the bit. Its
tests are not run, and its ledger is not kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from engine.account import decide, settle
from engine.config import RunConfig, parse_config, run_id
from engine.data.bars import Dataset
from engine.errors import ConfigError, FieldError, nearest, step
from engine.execution import round_trips
from engine.features import SHARED_BYTES, FeatureCache
from engine.hooks import Hooks, Mapper, NoHooks, Stage, spread, within
from engine.pieces import Shared
from engine.pipeline import Market, Quiet, market_of, measure, warnings_of
from engine.results import Metric
from engine.types import Floats, Ints
from engine.validation.days import Daily, daily_returns, day_ends
from engine.validation.grids import Grid, points

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Child:
    """One point of the grid: its run's hash, metrics and warnings, or ``reason`` why the configuration is refused."""

    params: Mapping[str, Any]
    hash: str | None
    metrics: Mapping[str, Metric]
    warnings: tuple[Mapping[str, str], ...] = ()
    reason: str | None = None

    @property
    def run_id(self) -> str | None:
        """The name of the run it is."""
        return None if self.hash is None else run_id(self.hash)


@dataclass(frozen=True)
class Sweep:
    """Every point of a grid, in order: the names sorted, the last turning fastest.

    ``returns`` (D, K) are the daily returns, less those of idle cash, of the K children that ``columns`` lists by their
    place: those that were run and whose equity stayed above zero. None where they were not asked for.
    """

    config: RunConfig
    children: tuple[Child, ...]
    columns: tuple[int, ...] = ()
    returns: Floats | None = None

    def to_frame(self) -> "pd.DataFrame":
        """A row for each child: parameters, ``hash``, the metrics' values (NaN where undefined) and ``reason``."""
        import pandas as pd  # noqa: PLC0415 - a second of start-up that only notebooks need

        names = dict.fromkeys(name for child in self.children for name in child.metrics)
        columns: dict[str, list[Any]] = {
            name: [child.params[name] for child in self.children] for name in self.children[0].params
        }
        columns["hash"] = [child.hash for child in self.children]
        values = {n: [c.metrics[n].value if c.metrics else None for c in self.children] for n in names}
        return pd.DataFrame(
            columns
            | {name: np.array(value, dtype=np.float64) for name, value in values.items()}
            | {"reason": [child.reason for child in self.children]}
        )


def sweep(
    config: RunConfig | Mapping[str, Any],
    data: Dataset,
    grid: Mapping[str, Sequence[Any]],
    *,
    hooks: Hooks | None = None,
    cache: FeatureCache | None = None,
    mapper: Mapper = map,
    returns: bool = False,
) -> Sweep:
    """Run a configuration at every point of ``grid``: values by parameter of its strategy; the others stay.

    Values are a list, a range, an array or a series of them.
    ``cache`` keeps features for further sweeps and runs on the same rows; ``mapper`` is ``map`` or one that works in
    threads: the result is the same. What the configuration refuses at a point is listed with the reason. Raises
    ``ConfigError`` for a grid that is none, for accounts that are independent, and where every point is refused;
    ``DataError``; and whatever ``hooks`` raise to stop it.
    """
    hooks = hooks or NoHooks()
    config = config if isinstance(config, RunConfig) else parse_config(config)
    if config.lenient:
        message = "a sweep compares runs of one account, and these are independent: sweep each symbol by itself"
        raise ConfigError([FieldError("/portfolio/mode", "not_in_a_sweep", message)])
    config = config.resolve(data)
    every = points(_checked(grid, config))
    with within(hooks, Stage.DATA):
        market = market_of(config, data, config.window.bars(data))
    ends = day_ends(market.panel.bars) if returns else None
    shared = Shared(market.digests, FeatureCache(SHARED_BYTES) if cache is None else cache)
    done: list[tuple[Child, Daily | None]] = []

    def one(place: int) -> tuple[Child, Daily | None]:
        quiet = Quiet(hooks, len(done) / len(every))
        return _child(config, every[place], data, market, shared, ends, quiet)

    with within(hooks, Stage.EXECUTION):
        for found in spread(mapper, one, range(len(every))):
            done.append(found)
            hooks.progress(Stage.EXECUTION, len(done) / len(every))
    children = tuple(child for child, _ in done)
    if all(child.hash is None for child in children):
        message = f"none of {len(every)} points can be run; the first because: {children[0].reason}"
        raise ConfigError([FieldError("/grid", "all_refused", message)])
    if ends is None:
        return Sweep(config, children)
    kept = {k: daily.returns for k, (_, daily) in enumerate(done) if daily is not None and daily.reason is None}
    columns = np.column_stack(list(kept.values())) if kept else np.empty((len(ends), 0))
    return Sweep(config, children, tuple(kept), columns)


def _checked(grid: Mapping[str, Sequence[Any]], config: RunConfig) -> dict[str, tuple[Any, ...]]:
    """A grid over parameters that the strategy has. Raises ``ConfigError``."""
    known = sorted(type(config.parameters).model_fields)
    strangers = [
        FieldError(
            f"/grid/{step(name)}", "unknown_parameter", f"the strategy has no such parameter.{nearest(name, known)}"
        )
        for name in grid
        if name not in known
    ]
    if strangers:
        raise ConfigError(strangers)
    try:
        listed = {name: _listed(values) for name, values in grid.items()}
        made: dict[str, tuple[Any, ...]] = TypeAdapter(Grid).validate_python(listed)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        pointer = "".join(f"/{step(str(part))}" for part in ("grid", *first["loc"]))
        raise ConfigError([FieldError(pointer, first["type"], first["msg"])]) from None
    return made


def _listed(values: Any) -> Any:
    """A range, an array or a series as the list of plain numbers it stands for; the rest as it is."""
    if isinstance(values, (range, list, tuple)):
        return [value.item() if isinstance(value, np.generic) else value for value in values]
    return values.tolist() if hasattr(values, "tolist") and np.ndim(values) == 1 else values


def _child(
    config: RunConfig,
    params: Mapping[str, Any],
    data: Dataset,
    market: Market,
    shared: Shared,
    ends: Ints | None,
    hooks: Hooks,
) -> tuple[Child, Daily | None]:
    """The run at one point, and its daily returns where the days' ``ends`` are given."""
    bars = market.panel.bars
    try:
        config = config.varied(params).resolve(data)
        decided = decide(config, market.panel, hooks, shared)
    except ConfigError as error:
        return Child(params, None, {}, reason="; ".join(field.message for field in error.fields)), None
    ledger = settle(config, bars, decided)
    child = Child(
        params,
        config.identity(market.digests),
        measure(bars, ledger, round_trips(ledger, bars), market.benchmark),
        warnings_of(config, market, decided, ledger),
    )
    return child, None if ends is None else daily_returns(ledger, ends)

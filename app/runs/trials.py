"""How much was tried on the same data: every distinct configuration that ever completed there, pruned and deleted too.

A search that is not counted makes luck look like skill. The count depends on other runs, so it is in no artifact.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, func, insert, select

from app.db.models import trials
from app.runs.state import Status
from engine.canonical import canonical_bytes, sha256_hex
from engine.metrics.inference import normal_probability
from engine.metrics.ratios import NO_ERROR
from engine.validation.sharpe import expected_maximum_sharpe

NO_DIFFERENCE = ("seed", "validation", "benchmark")
"""Fields that leave trades and returns as they are, beside ``portfolio.snapshot_interval``."""


@dataclass(frozen=True)
class Tried:
    """Trials on the data of a run.

    ``defined`` of them have a Sharpe ratio; ``variance`` (ddof 1, 0 for fewer than two) is that of these annual ratios.
    """

    number: int
    defined: int
    variance: float


@dataclass(frozen=True)
class Deflated:
    """What is left of a Sharpe ratio after the trials: a probability, and the annual ratio expected of the luckiest."""

    dsr: float | None
    expected_maximum: float
    reason: str | None


def note(connection: Connection, run: RowMapping, sharpe: float | None) -> None:
    """Count a completed run; the same configuration computed once more is no further trial."""
    key = _data_of(run) | {"config": configuration_key(run["config"])}
    connection.execute(delete(trials).where(*(trials.c[name] == value for name, value in key.items())))
    connection.execute(insert(trials).values(**key, sharpe=sharpe))


def configuration_key(config: Mapping[str, Any]) -> str:
    """Digest of what distinguishes a trial from another on the same data."""
    kept = {name: value for name, value in config.items() if name not in NO_DIFFERENCE}
    portfolio = {name: value for name, value in config["portfolio"].items() if name != "snapshot_interval"}
    return sha256_hex(canonical_bytes(kept | {"portfolio": portfolio}))


def symbols_key(symbols: Sequence[str]) -> str:
    """Digest of a set of symbols."""
    return sha256_hex(canonical_bytes(sorted(symbols)))


def tried(connection: Connection, runs: Sequence[RowMapping]) -> list[Tried | None]:
    """The trials on the data of each run; None for a run that is not completed. One look at each kind of data."""
    counts: dict[tuple[str, ...], tuple[int, int, float]] = {}
    found: list[Tried | None] = []
    for run in runs:
        if run["status"] != Status.COMPLETED:
            found.append(None)
            continue
        data = _data_of(run)
        key = tuple(data.values())
        if key not in counts:
            counts[key] = _count(connection, data)
        found.append(Tried(*counts[key]))
    return found


def _data_of(run: RowMapping) -> dict[str, str]:
    return {"dataset": run["dataset"], "symbols": symbols_key(run["config"]["symbols"])}


def _count(connection: Connection, data: Mapping[str, str]) -> tuple[int, int, float]:
    same = [trials.c[name] == value for name, value in data.items()]
    number, defined, mean = connection.execute(
        select(func.count(), func.count(trials.c.sharpe), func.avg(trials.c.sharpe)).where(*same)
    ).one()
    if defined < 2:
        return number, defined, 0.0
    off = trials.c.sharpe - mean
    squares = connection.execute(select(func.sum(off * off)).where(*same)).scalar_one()
    return number, defined, float(squares) / (defined - 1)


def deflate(metrics: Mapping[str, float | None], tried: Tried) -> Deflated:
    """The deflated Sharpe ratio of a completed run: Bailey & Lopez de Prado 2014, with all trials on its data.

    The probabilistic Sharpe ratio at the expected maximum, both from annual figures: ``Z[(SR - SR*) / error
    sqrt((T - 1) / T)]``, for the error of Mertens is over T returns.
    """
    sharpe, error, count = (metrics.get(name) for name in ("sharpe", "sharpe_standard_error", "observations"))
    most = expected_maximum_sharpe(tried.number, tried.variance)
    if sharpe is None:
        return Deflated(None, most, "the Sharpe ratio is undefined")
    if count is None:
        return Deflated(None, most, "the run was computed before its returns were counted: compute it again")
    if error is None:
        return Deflated(None, most, NO_ERROR)
    return Deflated(normal_probability((sharpe - most) / error * math.sqrt((count - 1.0) / count)), most, None)

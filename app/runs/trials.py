"""How much was tried on the same data: every distinct configuration that ever completed there, pruned and deleted too.

A search that is not counted makes luck look like skill. The count depends on other runs, so it is in no artifact.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, func, insert, select

from app.db.models import dataset_versions, trials
from app.runs.state import Status
from engine.canonical import canonical_bytes, sha256_hex
from engine.data.bars import Conventions
from engine.data.sessions import periods_per_year
from engine.validation.sharpe import Moments, deflated_sharpe

NO_DIFFERENCE = ("seed", "validation", "benchmark")
"""Fields that leave trades and returns as they are, beside ``portfolio.snapshot_interval``."""


@dataclass(frozen=True)
class Tried:
    """Trials on the data of a run.

    ``defined`` of them have a Sharpe ratio; ``variance`` (ddof 1, 0 for fewer than two) is that of these annual ratios.
    ``annual`` is how many daily returns make a year of the run.
    """

    number: int
    defined: int
    variance: float
    annual: float


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
    years: dict[tuple[str, ...], float] = {}
    found: list[Tried | None] = []
    for run in runs:
        if run["status"] != Status.COMPLETED:
            found.append(None)
            continue
        data, version = _data_of(run), (run["dataset"], run["digest"], run["config"]["timeframe"])
        key = tuple(data.values())
        if key not in counts:
            counts[key] = _count(connection, data)
        if version not in years:
            years[version] = _annual(connection, run)
        found.append(Tried(*counts[key], years[version]))
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


def _annual(connection: Connection, run: RowMapping) -> float:
    version = dataset_versions.c
    stored = connection.execute(
        select(version.conventions).where(version.dataset == run["dataset"], version.digest == run["digest"])
    ).scalar_one()
    return periods_per_year(Conventions(**stored | {"timeframe": run["config"]["timeframe"]}))


def deflate(metrics: Mapping[str, float | None], tried: Tried) -> Deflated:
    """The deflated Sharpe ratio of a completed run: Bailey & Lopez de Prado 2014, with all trials on its data."""
    sharpe, count = metrics["sharpe"], metrics.get("observations")
    skewness, excess = metrics["skewness"], metrics["excess_kurtosis"]
    root = math.sqrt(tried.annual)
    if sharpe is None or skewness is None or excess is None:
        return Deflated(None, 0.0, "the Sharpe ratio is undefined")
    if count is None:
        return Deflated(None, 0.0, "the run was computed before its returns were counted: compute it again")
    of = Moments(int(count), sharpe / root, skewness, excess + 3.0)
    found = deflated_sharpe(of, tried.number, tried.variance / tried.annual)
    return Deflated(found.value, found.benchmark * root, found.reason)

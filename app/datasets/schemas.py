"""What goes over the wire about datasets."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from app.datasets.repository import Version
from app.instants import instant


class SymbolInfo(BaseModel):
    """One symbol of a dataset."""

    symbol: str
    rows: int
    start: str
    end: str
    digest: str


class DatasetInfo(BaseModel):
    """The newest version of a dataset: what it declares, what it holds, and what was found in it."""

    model_config = ConfigDict(frozen=True)

    name: str
    digest: str
    version: int
    timeframe: str
    label: str
    timezone: str
    calendar: str
    adjustment: str
    symbols: list[SymbolInfo]
    rows: int
    start: str
    end: str
    created_at: str
    report: dict[str, Any]


class DatasetList(BaseModel):
    """Every dataset, by name."""

    datasets: list[DatasetInfo]


def view(version: Version) -> DatasetInfo:
    """A version as it goes over the wire."""
    found = version.report["symbols"]
    symbols = [
        SymbolInfo(
            symbol=symbol,
            rows=info["rows"],
            digest=info["digest"],
            start=found[symbol]["start"],
            end=found[symbol]["end"],
        )
        for symbol, info in sorted(version.symbols.items())
    ]
    return DatasetInfo(
        name=version.dataset,
        digest=version.digest,
        version=version.number,
        **{key: version.conventions[key] for key in ("timeframe", "label", "timezone", "calendar", "adjustment")},
        symbols=symbols,
        rows=version.rows,
        start=min(s.start for s in symbols),
        end=max(s.end for s in symbols),
        created_at=instant(version.created_at),
        report=dict(version.report),
    )

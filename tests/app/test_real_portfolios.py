"""Real portfolios over HTTP; collected only where the data lies beside the checkout."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.app.calls import config
from tests.engine.data.conftest import MARKET_DATA
from tests.live import PARQUET, LiveServer, parquet_bytes

FX = tuple(f"fx_h1/{s}.parquet" for s in ("AUDUSD", "EURJPY", "GBPUSD", "USDJPY", "XAUUSD"))
CRYPTO = tuple(sorted(str(p.relative_to(MARKET_DATA)) for p in MARKET_DATA.glob("crypto_m1/*.parquet")))
MARKETS: dict[str, tuple[tuple[str, ...], str, dict[str, Any]]] = {
    "five FX pairs, hourly": (FX, "24x5", {"weighting": "inverse_volatility"}),
    "seven US equities, daily, with splits": (("equity_d1/us_unadjusted.parquet",), "XNYS", {"align": "union"}),
    "nine crypto pairs, minutes, with a hole": (CRYPTO, "24x7", {"align": "union", "redundancy": "filter"}),
}


def frame(files: tuple[str, ...]) -> pl.DataFrame:
    tables = [pl.read_parquet(MARKET_DATA / file) for file in files]
    named = [
        t if "symbol" in t.columns else t.with_columns(symbol=pl.lit(Path(f).stem))
        for t, f in zip(tables, files, strict=True)
    ]
    return pl.concat(named, how="diagonal_relaxed")


@pytest.mark.parametrize("name", MARKETS)
def test_a_real_portfolio(server: LiveServer, name: str) -> None:
    files, calendar, portfolio = MARKETS[name]
    table = frame(files)
    dataset = f"real-{calendar.lower()}"
    answer = server.put(dataset, parquet_bytes(table), PARQUET, calendar=calendar, on_bad_rows="drop")
    assert answer.status_code in (200, 201), answer.text
    symbols = [symbol["symbol"] for symbol in answer.json()["symbols"]]
    run = server.completed(config(dataset=dataset, symbols=symbols, portfolio=portfolio | {"snapshot_interval": 500}))
    assert run["metrics"]["trade_count"] > 100
    summary = server.get(f"/runs/{run['id']}/artifacts/summary.json").json()
    earned = run["metrics"]["final_equity"] - 100_000.0
    assert sum(row["pnl_net"] for row in summary["by_symbol"].values()) == pytest.approx(earned, abs=1e-4)
    assert summary["by_symbol"].keys() == set(symbols)
    verdict = server.client.post(f"/runs/{run['id']}/recompute").json()
    assert verdict == {"result": "identical", "difference": None}

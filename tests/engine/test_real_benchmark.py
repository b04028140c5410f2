"""A real stock beside a real index; collected only where the data lies beside the checkout."""

import numpy as np
import pytest

import engine
from tests.engine.data.conftest import MARKET_DATA
from tests.engine.test_benchmark import values
from tests.engine.test_pipeline import FREE, HOLD


def test_apple_beside_the_index() -> None:
    """Beta of daily price returns 2010 to 2012 is known to be about 1, the correlation about 0.6 to 0.7."""
    data = engine.load(MARKET_DATA / "equity_d1" / "us_unadjusted.parquet", calendar="XNYS", timeframe="1d")
    asked = {
        "dataset": data.name, "symbols": ["AAPL"], "strategy": HOLD, "execution": FREE, "benchmark": "SPY",
        "start": "2010-01-01T00:00:00Z", "end": "2013-01-01T00:00:00Z",
    }  # fmt: skip
    result = engine.run(asked, data)
    found = values(result)
    closes = {s: data.series[s].between(*(int(np.datetime64(x, "ns").astype(np.int64)) for x in ("2010", "2013"))).close
              for s in ("AAPL", "SPY")}  # fmt: skip
    a, s = (np.diff(np.log(closes[name])) for name in ("AAPL", "SPY"))
    assert found["benchmark_correlation"] == pytest.approx(np.corrcoef(a, s)[0, 1], abs=0.02)
    assert found["beta"] == pytest.approx(np.polyfit(s, a, 1)[0], abs=0.05)
    assert 0.7 < (found["beta"] or 0.0) < 1.3
    assert 0.1 < (found["alpha"] or 0.0) < 0.6
    itself = values(engine.run(asked | {"symbols": ["SPY"]}, data))
    assert itself["beta"] == pytest.approx(1.0, abs=0.01)
    assert itself["tracking_error"] == pytest.approx(0.0, abs=0.01)

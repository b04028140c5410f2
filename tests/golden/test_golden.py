"""Frozen results. They change only together with ``SEMANTICS`` (results) or ``SCHEMA`` (the form, so the hash).

When a test here fails and the change is meant: raise the one or the other in ``engine.config``, then run
``python -m tests.golden.refresh`` and read the difference. When it is not meant, the change is a bug.
"""

import json
from typing import Any

import numpy as np
import pytest

import engine
from engine.config import SCHEMA, SEMANTICS
from engine.results import Leg
from tests.golden.refresh import FILE, RUNS, measure
from tests.oracle.markets import SYMBOL, Columns, dataset_of

RELATIVE = 1e-9
FROZEN: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))


def test_the_frozen_values_belong_to_these_semantics() -> None:
    assert (FROZEN["schema"], FROZEN["semantics"]) == (SCHEMA, SEMANTICS)
    assert list(FROZEN["runs"]) == list(RUNS)


@pytest.mark.parametrize("name", RUNS)
def test_a_run_gives_what_it_gave(name: str) -> None:
    frozen, now = FROZEN["runs"][name], measure(name)
    assert now["hash"] == frozen["hash"]
    assert now["funnel"] == frozen["funnel"]
    assert list(now["metrics"]) == list(frozen["metrics"])
    assert_same(now["metrics"], frozen["metrics"])
    assert list(now["validation"]) == list(frozen["validation"])
    for test, values in frozen["validation"].items():
        assert_same(now["validation"][test], values)


def test_one_long_trade_and_a_flip_by_hand() -> None:
    """Capital 10 000, fraction 0.5, slippage 10 bps, commission 10 bps, lags 0 and 1, sized at the decision.

    With averages of 1 and 2 closes the signal is the direction of the last close.

    ===  =====  =====  ==========================================================================================
    bar   open  close  what happens
    ===  =====  =====  ==========================================================================================
    0       80     80  warm-up; equity 10 000
    1       80    100  up. Target 0.5 * 10 000 / 100 = +50
    2      102    110  buys 50 at 102 * 1.001 = 102.102: 5105.10, commission 5.1051, slippage 50 * 0.102 = 5.10.
                       Cash 10 000 - 5105.10 - 5.1051 = 4889.7949; equity + 50 * 110 = 10 389.7949. Up, holds
    3      110    100  equity 4889.7949 + 5000 = 9889.7949. Down. Target -0.5 * 9889.7949 / 100 = -49.4489745, so
                       the order is for -99.4489745
    4       98     95  sells at 98 * 0.999 = 97.902. Closes 50: +4895.10, commission 4.8951, slippage 4.90; cash
                       9779.9998. Opens -49.4489745: +4841.153501499, commission 4.841153501499, slippage
                       49.4489745 * 0.098 = 4.845999501; cash 14 616.312147997501. Room was 9779.9998, so no scale.
                       Equity 14 616.312147997501 - 49.4489745 * 95 = 9918.659570497501. Down, holds
    5       95     90  equity 14 616.312147997501 - 49.4489745 * 90 = 10 165.904442997501
    ===  =====  =====  ==========================================================================================

    First trade: -5105.10 - 5.1051 + 4895.10 - 4.8951 = -220.0002; gross of 5.1051 + 4.8951 commission and 10 slippage
    -200 = 50 * (98 - 102). Second, open: 4841.153501499 - 4.841153501499 - 4450.407705 = 385.904642997501.
    Together 165.904442997501, which is the equity gained.
    """
    opens = np.array([80.0, 80.0, 102.0, 110.0, 98.0, 95.0]).reshape(-1, 1)
    closes = np.array([80.0, 100.0, 110.0, 100.0, 95.0, 90.0]).reshape(-1, 1)
    bars = Columns(opens, np.maximum(opens, closes), np.minimum(opens, closes), closes, np.ones_like(opens))
    result = engine.run(
        {
            "dataset": "memory",
            "symbols": [SYMBOL],
            "strategy": {"name": "dual_sma", "params": {"fast": 1, "slow": 2}},
            "risk": {"name": "fixed_fraction", "params": {"fraction": 0.5}},
            "execution": {"feature_lag": 0, "slippage_bps": 10.0, "commission": {"bps": 10.0}},
            "initial_capital": 10_000.0,
        },
        dataset_of(bars),
    )
    ledger, trades = result.ledger, result.trades
    orders, fills = ledger.orders, ledger.fills
    final_cash = 14_616.312147997501

    assert result.signals.values[:, 0].tolist() == [0.0, 1.0, 1.0, -1.0, -1.0, -1.0]
    exactly(ledger.cash, [10_000.0, 10_000.0, 4889.7949, 4889.7949, final_cash, final_cash])
    exactly(
        ledger.equity,
        [10_000.0, 10_000.0, 10_389.7949, 9889.7949, 9918.659570497501, 10_165.904442997501],
    )
    exactly(ledger.quantity[:, 0], [0.0, 0.0, 50.0, 50.0, -49.4489745, -49.4489745])
    exactly(orders.quantity, [50.0, -99.4489745])
    exactly(orders.filled, [50.0, -99.4489745])
    exactly(orders.scale, [1.0, 1.0])
    assert orders.decided_bar.tolist() == [1, 3]
    assert fills.bar.tolist() == [2, 4, 4]
    assert fills.leg.tolist() == [Leg.OPEN, Leg.CLOSE, Leg.OPEN]
    exactly(fills.price, [102.102, 97.902, 97.902])
    exactly(fills.commission, [5.1051, 4.8951, 4.841153501499])
    exactly(fills.slippage, [5.1, 4.9, 4.845999501])
    exactly(trades.pnl_net, [-220.0002, 385.904642997501])
    exactly(trades.pnl_gross, [-200.0, 395.59179600000])
    assert trades.side.tolist() == [1, -1]
    assert trades.exit_bar.tolist() == [4, -1]
    assert result.funnel == {
        "decisions": 2,
        "orders": 2,
        "filled": 2,
        "scaled": 0,
        "partial": {},
        "unfilled": {},
        "fills": 3,
    }


def assert_same(now: dict[str, float | None], frozen: dict[str, float | None]) -> None:
    """Undefined in the same places, and equal to 1e-9 elsewhere."""
    assert {k for k, v in now.items() if v is None} == {k for k, v in frozen.items() if v is None}
    for name, value in frozen.items():
        if value is not None:
            assert now[name] == pytest.approx(value, rel=RELATIVE, abs=0.0), name


def exactly(values: object, expected: list[float]) -> None:
    """Equal but for the rounding of binary numbers."""
    np.testing.assert_allclose(np.asarray(values), expected, rtol=1e-12, atol=0.0)

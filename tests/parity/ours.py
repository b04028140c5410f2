"""The engine of this repository on a case."""

from typing import Any

import engine
from engine.data.bars import Conventions, Dataset, Series
from tests.parity.cases import CAPITAL, Case, Outcome, Trade

BPS = 1e4
SYMBOL = "X"


def ours(case: Case, fraction: float = 1.0, **execution: Any) -> Outcome:
    """What ``engine.run`` makes of it; ``execution`` is added to the rules of the case."""
    market, rules = case.market, case.rules
    series = Series(market.time, market.open, market.high, market.low, market.close, market.volume)
    data = Dataset("parity", Conventions(market.timeframe, market.calendar), {SYMBOL: series})
    exits = {
        "stop_loss": rules.stop,
        "take_profit": rules.target,
        "trailing_stop": rules.trail,
        "max_holding_bars": rules.hold,
    }
    config = {
        "dataset": data.name,
        "symbols": [SYMBOL],
        "strategy": {"name": "dual_sma", "params": {"fast": case.fast, "slow": case.slow}},
        "risk": {"name": "fixed_fraction", "params": {"fraction": fraction}},
        "initial_capital": CAPITAL,
        "execution": {
            "feature_lag": 0,
            "size_at": "fill",
            "slippage_bps": rules.slippage * BPS,
            "commission": {"bps": rules.commission * BPS},
            "allow_short": rules.short,
            **{name: value for name, value in exits.items() if value is not None},
            **execution,
        },
    }
    result = engine.run(config, data)
    found = result.trades
    trades = [
        Trade(
            int(found.side[k]),
            int(found.entry_bar[k]),
            int(found.exit_bar[k]),
            float(found.quantity[k]),
            float(found.entry_price[k]),
            float(found.exit_price[k]),
        )
        for k in range(len(found))
    ]
    return Outcome(trades, float(result.ledger.equity[-1]))

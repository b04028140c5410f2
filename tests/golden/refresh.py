"""The frozen runs, and ``python -m tests.golden.refresh``, which rewrites what they gave.

Rewriting them says that results have changed: raise ``engine.config.SEMANTICS`` with it, or ``SCHEMA`` where only
the form of the configuration (and so the hash) has changed. A refresh without either silently changes everyone's
numbers.
"""

import json
from pathlib import Path
from typing import Any

import engine
from engine.config import SCHEMA, SEMANTICS
from engine.data.synthetic import market

FILE = Path(__file__).parent / "runs.json"
DIGITS = 12

_SMA = {"name": "dual_sma", "params": {"fast": 20, "slow": 50}}
_BASE: dict[str, Any] = {"dataset": "synthetic", "symbols": ["SYNTH"], "strategy": _SMA}

RUNS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "dual_sma long and short, defaults": ({"bars": 5000, "seed": 42}, _BASE),
    "dual_sma long or flat, weekdays": (
        {"bars": 3000, "seed": 7, "calendar": "24x5"},
        _BASE | {"execution": {"allow_short": False, "commission": {"bps": 10.0}}, "initial_capital": 1e6},
    ),
    "dual_sma sized at the fill, lags 0 and 2": (
        {"bars": 3000, "seed": 8, "timeframe": "15m"},
        _BASE
        | {
            "execution": {"feature_lag": 0, "fill_lag": 2, "size_at": "fill", "slippage_bps": 3.0},
            "risk": {"name": "fixed_fraction", "params": {"fraction": 0.35}},
            "start": "2020-01-03T00:00:00Z",
        },
    ),
    "dual_sma long or flat, idle cash earns": (
        {"bars": 3000, "seed": 11, "calendar": "24x5"},
        _BASE | {"execution": {"allow_short": False, "cash_rate": 0.05}, "validation": {"sharpe": {}}},
    ),
    "buy_and_hold, daily": (
        {"bars": 800, "seed": 9, "timeframe": "1d"},
        _BASE | {"strategy": {"name": "buy_and_hold"}},
    ),
    "dual_sma with permutation": (
        {"bars": 2000, "seed": 10},
        _BASE | {"validation": {"permutation": {"n": 500}}, "seed": 1},
    ),
}


def measure(name: str) -> dict[str, Any]:
    """What the run of that name gives now: hash, metrics to 12 digits, funnel, validation."""
    data, config = RUNS[name]
    summary = engine.run(config, market(**data)).summary()
    rounded: dict[str, Any] = json.loads(
        json.dumps({k: summary[k] for k in ("hash", "metrics", "funnel", "validation")}),
        parse_float=lambda text: float(f"{float(text):.{DIGITS}g}"),
    )
    return rounded


def main() -> None:
    """Rewrite the frozen values."""
    frozen = {"schema": SCHEMA, "semantics": SEMANTICS, "runs": {name: measure(name) for name in RUNS}}
    FILE.write_text(json.dumps(frozen, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""What the command line says about a run: a page of text, and the same as JSON."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from engine.canonical import canonical_bytes, plain
from engine.outcome import Result

WIDTH = 28


def report_name(result: Result, now: datetime) -> str:
    """``backtest_<long|short|both>_<symbol|multi>_<YYYYMMDD>_<HHMMSS>``, in UTC."""
    signals = result.targets.signals
    longs, shorts = bool((signals > 0.0).any()), bool((signals < 0.0).any())
    shorts = shorts and result.config.execution.allow_short
    side = "both" if longs == shorts else "long" if longs else "short"
    symbols = result.bars.symbols
    name = "multi" if len(symbols) > 1 else "".join(c if c.isalnum() or c in "._-" else "-" for c in symbols[0])
    return f"backtest_{side}_{name}_{now.astimezone(UTC):%Y%m%d_%H%M%S}"


def write_reports(result: Result, directory: Path, now: datetime) -> list[Path]:
    """Write both reports; returns where they are."""
    stem = report_name(result, now)
    text, values = directory / f"{stem}.txt", directory / f"{stem}.json"
    text.write_text(report_text(result))
    values.write_bytes(canonical_bytes(plain(report_values(result))))
    return [text, values]


def report_values(result: Result) -> dict[str, Any]:
    """The summary, with every metric, its unit and why it is undefined where it is."""
    return result.summary() | {
        "metrics": {name: metric.as_dict() for name, metric in result.metrics.items()},
        "trades": len(result.trades),
    }


def report_text(result: Result) -> str:
    """One page: what was run, what came of it, symbol by symbol, and what to know before believing it."""
    summary = result.summary()
    lines = [
        f"run       {result.run_id}",
        f"dataset   {summary['dataset']}: {', '.join(summary['symbols'])}",
        f"period    {summary['period']['start']} to {summary['period']['end']}, {summary['period']['rows']:,} bars",
        f"strategy  {summary['strategy']}",
        "",
    ]
    for name, metric in result.metrics.items():
        value = f"{metric.value:,.6g} {metric.unit}" if metric.value is not None else f"undefined: {metric.reason}"
        lines.append(f"{name:<{WIDTH}}{value}")
    if "by_symbol" in summary:
        lines += ["", *_symbols(summary["by_symbol"])]
    lines += ["", "assumptions", *(f"  {line}" for line in summary["assumptions"])]
    if summary["warnings"]:
        lines += ["", "warnings", *(f"  {w['code']}: {w['message']}" for w in summary["warnings"])]
    return "\n".join(lines) + "\n"


def _symbols(rows: dict[str, dict[str, Any]]) -> list[str]:
    columns = ("trades", "pnl_net", "return_contribution", "commission", "slippage", "average_exposure")
    wide = max(len(symbol) for symbol in (*rows, "symbol")) + 2
    head = f"{'symbol':<{wide}}" + "".join(f"{name:>21}" for name in columns)
    return [
        head,
        *(
            f"{symbol:<{wide}}" + "".join(f"{np.float64(row[name]):>21,.6g}" for name in columns)
            for symbol, row in rows.items()
        ),
    ]

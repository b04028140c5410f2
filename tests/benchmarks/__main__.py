"""``python -m tests.benchmarks [part]...``: all without a name.

Parts: service, health, engine, data, metrics, statistics, calibration, start, peers, portfolio.
"""

import os
import sys
from collections.abc import Callable

from tests.benchmarks import calibration, cold, data, engine, health, metrics, peers, portfolio, service, statistics

PARTS: dict[str, Callable[[], None]] = {
    "service": service.main,
    "health": health.main,
    "engine": engine.main,
    "data": data.main,
    "metrics": metrics.main,
    "statistics": statistics.main,
    "calibration": calibration.main,
    "start": cold.main,
    "peers": peers.main,
    "portfolio": portfolio.main,
}


def run(names: list[str]) -> int:
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        sys.stderr.write(f"there is no part {', '.join(unknown)}: choose from {', '.join(PARTS)}\n")
        return 2
    loads = ", ".join(f"{load:.2f}" for load in os.getloadavg())
    sys.stdout.write(f"{os.cpu_count()} processors, load {loads}\n")
    for name in names or PARTS:
        PARTS[name]()
    return 0


if __name__ == "__main__":
    raise SystemExit(run(sys.argv[1:]))

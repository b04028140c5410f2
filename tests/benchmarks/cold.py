"""From nothing to ``ready``, with compiled kernels and bytecode cached, and what the imports take of it."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.tables import quantile, show
from tests.live import CLI, ROOT, LiveServer

TIMES = 5
IMPORTS = ("engine", "app.runs.worker", "app.main")


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        kept["PYTHONPYCACHEPREFIX"] = str(Path(scratch, "bytecode"))
        compiling = _start(Path(scratch, "first"), dict(os.environ) | {"PYTHONPYCACHEPREFIX": str(Path(scratch, "no"))})
        _start(Path(scratch, "first"), kept)
        ready = [_start(Path(scratch, f"data-{number}"), kept) for number in range(TIMES)]
        again = [_start(Path(scratch, "first"), kept) for _ in range(TIMES)]
        rows = [
            ("serve to ready, new directory", quantile(ready, 0.5), max(ready)),
            ("serve to ready, known directory", quantile(again, 0.5), max(again)),
            ("the same without kept bytecode", compiling, compiling),
        ]
        for name in IMPORTS:
            took = [_run([sys.executable, "-c", f"import {name}"], kept) for _ in range(TIMES)]
            rows.append((f"import {name}", quantile(took, 0.5), max(took)))
        took = [_run([*CLI, "--help"], kept) for _ in range(TIMES)]
        rows.append(("--help", quantile(took, 0.5), max(took)))
    show(f"start, {TIMES} times", ("s", "median", "max"), rows)


def _run(command: list[str], environment: dict[str, str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def _start(data_dir: Path, environment: dict[str, str]) -> float:
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    try:
        began = time.perf_counter()
        with LiveServer(data_dir):
            return time.perf_counter() - began
    finally:
        os.environ.clear()
        os.environ.update(before)

"""What /proc says about the processes of a server."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

POLL_SECONDS = 0.005
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Process:
    """A process by number and start, so that a number given out again is not taken for it."""

    pid: int
    began: int

    @property
    def alive(self) -> bool:
        """Whether it is there and not a zombie."""
        fields = _stat(self.pid)
        return fields is not None and int(fields[19]) == self.began and fields[0] not in ("Z", "X")

    @property
    def cpu_seconds(self) -> float:
        """Processor time used so far; 0 for one that is gone."""
        fields = _stat(self.pid)
        return 0.0 if fields is None else (int(fields[11]) + int(fields[12])) / TICKS

    @property
    def command(self) -> str:
        return Path(f"/proc/{self.pid}/cmdline").read_text().replace("\0", " ")

    @property
    def files(self) -> list[str]:
        """Where its open descriptors lead."""
        try:
            return [str(link.readlink()) for link in Path(f"/proc/{self.pid}/fd").iterdir()]
        except OSError:
            return []  # it, or one of its files, went meanwhile


def until(condition: Callable[[], T], what: str, seconds: float = 5.0) -> T:
    """The first true value of the condition; fails after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(POLL_SECONDS)
    return value


def family(pid: int) -> list[Process]:
    """A process, its children and theirs."""
    parents: dict[int, list[Process]] = {}
    found = []
    for entry in Path("/proc").iterdir():
        fields = _stat(int(entry.name)) if entry.name.isdigit() else None
        if fields is not None:
            process = Process(int(entry.name), int(fields[19]))
            parents.setdefault(int(fields[1]), []).append(process)
            if process.pid == pid:
                found.append(process)
    for process in found:  # grows while it is read
        found += parents.get(process.pid, [])
    return found


def fork_server(pid: int) -> Process:
    """The process from which the workers of a server come."""
    children = [p for p in family(pid)[1:] if "multiprocessing.forkserver" in p.command]
    return min(children, key=lambda process: (process.began, process.pid))


def worker_of(pid: int, run_id: str) -> Process:
    """The worker that computes a run: the one that has the run's pipe or files open."""

    def find() -> Process | None:
        workers = family(fork_server(pid).pid)[1:]
        return next((p for p in workers if any(run_id in file for file in p.files)), None)

    return until(find, f"a worker of run {run_id}")  # type: ignore[return-value]


def all_gone(processes: list[Process], seconds: float) -> None:
    """Wait until none of them is left."""
    until(lambda: not any(p.alive for p in processes), "every process is gone", seconds)


def _stat(pid: int) -> list[str] | None:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None

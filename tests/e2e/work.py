"""Runs of chosen lengths, and what must hold of their logs."""

from collections.abc import Sequence
from itertools import count
from typing import Any

from tests.live import FINAL, LiveServer, Sse

MARKETS = {"small": 2_000, "medium": 60_000, "large": 300_000}
_seeds = count()


def small(**values: Any) -> dict[str, Any]:
    """A new configuration that takes milliseconds."""
    return _config("small", None, values)


def brief(**values: Any) -> dict[str, Any]:
    """A new configuration that takes about half a second, most of it validation."""
    return _config("medium", 10_000, values)


def medium(**values: Any) -> dict[str, Any]:
    """A new configuration that takes about two seconds, most of it validation."""
    return _config("medium", 100_000, values)


def endless(**values: Any) -> dict[str, Any]:
    """A new configuration that takes longer than any test waits."""
    return _config("large", 100_000, values)


def _config(dataset: str, permutations: int | None, values: dict[str, Any]) -> dict[str, Any]:
    config: dict[str, Any] = {
        "dataset": dataset,
        "symbols": ["SYNTH"],
        "strategy": {"name": "dual_sma", "params": {"fast": 20, "slow": 50}},
        "seed": next(_seeds),
    }
    if permutations is not None:
        config["validation"] = {"permutation": {"n": permutations}}
    return config | values


def post(server: LiveServer, config: dict[str, Any]) -> str:
    """POST a run that is not completed; returns its id."""
    answer = server.post(config)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def put_markets(server: LiveServer) -> None:
    for name, bars in MARKETS.items():
        server.put_market(name, bars=bars)


def check_log(events: Sequence[Sse], attempt: int = 1) -> None:
    """Every event once, in order, the terminal one last."""
    assert [event.id for event in events] == [f"{attempt}-{seq}" for seq in range(1, len(events) + 1)]
    assert [event.data["seq"] for event in events] == list(range(1, len(events) + 1))
    terminal = [event.event in FINAL for event in events]
    assert terminal == [False] * (len(events) - 1) + [True], [event.event for event in events]
    assert events[0].event == "queued"

"""How much was tried on the same data is counted, whatever becomes of the runs, and deflates their Sharpe ratios."""

import json
import math
import statistics
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import insert, select

from app.db.migration import alembic_config, migrate
from app.db.models import trials as table
from app.db.session import Database
from app.runs import trials
from app.runs.trials import Deflated, Tried, deflate
from app.settings import Settings
from engine.config import parse_config
from engine.validation.sharpe import expected_maximum_sharpe
from tests.app.calls import config
from tests.live import PARQUET, LiveServer, market_frame, parquet_bytes


def of(dataset: str, fast: int = 5, **fields: Any) -> dict[str, Any]:
    strategy = {"name": "dual_sma", "params": {"fast": fast, "slow": 20}}
    return config(dataset=dataset, strategy=strategy) | fields


def upload(server: LiveServer, name: str, seed: int) -> None:
    answer = server.put(name, parquet_bytes(market_frame(bars=2000, seed=seed)), PARQUET)
    assert answer.status_code in (200, 201), answer.text


def now(server: LiveServer, run: dict[str, Any]) -> dict[str, Any]:
    read: dict[str, Any] = server.run(run["id"])["trials"]
    return read


def test_every_distinct_configuration_on_the_data_is_a_trial(server: LiveServer) -> None:
    upload(server, "tried", 5)
    upload(server, "elsewhere", 6)
    first = server.completed(of("tried"))
    alone = first["trials"]
    assert alone["n_trials"] == 1
    assert alone["sharpe"] == first["metrics"]["sharpe"]
    assert alone["dsr"] == pytest.approx(first["metrics"]["psr"], abs=1e-12)
    assert (alone["expected_maximum"], alone["variance"], alone["reason"]) == (0.0, 0.0, None)

    upload(server, "banked", 5)
    banked = server.completed(of("banked", execution={"cash_rate": 0.05}))
    assert banked["trials"]["dsr"] == pytest.approx(banked["metrics"]["psr"], abs=1e-12)

    made = [first, *(server.completed(of("tried", fast)) for fast in (6, 7, 8))]
    server.completed(of("elsewhere"))
    server.completed(of("tried", seed=7))
    server.completed(of("tried", validation={"permutation": {"n": 10}}))
    sharpes = [run["metrics"]["sharpe"] for run in made]
    for run in made:
        read = now(server, run)
        assert (read["n_trials"], read["sharpe"]) == (4, run["metrics"]["sharpe"])
        assert read["variance"] == pytest.approx(statistics.variance(sharpes), rel=1e-9)
        assert read["dsr"] < run["metrics"]["psr"]
        assert "'tried'" in read["counted"]
    listed = {run["id"]: run["trials"] for run in server.get("/runs?dataset=tried&limit=100").json()["runs"]}
    assert listed[first["id"]] == now(server, first)


def test_runs_that_are_gone_still_count(server: LiveServer) -> None:
    upload(server, "graves", 8)
    kept, gone = server.completed(of("graves")), server.completed(of("graves", 6))
    assert server.client.delete(f"/runs/{gone['id']}").status_code == 204
    assert now(server, kept)["n_trials"] == 2
    server.completed(of("graves", 6))
    assert now(server, kept)["n_trials"] == 2, "computed once more, it is no further trial"


def test_pruned_runs_still_count(keeper: LiveServer) -> None:
    upload(keeper, "pruned", 9)
    made = [keeper.completed(of("pruned", fast)) for fast in range(4, 10)]
    assert keeper.get(f"/runs/{made[0]['id']}").status_code == 410
    assert now(keeper, made[-1])["n_trials"] == 6


def test_none_of_it_is_in_an_artifact(server: LiveServer, finished: str) -> None:
    names = [file["name"] for file in server.get(f"/runs/{finished}/artifacts/manifest.json").json()["files"]]
    for name in [*names, "manifest.json", "benchmark.json"]:
        content = server.get(f"/runs/{finished}/artifacts/{name}").content
        assert not any(word in content for word in (b"n_trials", b"dsr", b"expected_maximum"))


def test_a_run_that_failed_or_did_not_trade_is_shown_for_what_it_is(server: LiveServer) -> None:
    upload(server, "silent", 10)
    still = of("silent", strategy={"name": "dual_sma", "params": {"fast": 999, "slow": 1999}})
    read = server.completed(still)["trials"]
    assert (read["sharpe"], read["dsr"], read["n_trials"]) == (None, None, 1)
    assert read["reason"]
    server.completed(of("silent"))
    assert now(server, server.completed(still))["n_trials"] == 2
    queued = server.post(of("silent", 6)).json()
    assert queued["trials"] is None
    server.wait(queued["id"])


def test_what_makes_a_trial_another_one() -> None:
    plain = parse_config(config(symbols=["A", "B"])).plain()
    key = trials.configuration_key(plain)
    same: list[dict[str, Any]] = [{"seed": 7}, {"benchmark": "A"}, {"validation": {}}]
    assert {trials.configuration_key(plain | other) for other in same} == {key}
    quiet = {"portfolio": plain["portfolio"] | {"snapshot_interval": 3}}
    assert trials.configuration_key(plain | quiet) == key
    louder = {"portfolio": plain["portfolio"] | {"redundancy": "filter"}}
    others: list[dict[str, Any]] = [louder, {"fraction": 0.5}, {"timeframe": "4h"}, {"initial_capital": 5.0}]
    assert len({trials.configuration_key(plain | other) for other in others} | {key}) == 5
    assert trials.symbols_key(["B", "A"]) == trials.symbols_key(["A", "B"]) != trials.symbols_key(["A"])


def test_the_formula() -> None:
    """The worked example of Bailey & Lopez de Prado 2014: daily data of five years, annual Sharpe ratio 2.5."""
    daily = 2.5 / math.sqrt(250.0)
    error = math.sqrt((1.0 + 3.0 * daily + (10.0 - 1.0) / 4.0 * daily**2) / 1250.0 * 250.0)
    metrics = {"sharpe": 2.5, "observations": 1250.0, "sharpe_standard_error": error}
    found = deflate(metrics, Tried(100, 100, 0.5))
    assert found.dsr == pytest.approx(0.9004, abs=5e-5)
    assert found.expected_maximum == pytest.approx(math.sqrt(0.5) * expected_maximum_sharpe(100.0, 1.0), rel=1e-12)
    unknown = deflate(metrics | {"sharpe": None}, Tried(100, 99, 0.5))
    assert unknown == Deflated(None, found.expected_maximum, "the Sharpe ratio is undefined")
    old = deflate({name: value for name, value in metrics.items() if name != "observations"}, Tried(3, 3, 0.5))
    assert old.dsr is None
    assert "before its returns were counted" in str(old.reason)
    known = deflate(metrics | {"sharpe_standard_error": None}, Tried(1, 1, 0.0))
    assert known == Deflated(None, 0.0, "the standard error of the Sharpe ratio is zero")


def test_what_was_there_before_is_counted(tmp_path: Path) -> None:
    database = Database(Settings(data_dir=tmp_path))
    scripts = alembic_config()
    plain = parse_config(of("old")).plain()
    with database.alone() as connection:
        scripts.attributes["connection"] = connection
        command.upgrade(scripts, "0002")
        told = {"dataset": "old", "digest": "d", "attempt": 1, "manifest_hash": None, "hash": "h"}
        for status, name in (("completed", "a"), ("failed", "b")):
            connection.exec_driver_sql(
                "INSERT INTO tombstones (run_id, hash, attempt, status, config, dataset, digest, metrics, reason,"
                " removed_at) VALUES (?, ?, 1, ?, ?, ?, 'd', ?, 'pruned', 0)",
                (name, told["hash"], status, json.dumps(plain | {"seed": ord(name)}), "old", '{"sharpe": 1.5}'),
            )
        connection.commit()
    migrate(database)
    with database.write() as connection:
        (row,) = connection.execute(select(table)).all()
        assert row == ("old", trials.symbols_key(["SYNTH"]), trials.configuration_key(plain), 1.5)
        connection.execute(insert(table).values(dataset="old", symbols="s", config="c"))
    database.close()

"""That the same run leaves the same bytes, and what happens when they are tampered with."""

import hashlib
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest
import rfc8785

from tests.app.calls import config, fresh, problem
from tests.app.conftest import Fleet
from tests.live import LiveServer, cli, market_frame, parquet_bytes

JSON_FILES = ["config.json", "data_report.json", "metrics.json", "summary.json", "validation.json"]
COLUMNS = {
    "equity": "timestamp equity cash positions_value gross_exposure net_exposure drawdown returns n_positions",
    "trades": "trade_id symbol side status entry_time entry_price exit_time exit_price quantity entry_commission "
    "exit_commission entry_slippage exit_slippage borrow_cost pnl_gross pnl_net return_pct bars_held exit_reason "
    "entry_signal exit_signal stop_level target_level mfe mae mfe_pct mae_pct correlation_adjusted "
    "correlation_partner",
    "fills": "fill_id order_id time symbol side leg quantity price commission slippage reason",
    "orders": "order_id symbol decided_at side target_weight quantity outcome reason filled_at fill_price "
    "filled_quantity commission slippage scale scale_reason",
    "rolling": "timestamp rolling_sharpe",
}
TIMES = {
    "equity": ["timestamp"],
    "trades": ["entry_time", "exit_time"],
    "fills": ["time"],
    "orders": ["decided_at", "filled_at"],
}
FILES = sorted([*JSON_FILES, *(f"{name}.parquet" for name in COLUMNS)])
GRID = {"fast": [3, 5], "slow": [20, 30]}
SHARED = {
    "cost_sensitivity": {},
    "bar_permutation": {"n": 20},
    "block_bootstrap": {"n": 200},
    "monte_carlo": {"n": 200},
    "walk_forward": {"windows": 2, "grid": GRID},
    "overfitting": {"grid": GRID, "blocks": 4, "n": 20},
    "superiority": {"grid": GRID, "n": 100},
    "cross_validation": {"grid": GRID, "groups": 5},
    "multiplicity": {"grid": GRID},
    "lookahead": {"cuts": 10},
    "startup": {"starts": 4},
    "plateau": {"points": 4},
}
OUTSIDE = ["manifest.json", "SHA256SUMS", "benchmark.json"]


def artifact(server: LiveServer, run_id: str, name: str) -> bytes:
    answer = server.get(f"/runs/{run_id}/artifacts/{name}")
    assert answer.status_code == 200, answer.text
    return answer.content


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def kept(server: LiveServer) -> Iterator[tuple[str, Path]]:
    """A completed run of its own and its directory, to be tampered with."""
    posted = fresh(validation={"permutation": {"n": 50}})
    run_id = str(server.completed(posted)["id"])
    yield run_id, server.data_dir / "runs" / run_id
    server.client.delete(f"/runs/{run_id}")


def recompute(server: LiveServer, run_id: str) -> dict[str, Any]:
    answer = server.client.post(f"/runs/{run_id}/recompute")
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


class TestSameBytes:
    def test_everywhere(
        self, server: LiveServer, processes: LiveServer, limited: LiveServer, finished: str, tmp_path: Path
    ) -> None:
        """Threads and processes, two workers and one, other directories, and no server at all."""
        posted = config(validation={"permutation": {"n": 300}})
        hashes = {live.completed(posted)["manifest_hash"] for live in (server, processes, limited)}
        (tmp_path / "config.json").write_text(json.dumps(posted))
        (tmp_path / "market.parquet").write_bytes(parquet_bytes(market_frame(bars=1000)))
        data = (tmp_path / "market.parquet", "--calendar", "24x7", "--label", "open")
        command = cli("run", tmp_path / "config.json", "--data", *data, "--out", tmp_path / "out")
        assert command.returncode == 0, command.stderr
        hashes.add(json.loads((tmp_path / "out" / "manifest.json").read_bytes())["manifest_hash"])
        assert len(hashes) == 1
        run_id = server.post(posted).json()["id"]
        for name in (*FILES, "manifest.json", "SHA256SUMS"):
            assert (tmp_path / "out" / name).read_bytes() == artifact(server, run_id, name), name
        assert server.run(finished)["manifest_hash"] not in hashes

    def test_with_any_number_of_threads_for_a_run(self, fleet: Fleet) -> None:
        """One and several, in threads of the server and in processes: replicates, and independent accounts."""
        frames = [market_frame(symbol=name, bars=400, seed=seed) for seed, name in enumerate("ABC")]
        apart = {"dataset": "apart", "symbols": list("ABC"), "portfolio": {"mode": "independent"}}
        asked = (config(validation=SHARED), config(validation={"bar_permutation": {"n": 5}}) | apart)
        found = []
        for name in ("server", "processes", "shared_threads", "shared_processes"):
            live = fleet(name)
            live.put_frame("apart", pl.concat(frames))
            found.append([live.completed(posted)["manifest_hash"] for posted in asked])
        assert found[0][0] != found[0][1]
        assert found == [found[0]] * 4


class TestVerify:
    def test_an_untouched_run(self, server: LiveServer, finished: str) -> None:
        assert server.get(f"/runs/{finished}/verify").json() == {"ok": True, "mismatches": []}
        assert recompute(server, finished) == {"result": "identical", "difference": None}

    @pytest.mark.parametrize("name", FILES)
    def test_a_changed_byte(self, server: LiveServer, kept: tuple[str, Path], name: str) -> None:
        run_id, directory = kept
        content = bytearray((directory / name).read_bytes())
        content[len(content) // 2] ^= 1
        (directory / name).write_bytes(content)
        answer = server.get(f"/runs/{run_id}/verify").json()
        assert answer["ok"] is False
        (mismatch,) = answer["mismatches"]
        files = {file["name"]: file["sha256"] for file in server.get(f"/runs/{run_id}/artifacts").json()["files"]}
        assert mismatch == {"name": name, "expected": files[name], "actual": digest(bytes(content))}
        (directory / name).write_bytes(content[:-9])
        verdict = recompute(server, run_id)
        assert (verdict["result"], verdict["difference"]["file"]) == ("different", name)

    def test_a_missing_file(self, server: LiveServer, kept: tuple[str, Path]) -> None:
        run_id, directory = kept
        (directory / "fills.parquet").unlink()
        answer = server.get(f"/runs/{run_id}/verify").json()
        assert answer["ok"] is False
        assert [(m["name"], m["actual"]) for m in answer["mismatches"]] == [("fills.parquet", None)]
        problem(server.get(f"/runs/{run_id}/artifacts/fills.parquet"), 404, "not_found")
        verdict = recompute(server, run_id)
        assert (verdict["result"], verdict["difference"]["file"]) == ("different", "fills.parquet")


class TestRecompute:
    def change_cell(self, path: Path, row: int, column: str, change: Callable[[float], float]) -> tuple[float, float]:
        """Rewrite a table with one float changed; returns it before and after."""
        table = pq.read_table(path)
        values = table.column(column).to_pylist()
        before, values[row] = values[row], change(values[row])
        changed = pa.array(values, type=table.schema.field(column).type)
        pq.write_table(table.set_column(table.column_names.index(column), column, changed), path)
        return before, values[row]

    @staticmethod
    def other_runtime(directory: Path) -> None:
        path = directory / "benchmark.json"
        benchmark = json.loads(path.read_bytes())
        benchmark["runtime"]["libraries"]["numpy"] = "0.0.0"
        path.write_bytes(rfc8785.dumps(benchmark))

    @pytest.mark.parametrize("executor", ["server", "processes"])
    def test_identical(self, executor: str, request: pytest.FixtureRequest) -> None:
        live: LiveServer = request.getfixturevalue(executor)
        run = live.completed(fresh())
        assert recompute(live, run["id"]) == {"result": "identical", "difference": None}
        assert live.run(run["id"]) == run
        assert not list((live.data_dir / "aside").iterdir())

    @pytest.mark.parametrize(("row", "column"), [(0, "cash"), (417, "equity"), (999, "returns")])
    def test_a_changed_cell(self, server: LiveServer, kept: tuple[str, Path], row: int, column: str) -> None:
        run_id, directory = kept
        tampered = directory / "equity.parquet"
        before, after = self.change_cell(tampered, row, column, lambda value: math.nextafter(value, math.inf))
        answer = recompute(server, run_id)
        assert answer["result"] == "different"
        # What is kept is compared with what it should have been.
        difference = {"file": "equity.parquet", "row": row, "column": column, "expected": after, "actual": before}
        assert answer["difference"] == difference

    def test_the_first_of_several_cells(self, server: LiveServer, kept: tuple[str, Path]) -> None:
        run_id, directory = kept
        self.change_cell(directory / "equity.parquet", 900, "equity", lambda value: value + 1.0)
        self.change_cell(directory / "equity.parquet", 300, "cash", lambda value: value + 1.0)
        difference = recompute(server, run_id)["difference"]
        assert (difference["row"], difference["column"]) == (300, "cash")

    def test_another_runtime_and_nothing_more(self, server: LiveServer, kept: tuple[str, Path]) -> None:
        self.other_runtime(kept[1])
        assert recompute(server, kept[0])["result"] == "identical"

    def test_another_runtime_is_equivalent_within_rounding(self, server: LiveServer, kept: tuple[str, Path]) -> None:
        run_id, directory = kept
        self.change_cell(directory / "equity.parquet", 500, "equity", lambda value: value * (1 + 1e-12))
        assert recompute(server, run_id)["result"] == "different", "one runtime gives one result"
        self.other_runtime(directory)
        assert recompute(server, run_id) == {"result": "equivalent", "difference": None}
        self.change_cell(directory / "equity.parquet", 500, "equity", lambda value: value * (1 + 1e-6))
        answer = recompute(server, run_id)
        assert (answer["result"], answer["difference"]["row"]) == ("different", 500)

    def test_a_changed_number_in_json(self, server: LiveServer, kept: tuple[str, Path]) -> None:
        run_id, directory = kept
        path = directory / "metrics.json"
        metrics = json.loads(path.read_bytes())
        metrics["sharpe"]["value"] += 0.001
        path.write_bytes(rfc8785.dumps(metrics))
        difference = recompute(server, run_id)["difference"]
        assert (difference["file"], difference["column"]) == ("metrics.json", "/sharpe/value")

    def test_a_lost_row(self, server: LiveServer, kept: tuple[str, Path]) -> None:
        run_id, directory = kept
        path = directory / "trades.parquet"
        table = pq.read_table(path)
        pq.write_table(table.slice(0, table.num_rows - 1), path)
        difference = recompute(server, run_id)["difference"]
        assert (difference["file"], difference["row"]) == ("trades.parquet", table.num_rows - 1)

    def test_every_file_lost(self, server: LiveServer, kept: tuple[str, Path]) -> None:
        run_id, directory = kept
        for name in FILES:
            (directory / name).unlink()
        answer = server.get(f"/runs/{run_id}/verify").json()
        assert [mismatch["name"] for mismatch in answer["mismatches"]] == FILES
        assert recompute(server, run_id)["result"] == "different"

"""Which runs stay, and what stays of the others; on a server that keeps few."""

from typing import Any

from tests.app.calls import Config, fresh, lengthy, problem
from tests.app.conftest import RETAIN
from tests.live import LiveServer


def kept(server: LiveServer) -> list[str]:
    return [run["id"] for run in server.get("/runs").json()["runs"]]


def complete(server: LiveServer, count: int) -> list[tuple[Config, dict[str, Any]]]:
    posted = [fresh() for _ in range(count)]
    return [(values, server.completed(values)) for values in posted]


def test_the_oldest_final_runs_go(keeper: LiveServer) -> None:
    made = complete(keeper, RETAIN + 2)
    names = [run["id"] for _, run in made]
    assert kept(keeper) == names[:1:-1]
    directories = {path.name for path in (keeper.data_dir / "runs").iterdir()}
    assert directories == set(names[2:])
    assert list((keeper.data_dir / "aside").iterdir()) == []
    posted, pruned = made[0]
    path = f"/runs/{pruned['id']}"
    for place in ("", "/events", "/artifacts", "/artifacts/manifest.json", "/verify"):
        tombstone = problem(keeper.get(path + place), 410, "gone")["tombstone"]
        assert tombstone["reason"] == "pruned"
        same = ("id", "hash", "attempt", "status", "metrics", "manifest_hash")
        assert [tombstone[key] for key in same] == [pruned[key] for key in same]

    again = keeper.post(posted)
    assert again.status_code == 202
    assert (again.json()["id"], again.json()["attempt"], again.json()["reused"]) == (pruned["id"], 2, False)
    final = keeper.wait(pruned["id"])
    assert (final["status"], final["manifest_hash"]) == ("completed", pruned["manifest_hash"])
    assert keeper.events(pruned["id"])[0].id == "2-1"
    assert kept(keeper) == [pruned["id"], names[4], names[3]]

    dry = keeper.client.post("/runs", json=made[1][0], params={"dry_run": True}).json()
    assert (dry["id"], dry["known"]) == (names[1], False)


def test_waiting_for_a_pruned_run_computes_it(keeper: LiveServer) -> None:
    (posted, pruned), *_ = complete(keeper, RETAIN + 1)
    answer = keeper.post(posted, prefer="wait=30")
    assert answer.status_code == 200
    assert (answer.json()["id"], answer.json()["attempt"]) == (pruned["id"], 2)
    assert answer.json()["manifest_hash"] == pruned["manifest_hash"]


def test_attempts_count_on_through_every_pruning(keeper: LiveServer) -> None:
    posted = fresh()
    for attempt in (1, 2, 3):
        assert keeper.completed(posted)["attempt"] == attempt
        complete(keeper, RETAIN)


def test_pinned_runs_stay_and_do_not_count(keeper: LiveServer) -> None:
    pinned = [run["id"] for _, run in complete(keeper, 2)]
    for name in pinned:
        assert keeper.client.patch(f"/runs/{name}", json={"pinned": True}).status_code == 200
    made = [run["id"] for _, run in complete(keeper, RETAIN + 1)]
    assert set(kept(keeper)) == {*pinned, *made[1:]}
    for name in pinned:
        assert keeper.get(f"/runs/{name}/verify").json()["ok"] is True
        keeper.client.patch(f"/runs/{name}", json={"pinned": False})
    made += [run["id"] for _, run in complete(keeper, 1)]
    assert kept(keeper) == made[: -RETAIN - 1 : -1]
    problem(keeper.get(f"/runs/{pinned[0]}"), 410, "gone")


def test_unfinished_runs_stay_and_do_not_count(keeper: LiveServer) -> None:
    running = keeper.post(lengthy()).json()["id"]
    keeper.wait_for(running, "started")
    made = [run["id"] for _, run in complete(keeper, RETAIN + 1)]
    assert kept(keeper) == [*made[:0:-1], running]
    assert keeper.run(running)["status"] == "running"
    keeper.cancel(running)
    keeper.wait(running)
    assert kept(keeper) == [*made[:1:-1], running], "a cancelled run counts, as the newest to end"


def test_deleted_and_pruned_tell_their_reason(keeper: LiveServer) -> None:
    (_, first), (_, second), *_ = complete(keeper, 2)
    keeper.client.delete(f"/runs/{second['id']}")
    complete(keeper, RETAIN)
    reasons = [problem(keeper.get(f"/runs/{run['id']}"), 410)["tombstone"]["reason"] for run in (first, second)]
    assert reasons == ["pruned", "deleted"]

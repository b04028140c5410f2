"""Rows and symbols added to a dataset, and options that are said with a file."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.app.calls import changed, config, field_errors, leaves_nothing, problem
from tests.live import CSV, PARQUET, LiveServer, csv_bytes, market_frame, parquet_bytes

SHORT = 200


class TestAdding:
    """PATCH: more rows, more symbols."""

    def test_rows_and_symbols_are_added_as_a_new_version(self, server: LiveServer) -> None:
        frame = market_frame(bars=SHORT)
        first = server.put("growing", parquet_bytes(frame[:120]), PARQUET, calendar="24x7").json()
        answer = server.patch("growing", parquet_bytes(frame[100:]), PARQUET)
        assert (answer.status_code, answer.json()["version"], answer.json()["rows"]) == (201, 2, SHORT)
        assert answer.json()["report"]["added_to"] == first["digest"]
        whole = server.put("whole", parquet_bytes(frame), PARQUET, calendar="24x7").json()
        assert answer.json()["digest"] == whole["digest"]
        again = server.patch("growing", parquet_bytes(frame[100:]), PARQUET)
        assert (again.status_code, again.json()["version"]) == (200, 2)
        other = server.patch("growing", parquet_bytes(market_frame(symbol="AAA", bars=50)), PARQUET)
        assert [s["symbol"] for s in other.json()["symbols"]] == ["AAA", "SYNTH"]
        assert server.completed(config(dataset="growing", symbols=["SYNTH"]))["status"] == "completed"

    def test_what_does_not_fit_leaves_everything(self, server: LiveServer) -> None:
        frame = market_frame(bars=SHORT)
        before = server.put("held", parquet_bytes(frame), PARQUET, calendar="24x7").json()
        with leaves_nothing(server):
            changed_rows = parquet_bytes(changed(frame, 5, volume=123.0))
            assert "other values" in problem(server.patch("held", changed_rows, PARQUET), 422, "invalid_data")["detail"]
            answer = server.patch("held", parquet_bytes(frame), PARQUET, adjustment="split")
            assert "adjustment is none" in problem(answer, 422, "invalid_data")["detail"]
            problem(server.patch("nowhere", parquet_bytes(frame), PARQUET), 404, "not_found")
            problem(server.patch("held", b"", PARQUET), 422)
        assert server.get("/datasets/held").json() == before


def test_a_version_that_is_not_the_newest_any_more_is_a_conflict(server: LiveServer) -> None:
    """Two that add at once: one wins, the other is told, and nothing is lost."""
    frame = market_frame(bars=SHORT)
    server.put("race", parquet_bytes(frame[:50]), PARQUET, calendar="24x7")
    parts = [parquet_bytes(frame[50 + 10 * k : 60 + 10 * k]) for k in range(8)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda part: server.patch("race", part, PARQUET), parts))
    assert {a.status_code for a in answers} <= {201, 409}
    won = [part for part, answer in zip(parts, answers, strict=True) if answer.status_code == 201]
    assert won
    assert server.get("/datasets/race").json()["rows"] == 50 + 10 * len(won)


@pytest.mark.parametrize(
    ("params", "pointer"),
    [({"lable": "open"}, "/lable"), ({"scale": "0"}, "/scale"), ({"on_bad_rows": "gaps=drop"}, "/on_bad_rows")],
)
def test_an_option_that_cannot_be_is_named(server: LiveServer, params: dict[str, str], pointer: str) -> None:
    with leaves_nothing(server):
        answer = server.put("named", csv_bytes(market_frame(bars=SHORT)), CSV, **params)
        assert pointer in field_errors(answer)

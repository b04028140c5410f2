"""The event stream across crashes, restarts, crowds, slow readers and clients that go away."""

import asyncio
import http.client
import json
import socket
from concurrent.futures import Future, ThreadPoolExecutor
from urllib.parse import urlsplit

import httpx
import pytest

from tests.e2e.work import brief, check_log, endless, medium, post, small
from tests.live import LiveServer, Sse, parse

SUBSCRIBERS = 100


def follow_to_the_cut(url: str, run_id: str) -> list[Sse]:
    """What arrives until the stream ends, however it ends."""
    events: list[Sse] = []
    try:
        with (
            httpx.Client(base_url=url, timeout=30.0) as client,
            client.stream("GET", f"/runs/{run_id}/events") as answer,
        ):
            events.extend(parse(answer.iter_lines()))
    except httpx.TransportError:
        pass
    return events


def follow_while(server: LiveServer, run_ids: list[str], end: str) -> list[list[Sse]]:
    """Streams of runs that are cut by the end of the server, once the last one has validation under way."""
    with ThreadPoolExecutor(len(run_ids)) as pool:
        streams: list[Future[list[Sse]]] = [pool.submit(follow_to_the_cut, server.url, name) for name in run_ids]
        server.wait_for(run_ids[-1], "validation_progress")
        getattr(server, end)()
        return [stream.result() for stream in streams]


@pytest.mark.parametrize("end", ["kill", "terminate"])
def test_a_stream_goes_on_after_a_restart_without_loss_or_repetition(server: LiveServer, end: str) -> None:
    running = [post(server, endless()), post(server, endless())]
    queued = post(server, small())
    cut = follow_while(server, [queued, *running], end)
    server.restart()
    assert server.wait(queued)["status"] == "completed"
    for run_id, before, status in zip(
        [queued, *running], cut, ["completed", "interrupted", "interrupted"], strict=True
    ):
        assert before, "the stream was cut before anything was sent"
        after = server.events(run_id, before[-1].id)
        check_log(before + after)
        whole = server.events(run_id)
        assert before + after == whole
        for seen, event in enumerate(whole, start=1):
            assert server.events(run_id, event.id) == whole[seen:]
        assert server.run(run_id)["status"] == status


def test_a_hundred_subscribers_get_the_same_sequence(server: LiveServer) -> None:
    run_id = post(server, medium())

    async def everything() -> list[str]:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=server.url, limits=limits, timeout=60.0) as client:
            answers = await asyncio.gather(*(client.get(f"/runs/{run_id}/events") for _ in range(SUBSCRIBERS)))
        return [answer.text for answer in answers]

    sequences = [list(parse(iter(text.split("\n")))) for text in asyncio.run(everything())]
    check_log(sequences[0])
    assert sequences[0][-1].event == "completed"
    assert all(sequence == sequences[0] for sequence in sequences)


def test_a_reader_that_does_not_read_holds_up_nobody(server: LiveServer) -> None:
    run_id = post(server, brief())
    address = urlsplit(server.url)
    assert address.hostname is not None
    slow = http.client.HTTPConnection(address.hostname, address.port)
    slow.sock = socket.socket()
    slow.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
    slow.sock.settimeout(30.0)
    slow.sock.connect((address.hostname, address.port))
    slow.request("GET", f"/runs/{run_id}/events")
    others = server.events(run_id)
    check_log(others)
    assert server.run(run_id)["status"] == "completed"
    text = slow.getresponse().read().decode()
    slow.close()
    assert list(parse(iter(text.split("\n")))) == others


def test_a_subscriber_that_goes_away_does_not_touch_the_run(server: LiveServer) -> None:
    run_id = post(server, brief())
    with server.follow(run_id) as events:
        assert next(events).event == "queued"
    assert server.wait(run_id)["status"] == "completed"


def test_a_run_goes_on_though_its_client_never_read_the_answer(server: LiveServer) -> None:
    configs = [small() for _ in range(20)]
    address = urlsplit(server.url)
    for config in configs:
        body = json.dumps(config).encode()
        head = f"POST /runs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        with socket.create_connection((address.hostname, address.port)) as connection:
            connection.sendall(head.encode() + b"\r\n\r\n" + body)
    for config in configs:
        run = server.post(config, prefer="wait=30").json()
        assert run["status"] == "completed", run
        assert run["attempt"] == 1

"""What a run in several threads tells: one thing at a time, and progress that never falls."""

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, get_ident
from typing import Any

import pytest

from app.executors.base import Message, StoppedError
from app.runs import worker
from app.runs.worker import Watch, threads
from engine.hooks import Stage

PATIENCE = 30.0


def test_threads_that_speak_at_once_are_heard_one_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "PROGRESS_SECONDS", 0.0)
    heard: list[Message] = []
    inside: list[int] = []

    def emit(message: Message) -> None:
        inside.append(get_ident())
        heard.append(message)
        assert inside == [get_ident()]
        inside.clear()

    watch, together = Watch(emit), Barrier(4)
    watch.stage(Stage.EXECUTION, ended=False)

    def speak(thread: int) -> None:
        together.wait(PATIENCE)
        for step in range(500):
            watch.progress(Stage.EXECUTION, (step + thread) / 504)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(speak, range(4)))
    told: list[Any] = [message["progress"] for message in heard]
    assert len(told) == 2001
    assert told == sorted(told)


def test_a_later_stage_begins_where_it_does() -> None:
    heard: list[Message] = []
    watch = Watch(heard.append)
    for stage in (Stage.EXECUTION, Stage.METRICS):
        watch.stage(stage, ended=False)
        watch.progress(stage, 1.0)
    assert [message["progress"] for message in heard if message["type"] == "stage"] == [0.3, 0.5]


def test_one_worker_is_no_thread() -> None:
    with threads(1) as mapper:
        assert list(mapper(lambda _: get_ident(), range(3))) == [get_ident()] * 3


def test_several_workers_are_threads_and_what_is_pending_is_dropped() -> None:
    begun: list[int] = []
    hold = Barrier(3)

    def slow(i: int) -> int:
        begun.append(i)
        if i in (1, 2):
            hold.wait(PATIENCE)
        elif i > 2:
            time.sleep(0.02)
        return get_ident()

    def stopped() -> None:
        with threads(2) as mapper:
            results = mapper(slow, range(200))
            assert next(results) != get_ident()
            hold.wait(PATIENCE)
            raise StoppedError("enough")

    with pytest.raises(StoppedError):
        stopped()
    assert len(begun) < 20

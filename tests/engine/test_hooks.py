import pytest

from engine.errors import CancelledError
from engine.hooks import NoHooks, Recorder, Stage, within


def test_weights_make_a_whole_in_the_order_of_the_stages() -> None:
    assert sum(s.weight for s in Stage) == pytest.approx(1.0)
    starts = [s.done_before for s in Stage]
    assert starts[0] == 0.0
    assert starts == sorted(starts)
    assert starts[-1] + list(Stage)[-1].weight == pytest.approx(1.0)


def test_the_names_are_those_of_the_events_contract() -> None:
    names = ["data", "features", "strategy", "sizing", "execution", "metrics", "validation", "artifacts"]
    assert [s.value for s in Stage] == names


def test_within_announces_begin_and_end() -> None:
    hooks = Recorder()
    with within(hooks, Stage.DATA):
        hooks.progress(Stage.DATA, 0.5)
        hooks.event("warning", {"code": "X"})
    assert hooks.calls == [
        ("stage", "data", False),
        ("progress", "data", 0.5),
        ("event", "warning", {"code": "X"}),
        ("stage", "data", True),
    ]


def test_a_stage_that_raised_has_not_ended() -> None:
    hooks = Recorder()
    with pytest.raises(CancelledError), within(hooks, Stage.DATA):
        raise CancelledError("enough")
    assert hooks.calls == [("stage", "data", False)]


def test_nobody_has_to_listen() -> None:
    hooks = NoHooks()
    with within(hooks, Stage.DATA):
        hooks.progress(Stage.DATA, 1.0)
        hooks.event("warning", {})

"""How a test tells the hooks how far it is."""

from engine.hooks import Hooks, Stage
from engine.validation.inputs import Tick


def ticker(hooks: Hooks, test: str, phase: int = 0, phases: int = 1) -> Tick:
    """A ``tick`` that tells ``hooks`` about the test of that name, in one of several equal ``phases``."""

    def tick(done: int, total: int) -> None:
        hooks.event("validation_progress", {"test": test, "done": done, "total": total})
        hooks.progress(Stage.VALIDATION, (phase + done / total) / phases)

    return tick

"""How a numba kernel is declared: one decorator, so that every kernel has the same options.

``nogil`` lets a thread executor work while a kernel runs; ``cache`` keeps compiled code between processes.
No fast-math: sums are done in the order they are written, so equal inputs give equal bytes.

The cache watches only the file a kernel stands in. After a change to a kernel that is called from another
file, delete ``__pycache__/*.nb?`` of the caller, or it goes on with the old callee.
"""

from collections.abc import Callable
from typing import Any, ParamSpec, Protocol, TypeVar, cast

from numba import njit

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)

OPTIONS: dict[str, Any] = {"nogil": True, "cache": True}


class Kernel(Protocol[P, R_co]):
    """A compiled function. ``py_func`` is the same function before compilation."""

    @property
    def py_func(self) -> Callable[P, R_co]: ...

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co: ...


def kernel(function: Callable[P, R_co]) -> Kernel[P, R_co]:
    """Compile a pure function on arrays and scalars with numba, releasing the GIL while it runs."""
    options = OPTIONS | {"_nrt": True}  # said, or a part that calls it would say it
    return cast(Kernel[P, R_co], njit(**options)(function))


def part(function: Callable[P, R_co]) -> Kernel[P, R_co]:
    """Compile a piece of a larger kernel into each of its callers.

    A call that hands over many arrays costs more than the piece itself: the ledger takes a third less this way. A
    part makes no arrays and returns none, so nobody need count who holds them: that is half of what is left.
    """
    options = OPTIONS | {"_nrt": False, "forceinline": True}
    return cast(Kernel[P, R_co], njit(**options)(function))

"""Plain tables and order statistics."""

import math
import sys
from collections.abc import Sequence

Cell = str | int | float


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least ``share`` of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def show(title: str, head: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
    """Print a table; numbers keep three significant digits."""
    lines = [list(head), *([_text(cell) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    sys.stdout.write(f"\n{title}\n")
    for line in lines:
        numbers = (cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))
        sys.stdout.write("  ".join((line[0].ljust(widths[0]), *numbers)) + "\n")
    sys.stdout.flush()


def _text(cell: Cell) -> str:
    if isinstance(cell, float):
        return f"{cell:,.1f}" if abs(cell) >= 100 else f"{cell:.3g}"
    return f"{cell:,}" if isinstance(cell, int) else cell

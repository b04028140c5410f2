"""What is wrong with a symbol's rows, found before anything is computed from them.

Defects refuse a file, or are dropped where the caller asked for it; oddities are reported and kept. Rows with
a defect of their own leave before the order of the rest is judged, so a good row is not called a duplicate
of a bad one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from engine.data.bars import Conventions, Series
from engine.data.sessions import HOUR_NS, missing_bars
from engine.errors import DataError
from engine.types import NANOSECONDS_PER_DAY, NANOSECONDS_PER_SECOND, Bools, Floats, Ints, Times

OnBadRows = Literal["refuse", "drop"]
Finding = dict[str, Any]

ROWS_SHOWN = 20
STUCK_BARS = 50
JUMP_FACTOR = 3.0
COHERENCE_TOLERANCE = 1e-9  # 1.1 * 3 is not 3.3: sources carry float artefacts

_DEFECTS: Mapping[str, tuple[str, str | None]] = {
    "unparsable_time": ("the time cannot be read", "on_bad_rows"),
    "unresolved_local_time": ("the local time does not exist or is ambiguous in the zone", "timezone"),
    "non_finite_price": ("a price is missing, not a number or infinite", "on_bad_rows"),
    "non_positive_price": ("a price is zero or negative", "on_bad_rows"),
    "ohlc_incoherent": ("open or close lies outside low to high", "on_bad_rows"),
    "non_finite_volume": ("the volume is missing, not finite or negative", "on_bad_rows"),
    "out_of_order": ("the time is earlier than one before it", "on_bad_rows"),
    "duplicate_time": ("the time repeats the row before; the first is the one to keep", "on_bad_rows"),
    "overlapping_bars": ("the bar opens before the one before it has closed", "timeframe"),
}


@dataclass(frozen=True)
class Rows:
    """One symbol's rows in file order: ``number`` (R,) 1-based in the file, ``series`` unchecked.

    ``unparsable`` and ``unresolved`` (R,) mark rows whose time means nothing.
    """

    number: Ints
    series: Series
    unparsable: Bools
    unresolved: Bools


def check(rows: Rows, conventions: Conventions, on_bad_rows: OnBadRows) -> tuple[Series, list[Finding]]:
    """The rows without defects, and every finding, defects first."""
    found: list[Finding] = []
    action = "dropped" if on_bad_rows == "drop" else "refuse"

    def note(code: str, mask: Bools, number: Ints) -> None:
        if mask.any():
            found.append(_finding(code, mask, number, action, _DEFECTS[code]))

    keep = np.ones(len(rows.number), dtype=np.bool_)
    for code, mask in _row_defects(rows):
        note(code, mask, rows.number)
        keep &= ~mask
    index = np.flatnonzero(keep)
    for code in ("out_of_order", "duplicate_time", "overlapping_bars"):
        mask = _order_defect(code, rows.series.time[index], conventions.bar_ns)
        note(code, mask, rows.number[index])
        index = index[~mask]
    kept = rows.series.take(index)
    return kept, [*found, *_oddities(kept, rows.number[index], conventions)]


def check_all(
    rows: Rows, symbols: list[str], group: Ints, conventions: Conventions, on_bad_rows: OnBadRows
) -> tuple[dict[str, Series], dict[str, dict[str, Any]]]:
    """The checked series of each symbol, and each symbol's part of the report: its span and findings.

    ``group`` (R,) is the index into ``symbols`` of each row.
    """
    order = np.argsort(group, kind="stable")
    bounds = np.searchsorted(group[order], np.arange(len(symbols) + 1))
    series: dict[str, Series] = {}
    entries: dict[str, dict[str, Any]] = {}
    for i, symbol in enumerate(symbols):
        at = order[bounds[i] : bounds[i + 1]]
        part = rows.series.take(at)
        mine = Rows(rows.number[at], part, rows.unparsable[at], rows.unresolved[at])
        series[symbol], findings = check(mine, conventions, on_bad_rows)
        entries[symbol] = span(series[symbol], conventions) | {"findings": findings}
    return series, entries


def refuse(report: Mapping[str, Any], source: str) -> None:
    """Raise ``DataError`` with the report if any of its findings refuses the file."""
    refused = [
        (symbol, finding)
        for symbol, entry in report["symbols"].items()
        for finding in entry["findings"]
        if finding["action"] == "refuse"
    ]
    if not refused:
        return
    shown = "; ".join(
        f"{symbol}: {f['code']} in {f['count']} row(s), {f['message']}"
        f" (rows {', '.join(map(str, f['rows'][:5]))}{', ...' if f['count'] > 5 else ''})"
        for symbol, f in refused[:3]
    )
    more = f"; and {len(refused) - 3} more finding(s)" if len(refused) > 3 else ""
    other = sorted({f["option"] for _, f in refused} - {"on_bad_rows"})
    hint = f"; the option {', '.join(other)} may be what is wrong" if other else ""
    raise DataError(
        f"'{source}' has bad rows. {shown}{more}. on_bad_rows=drop removes them{hint}",
        {"report": dict(report)},
    )


def _finding(code: str, mask: Bools, number: Ints, action: str, words: tuple[str, str | None]) -> Finding:
    return {
        "code": code,
        "count": int(mask.sum()),
        "rows": [int(n) for n in number[np.flatnonzero(mask)[:ROWS_SHOWN]]],
        "action": action,
        "message": words[0],
        "option": words[1],
    }


def _row_defects(rows: Rows) -> Iterator[tuple[str, Bools]]:
    s = rows.series
    yield "unparsable_time", rows.unparsable
    yield "unresolved_local_time", rows.unresolved
    top = np.maximum(np.maximum(s.open, s.close), s.low)
    bottom = np.minimum(np.minimum(s.open, s.close), s.high)
    # Comparisons with NaN are false, so only finite rows are judged below.
    finite = np.isfinite(s.open) & np.isfinite(s.high) & np.isfinite(s.low) & np.isfinite(s.close)
    yield "non_finite_price", ~finite
    yield "non_positive_price", finite & (np.minimum(bottom, s.low) <= 0.0)
    above = top - s.high > COHERENCE_TOLERANCE * np.abs(top)
    below = s.low - bottom > COHERENCE_TOLERANCE * np.abs(bottom)
    yield "ohlc_incoherent", finite & (above | below)
    yield "non_finite_volume", ~(np.isfinite(s.volume) & (s.volume >= 0.0))


def _order_defect(code: str, time: Times, bar: int) -> Bools:
    """Rows that break the order of (R,) ns opens; for the later codes the earlier are gone already."""
    if code == "out_of_order":
        return time < np.maximum.accumulate(time)
    step = np.diff(time)
    # A local day is 23 hours long once a year, and its bar is still whole.
    shortest = bar - HOUR_NS if bar >= NANOSECONDS_PER_DAY else bar
    offending = step == 0 if code == "duplicate_time" else step < shortest
    return np.concatenate((np.zeros(min(1, len(time)), dtype=np.bool_), offending))


def _oddities(s: Series, number: Ints, conventions: Conventions) -> Iterator[Finding]:
    """Findings that never refuse, on rows without defects."""
    if not len(s):
        return
    marks: list[tuple[str, Bools, str, str | None]] = []
    if s.volume.any():
        marks.append(("zero_volume", s.volume == 0.0, "nothing traded in the bar", "untradable_bar"))
    marks.append(("stuck_prices", _stuck(s), f"{STUCK_BARS} or more bars in a row show one price only", None))
    text = f"the close moved by a factor above {JUMP_FACTOR:g}: an unadjusted split or a lost decimal point?"
    marks.append(("price_jump", _jumps(s.close), text, "adjustment"))
    missing = missing_bars(s.time, conventions)
    text = f"bars are missing before the row, at most {missing.max(initial=0)} at once"
    marks.append(("gaps", np.concatenate(([False], missing > 0)), text, "calendar"))
    if conventions.bar_ns < NANOSECONDS_PER_DAY:
        off = s.time % NANOSECONDS_PER_DAY % conventions.bar_ns != 0
        text = f"the bar does not open on a multiple of {conventions.timeframe} from midnight UTC"
        marks.append(("unaligned", off, text, "timeframe"))
    for code, mask, message, option in marks:
        if mask.any():
            yield _finding(code, mask, number, "kept", (message, option))


def _flat(s: Series) -> Bools:
    flat: Bools = (s.open == s.close) & (s.high == s.low) & (s.open == s.high)
    return flat


def _stuck(s: Series) -> Bools:
    """(T,) bars of runs of at least ``STUCK_BARS`` flat bars at one price."""
    flat = _flat(s)
    same = flat[1:] & flat[:-1] & (s.close[1:] == s.close[:-1])
    begins = np.concatenate(([True], ~same))
    run = np.cumsum(begins) - 1
    stuck: Bools = flat & (np.bincount(run)[run] >= STUCK_BARS)
    return stuck


def stamp(nanoseconds: int) -> str:
    """RFC 3339 in UTC, with a fraction only where there is one."""
    unit: Literal["s", "ns"] = "ns" if nanoseconds % NANOSECONDS_PER_SECOND else "s"
    return f"{np.datetime_as_string(np.datetime64(nanoseconds, 'ns'), unit=unit)}Z"


def span(series: Series, conventions: Conventions) -> dict[str, Any]:
    """``rows``, ``start`` (open of the first bar) and ``end`` (close of the last), null without rows."""
    if not len(series):
        return {"rows": 0, "start": None, "end": None}
    end = int(series.slice(len(series) - 1, len(series)).closes(conventions.bar_ns)[0])
    return {"rows": len(series), "start": stamp(int(series.time[0])), "end": stamp(end)}


def _jumps(close: Floats) -> Bools:
    """(T,) True where a close is more than ``JUMP_FACTOR`` times the one before, or under one such part of it."""
    factor = np.divide(close[1:], close[:-1])
    far = (factor > JUMP_FACTOR) | (factor < 1.0 / JUMP_FACTOR)
    return np.concatenate((np.zeros(min(1, len(close)), dtype=np.bool_), far))


def describe_rows(series: Series, conventions: Conventions) -> dict[str, Any]:
    """What a run should know about the rows it uses.

    ``rows``, ``start``, ``end``; ``gaps`` with ``count`` and ``longest_bars`` (see ``missing_bars`` for what
    counts); ``zero_volume``, 0 for a symbol without volume; ``flat_bars``, where all four prices are one;
    ``price_jumps``, where a close is more than 3 times the one before, or less than a third.
    """
    missing = missing_bars(series.time, conventions)
    silent = int((series.volume == 0.0).sum()) if series.volume.any() else 0
    return {
        **span(series, conventions),
        "gaps": {"count": int((missing > 0).sum()), "longest_bars": int(missing.max(initial=0))},
        "zero_volume": silent,
        "flat_bars": int(_flat(series).sum()),
        "price_jumps": int(_jumps(series.close).sum()),
    }

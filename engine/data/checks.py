"""What is wrong with a symbol's rows, found before anything is computed from them.

Rows with a defect of their own leave before the order of the rest is judged, so a good row is not called a duplicate
of a bad one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from engine.data.bars import Conventions, Series
from engine.data.oddities import oddities, scale_jumps
from engine.data.policy import RULES, Action, Policy
from engine.data.sessions import HOUR_NS
from engine.data.tally import Tally, gaps, tally
from engine.errors import DataError
from engine.types import NANOSECONDS_PER_DAY, NANOSECONDS_PER_SECOND, Bools, Ints, Times

Finding = dict[str, Any]

ROWS_SHOWN = 20
COHERENCE_TOLERANCE = 1e-9  # 1.1 * 3 is not 3.3: sources carry float artefacts
_DONE: Mapping[Action, str] = {"refuse": "refuse", "drop": "dropped", "keep": "kept"}


@dataclass(frozen=True)
class Rows:
    """One symbol's rows in file order: ``number`` (R,) 1-based in the file, ``series`` unchecked.

    ``unparsable`` and ``unresolved`` (R,) mark rows whose time means nothing.
    """

    number: Ints
    series: Series
    unparsable: Bools
    unresolved: Bools


def check(rows: Rows, conventions: Conventions, policy: Policy) -> tuple[Series, list[Finding]]:
    """The rows that stay, and every finding, defects first."""
    found: list[Finding] = []

    def judge(code: str, mask: Bools, number: Ints, **words: object) -> Bools:
        """Note a finding; True where its rows leave. What refuses the file leaves too, so that the rest is judged."""
        if not mask.any():
            return mask
        action = policy.action(code)
        found.append(_finding(code, mask, number, action, words))
        return mask if action == "drop" or (action == "refuse" and RULES[code].defect) else np.zeros_like(mask)

    keep = np.ones(len(rows.number), dtype=np.bool_)
    for code, mask in _row_defects(rows):
        keep &= ~judge(code, mask, rows.number)
    index = np.flatnonzero(keep)
    for code in ("out_of_order", "duplicate_time", "overlapping_bars"):
        mask = _order_defect(code, rows.series.time[index], conventions.bar_ns)
        index = index[~judge(code, mask, rows.number[index])]
    kept = rows.series.take(index)
    leave = np.zeros(len(index), dtype=np.bool_)
    for code, mask, words in oddities(kept, conventions):
        leave |= judge(code, mask, rows.number[index], **words)
    return (kept.take(np.flatnonzero(~leave)) if leave.any() else kept), found


def check_all(
    rows: Rows, symbols: list[str], group: Ints, conventions: Conventions, policy: Policy
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
        series[symbol], findings = check(mine, conventions, policy)
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
    codes = sorted({f["code"] for _, f in refused if "keep" in RULES[f["code"]].actions})
    keep = f"; on_bad_rows={codes[0]}=keep takes that one as it is" if codes else ""
    raise DataError(
        f"'{source}' has bad rows. {shown}{more}. on_bad_rows=drop removes them{keep}{hint}",
        {"report": dict(report)},
    )


def _finding(code: str, mask: Bools, number: Ints, action: Action, words: Mapping[str, object]) -> Finding:
    rule = RULES[code]
    return {
        "code": code,
        "count": int(mask.sum()),
        "rows": [int(n) for n in number[np.flatnonzero(mask)[:ROWS_SHOWN]]],
        "action": _DONE[action],
        "message": rule.message.format(**words),
        "option": rule.option or "on_bad_rows",
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
    positive = np.minimum(bottom, s.low) > 0.0
    yield "non_positive_price", finite & ~positive
    lost = scale_jumps(s, finite & positive)
    yield "scale_jump", lost
    above = top - s.high > COHERENCE_TOLERANCE * np.abs(top)
    below = s.low - bottom > COHERENCE_TOLERANCE * np.abs(bottom)
    yield "ohlc_incoherent", finite & (above | below) & ~lost
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


def describe_overlap(time: Times, bar: int) -> str | None:
    """Words about the first of (T,) bars, in order of time, that opens before the one before it has closed."""
    at = np.flatnonzero(_order_defect("overlapping_bars", time, bar))
    return f"the bar at {stamp(int(time[at[0]]))} opens before the one before it has closed" if len(at) else None


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


def describe_rows(series: Series, conventions: Conventions, odd: Tally | None = None) -> dict[str, Any]:
    """What a run should know about the rows it uses; ``odd`` is their tally, where somebody has it.

    ``rows``, ``start``, ``end``; ``gaps`` with ``count`` and ``longest_bars`` (see ``missing_bars`` for what
    counts); ``zero_volume``, 0 for a symbol without volume; ``flat_bars``, where all four prices are one;
    ``price_jumps``, where a close is more than 3 times the one before, or less than a third; ``price_spikes``, where a
    high or low is more than 3 times away from both open and close.
    """
    count, longest = gaps(series.time, conventions)
    odd = odd or tally(series)
    return {
        **span(series, conventions),
        "gaps": {"count": count, "longest_bars": longest},
        "zero_volume": odd.silent,
        "flat_bars": odd.flat,
        "price_jumps": odd.jumps,
        "price_spikes": odd.spikes,
    }

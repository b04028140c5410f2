"""Accounts side by side as one: the sum of isolated accounts, on the clock of all of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from typing_extensions import override

from engine.results import Events, Fills, Ledger, Orders, Snapshots
from engine.types import Floats, Ints


class Apart(Ledger):
    """The sum of accounts of one symbol each. Their marks are put together when somebody reads all of them."""

    _ledgers: Sequence[Ledger]
    _rows: Sequence[Ints]

    def __init__(self, ledgers: Sequence[Ledger], rows: Sequence[Ints], **fields: Any) -> None:
        """All fields but ``mark``."""
        vars(self).update(fields, _ledgers=ledgers, _rows=rows)

    def __getattr__(self, name: str) -> Floats:
        """``mark`` (T, N), which nobody has read yet."""
        if name != "mark":
            raise AttributeError(name)
        made = np.column_stack([self.mark_of(i) for i in range(len(self._ledgers))])
        vars(self)[name] = made
        return made

    @override
    def mark_of(self, i: int) -> Floats:
        ledger, at = self._ledgers[i], self._rows[i]
        if len(at) == len(self.equity):
            return ledger.mark_of(0)
        return _held_on(np.append(np.nan, ledger.mark_of(0)), at, len(self.equity))[1:]


def side_by_side(ledgers: Sequence[Ledger], rows: Sequence[Ints], length: int) -> Ledger:
    """One ledger of N accounts of one symbol each.

    ``rows`` (T_i,) by account: where its bars stand among ``length`` bars in all. An account without a bar stays as it
    was. Orders and fills are in time order, by account where they are at one time.
    """
    path = np.zeros(length + 1)
    accrued = np.zeros(length if any(len(ledger.accrued) for ledger in ledgers) else 0)
    idle = np.zeros(length + 1 if any(len(ledger.idle) for ledger in ledgers) else 0)
    for ledger, at in zip(ledgers, rows, strict=True):
        path += _held_on(ledger.path, at, length)
        if len(ledger.idle):
            idle += _held_on(ledger.idle, at, length)
        if len(ledger.accrued):
            accrued += _held_on(np.append(0.0, ledger.accrued), at, length)[1:]
    ruined = [int(at[ledger.ruined_bar]) for ledger, at in zip(ledgers, rows, strict=True) if ledger.ruined_bar >= 0]
    orders, fills = _records(ledgers, rows)
    none = np.zeros(0, dtype=np.int64)
    return Apart(
        ledgers,
        rows,
        path=path,
        orders=orders,
        fills=fills,
        ruined_bar=min(ruined, default=-1),
        accrued=accrued,
        idle=idle / len(ledgers),
        borrow=float(sum(ledger.borrow for ledger in ledgers)),
        interest=float(sum(ledger.interest for ledger in ledgers)),
        open_borrow=np.concatenate([ledger.open_borrow for ledger in ledgers]),
        ambiguous=sum(ledger.ambiguous for ledger in ledgers),
        events=_events(ledgers, rows),
        snapshots=Snapshots(none, none.astype(np.float64), none, none, none, none, none.astype(np.float64)),
    )


def _held_on(path: Floats, at: Ints, length: int) -> Floats:
    """(length + 1,) of a path (T_i + 1,): its value at its own bars, and the last one between them."""
    starts = np.concatenate(([0], at + 1, [length + 1]))
    return np.repeat(path, np.diff(starts))


def _records(ledgers: Sequence[Ledger], rows: Sequence[Ints]) -> tuple[Orders, Fills]:
    """Orders by decision and fills by time, numbered anew."""
    decided = np.concatenate([at[x.orders.decided_bar] for x, at in zip(ledgers, rows, strict=True)])
    order = np.argsort(decided, kind="stable")
    number = np.empty(len(order), dtype=np.int64)
    number[order] = np.arange(len(order))
    first = np.cumsum([0, *(len(x.orders) for x in ledgers)])

    orders = _gathered([vars(x.orders) for x in ledgers], order)
    orders["asset"] = np.repeat(np.arange(len(ledgers)), np.diff(first))[order]
    orders["decided_bar"] = decided[order]
    orders["filled_bar"] = np.concatenate(
        [np.where(x.orders.filled_bar >= 0, at[x.orders.filled_bar], -1) for x, at in zip(ledgers, rows, strict=True)]
    )[order]
    bar = np.concatenate([at[x.fills.bar] for x, at in zip(ledgers, rows, strict=True)])
    moment = np.concatenate([x.fills.moment for x in ledgers])
    sort = np.lexsort((moment, bar))
    fills = _gathered([vars(x.fills) for x in ledgers], sort)
    fills["asset"] = np.repeat(np.arange(len(ledgers)), [len(x.fills) for x in ledgers])[sort]
    fills["bar"] = bar[sort]
    mine = np.concatenate([x.fills.order + begin for x, begin in zip(ledgers, first[:-1], strict=True)])
    fills["order"] = number[mine][sort]
    return Orders(**orders), Fills(**fills)


def _gathered(parts: Sequence[Mapping[str, Any]], order: Ints) -> dict[str, Any]:
    """The columns of several records, one after the other, in another order."""
    return {name: np.concatenate([part[name] for part in parts])[order] for name in parts[0]}


def _events(ledgers: Sequence[Ledger], rows: Sequence[Ints]) -> Events:
    bar = np.concatenate([at[x.events.bar] for x, at in zip(ledgers, rows, strict=True)])
    asset = np.repeat(np.arange(len(ledgers)), [len(x.events) for x in ledgers])
    kind = np.concatenate([x.events.kind for x in ledgers])
    order = np.argsort(bar, kind="stable")
    return Events(bar[order], asset[order], kind[order])

"""An outage of an exchange: 72 bars of zero volume at the last price, in which only this engine does not trade."""

import numpy as np

from tests.parity.cases import Case, Outcome, Rules
from tests.parity.markets import btc_minutes
from tests.parity.ours import ours
from tests.parity.peer_backtesting import run_backtesting
from tests.parity.peer_backtrader import run_backtrader
from tests.parity.peer_vectorbt import run_vectorbt

OUTAGE = Case(btc_minutes().first(15_000), Rules(short=True))
SILENT = OUTAGE.market.volume == 0.0


def bars(outcome: Outcome) -> list[tuple[int, int]]:
    return [(trade.entry_bar, trade.exit_bar) for trade in outcome.trades]


def in_silence(outcome: Outcome) -> int:
    """Entries and exits in bars without volume."""
    return int(np.count_nonzero(SILENT[[bar for trade in bars(outcome) for bar in trade if bar >= 0]]))


def test_the_outage_is_there_and_the_signal_changes_in_it() -> None:
    assert np.count_nonzero(SILENT) == 72
    assert np.count_nonzero(SILENT & OUTAGE.due[1]) > 0


def test_orders_wait_for_volume_or_end_and_those_of_the_peers_fill() -> None:
    waiting, skipping, filling = (ours(OUTAGE, untradable_bar=rule) for rule in ("wait", "skip", "fill"))
    assert in_silence(waiting) == in_silence(skipping) == 0
    assert in_silence(filling) > 0
    assert bars(waiting) != bars(filling) != bars(skipping) != bars(waiting)
    for run in (run_vectorbt, run_backtesting, run_backtrader):
        assert bars(run(OUTAGE)) == bars(filling)

import numpy as np
import pytest

from engine.data.sessions import in_weekend, missing_bars
from engine.data.synthetic import market
from engine.errors import DataError


def test_the_same_arguments_give_the_same_market_and_another_seed_another() -> None:
    assert market(bars=500).digest() == market(bars=500).digest()
    assert market(bars=500).digest() != market(bars=500, seed=43).digest()


@pytest.mark.parametrize(("timeframe", "calendar"), [("1m", "24x7"), ("1h", "24x5"), ("1d", "24x5"), ("1w", "24x7")])
def test_bars_are_coherent_complete_and_labelled(timeframe: str, calendar: str) -> None:
    made = market("X", bars=1000, timeframe=timeframe, calendar=calendar)
    s = made.series["X"]
    assert (made.name, made.report["synthetic"], len(s)) == ("synthetic", True, 1000)
    assert (s.high >= np.maximum(s.open, s.close)).all()
    assert (s.low <= np.minimum(s.open, s.close)).all()
    assert s.low.min() > 0.0
    assert s.volume.min() > 0.0
    assert not missing_bars(s.time, made.conventions).any()
    if calendar == "24x5" and timeframe == "1h":
        assert not in_weekend(s.time).any()


def test_volatility_comes_in_clusters() -> None:
    size = np.abs(np.diff(np.log(market(bars=20_000).series["SYNTH"].close)))
    assert np.corrcoef(size[1:], size[:-1])[0, 1] > 0.1


@pytest.mark.parametrize(
    "arguments", [{"calendar": "XNYS"}, {"bars": 0}, {"start": "soon"}, {"bars": 10**6, "timeframe": "1w"}]
)
def test_what_cannot_be_made_is_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(DataError):
        market(**arguments)  # type: ignore[arg-type]

"""Random portfolios: markets whose symbols move together or against each other, start late, end early and have holes.

What is random about the execution is as in ``cases``; here are the markets, the shares and the rules of a portfolio.
"""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.oracle import signals
from tests.oracle.aims import PortfolioRules
from tests.oracle.cases import COSTS, KINDS, RULES, Case, rules_of, some_of
from tests.oracle.markets import JUMPS, Columns, Kind, broken
from tests.oracle.portfolio import Bools, Floats, Ints, Played, Portfolio

HOUR = 3_600_000_000_000
DAY = 24 * HOUR
NAMES = ("A", "B", "C", "D", "E")
LINKS = np.array([0.0, 0.5, 0.8, 0.95, 0.99])
"""Shares of a symbol's variance that the common factor has. Two with 0.8 and more have a correlation above 0.8."""
EXECUTION = RULES | {"fill_price": ("open", "open", "mid", "typical", "close")}
PORTFOLIO: dict[str, tuple[Any, ...]] = {
    "redundancy": ("scale", "scale", "filter", "off"),
    "threshold": (0.3, 0.6, 0.8, 0.95),
    "overrides": ({}, {"A:B": 0.4}, {"A:B": 0.97, "B:C": 0.2}),
    "redistribute": (False, True),
    "window": (100, 100, 40, 25),
    "max_gross_exposure": (None, 0.35, 0.8, 1.3),
    "max_net_exposure": (None, 0.17, 0.51, 0.93),
    "max_symbol_weight": (None, 0.11, 0.26, 0.47),
    "max_positions": (None, 1, 2, 3),
    "max_symbol_daily_loss": (None, 0.004, 0.02, 0.06),
    "max_drawdown": (None, 0.07, 0.2, 0.4),
}


@dataclass(frozen=True)
class Setting:
    """A case of execution, and what makes it a portfolio. ``hours`` are those between bars, 0 for irregular ones."""

    case: Case
    hours: int
    late: bool
    early: bool
    turning: bool
    shares: str
    portfolio: dict[str, Any]

    @property
    def symbols(self) -> tuple[str, ...]:
        return NAMES[: self.case.assets]

    @property
    def schedule(self) -> str:
        return str(self.case.configuration.get("rebalance", {"name": "on_change"})["name"])


SETTINGS = st.builds(
    Setting,
    case=st.builds(
        Case,
        seed=st.integers(0, 2**32 - 1),
        bars=st.sampled_from((30, 60, 100, 160)),
        assets=st.integers(2, 5),
        kind=KINDS,
        capital=st.sampled_from((1e5, 1e5, 1.0, 1e9)),
        fraction=st.sampled_from((0.5, 0.9, 1.0, 3.0)),
        persistence=st.sampled_from((0.5, 0.8, 0.95)),
        notional=st.booleans(),
        rules=some_of(EXECUTION),
        own=st.one_of(st.just({}), some_of(COSTS)),
    ),
    hours=st.sampled_from((0, 1, 4)),
    late=st.booleans(),
    early=st.booleans(),
    turning=st.booleans(),
    shares=st.sampled_from(("equal", "uneven", "moving")),
    portfolio=some_of(PORTFOLIO),
)


def rough_setting(seed: int) -> Setting:
    """A setting that trades, with about half of the rules."""
    random = np.random.default_rng(seed)

    def pick(values: Any) -> Any:
        return values[int(random.integers(len(values)))]

    def some(table: dict[str, tuple[Any, ...]], rate: float) -> dict[str, Any]:
        return {name: pick(values) for name, values in table.items() if random.random() < rate}

    case = Case(
        seed=seed,
        bars=pick((40, 70, 110)),
        assets=2 + seed % 4,
        kind=Kind(
            jumps=pick((0.0, 0.0, 0.02)),
            dead=pick((0.0, 0.0, 0.1)),
            flats=pick((0.0, 0.0, 0.0, 0.3)),
            decades=(0.0, 2.0),
            holes=pick((0.0, 0.05)),
            halts=pick((0.0, 0.0, 0.1)),
            spikes=pick((0.0, 0.1)),
            volumes=pick(((1.0, 1e6), (1.0, 1e4))),
        ),
        capital=1e5,
        fraction=pick((0.5, 0.9, 1.0, 3.0)),
        persistence=pick((0.5, 0.8, 0.95)),
        notional=seed % 7 == 0,
        rules=some(EXECUTION, 0.25),
        own={"slippage_bps": 7.0, "quantity_step": 3.0} if seed % 5 == 0 else {},
    )
    return Setting(
        case=case,
        hours=pick((0, 1, 4)),
        late=seed % 3 == 0,
        early=seed % 2 == 0,
        turning=seed % 4 == 0,
        shares=pick(("equal", "uneven", "moving")),
        portfolio=some(PORTFOLIO, 0.5),
    )


# --- markets -------------------------------------------------------------------------------------------------


def linked(random: np.random.Generator, setting: Setting) -> Columns:
    """Prices that follow one factor, some upside down; with ``turning`` the links are others in the second half."""
    bars, assets, kind = setting.case.bars, setting.case.assets, setting.case.kind
    shape = (bars, assets)
    link = np.repeat(random.choice(LINKS, (1, assets)), bars, axis=0)
    if setting.turning:
        link[bars // 2 :] = random.choice(LINKS, assets)
    side = random.choice((1.0, 1.0, -1.0), assets)
    size = random.uniform(0.005, 0.03, assets)
    common, own = random.standard_normal((2, bars, 1)), random.standard_normal((2, *shape))
    moves = size * side * (np.sqrt(link) * common + np.sqrt(1.0 - link) * own)
    moves[0] *= 0.3
    jump = np.log(random.choice(JUMPS, shape) * random.uniform(0.9, 1.1, shape))
    moves[1] = np.where(random.random(shape) < kind.jumps, jump, moves[1])
    stretch = random.random((bars // 40 + 1, assets)) < kind.flats
    moves[:, np.repeat(stretch, 40, axis=0)[:bars]] = 0.0
    path = np.exp(np.cumsum(moves.transpose(1, 0, 2).reshape(2 * bars, assets), axis=0))
    path *= 10.0 ** random.uniform(0.0, 2.0, assets)
    opened, closed = path[::2], path[1::2]
    wick = np.exp(0.01 * np.abs(random.standard_normal((2, *shape))))
    volume = np.where(random.random(shape) < kind.dead, 0.0, random.uniform(*kind.volumes, shape))
    whole = Columns(opened, np.maximum(opened, closed) * wick[0], np.minimum(opened, closed) / wick[1], closed, volume)
    return replace(broken(whole, random, kind), vwap=None)


def lives(random: np.random.Generator, setting: Setting) -> tuple[Ints, Ints]:
    """First and last bar of each symbol; the first symbol is there from beginning to end."""
    bars, assets = setting.case.bars, setting.case.assets
    first = np.where(random.random(assets) < 0.5, random.integers(0, bars // 2, assets), 0)
    last = np.where(random.random(assets) < 0.5, random.integers(bars // 2, bars, assets), bars - 1)
    first[0], last[0] = 0, bars - 1
    return first * setting.late, last if setting.early else np.full(assets, bars - 1)


def without(market: Columns, gone: Bools) -> Columns:
    """The same market with no prices and no volume where a symbol is not there."""
    names = ("open", "high", "low", "close")
    return replace(
        market,
        volume=np.where(gone, 0.0, market.volume),
        **{name: np.where(gone, np.nan, getattr(market, name)) for name in names},
    )


def shares_of(random: np.random.Generator, kind: str, alive: Bools) -> Floats:
    """Equal, uneven, or different at each bar; sum 1 over those that have not ended."""
    sizes = {"equal": (1, 1), "uneven": (1, alive.shape[1]), "moving": alive.shape}[kind]
    size: NDArray[np.float64] = np.ones(sizes) if kind == "equal" else random.uniform(0.2, 1.0, sizes)
    given = np.where(alive, size, 0.0)
    shares: Floats = given / given.sum(axis=1, keepdims=True)
    return shares


def runs(random: np.random.Generator, setting: Setting) -> Floats:
    """Signals that persist."""
    shape = (setting.case.bars, setting.case.assets)
    fresh: Floats = random.choice((0.0, 1.0, 1.0, 1.0, -1.0, 0.5), shape)
    keep = random.random(shape) < setting.case.persistence
    for t in range(1, shape[0]):
        fresh[t] = np.where(keep[t], fresh[t - 1], fresh[t])
    return fresh


def times(random: np.random.Generator, setting: Setting) -> Ints:
    """Opens of bars, regular or with gaps of up to three days."""
    if setting.hours:
        return HOUR * setting.hours * np.arange(setting.case.bars, dtype=np.int64)
    gaps = np.where(random.random(setting.case.bars) < 0.2, random.integers(0, 72, setting.case.bars), 0)
    return HOUR * np.cumsum(1 + gaps, dtype=np.int64)


def portfolio_of(setting: Setting) -> Portfolio:
    """The portfolio of a setting."""
    random, case = np.random.default_rng(setting.case.seed + 1), setting.case
    market = linked(random, setting)
    first, last = lives(random, setting)
    bar = np.arange(case.bars)[:, None]
    market = without(market, (bar < first) | (bar > last))
    time = times(random, setting)
    signal = runs(random, setting)
    size = random.uniform(0.5, 1.0, signal.shape) if case.seed % 2 else np.ones(signal.shape)
    if setting.schedule == "on_change":
        decides = np.array(signals.changes(signal.tolist()))
    else:
        decides = np.repeat(np.array(signals.first_bars(time.tolist(), setting.schedule))[:, None], case.assets, axis=1)
    return Portfolio(
        open=market.open,
        high=market.high,
        low=market.low,
        close=market.close,
        volume=market.volume,
        close_time=time + HOUR,
        tradable=(market.volume > 0.0) | ~(market.volume > 0.0).any(axis=0),
        weights=signal * size * case.fraction * (case.capital if case.notional else 1.0),
        shares=shares_of(random, setting.shares, bar <= last),
        decides=decides,
        signals=signal,
        days=time // DAY,
        last=last,
        names=setting.symbols,
        rules=rules_of(case.configuration, setting.symbols, case.notional),
        portfolio=PortfolioRules(**setting.portfolio, snapshot_interval=1 + case.seed % 9),
        capital=case.capital,
    )


def seen(played: Played) -> Counter[str]:
    """Which rules of a portfolio a case went through."""
    paths: Counter[str] = Counter()
    for o in played.orders:
        paths[f"{o['outcome']} {o['reason']}"] += 1
        paths[f"{o['cause']} order"] += 1
        paths[f"scaled by {o['scale_reason']}"] += o["filled"] != 0.0 and o["scale_reason"] != "NONE"
        paths["cut and short of cash"] += o["scale_reason"] == "NO_CASH" and o["factor"] < 1.0
        paths["partner"] += o["partner"] >= 0
        paths["opposite partner"] += o["partner"] >= 0 and o["rho"] < 0.0
        paths["ended with costs"] += o["cause"] == "ENDED" and o["commission"] > 0.0
    whole = ("DAILY_LOSS", "DRAWDOWN")
    sold = Counter(f["order"] for f in played.fills if played.orders[f["order"]]["cause"] in whole)
    paths["halted in parts"] += sum(fills > 1 for fills in sold.values())
    paths["halts"] += len(played.halts)
    paths["stopped"] += played.stopped >= 0
    paths["ruined"] += played.ruined >= 0
    paths["dust"] += played.dust
    return paths

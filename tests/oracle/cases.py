"""Random configurations, targets and markets, each run by both engines."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from engine.data.bars import Bars
from engine.execution import Execution, round_trips, simulate
from engine.results import Targets
from tests.oracle import account as oracle
from tests.oracle import reference, signals, trades
from tests.oracle.compare import differences
from tests.oracle.markets import Columns, Kind, bars_of, columns, stamps

BPS = 1e-4

COSTS: dict[str, tuple[Any, ...]] = {
    "slippage": (
        {"name": "none"},
        {"name": "spread_pct", "params": {"spread": 0.02}},
        {"name": "participation_rate", "params": {"impact": 0.3}},
        {"name": "square_root", "params": {"k": 1.0, "lookback": 2}},
        {"name": "square_root", "params": {"k": 3.0, "lookback": 7}},
    ),
    "slippage_bps": (0.0, 10.0, 250.0, 3000.0),
    "commission": (
        {},
        {"bps": 10.0},
        {"bps": 3000.0},
        {"per_unit": 0.5},
        {"per_order": 100.0},
        {"minimum": 250.0},
        {"bps": 50.0, "per_unit": 0.01, "per_order": 3.0, "minimum": 80.0},
    ),
    "borrow_rate": (0.0, 0.05, 8.0),
    "quantity_step": (0.0, 0.1, 1.0, 100.0),
    "min_notional": (0.0, 1000.0, 40_000.0),
    "max_participation": (None, 0.1, 0.5, 1.0),
}
RULES: dict[str, tuple[Any, ...]] = COSTS | {
    "fill_lag": (1, 1, 2, 5),
    "fill_price": ("open", "open", "mid", "typical", "vwap", "close"),
    "size_at": ("decision", "fill"),
    "cash_rate": (0.0, 0.04, 5.0),
    "rebalance": (
        {"name": "on_change"},
        {"name": "on_change"},
        {"name": "every_bar", "band": 0.1},
        {"name": "daily"},
        {"name": "daily", "band": 0.05},
        {"name": "weekly", "band": 0.2},
        {"name": "monthly"},
    ),
    "allow_short": (True, True, False),
    "allow_leverage": (False, False, True),
    "untradable_bar": ("wait", "skip", "fill"),
    "stop_loss": (None, 0.02, 0.1, 0.5),
    "take_profit": (None, 0.03, 0.2, 2.0),
    "trailing_stop": (None, 0.03, 0.1),
    "max_holding_bars": (None, 1, 3, 12),
    "bar_path": ("stop_first", "target_first", "nearest_open_first"),
    "end_policy": ("mark", "close"),
}


@dataclass(frozen=True)
class Case:
    """Everything random about one comparison. ``own`` are costs of the second symbol."""

    seed: int
    bars: int
    assets: int
    kind: Kind
    capital: float
    fraction: float
    persistence: float
    notional: bool
    rules: dict[str, Any]
    own: dict[str, Any]

    @property
    def configuration(self) -> dict[str, Any]:
        """The rules as they may be posted: without what would have no effect."""
        chosen: dict[str, Any] = {"slippage_bps": 0.0, "commission": {}} | self.rules
        own = dict(self.own)
        if not (chosen.get("take_profit") and (chosen.get("stop_loss") or chosen.get("trailing_stop"))):
            chosen.pop("bar_path", None)
        if not chosen.get("allow_short", True):
            chosen.pop("borrow_rate", None)
            own.pop("borrow_rate", None)
        if chosen.get("rebalance", {}).get("name") == "every_bar":
            chosen.pop("fill_lag", None)
        if own and self.assets > 1:
            chosen["per_symbol"] = {"B": own}
        return chosen


KINDS = st.builds(
    Kind,
    jumps=st.sampled_from((0.0, 0.05, 0.3)),
    dead=st.sampled_from((0.0, 0.1, 0.5)),
    flats=st.sampled_from((0.0, 0.0, 0.5)),
    decades=st.sampled_from(((0.0, 2.0), (0.0, 2.0), (-4.0, 9.0))),
    holes=st.sampled_from((0.0, 0.0, 0.1, 0.4)),
    halts=st.sampled_from((0.0, 0.0, 0.2)),
    spikes=st.sampled_from((0.0, 0.1, 0.5)),
    volumes=st.sampled_from(((1.0, 1e6), (1.0, 1e4), (10.0, 1000.0))),
)


def some_of(table: dict[str, tuple[Any, ...]]) -> st.SearchStrategy[dict[str, Any]]:
    """Any subset of the fields, each with one of its values."""
    return st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in table.items()})


CASES = st.builds(
    Case,
    seed=st.integers(0, 2**32 - 1),
    bars=st.sampled_from((1, 2, 5, 20, 60)),
    assets=st.integers(1, 3),
    kind=KINDS,
    capital=st.sampled_from((1e5, 1e5, 1.0, 1e12)),
    fraction=st.sampled_from((0.3, 0.9, 1.0, 3.0)),
    persistence=st.sampled_from((0.3, 0.8, 0.95)),
    notional=st.booleans(),
    rules=some_of(RULES),
    own=st.one_of(st.just({}), some_of(COSTS)),
)


def rough_case(seed: int) -> Case:
    """A case that trades, with about half of the rules."""
    random = np.random.default_rng(seed)

    def pick(values: Any) -> Any:
        return values[int(random.integers(len(values)))]

    return Case(
        seed=seed,
        bars=60,
        assets=1 + seed % 3,
        kind=Kind(
            jumps=pick((0.0, 0.05, 0.2)),
            dead=pick((0.0, 0.1, 0.3)),
            decades=(0.0, 2.0),
            holes=pick((0.0, 0.1)),
            halts=pick((0.0, 0.2)),
            spikes=pick((0.0, 0.1)),
            volumes=pick(((1.0, 1e6), (1.0, 1e4))),
        ),
        capital=1e5,
        fraction=pick((0.3, 0.9, 1.0, 3.0)),
        persistence=pick((0.5, 0.8, 0.95)),
        notional=seed % 7 == 0,
        rules={name: pick(values) for name, values in RULES.items() if random.random() < 0.45},
        own={"slippage_bps": 7.0, "quantity_step": 3.0} if seed % 5 == 0 else {},
    )


# --- one case through both -----------------------------------------------------------------------------------


def targets_of(case: Case, time: Any, schedule: str) -> Targets:
    """Signals that persist, weights with a size of their own at each bar, and decisions by the schedule."""
    random = np.random.default_rng(case.seed + 1)
    shape = (case.bars, case.assets)
    fresh = random.choice((0.0, 1.0, 1.0, -1.0, -1.0, 0.5), shape)
    keep = random.random(shape) < case.persistence
    for t in range(1, case.bars):
        fresh[t] = np.where(keep[t], fresh[t - 1], fresh[t])
    amount = case.capital if case.notional else 1.0
    weights = fresh * random.uniform(0.5, 1.0, shape) * case.fraction * amount / case.assets
    if schedule == "on_change":
        decides = np.array(signals.changes(fresh.tolist()))
    else:
        decides = np.repeat(np.array(signals.first_bars(time.tolist(), schedule))[:, None], case.assets, axis=1)
    return Targets(weights, decides, fresh, notional=case.notional)


def market_of(market: Columns, bars: Bars) -> oracle.Market:
    """The same prices as lists."""
    grids = {name: getattr(market, name).tolist() for name in ("open", "high", "low", "close", "volume")}
    vwap = None if market.vwap is None else market.vwap.tolist()
    return oracle.Market(**grids, vwap=vwap, closed_at=bars.close_time.tolist())


def costs_of(configuration: dict[str, Any]) -> oracle.Costs:
    """The costs of one symbol from the plain values of a configuration."""
    model = configuration.get("slippage") or {"name": "none"}
    numbers = model.get("params", {})
    fees = configuration.get("commission", {})
    defaults = {"square_root": 1.0}
    impact = [numbers[name] for name in ("spread", "impact", "k") if name in numbers]
    return oracle.Costs(
        model=model["name"],
        impact=impact[0] if impact else defaults.get(model["name"], 0.0),
        lookback=numbers.get("lookback", 20),
        slippage=configuration.get("slippage_bps", 1.0) * BPS,
        commission=fees.get("bps", 0.0) * BPS,
        per_unit=fees.get("per_unit", 0.0),
        per_order=fees.get("per_order", 0.0),
        minimum=fees.get("minimum", 0.0),
        borrow_rate=configuration.get("borrow_rate", 0.0),
        step=configuration.get("quantity_step", 0.0),
        min_notional=configuration.get("min_notional", 0.0),
        max_participation=configuration.get("max_participation"),
    )


def rules_of(configuration: dict[str, Any], symbols: tuple[str, ...], notional: bool = False) -> oracle.Rules:
    """The reference's rules from the same plain values that the engine reads."""
    given = {"commission": {"bps": 5.0}} | configuration
    own = given.get("per_symbol", {})
    each = [costs_of(given | {k: v for k, v in own.get(s, {}).items() if v is not None}) for s in symbols]
    rebalance = given.get("rebalance", {"name": "on_change"})
    names = {"untradable_bar": "untradable", "max_holding_bars": "max_holding"}
    plain = ("fill_lag", "fill_price", "size_at", "cash_rate", "allow_short", "allow_leverage", "untradable_bar")
    exits = ("stop_loss", "take_profit", "trailing_stop", "max_holding_bars", "bar_path", "end_policy")
    return oracle.Rules(
        **{names.get(name, name): given[name] for name in (*plain, *exits) if name in given},
        on_change=rebalance["name"] == "on_change",
        band=rebalance.get("band", 0.0),
        notional=notional,
        costs=each,
    )


def inputs(case: Case) -> tuple[Columns, Bars, Targets]:
    """The market of a case and what is wanted of it."""
    market = columns(case.seed, case.bars, case.assets, case.kind)
    time = stamps(case.bars, case.seed)
    has_volume = (market.volume > 0.0).any(axis=0)
    bars = bars_of(market, (market.volume > 0.0) | ~has_volume, time)
    schedule = case.configuration.get("rebalance", {"name": "on_change"})["name"]
    return market, bars, targets_of(case, time, schedule)


def simulate_reference(
    market: Columns, bars: Bars, targets: Targets, configuration: dict[str, Any], capital: float
) -> oracle.Account:
    """The reference alone."""
    rules = rules_of(configuration, bars.symbols, targets.notional)
    grids = targets.weights.tolist(), targets.decides.tolist(), targets.signals.tolist()
    return reference.ledger(market_of(market, bars), *grids, rules, capital)


def both(case: Case) -> tuple[list[str], Counter[str]]:
    """What differs, and the paths of the contract that the case went through."""
    market, bars, targets = inputs(case)
    mine = simulate_reference(market, bars, targets, case.configuration, case.capital)
    theirs = simulate(bars, targets, Execution.model_validate(case.configuration), case.capital)
    return differences(mine, theirs, round_trips(theirs, bars)), seen(mine)


def seen(account: oracle.Account) -> Counter[str]:
    """Which paths of the contract a case went through."""
    paths: Counter[str] = Counter()
    for o in account.orders:
        mine = [f for f in account.fills if f.order is o]
        paths[f"{o.outcome} {o.reason}"] += 1
        paths[f"{o.cause} order"] += 1
        paths[f"scaled by {o.scale_reason}"] += o.scale_reason != "NONE"
        paths["scaled and filled"] += 0.0 < o.scale < 1.0 - 1e-9
        paths["flip"] += len({f.leg for f in mine}) == 2
        paths["filled in parts"] += len({f.bar for f in mine}) > 1
        paths["signal waited for a bar"] += o.cause == "SIGNAL" and o.filled_bar > o.due
        paths["exit went on"] += o.cause not in ("SIGNAL", "END", "RUIN") and o.filled_bar > o.decided + 1
        paths["exit at the open"] += o.cause not in ("SIGNAL", "END", "RUIN", "TIME") and o.moment == "OPEN"
        paths["exit inside"] += o.cause != "SIGNAL" and o.moment == "INSIDE"
        paths["reduced"] += any(f.leg == "CLOSE" and f.position != 0.0 for f in mine) and o.cause == "SIGNAL"
        paths["nothing to trade at the fill"] += o.outcome == "FILLED" and not mine
    done = trades.round_trips(account)
    paths["added to"] += sum(len(t.entries) > 1 for t in done)
    paths["open at the end"] += sum(not t.ended for t in done)
    paths["long"] += sum(t.side > 0 for t in done)
    paths["short"] += sum(t.side < 0 for t in done)
    paths["exit on the entry bar"] += sum(t.ended and t.exits[-1].bar == t.entries[0].bar for t in done)
    paths["ambiguous"] += account.ambiguous
    paths["overdrawn"] += any(c < 0.0 for c in account.cash)
    paths["ruin"] += account.ruined >= 0
    paths["borrow"] += account.borrow > 0.0
    paths["interest"] += account.interest > 0.0
    paths["dust"] += account.dust
    return paths

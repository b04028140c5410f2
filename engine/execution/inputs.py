"""What the ledger kernel reads and writes: the market, each symbol's terms, the account's rules, and its records."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from engine.data.bars import Bars
from engine.execution.rules import BASIS_POINT, Execution
from engine.execution.slippage import LARGEST_IMPACT, SQUARE_ROOT, SquareRoot
from engine.kernels import kernel
from engine.types import Bools, Floats, Times

Records = npt.NDArray[np.void]

ORDER = np.dtype(
    [
        ("asset", np.int64),
        ("decided_bar", np.int64),
        ("cause", np.int64),
        ("weight", np.float64),
        ("quantity", np.float64),
        ("outcome", np.int64),
        ("reason", np.int64),
        ("filled_bar", np.int64),
        ("moment", np.int64),
        ("price", np.float64),
        ("filled", np.float64),
        ("commission", np.float64),
        ("slippage", np.float64),
        ("scale", np.float64),
        ("scale_reason", np.int64),
        # Of each leg: the fills so far, and the commission on them that grows with size.
        ("close_fills", np.int64),
        ("open_fills", np.int64),
        ("close_variable", np.float64),
        ("open_variable", np.float64),
        # The symbol it is redundant with or -1, their correlation, and what that made of the weight.
        ("partner", np.int64),
        ("rho", np.float64),
        ("factor", np.float64),
    ]
)
EVENT = np.dtype([("bar", np.int64), ("asset", np.int64), ("kind", np.int64)])
SNAPSHOT = np.dtype([("bar", np.int64), ("diversification", np.float64), ("observations", np.int64)])
PAIR = np.dtype([("pair_bar", np.int64), ("first", np.int64), ("second", np.int64), ("correlation", np.float64)])
FILL = np.dtype(
    [
        ("order", np.int64),
        ("asset", np.int64),
        ("bar", np.int64),
        ("moment", np.int64),
        ("leg", np.int64),
        ("position", np.float64),
        ("quantity", np.float64),
        ("price", np.float64),
        ("commission", np.float64),
        ("slippage", np.float64),
        ("borrow", np.float64),
        ("stop", np.float64),
        ("target", np.float64),
    ]
)
TERMS = np.dtype(
    [
        ("slippage", np.int64),
        ("amount", np.float64),
        ("slippage_rate", np.float64),
        ("commission_rate", np.float64),
        ("per_unit", np.float64),
        ("per_order", np.float64),
        ("minimum", np.float64),
        ("borrow_rate", np.float64),
        ("step", np.float64),
        ("min_notional", np.float64),
        ("participation", np.float64),
    ]
)
STATE = np.dtype(
    [
        ("quantity", np.float64),
        ("average", np.float64),
        ("extreme", np.float64),
        ("entry_bar", np.int64),
        ("waiting", np.int64),
        ("due", np.int64),
        ("wanted", np.float64),
        ("sized", np.bool_),
        ("exiting", np.int64),
        ("blocked", np.float64),
        ("used", np.float64),
        ("borrow", np.float64),
        # Cash flows and result of the symbol so far; its result, and equity, when the day began.
        ("flow", np.float64),
        ("result", np.float64),
        ("day_result", np.float64),
        ("day_equity", np.float64),
    ]
)


class Market(NamedTuple):
    """Arrays (T, N) but ``close_time`` (T,) ns. ``mark`` is the close, or the last valid one before.

    Of ``close_time`` only differences count. ``base`` is the price orders fill at, before slippage. ``sigma`` and
    ``adv`` are (0, 0) where no model needs them, and so is ``volume``; ``high`` and ``low`` where there are no exits.
    """

    open: Floats
    high: Floats
    low: Floats
    base: Floats
    mark: Floats
    volume: Floats
    sigma: Floats
    adv: Floats
    close_time: Times
    valid: Bools
    tradable: Bools


class Rules(NamedTuple):
    """The account's rules as numbers. An exit that is not asked for is 0."""

    fill_lag: int
    fill_at_open: bool
    size_at_fill: bool
    notional: bool
    on_change: bool
    band: float
    allow_short: bool
    allow_leverage: bool
    skip: bool
    cash_rate: float
    accrues: bool
    stop_loss: float
    take_profit: float
    trailing_stop: float
    max_holding_bars: int
    bar_path: int
    close_at_end: bool
    exits: bool


STOP_FIRST, TARGET_FIRST, NEAREST_OPEN_FIRST = range(3)
_PATHS = {"stop_first": STOP_FIRST, "target_first": TARGET_FIRST, "nearest_open_first": NEAREST_OPEN_FIRST}
_NOTHING: Floats = np.empty((0, 0))


def market(bars: Bars, rules: Execution) -> Market:
    """The market as the ledger sees it. Shapes (T, N)."""
    base = fill_base(bars, rules.fill_price)
    valid = bars.valid
    if rules.fill_price == "vwap":
        valid = valid & (base > 0.0) & (base < np.inf)
    tradable = valid if rules.untradable_bar == "fill" else valid & bars.tradable
    costs = [rules.costs(s) for s in bars.symbols]
    uses_volume = any(c.slippage.needs_volume or c.max_participation is not None for c in costs)
    sigma, adv = _impact_inputs(bars, [c.slippage for c in costs], valid)
    arrays = {
        "open": bars.open,
        "high": bars.high if rules.exits else _NOTHING,
        "low": bars.low if rules.exits else _NOTHING,
        "base": base,
        "mark": bars.close if valid.all() else _forward(bars.close, valid),
        "volume": bars.volume if uses_volume else _NOTHING,
        "sigma": sigma,
        "adv": adv,
        "close_time": bars.clock,
        "valid": valid,
        "tradable": tradable,
    }
    return Market(**{name: read_only(array) for name, array in arrays.items()})


def read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A read-only, contiguous view: a kernel compiles once for fresh, mapped and cached arrays."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


def fill_base(bars: Bars, fill_price: str) -> Floats:
    """(T, N) the price a fill starts from, before slippage (semantics section 4)."""
    if fill_price == "mid":
        return (bars.high + bars.low) / 2.0
    if fill_price == "typical":
        return (bars.high + bars.low + bars.close) / 3.0
    return bars.column(fill_price)


def rules_of(rules: Execution, *, notional: bool) -> Rules:
    """The account's part of the configuration as the kernel takes it."""
    shorts = rules.borrow_rate or any(c.borrow_rate for c in rules.per_symbol.values())
    return Rules(
        fill_lag=rules.fill_lag,
        fill_at_open=rules.fill_price == "open",
        size_at_fill=rules.size_at == "fill",
        notional=notional,
        on_change=rules.rebalance.name == "on_change",
        band=rules.rebalance.band,
        allow_short=rules.allow_short,
        allow_leverage=rules.allow_leverage,
        skip=rules.untradable_bar == "skip",
        cash_rate=rules.cash_rate,
        accrues=bool(rules.cash_rate or shorts),
        stop_loss=rules.stop_loss or 0.0,
        take_profit=rules.take_profit or 0.0,
        trailing_stop=rules.trailing_stop or 0.0,
        max_holding_bars=rules.max_holding_bars or 0,
        bar_path=_PATHS[rules.bar_path],
        close_at_end=rules.end_policy == "close",
        exits=rules.exits,
    )


def terms_of(rules: Execution, symbols: tuple[str, ...], factor: float = 1.0) -> Records:
    """(N,) the terms of each symbol, slippage and commission multiplied; slippage stays below the whole price."""
    terms = np.zeros(len(symbols), dtype=TERMS)
    for row, symbol in zip(terms, symbols, strict=True):
        costs = rules.costs(symbol)
        model, amount = costs.slippage.kind, costs.slippage.amount * factor
        row["slippage"] = model
        row["amount"] = amount if model == SQUARE_ROOT else min(amount, LARGEST_IMPACT)
        row["slippage_rate"] = min(
            costs.slippage_bps * BASIS_POINT * factor, max(LARGEST_IMPACT, costs.slippage_bps * BASIS_POINT)
        )
        row["commission_rate"] = costs.commission.rate * factor
        for name in ("per_unit", "per_order", "minimum"):
            row[name] = getattr(costs.commission, name) * factor
        row["borrow_rate"] = costs.borrow_rate
        row["step"], row["min_notional"] = costs.quantity_step, costs.min_notional
        row["participation"] = costs.max_participation or 0.0
    return terms


def _forward(close: Floats, valid: Bools) -> Floats:
    """(T, N) closes with those of invalid bars replaced by the last valid one; NaN before the first."""
    rows = np.where(valid, np.arange(len(close))[:, None], -1)
    np.maximum.accumulate(rows, axis=0, out=rows)
    filled: Floats = np.take_along_axis(close, np.maximum(rows, 0), axis=0)
    filled[rows < 0] = np.nan
    return filled


def _impact_inputs(bars: Bars, models: list[Any], valid: Bools) -> tuple[Floats, Floats]:
    """Sigma and average volume (T, N) of the symbols under the square-root law; (0, 0) where there is none."""
    if not any(isinstance(m, SquareRoot) for m in models):
        return _NOTHING, _NOTHING
    sigma, adv = np.zeros(bars.close.shape), np.zeros(bars.close.shape)
    for i, model in enumerate(models):
        if isinstance(model, SquareRoot):
            close, volume = np.ascontiguousarray(bars.close[:, i]), np.ascontiguousarray(bars.volume[:, i])
            fine = np.ascontiguousarray(valid[:, i])
            sigma[:, i], adv[:, i] = rolling_impact(close, volume, fine, model.params.lookback)
    return sigma, adv


@kernel
def rolling_impact(close: Floats, volume: Floats, valid: Bools, lookback: int) -> tuple[Floats, Floats]:
    """Standard deviation (ddof 1) of simple returns and mean volume over the last ``lookback`` valid bars, (T,) each.

    All bars so far while there are fewer; sigma is 0 under two returns. Each window is summed afresh: a price
    spike leaves nothing behind.
    """
    count = close.shape[0]
    sigma, adv = np.zeros(count), np.zeros(count)
    kept = np.zeros(lookback)
    sizes = np.zeros(lookback)
    seen = 0
    last = 0.0
    for t in range(count):
        if valid[t]:
            kept[seen % lookback] = close[t] / last - 1.0 if seen > 0 else np.nan
            sizes[seen % lookback] = volume[t]
            last = close[t]
            seen += 1
        full = min(seen, lookback)
        if full == 0:
            continue
        adv[t] = sizes[:full].sum() / full
        total, number = 0.0, 0
        for value in kept[:full]:
            if not np.isnan(value):
                total += value
                number += 1
        if number < 2:
            continue
        squares = 0.0
        for value in kept[:full]:
            if not np.isnan(value):
                squares += (value - total / number) ** 2
        sigma[t] = np.sqrt(squares / (number - 1))
    return sigma, adv


def rolling_impact_plain(close: Floats, volume: Floats, valid: Bools, lookback: int) -> tuple[Floats, Floats]:
    """Twin of :func:`rolling_impact`."""
    sigma, adv = np.zeros(len(close)), np.zeros(len(close))
    for t in range(len(close)):
        bars = np.flatnonzero(valid[: t + 1])
        adv[t] = np.mean(volume[bars[-lookback:]]) if len(bars) else 0.0
        returns = (close[bars][1:] / close[bars][:-1] - 1.0)[-lookback:]
        window = returns if len(bars) > lookback else returns[-(lookback - 1) :]
        sigma[t] = np.std(window, ddof=1) if len(window) > 1 else 0.0
    return sigma, adv

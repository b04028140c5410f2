"""Semantics section 4: what a leg costs, how much of it a bar takes, and in what quantities it trades."""

import math
from itertools import pairwise

from tests.oracle.account import Account, Fill, Order, sign, valid

LARGEST_IMPACT = 0.99


def round_lot(quantity: float, step: float) -> float:
    """Toward zero to a multiple of the step, but for rounding errors."""
    if step == 0.0:
        return quantity
    return sign(quantity) * math.trunc(abs(quantity) / step + 1e-9) * step


def capacity(account: Account, asset: int) -> float:
    """What this bar still takes of the symbol."""
    costs = account.rules.of(asset)
    if costs.max_participation is None:
        return math.inf
    left = costs.max_participation * account.market.volume[account.t][asset] - account.positions[asset].used
    return round_lot(max(left, 0.0), costs.step)


def own_bars(account: Account, asset: int, t: int) -> list[int]:
    """The symbol's bars up to ``t`` that have prices."""
    return [bar for bar in range(t + 1) if valid(account, asset, bar)]


def sigma(account: Account, asset: int, t: int, lookback: int) -> float:
    """Standard deviation (ddof 1) of the simple close-to-close returns of the last bars up to ``t``."""
    closes = [account.market.close[bar][asset] for bar in own_bars(account, asset, t)]
    returns = [b / a - 1.0 for a, b in pairwise(closes)][-lookback:]
    if len(returns) < 2:
        return 0.0
    mean = math.fsum(returns) / len(returns)
    return math.sqrt(math.fsum((r - mean) ** 2 for r in returns) / (len(returns) - 1))


def average_volume(account: Account, asset: int, t: int, lookback: int) -> float:
    """Mean volume of the last bars up to ``t``."""
    volumes = [account.market.volume[bar][asset] for bar in own_bars(account, asset, t)][-lookback:]
    return math.fsum(volumes) / len(volumes)


def own_bar(account: Account, order: Order) -> int:
    """The bar that an order trades in: this one, and of a symbol without further bars the one before."""
    return account.t - 1 if order.cause == "ENDED" else account.t


def impact(account: Account, order: Order, quantity: float) -> float:
    """The fraction of price that the slippage model takes from this absolute quantity."""
    costs = account.rules.of(order.asset)
    match costs.model:
        case "spread_pct":
            return costs.impact / 2.0
        case "participation_rate":
            bar = own_bar(account, order)
            volume = account.market.volume[bar][order.asset]
            return costs.impact * (min(1.0, quantity / volume) if volume > 0.0 else 1.0)
        case "square_root":
            unit = costs.impact * sigma(account, order.asset, order.decided, costs.lookback)
            adv = average_volume(account, order.asset, order.decided, costs.lookback)
            if unit == 0.0:
                return 0.0
            return min(LARGEST_IMPACT, unit * math.sqrt(quantity / adv)) if adv > 0.0 else LARGEST_IMPACT
    return 0.0


def slipped(account: Account, order: Order, quantity: float, base: float) -> float:
    """The price of a signed quantity: model, then basis points. A target is a limit order and pays neither."""
    if order.cause == "TAKE_PROFIT":
        return base
    side = sign(quantity)
    worse = base * (1.0 + side * impact(account, order, abs(quantity)))
    return worse * (1.0 + side * account.rules.of(order.asset).slippage)


def book(account: Account, order: Order, leg: str, quantity: float, base: float, moment: str) -> None:
    """Trade a signed quantity: cash, position, what the order and the entry know of it."""
    position, costs = account.positions[order.asset], account.rules.of(order.asset)
    price = slipped(account, order, quantity, base)
    slippage = abs(quantity) * abs(price - base)
    so_far = order.traded[leg]
    so_far[0] += abs(quantity)
    so_far[1] += abs(quantity) * price
    fees = costs.commission * so_far[1] + costs.per_unit * so_far[0] + costs.per_order
    commission = max(fees, costs.minimum) - so_far[2]
    so_far[2] += commission

    if leg == "OPEN":
        before = abs(position.held)
        if before == 0.0:
            position.entry_bar = account.t
            position.average = position.extreme = price
        else:
            after = before + abs(quantity)
            position.average = (before * position.average + abs(quantity) * price) / after
    position.held = 0.0 if quantity == -position.held else position.held + quantity
    position.used += abs(quantity)
    fill = Fill(order, account.t, moment, leg, quantity, position.held, price, commission, slippage, position.borrow)
    position.borrow = 0.0
    account.money += fill.cash_flow
    account.fills.append(fill)
    order.filled_bar, order.moment = account.t, moment
    order.filled += quantity
    order.commission += commission
    order.slippage += slippage
    (closed, closed_for, _), (opened, opened_for, _) = order.traded["CLOSE"], order.traded["OPEN"]
    order.price = (closed_for + opened_for) / (closed + opened)

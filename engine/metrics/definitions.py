"""What each metric of a run means: unit, formula and source, in the order in which a run reports them.

Notation: E equity, with E_0 the initial capital before the first bar; r the T daily simple returns by the calendar
(those of bars, where bars are longer than a day); f what idle cash returned on the same day, 0 with a cash_rate of 0;
A the number of days in a year; d the drawdown; Z the normal distribution. An interval, where a metric has one, is
two-sided at 95 % and takes returns or trades as independent, but for that of sharpe_lo.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Definition:
    """What a metric means: unit, formula in words and symbols, and where it comes from."""

    name: str
    unit: str
    formula: str
    source: str


GROWTH = (
    Definition(
        "total_return",
        "fraction",
        "E_T / E_0 - 1; E_0 is the initial capital",
        "simple return, by definition",
    ),
    Definition(
        "cagr",
        "fraction per year",
        "(E_T / E_0)^(1 / years) - 1, years = elapsed seconds / (365.25 * 86400); null below 30 days",
        "compound annual growth rate, by the clock",
    ),
)

RATIOS = (
    Definition(
        "volatility",
        "fraction per year",
        "std(r, ddof=1) * sqrt(A); r daily simple returns, A days a year on the calendar",
        "by definition; Lo 2002 on the scaling",
    ),
    Definition(
        "sharpe",
        "ratio",
        "mean(x) / std(x, ddof=1) * sqrt(A), x = r - f; daily; f is what idle cash returned, 0 with a cash_rate of 0",
        "Sharpe 1994; interval Mertens 2002",
    ),
    Definition(
        "sharpe_standard_error",
        "ratio",
        "sqrt((1 - g3 SR + (g4 - 1) / 4 SR^2) / T) * sqrt(A); SR daily, g3 and g4 population moments of r - f",
        "Mertens 2002",
    ),
    Definition(
        "sharpe_bar",
        "ratio",
        "sharpe of the simple returns of bars, times sqrt(bars a year); differs from it where bars correlate",
        "Sharpe 1994; Lo 2002 on the scaling",
    ),
    Definition(
        "sharpe_lo",
        "ratio",
        "SR * A / sqrt(A + 2 sum_k (A - k) rho_k), k = 1..floor(4 (T / 100)^(2/9)); rho_k autocorrelations of r - f",
        "Lo 2002, equation 20; lags by Newey & West 1994; interval with their long-run variance of 1987",
    ),
    Definition(
        "psr",
        "probability",
        "Z(SR sqrt(T - 1) / sqrt(1 - g3 SR + (g4 - 1) / 4 SR^2)): that the true Sharpe ratio is above 0, if this run"
        " was the only trial",
        "Bailey & Lopez de Prado 2012",
    ),
    Definition(
        "min_track_record_length",
        "years",
        "(1 + (1 - g3 SR + (g4 - 1) / 4 SR^2) (1.645 / SR)^2) / A: after which psr reaches 0.95",
        "Bailey & Lopez de Prado 2012",
    ),
    Definition(
        "sortino",
        "ratio",
        "mean(x) / sqrt(sum(min(x, 0)^2) / T) * sqrt(A), x = r - f; over all T days; f is the minimum acceptable"
        " return",
        "Sortino & Price 1994",
    ),
    Definition(
        "calmar",
        "ratio",
        "cagr / |max_drawdown|",
        "Young 1991, over the whole period; interval by the infinitesimal jackknife, Jaeckel 1972",
    ),
    Definition(
        "martin",
        "ratio",
        "cagr / ulcer_index",
        "Martin & McCann 1989: ulcer performance index; interval as that of calmar",
    ),
    Definition("omega", "ratio", "sum(max(x, 0)) / sum(max(-x, 0)), x = r - f", "Keating & Shadwick 2002"),
)

FALLS = (
    Definition(
        "max_drawdown",
        "fraction",
        "min over bars of E_t / max(E_0..E_t) - 1, equity marked at every bar's close",
        "Magdon-Ismail & Atiya 2004",
    ),
    Definition(
        "max_drawdown_duration",
        "days",
        "longest time from a peak to the first close at or above it; an open episode counts to the end",
        "by definition",
    ),
    Definition(
        "average_drawdown",
        "fraction",
        "mean over episodes, peak to recovery, of their deepest point; apart from pain_index",
        "by definition",
    ),
    Definition(
        "average_drawdown_duration",
        "days",
        "mean over episodes of the time from the peak to the recovery, or to the end",
        "by definition",
    ),
    Definition("ulcer_index", "fraction", "sqrt(sum(d_t^2) / T) over the T bars", "Martin & McCann 1989"),
    Definition("pain_index", "fraction", "sum(|d_t|) / T over the T bars", "Bacon 2008"),
)

SHAPE = (
    Definition("observations", "count", "T, the number of daily returns r that ratios stand on", "by definition"),
    Definition(
        "value_at_risk",
        "fraction",
        "5 % quantile of r, type 7: a return, negative for a loss",
        "historical; Hyndman & Fan 1996",
    ),
    Definition(
        "conditional_value_at_risk",
        "fraction",
        "mean of the r at or below value_at_risk",
        "Rockafellar & Uryasev 2000",
    ),
    Definition(
        "expected_shortfall",
        "fraction",
        "mean of exactly the worst 5 % of r, the last of them by part",
        "Acerbi & Tasche 2002",
    ),
    Definition(
        "tail_ratio",
        "ratio",
        "95 % quantile of r / |5 % quantile|, type 7; null where the latter is no loss",
        "by definition, as in empyrical; interval Woodruff 1952",
    ),
    Definition("skewness", "ratio", "g1 = m3 / m2^1.5 of r, population moments", "Fisher 1930"),
    Definition("excess_kurtosis", "ratio", "g2 = m4 / m2^2 - 3 of r, population moments", "Fisher 1930"),
)

RELATIVE = (
    Definition(
        "alpha",
        "fraction per year",
        "(mean(r - f) - beta mean(b - f)) * A, not compounded; b daily simple returns of the benchmark; like all that"
        " compares, null where none is named",
        "Jensen 1968; interval of least squares",
    ),
    Definition("beta", "ratio", "cov(r - f, b - f) / var(b - f)", "Sharpe 1964; interval of least squares"),
    Definition("benchmark_correlation", "ratio", "cov(r, b) / (std(r) std(b))", "Pearson 1895; interval Fisher 1921"),
    Definition("tracking_error", "fraction per year", "std(r - b, ddof=1) * sqrt(A)", "Grinold & Kahn 1999"),
    Definition(
        "information_ratio",
        "ratio",
        "mean(r - b) / std(r - b, ddof=1) * sqrt(A)",
        "Goodwin 1998; interval Mertens 2002",
    ),
    Definition(
        "up_capture",
        "ratio",
        "(prod(1 + r)^(1 / n) - 1) / (prod(1 + b)^(1 / n) - 1) over the n days with b > 0",
        "Morningstar 2011, of a day; interval by the delta method",
    ),
    Definition(
        "down_capture",
        "ratio",
        "the same over the days with b < 0; below 1 where less was lost",
        "Morningstar 2011, of a day; interval by the delta method",
    ),
)

ACTIVITY = (
    Definition("exposure", "fraction", "bars with any position at the close / all bars", "by definition"),
    Definition(
        "turnover",
        "ratio",
        "sum over fills of |quantity * price| / equity at the close of the bar before; two-sided, whole run",
        "by definition",
    ),
)

TRADING = (
    Definition(
        "win_rate",
        "fraction",
        "closed trades with net P&L > 0 / closed trades; break-even is not a win",
        "by definition; interval Wilson 1927",
    ),
    Definition(
        "payoff_ratio",
        "ratio",
        "mean net profit of winning closed trades / |mean net loss of losing ones|",
        "by definition, currency",
    ),
    Definition(
        "profit_factor",
        "ratio",
        "sum of net profits / |sum of net losses| over closed trades",
        "by definition, currency",
    ),
    Definition("expectancy", "currency", "mean net P&L of closed trades", "by definition"),
    Definition(
        "sqn",
        "ratio",
        "sqrt(min(K, 100)) * mean(R) / std(R, ddof=1); R = net P&L / loss at the stop in force at the entry, of K"
        " closed trades; null without stops",
        "Tharp 2008",
    ),
    Definition(
        "sqn_pnl",
        "ratio",
        "sqrt(min(K, 100)) * mean(p) / std(p, ddof=1); p net P&L of K closed trades",
        "Tharp 2008, on P&L in place of R",
    ),
    Definition(
        "kelly",
        "fraction",
        "W - L / payoff_ratio; W and L the shares of closed trades that won and lost",
        "Kelly 1956",
    ),
    Definition(
        "average_mae",
        "fraction",
        "mean over closed trades of the worst excursion / (quantity * entry price)",
        "Sweeney 1997",
    ),
    Definition(
        "average_mfe",
        "fraction",
        "mean over closed trades of the best excursion / (quantity * entry price)",
        "Sweeney 1997",
    ),
    Definition("trade_count", "count", "round trips, closed and open", "by definition"),
)

MONEY = (
    Definition("final_equity", "currency", "cash + sum(quantity * mark) at the last close", "accounting identity"),
    Definition("total_commission", "currency", "sum of commissions over fills", "accounting identity"),
    Definition("total_slippage", "currency", "sum of slippage costs over fills", "accounting identity"),
    Definition("total_borrow_cost", "currency", "sum of what short positions paid, actual/365", "accounting identity"),
    Definition("total_interest", "currency", "sum of what idle cash earned, actual/365", "accounting identity"),
)

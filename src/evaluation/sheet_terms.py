"""Definitions of the figures that only tear sheets show, as `src.evaluation.glossary` takes them."""

from __future__ import annotations

SHEET_TERMS: tuple[tuple[str, str, str], ...] = (
    ("recovery_factor", "recovery factor", "Total return over the deepest drawdown."),
    ("ulcer_index", "ulcer index", "Root mean square of the drawdown of all days: deep and long ones weigh most."),
    (
        "longest_drawdown",
        "longest drawdown",
        "Calendar days from a peak until it is reached again, or until the last day.",
    ),
    ("mean_drawdown", "mean drawdown", "Mean of the deepest points of all drawdowns."),
    ("time_under_water", "time under water", "Share of the days on which net equity is below its peak."),
    ("benchmark_beta", "beta to the benchmark", "Slope of daily net returns on those of the benchmark."),
    ("benchmark_correlation", "correlation", "Correlation of daily net returns with those of the benchmark."),
    ("information_ratio", "information ratio", "Sharpe ratio of the net return less that of the benchmark."),
    ("best_day_date", "date of the best day", "The day of the highest daily net return."),
    ("worst_day_date", "date of the worst day", "The day of the lowest daily net return."),
    ("best_month", "best month", "Highest compounded net return of a calendar month."),
    ("worst_month", "worst month", "Lowest compounded net return of a calendar month."),
    ("best_year", "best year", "Highest compounded net return of a calendar year, the first and last in part."),
    ("worst_year", "worst year", "Lowest compounded net return of a calendar year, the first and last in part."),
    ("winning_months", "winning months", "Share of the calendar months with a net return above zero."),
    ("winning_years", "winning years", "Share of the calendar years with a net return above zero."),
    ("mean_position", "mean position", "Mean of the position, short ones negative, as a share of equity."),
    ("trades", "trades", "Number of trades, one that the last day still holds included."),
    ("trade_win_rate", "winning trades", "Share of the trades that earn after their costs."),
    ("mean_trade_bars", "bars a trade", "Mean number of bars from entry to exit."),
    ("profit_factor", "profit factor", "Sum of what winning trades earn over what losing trades lose."),
    ("payoff_ratio", "payoff ratio", "Mean gain of the winning trades over the mean loss of the losing ones."),
    ("mean_win", "mean win", "Mean net return of the winning trades, as a share of equity."),
    ("mean_loss", "mean loss", "Mean net return of the losing trades, as a share of equity."),
    ("best_trade", "best trade", "Highest net return of a trade, as a share of equity."),
    ("worst_trade", "worst trade", "Lowest net return of a trade, as a share of equity."),
    ("longest_win_streak", "longest winning streak", "Most winning trades in a row."),
    ("longest_loss_streak", "longest losing streak", "Most losing trades in a row."),
    (
        "kelly",
        "Kelly share",
        "Share of capital that the past hit rate and mean gain and loss of days would justify; an upper bound, since "
        "the future is less kind.",
    ),
    ("cost_drag", "cost drag", "What costs take from the annual return."),
    ("gross_annual_return", "annual return before costs", "Growth a year before costs, compounded."),
)

"""Figures of a tear sheet: the first few as large numbers, all of them in groups."""

from __future__ import annotations

from collections.abc import Mapping

from src.reporting.formatting import (
    DASH,
    Number,
    integer,
    is_finite,
    percent,
    probability,
    three_decimals,
    two_decimals,
)
from src.reporting.glossary import explained
from src.reporting.rendering import render
from src.reporting.tear_sheets.sheet import SheetFigure, TearSheet

GROUPS: Mapping[str, tuple[str, ...]] = {
    "Grade": ("sharpe", "auc", "accuracy", "max_drawdown", "active_sharpe", "majority_accuracy", "late_auc",
              "late_sharpe", "unsized_drawdown", "n_oos"),
    "Evidence": ("q_value", "luck_rate", "z", "p_value", "sharpe_p_value", "deflated_sharpe", "stepdown_p", "n_trials",
                 "ic", "ic_t", "net_t", "adjusted_t", "adjusted_p", "sharpe_low", "sharpe_high", "low_volatility_auc"),
    "Return": ("annual_return", "total_return", "stability", "alpha", "benchmark_beta", "benchmark_correlation",
               "information_ratio", "best_day", "best_day_date", "worst_day", "worst_day_date", "best_month",
               "worst_month", "best_year", "worst_year", "winning_months", "winning_years"),
    "Risk": ("annual_volatility", "sortino", "calmar", "omega", "recovery_factor", "ulcer_index", "longest_drawdown",
             "mean_drawdown", "time_under_water", "value_at_risk", "expected_shortfall", "tail_ratio", "skew",
             "kurtosis"),
    "Positions and trades": (
        "time_in_market", "exposure", "mean_position", "hit_rate", "trades", "trade_win_rate", "mean_trade_bars",
        "profit_factor", "payoff_ratio", "mean_win", "mean_loss", "best_trade", "worst_trade", "longest_win_streak",
        "longest_loss_streak", "kelly", "names", "gross_exposure", "net_exposure", "beta", "volatility_exposure",
        "size_exposure", "capacity",
    ),
    "Costs": ("turnover", "cost_a_year", "cost_drag", "gross_annual_return", "gross_sharpe", "break_even_bps",
              "borrow_a_year"),
}  # fmt: skip
"""Figures by what they are about; any other stands last."""
OTHER = "More"
_UNITS = {"capacity": "${}", "break_even_bps": "{} bp"}
FIRST = 6  # shown as large numbers


def figure_text(figure: SheetFigure, value: Number | str) -> str:
    """Give a value as the figure's kind is written.

    Parameters
    ----------
    figure : SheetFigure
    value : float, int, str or None
        Its own, or that of always-long or the benchmark.

    Returns
    -------
    str
        A dash where it is undefined.
    """
    if value is None or isinstance(value, str):
        return value or DASH
    if figure.name == "luck_rate" and value == 0:
        return "none pass"  # of a number of draws that is no bound of a probability
    if figure.name in _UNITS and is_finite(value):
        return _UNITS[figure.name].format(integer(value) if figure.kind == "count" else two_decimals(value))
    if figure.kind == "ratio":
        return three_decimals(value) if figure.name.endswith("auc") else two_decimals(value)
    if figure.kind == "days":
        return f"{integer(value)} days" if is_finite(value) else DASH
    formats = {"percent": percent, "probability": probability, "count": integer, "three": three_decimals}
    return formats.get(figure.kind, two_decimals)(value)


def first_figures(sheet: TearSheet) -> str:
    """Write the most important figures as large numbers.

    Parameters
    ----------
    sheet : TearSheet

    Returns
    -------
    str
        HTML.
    """
    tiles = []
    for figure in sheet.figures[:FIRST]:
        beside = [
            f"{name} {figure_text(figure, value)}"
            for name, value in (("always long", figure.always_long), ("benchmark", figure.benchmark))
            if value is not None
        ]
        tiles.append((explained(figure.name), figure_text(figure, figure.value), beside))
    return render("sheet_tiles", tiles=tiles)


def figures_section(sheet: TearSheet) -> str:
    """Write all figures in groups.

    Parameters
    ----------
    sheet : TearSheet

    Returns
    -------
    str
        HTML.
    """
    group_of = {name: group for group, names in GROUPS.items() for name in names}
    groups: dict[str, list[SheetFigure]] = {name: [] for name in (*GROUPS, OTHER)}
    for figure in sheet.figures:
        groups[group_of.get(figure.name, OTHER)].append(figure)
    tables = [
        {
            "name": name,
            "always_long": any(figure.always_long is not None for figure in figures),
            "benchmark": any(figure.benchmark is not None for figure in figures),
            "rows": [_cells(figure) for figure in figures],
        }
        for name, figures in groups.items()
        if figures
    ]
    return render("sheet_figures", groups=tables)


def _cells(figure: SheetFigure) -> tuple[str, ...]:
    beside = ["" if value is None else figure_text(figure, value) for value in (figure.always_long, figure.benchmark)]
    return explained(figure.name), figure_text(figure, figure.value), *beside

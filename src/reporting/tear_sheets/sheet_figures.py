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
    "Grade": ("auc", "accuracy", "majority_accuracy", "sharpe", "max_drawdown", "n_oos", "first_oos", "last_oos"),
    "Return": (
        "total_return", "annual_return", "cagr", "annual_volatility", "active_sharpe", "active_return", "alpha", "beta",
        "best_day", "best_day_date", "worst_day", "worst_day_date", "hit_rate", "stability", "benchmark",
    ),
    "Risk": (
        "unsized_drawdown", "longest_drawdown", "sortino", "calmar", "omega", "tail_ratio", "value_at_risk",
        "expected_shortfall", "skew", "kurtosis", "volatility",
    ),
    "Trading": (
        "exposure", "time_in_market", "gross_exposure", "net_exposure", "names", "turnover", "cost", "cost_a_year",
        "trades", "mean_trade", "trade_win_rate", "break_even_bps", "capacity", "gross_sharpe", "late_auc",
        "late_sharpe", "buy_hold_sharpe",
    ),
}  # fmt: skip
EVIDENCE = "Evidence"
FIRST = 6  # shown as large numbers
_SIGNED = {"annual_return", "total_return", "cagr", "best_day", "worst_day"}


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
    groups: dict[str, list[SheetFigure]] = {name: [] for name in (*GROUPS, EVIDENCE)}
    for figure in sheet.figures:
        groups[group_of.get(figure.name, EVIDENCE)].append(figure)
    tables = [
        {
            "name": name,
            "compared": any(f.always_long is not None or f.benchmark is not None for f in figures),
            "rows": [_cells(figure) for figure in figures],
        }
        for name, figures in groups.items()
        if figures
    ]
    return render("sheet_figures", groups=tables)


def _cells(figure: SheetFigure) -> tuple[str, ...]:
    beside = ["" if value is None else figure_text(figure, value) for value in (figure.always_long, figure.benchmark)]
    return explained(figure.name), figure_text(figure, figure.value), *beside

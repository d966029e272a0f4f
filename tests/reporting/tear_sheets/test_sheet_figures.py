"""Figures of a sheet: each in its group, undefined ones as a dash."""

import re
from dataclasses import replace

import pytest

from src.reporting.formatting import DASH
from src.reporting.tear_sheets.figures import KINDS
from src.reporting.tear_sheets.sheet import SheetFigure
from src.reporting.tear_sheets.sheet_figures import GROUPS, OTHER, figure_text, figures_section, first_figures
from tests.reporting.sheet_case import instrument_sheet


def test_every_figure_has_one_group() -> None:
    grouped = [name for names in GROUPS.values() for name in names]
    assert sorted(grouped) == sorted(KINDS)


@pytest.mark.parametrize(
    ("figure", "text"),
    [
        (SheetFigure("late_auc", 0.5312, "ratio"), "0.531"),
        (SheetFigure("sharpe", -0.456, "ratio"), "\u22120.46"),
        (SheetFigure("max_drawdown", 0.0841, "percent"), "8.4%"),
        (SheetFigure("q_value", 0.0004, "probability"), "<0.001"),
        (SheetFigure("luck_rate", 0.0, "probability"), "none pass"),
        (SheetFigure("capacity", 1234567, "count"), "$1,234,567"),
        (SheetFigure("break_even_bps", 7.5, "ratio"), "7.50 bp"),
        (SheetFigure("trades", 1234, "count"), "1,234"),
        (SheetFigure("longest_drawdown", 141, "days"), "141 days"),
        (SheetFigure("best_day_date", "2019-01-02", "date"), "2019-01-02"),
        (SheetFigure("calmar", None, "ratio"), DASH),
        (SheetFigure("calmar", float("nan"), "ratio"), DASH),
    ],
)
def test_a_figure_is_written_as_its_kind(figure: SheetFigure, text: str) -> None:
    assert figure_text(figure, figure.value) == text


def test_a_figure_without_a_group_stands_last() -> None:
    html = figures_section(instrument_sheet(60))
    captions = re.findall("<caption>(.*?)</caption>", html)
    assert captions[0] == "Grade"
    assert captions[-1] == OTHER


def test_large_numbers_stand_beside_always_long_and_benchmark() -> None:
    sheet = replace(instrument_sheet(60), figures=(SheetFigure("sharpe", 1.1, "ratio", 0.6, None),))
    html = first_figures(sheet)
    assert "always long 0.60" in html
    assert "benchmark" not in html

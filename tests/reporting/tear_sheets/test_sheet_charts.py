"""Charts say in their alternative text what they show, and hold what there is."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from src.reporting.tear_sheets import sheet_charts, time_charts
from src.reporting.tear_sheets.sheet import LuckPicture
from src.reporting.vega import Chart, figure
from tests.reporting.sheet_case import instrument_sheet, portfolio_sheet

LIMITS = {"auc": 0.52, "sharpe": 0.5}


def layers(chart: Chart) -> list[dict]:
    return list(chart.spec["layer"])


def test_points_of_one_place_spread_to_both_sides_and_a_lonely_one_stays() -> None:
    offset = sheet_charts.crowding(np.array([0.0, 0.5, 0.5, 0.5, 0.5, 1.0]))
    assert offset[0] == offset[-1] == 0
    assert len(set(offset[1:-1])) == 4
    assert -0.4 <= offset.min() < 0 < offset.max() <= 0.4


def test_points_are_an_even_selection_of_the_largest_features() -> None:
    points = pl.DataFrame({"feature": "rsi_14", "value_rank": np.linspace(0, 1, 1000), "contribution": 0.0})
    sheet = instrument_sheet(contribution_points=points)
    found = sheet_charts.contribution_points(sheet)
    assert found.height <= sheet_charts.POINTS
    assert np.ptp(np.diff(found["value_rank"])) < 1e-9
    assert found["place"].unique().to_list() == [sheet.contributions["feature"].to_list().index("rsi_14")]


def test_the_histogram_of_shifts_counts_each_defined_one_and_marks_the_graded_value() -> None:
    shifts = np.array([0.48, 0.5, 0.52, np.nan, 0.54])
    sheet = instrument_sheet(luck=LuckPicture(shifts, shifts, 0.56, np.nan))
    (chart,) = sheet_charts.luck_charts(sheet)  # the graded Sharpe ratio is undefined
    assert chart.tables["shifts"]["shifts"].sum() == 4
    assert chart.tables["shifts"]["high"].max() >= 0.56
    assert chart.alternative == "AUC of 4 shifts; 0.0% reach the graded 0.560."


def test_costs_add_up_over_the_days() -> None:
    sheet = instrument_sheet(50)
    table = time_charts.day_table(sheet)
    assert table["costs"][-1] == pytest.approx(sheet.days["cost"].sum())
    assert "turnover" not in table.columns


def test_a_curve_that_is_undefined_on_all_days_is_left_out() -> None:
    sheet = instrument_sheet(50)
    without = replace(sheet, days=sheet.days.with_columns(benchmark=pl.lit(None, pl.Float64)))
    assert len(layers(time_charts.equity_charts(without)[0])) == len(layers(time_charts.equity_charts(sheet)[0])) - 1
    assert time_charts.rolling_charts(sheet, LIMITS) == []  # 50 days are no year


def test_thresholds_stand_in_rolling_and_fold_charts() -> None:
    sheet = instrument_sheet(400)
    for charts in (time_charts.rolling_charts(sheet, LIMITS), sheet_charts.fold_charts(sheet, LIMITS)):
        tips = [layer["mark"].get("tooltip") for chart in charts for layer in layers(chart)]
        assert {"threshold 0.52", "threshold 0.5"} <= set(tips)
    bare = [layer["mark"].get("tooltip") for chart in sheet_charts.fold_charts(sheet, {}) for layer in layers(chart)]
    assert not [tip for tip in bare if tip and tip.startswith("threshold")]


def test_a_fall_that_is_not_made_good_is_shaded_to_the_last_day() -> None:
    sheet = instrument_sheet(300)
    worst = sheet.drawdowns.head(1).with_columns(end=pl.lit(None, pl.Date))
    shaded = time_charts.drawdown_chart(replace(sheet, drawdowns=worst)).tables["worst"]
    assert shaded["until"].cast(pl.Datetime("ms")).cast(pl.Date).to_list() == [sheet.last]
    assert shaded["ended"].to_list() == ["not made good yet"]


def test_a_portfolio_without_contributions_shows_gains() -> None:
    chart = sheet_charts.contribution_chart(portfolio_sheet(50))
    assert layers(chart)[0]["encoding"]["x"]["field"] == "gain"


def test_each_score_group_is_a_curve() -> None:
    sheet = portfolio_sheet(60)
    table = time_charts.group_table(sheet)
    assert table.columns == ["date", *(f"group_{k}" for k in range(1, 6))]
    assert table["group_5"].to_list() == sheet.score_groups.filter(group=5)["equity"].to_list()


def test_every_chart_is_json_without_undefined_numbers() -> None:
    sheet = instrument_sheet(60, months=instrument_sheet(60).months.with_columns(net=pl.lit(float("nan"))))
    assert "NaN" not in figure(sheet_charts.month_chart(sheet))

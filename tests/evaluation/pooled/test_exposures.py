"""Exposures to styles, and years."""

import datetime as dt

import numpy as np
import polars as pl

from src.evaluation import metrics
from src.evaluation.pooled.exposures import DAILY_SCHEMA, by_year, style_exposure


def test_all_long_in_the_highest_and_all_short_in_the_lowest_is_an_exposure_of_one():
    style = np.array([[1.0, 2.0, 3.0, np.nan]] * 3, dtype=np.float32)
    weights = np.array([[-0.5, 0.0, 0.5, 0.0], [0.5, 0.0, -0.5, 0.0], [0.0, 0.0, 0.0, 0.0]], dtype=np.float32)
    assert style_exposure(weights, style, np.isfinite(style)).tolist() == [1.0, -1.0, 0.0]


def test_names_that_are_not_eligible_are_not_ranked():
    style = np.array([[1.0, 2.0, 3.0]], dtype=np.float32)
    eligible = np.array([[True, True, False]])
    assert style_exposure(np.array([[0.0, 1.0, 0.0]], dtype=np.float32), style, eligible).tolist() == [1.0]


def test_a_year_holds_the_days_whose_returns_are_booked_in_it():
    days = [dt.date(2020, 12, 30) + dt.timedelta(days=i) for i in range(6)]
    values = {name: np.linspace(0.001, 0.004, 6) for name, kind in DAILY_SCHEMA.items() if kind == pl.Float64}
    values["ic"] = [0.1, None, 0.3, 0.4, None, 0.6]
    daily = pl.DataFrame({"date": days, "stamp": days, **values, "names": [5] * 6}, schema=DAILY_SCHEMA)
    table = by_year(daily, 252.0)
    assert table["year"].to_list() == [2020, 2021]
    assert table["days"].to_list() == [2, 4]
    assert table["ic"].to_list() == [0.1, (0.3 + 0.4 + 0.6) / 3]
    assert table["sharpe"][1] == metrics.sharpe(daily["net"].to_numpy()[2:], 252.0)
    assert table["turnover"][1] == daily["turnover"][2:].sum()

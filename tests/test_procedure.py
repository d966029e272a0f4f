"""What a worker does with one instrument."""

import datetime as dt

import polars as pl

from src.procedure import bars_per_year


def test_daily_figures_are_annualised_by_the_classs_days() -> None:
    bars = pl.DataFrame({"date": [dt.date(2024, 1, 2), dt.date(2024, 1, 3)]})
    assert bars_per_year(bars, "stock") == 252.0
    assert bars_per_year(bars, "crypto") == 365.0


def test_hourly_figures_are_annualised_by_the_bars_of_a_usual_day() -> None:
    days = [dt.datetime(2024, 1, day) for day in (2, 3, 4)]
    hours = [day + dt.timedelta(hours=14 + k) for day in days for k in range(7 if day.day < 4 else 3)]
    assert bars_per_year(pl.DataFrame({"date": hours}), "stock") == 7 * 252.0

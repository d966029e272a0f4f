"""Whether names that were delisted are among a dataset's."""

import polars as pl
import pytest

from src.market.survivors import survivorship
from tests.reporting.pooled_case import hydrated


def test_a_class_in_which_no_name_ended_holds_survivors_only():
    found = survivorship(hydrated(), ["stock", "etf", "crypto"])
    assert set(found) == {"stock", "etf"}
    assert found["stock"].survivors_only and found["stock"].sentence() == (
        "Survivors only: 0 of 40 names of class stock ended before the last date. Names that were delisted are missing,"
        " which biases the result upwards."
    )


def test_the_rate_is_names_that_ended_over_the_years_of_all_names():
    found = survivorship(hydrated(ended=10), ["stock"])["stock"]
    years = [row[6].toordinal() - row[5].toordinal() + 1 for row in hydrated(ended=10).rows() if row[0] == "stock"]
    assert found.yearly == pytest.approx(10 / (sum(years) / 365.25))
    assert not found.survivors_only and "10 of 40 names of class stock ended" in found.sentence()


def test_a_few_names_that_ended_in_ten_years_are_too_few_to_be_all():
    assert survivorship(hydrated(ended=2), ["stock"])["stock"].survivors_only


def test_a_name_that_is_a_week_behind_has_not_ended():
    behind = hydrated().with_columns(
        last=pl.col("last") - pl.when(pl.col("symbol") == "S0").then(pl.duration(days=7)).otherwise(pl.duration(days=0))
    )
    assert survivorship(behind, ["stock"])["stock"].ended == 0
    assert survivorship(None, ["stock"]) == {}

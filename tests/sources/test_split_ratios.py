"""Splits written as ratios in a file."""

import polars as pl
import pytest

from src.sources.split_ratios import column_of_ratios


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("2:1", 2.0), ("3/2", 1.5), (" 7 : 1 ", 7.0), ("1:10", 0.1), ("1:10 reverse", 0.1), ("10:1 (reverse)", 0.1),
        ("reverse 10:1", 0.1), ("4-for-1", 4.0), ("1 for 25", 0.04), ("3 to 2", 1.5), ("2:1 split", 2.0),
        ("1.5:1", 1.5), ("1:10 reverse split", 0.1),
    ],
)  # fmt: skip
def test_a_ratio_is_new_shares_for_an_old_one(cell, value):
    got = pl.DataFrame({"s": [cell]}).select(column_of_ratios("s"))["s"][0]
    assert float(got) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("cell", ["2.0", "", "n/a", "2020-01-02", "1:0", "2:1:3", "x", None, "12/31/2020"])
def test_other_cells_stay_as_they_are(cell):
    assert pl.DataFrame({"s": [cell]}, schema={"s": pl.String}).select(column_of_ratios("s"))["s"][0] == cell

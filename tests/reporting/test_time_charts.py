import datetime as dt

import numpy as np
import polars as pl
import pytest

from src.reporting.schemas import equity_table, grades_table, matching_equity
from src.reporting.time_charts import equity_curve, equity_label, net_and_gross
from src.reporting.vega import figure
from tests.reporting.synthetic import equity, grades


def curve(values, always=None):
    stamps = [dt.date(2020, 1, 1) + dt.timedelta(days=k) for k in range(len(values))]
    held = always or [None] * len(values)
    return equity_table(
        pl.DataFrame({"record_id": ["a"] * len(values), "stamp": stamps, "equity": values, "always_long_equity": held})
    )


def test_an_equity_curve_names_its_dates_and_both_ends():
    label = equity_label(curve([1.0, 1.2, 1.5], [1.0, 0.9, 0.8]), "SPY")
    assert (
        label
        == "Net equity of SPY from 2020-01-01 to 2020-01-03: 1 became 1.50; always long with the same sizing, 0.80"
    )


def test_a_comparison_that_is_not_known_is_not_drawn():
    drawn = [layer["encoding"]["y"]["field"] for layer in equity_curve("a", curve([1.0, 2.0]), "X").spec["layer"][:-1]]
    assert drawn == ["equity"]
    both = equity_curve("a", curve([1.0, 2.0], [1.0, 1.1]), "X").spec["layer"][:-1]
    assert [layer["encoding"]["y"]["field"] for layer in both] == ["always_long", "equity"]


@pytest.mark.parametrize("values", [[1.0], [1.0, 1.0], [1.0, 0.0], [1e-9, 1e9], [1.0, float("nan")]])
def test_an_odd_equity_curve_is_still_written(values):
    assert "NaN" not in figure(equity_curve("a", curve(values), "X"))


def test_net_and_gross_compound_as_a_loop_does():
    daily = pl.DataFrame({"stamp": curve([1.0, 1.0])["stamp"], "net": [0.1, -0.5], "gross": [0.2, 0.0]})
    chart = net_and_gross("a", daily, "P")
    assert chart.tables["days"]["equity"].to_list() == [1.1, 0.55]
    assert chart.alternative.endswith("1 became 0.55 net of costs; 1.20 before costs")


def test_a_curve_of_another_strategy_is_not_shown():
    table = grades_table(grades(30, planted=10))
    drawn = equity_table(equity(table))
    falls = {}
    for (record,), part in drawn.group_by(["record_id"], maintain_order=True):
        values = np.concatenate([[1.0], part["equity"].to_numpy()])
        falls[record] = float((1 - values / np.maximum.accumulate(values)).max())
    kept = list(falls)[::2]
    graded = table.with_columns(
        max_drawdown=pl.col("record_id").replace_strict(
            {k: falls[k] for k in kept}, default=0.9, return_dtype=pl.Float64
        )
    )
    assert set(matching_equity(drawn, graded)["record_id"]) == set(kept)
    assert matching_equity(drawn.clear(), graded).is_empty()

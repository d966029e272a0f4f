"""Work done once for each run of equal rows gives what work on each row gives."""

import polars as pl
import pytest

from src.core.runs import Runs

TABLES = {
    "sorted": (["a", "a", "b"], ["X", "X", "X"]),
    "by date": (["a", "b", "a"], ["X", "Y", "X"]),
    "nulls": ([None, None, "a"], ["X", None, None]),
    "one row": (["a"], ["X"]),
    "empty": ([], []),
}


@pytest.mark.parametrize("name", TABLES)
def test_each_row_gets_what_its_run_has(name):
    columns = dict(zip(("kind", "symbol"), TABLES[name], strict=True))
    frame = pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String())).with_row_index("row")
    runs = Runs(frame, ["kind", "symbol"])
    both = pl.format("{}:{}", pl.col("kind").fill_null("?"), pl.col("symbol").fill_null("?"))
    assert runs.expanded(runs.heads.select(both=both)).equals(frame.select(both=both))


def test_a_sorted_table_has_one_run_for_each_instrument():
    frame = pl.DataFrame({"symbol": ["A"] * 1000 + ["B"] * 1000})
    assert Runs(frame, ["symbol"]).heads["symbol"].to_list() == ["A", "B"]

"""Tables of the run store, and what is read of them."""

import datetime as dt

import numpy as np
import polars as pl

from src.training.run_tables import OOS_SCHEMA, stored_predictions


def test_stored_predictions_are_the_lists_of_each_run_as_arrays_and_empty_where_there_are_none() -> None:
    days = [dt.datetime(2024, 1, 2), dt.datetime(2024, 1, 3)]
    lists = [days, days, [0, 1], [0.25, 0.75], [1.0, float("nan")], [0.01, -0.02]]
    runs = [{"record_id": "a.0", **dict(zip(OOS_SCHEMA, lists, strict=True))}, {"record_id": "b.1"}]
    found = dict(stored_predictions(pl.DataFrame(runs, schema={"record_id": pl.String, **OOS_SCHEMA})))
    assert [values.size for values in found["b.1"].values()] == [0] * len(OOS_SCHEMA)
    for name, values in zip(OOS_SCHEMA, lists, strict=True):
        np.testing.assert_array_equal(found["a.0"][name], np.array(values))
    assert found["a.0"]["oos_date"].dtype == "datetime64[us]"

"""Columns of the tables in the run store, and how new rows become such tables."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import polars as pl

from src.config.commands import command
from src.evaluation.assessment import SCHEMA as ASSESSED

RUN_SCHEMA: dict[str, Any] = {
    "record_id": pl.String,
    "run_key": pl.String,
    "attempt": pl.Int32,
    "session_key": pl.String,
    "strategy_key": pl.String,
    "asset_class": pl.String,
    "symbol": pl.String,
    "family": pl.String,
    "params": pl.String,
    "features": pl.String,
    "parts": pl.String,
    "library_version": pl.String,
    "git_commit": pl.String,
    "n_train": pl.Int64,
    "n_folds": pl.Int32,
    "fit_seconds": pl.Float64,
    "created_at": pl.Datetime("us", "UTC"),
    "planted": pl.Boolean,
    "tuning_trials": pl.Int64,  # trials among which its hyperparameters were chosen, as known when it was trained
}
OOS_SCHEMA: dict[str, Any] = {
    "oos_date": pl.List(pl.Datetime("us")),
    "oos_stamp": pl.List(pl.Datetime("us")),
    "oos_fold": pl.List(pl.Int32),
    "oos_probability": pl.List(pl.Float64),
    "oos_label": pl.List(pl.Float64),
    "oos_bar_return": pl.List(pl.Float64),
}
IMPORTANCE: dict[str, Any] = {"importance": pl.List(pl.Float32)}
"""Mean over the folds' models of each feature's share of the gain, in the order of the run's `features`."""
CURVE_SCHEMA: dict[str, Any] = {
    "stamp": pl.List(pl.Datetime("us")),
    "net": pl.List(pl.Float64),
    "equity": pl.List(pl.Float64),
    "always_long": pl.List(pl.Float64),
}
GRADE_SCHEMA: dict[str, Any] = {
    **{name: pl.String for name in ("record_id", "run_key", "session_key", "strategy_key", "grade_key", "graded_by")},
    "asset_class": pl.String,
    "symbol": pl.String,
    "family": pl.String,
    "planted": pl.Boolean,
    "fit_seconds": pl.Float64,
    "tuning_trials": pl.Int64,  # the largest number known to any session that used the run
    "model_sha256": pl.String,  # of the native model as it was stored; null where there is none
    **ASSESSED,
    **CURVE_SCHEMA,
}


def run_table(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Make a table of new runs, as a shard of the run store holds it.

    Parameters
    ----------
    rows : list of dict
        Identity, figures and out-of-sample columns of each run; nested values become JSON.

    Returns
    -------
    DataFrame
        Columns of `RUN_SCHEMA`, `IMPORTANCE` and `OOS_SCHEMA`.
    """
    table: dict[str, pl.Series] = {}
    for name, dtype in RUN_SCHEMA.items():
        values = [row[name] for row in rows]
        table[name] = pl.Series(name, [_json(value) for value in values], dtype=dtype)
    for name, dtype in (IMPORTANCE | OOS_SCHEMA).items():
        table[name] = pl.Series(name, [pl.Series(row[name]) for row in rows]).cast(dtype)
    return pl.DataFrame(table)


def stored_predictions(rows: pl.DataFrame) -> Iterator[tuple[str, dict[str, Any]]]:
    """Take the predictions of stored runs as arrays: as lists, they cost as much as their grade.

    Parameters
    ----------
    rows : DataFrame
        What `RunStore.predictions` returns.

    Yields
    ------
    (str, dict)
        Record id, and the columns of `OOS_SCHEMA` as arrays; empty ones where a run has none.
    """
    columns = [[values.to_numpy() for values in rows[name].fill_null([])] for name in OOS_SCHEMA]
    for record_id, *arrays in zip(rows["record_id"], *columns, strict=True):
        yield record_id, dict(zip(OOS_SCHEMA, arrays, strict=True))


def grade_table(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Make a table of grades, as `RunStore.write_grades` stores it.

    Parameters
    ----------
    rows : list of dict
        One a run; what a row lacks is null.

    Returns
    -------
    DataFrame
        Columns of `GRADE_SCHEMA`. A figure that is undefined is null, never NaN.
    """
    columns = [pl.Series(name, [row.get(name) for row in rows], dtype=dtype) for name, dtype in GRADE_SCHEMA.items()]
    return pl.DataFrame(columns).with_columns(pl.selectors.float().fill_nan(None))


def _json(value: Any) -> Any:
    return json.dumps(value, sort_keys=True) if isinstance(value, dict | list) else value


def remedy() -> str:
    """Say what to do about a file of the run store that can't be read."""
    return f"move it away and run `{command('train')}`, which makes what is missing"

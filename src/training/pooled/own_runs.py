"""Stored predictions of single instruments' models, beside which pooled scores are graded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from src.evaluation.pooled.by_instrument import OwnRun, by_instrument
from src.evaluation.pooled.graded_days import PooledRun
from src.storage import atomic
from src.training.run_store import RunStore
from src.training.run_tables import remedy

if TYPE_CHECKING:
    from src.config.paths import DatasetPaths
    from src.config.schema import GradeConfig, StrategyConfig

_IDENTITY = ("asset_class", "symbol", "family", "record_id")


def beside_own_models(
    run: PooledRun, paths: DatasetPaths, strategy: StrategyConfig, gate: GradeConfig, delisting_return: float
) -> pl.DataFrame:
    """Grade pooled scores on each instrument, beside the models of ``scope=instrument`` that were graded last.

    Parameters
    ----------
    run : PooledRun
    paths : DatasetPaths
        Of the dataset; without grades of the instrument scope, every instrument has pooled figures alone.
    strategy : StrategyConfig
    gate : GradeConfig
    delisting_return : float

    Returns
    -------
    DataFrame
        As `src.evaluation.pooled.by_instrument.by_instrument` makes it, for the class of the run.
    """
    grades = pl.DataFrame(schema=dict.fromkeys(_IDENTITY, pl.String))
    if paths.grades.exists():
        with atomic.read_errors(paths.grades, remedy()):
            grades = pl.read_parquet(paths.grades, columns=list(_IDENTITY), glob=False)
    own = own_runs(RunStore(paths.runs), grades, run.section.asset_class)
    return by_instrument(run, own, strategy, gate, delisting_return)


def own_runs(store: RunStore, grades: pl.DataFrame, asset_class: str) -> Iterator[tuple[str, list[OwnRun]]]:
    """Read the out-of-sample predictions of an asset class, one bucket of instruments at a time.

    Parameters
    ----------
    store : RunStore
        Runs of ``scope=instrument``.
    grades : DataFrame
        Its grades: asset_class, symbol, family, record_id. Their runs are read, and no others.
    asset_class : str

    Yields
    ------
    (symbol, list of OwnRun)
        Each symbol once, with its runs by family. A run whose predictions are gone is left out.
    """
    wanted = grades.filter(pl.col("asset_class") == asset_class).select("record_id", "symbol", "family")
    wanted = wanted.unique("record_id", keep="first", maintain_order=True)
    parts = store.runs(("parts",), wanted["record_id"]).select("record_id", "parts")
    wanted = wanted.join(parts, on="record_id")
    for bucket in store.buckets() if wanted.height else ():
        rows = store.predictions(bucket, wanted["record_id"]).join(wanted, on="record_id").sort("symbol", "family")
        for (symbol,), own in rows.group_by("symbol", maintain_order=True):
            yield str(symbol), [_run(row) for row in own.iter_slices(1)]


def _run(row: pl.DataFrame) -> OwnRun:
    """Predictions of one run, from its row."""
    label = (json.loads(row.item(0, "parts")) or {}).get("label") or {}
    lists = {name: row[f"oos_{name}"].explode() for name in ("date", "probability", "label")}
    return OwnRun(
        family=row.item(0, "family"),
        horizon=int(label.get("horizon", 1)),
        dates=lists["date"].to_numpy().astype("datetime64[D]"),
        probability=lists["probability"].to_numpy(),
        label=lists["label"].cast(pl.Float64).fill_null(np.nan).to_numpy(),
    )

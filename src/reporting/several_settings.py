"""Probability of backtest overfitting on instruments that were tried with several settings, from stored predictions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from src.config.schema import StrategyConfig
from src.core.arrays import FloatArray
from src.core.code_hash import code_digest
from src.core.hashing import json_digest
from src.core.instruments import KEY
from src.evaluation.overfitting import backtest_overfitting
from src.evaluation.strategy import directions, exposures
from src.reporting.kept import kept
from src.reporting.report_data import Overfitting
from src.training.run_key import settings_key
from src.training.run_store import RunStore

INSTRUMENTS = 200
"""Instruments after which no further bucket is read: buckets hold instruments by hash, so the first are a sample."""


def overfitting(store: RunStore, strategy: StrategyConfig, horizon: int, cache: Path) -> Overfitting | None:
    """Compare the settings that were tried on each instrument, on the days that all of them predicted.

    Families, labels, seeds and other settings count, from all sessions; of runs that differ in their bars alone the
    latest. Returns are those of the directions, before sizing and costs.

    Parameters
    ----------
    store : RunStore
    strategy : StrategyConfig
        Turns probabilities into directions.
    horizon : int
        Bars over which directions are averaged.
    cache : Path
        Folder that keeps what was computed from the same runs.

    Returns
    -------
    Overfitting or None
        None where no instrument was tried with several settings.
    """
    runs = store.runs((*KEY, "created_at")).filter(~pl.col("superseded"))
    several = runs.filter(pl.len().over(KEY) > 1).sort(*KEY, "created_at", "record_id")
    ids = json_digest(several["record_id"].to_list())
    made_from = [ids, vars(strategy), horizon, code_digest(_probabilities), code_digest(backtest_overfitting)]
    table = kept(cache, "overfitting", made_from, lambda: _probabilities(store, several, strategy, horizon))
    if table.is_empty():
        return None
    values, settings = table["probability"].to_numpy(), table["settings"].to_numpy()
    total = several.select(KEY).n_unique()
    return Overfitting(float(np.median(values)), float(values.mean()), table.height, total, float(np.median(settings)))


def _probabilities(store: RunStore, several: pl.DataFrame, strategy: StrategyConfig, horizon: int) -> pl.DataFrame:
    """Probability and number of settings, for each instrument of the first buckets."""
    found: list[tuple[float, int]] = []
    for bucket in store.buckets() if several.height else ():
        predicted = store.predictions(bucket, several["record_id"].to_list())
        known = store.runs(("parts",), predicted["record_id"].to_list())
        rows = several.join(predicted, on="record_id").join(known.select("record_id", "parts"), on="record_id")
        for _, own in rows.group_by(KEY, maintain_order=True):
            latest = {settings_key(json.loads(row["parts"])): row for row in own.iter_rows(named=True)}
            value = backtest_overfitting(_returns(list(latest.values()), strategy, horizon))
            found += [] if value is None else [(value, len(latest))]
        if len(found) >= INSTRUMENTS:
            break
    return pl.DataFrame(found, schema={"probability": pl.Float64, "settings": pl.Int64}, orient="row")


def _returns(runs: Sequence[dict[str, Any]], strategy: StrategyConfig, horizon: int) -> FloatArray:
    """Returns of each run on the days that all have, shape (days, runs)."""
    dates = [np.array(run["oos_date"], dtype="datetime64[us]") for run in runs]
    common = reduce(np.intersect1d, dates)
    columns = []
    for run, own in zip(runs, dates, strict=True):
        earned = exposures(directions(np.array(run["oos_probability"]), strategy), horizon) * run["oos_bar_return"]
        columns.append(np.nan_to_num(earned)[np.isin(own, common)])
    return np.column_stack(columns)

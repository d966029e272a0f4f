"""The out-of-sample record that each champion was graded on: the returns and predictions that training stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from src.core.arrays import DateArray, FloatArray
from src.core.instruments import POOLED
from src.market.bars import BARS_PER_YEAR
from src.monitoring.bands import DailyRecord
from src.monitoring.recorded import ChampionRun, out_of_sample
from src.storage import atomic
from src.training.run_store import RunStore
from src.training.run_tables import remedy

if TYPE_CHECKING:
    from src.config.paths import DatasetPaths


@dataclass(frozen=True)
class OosRecord:
    """The record of one run.

    Attributes
    ----------
    dates : datetime64, shape (n,)
        Of the decisions, ascending.
    daily : DailyRecord
    """

    dates: DateArray
    daily: DailyRecord


def oos_records(
    paths: DatasetPaths, runs: Mapping[str, ChampionRun], strategy_keys: Mapping[str, str]
) -> dict[str, OosRecord]:
    """Read the records of champions' runs.

    Parameters
    ----------
    paths : DatasetPaths
    runs : mapping
        By record id.
    strategy_keys : mapping
        Of the strategy that each was graded by, where it is known; else any strategy's returns are taken.

    Returns
    -------
    dict
        By record id; a run whose returns are not stored is left out. Costs are those of pooled runs, and zero of
        others, whose costs are not stored.
    """
    single = [record_id for record_id, run in runs.items() if run.key[0] != POOLED]
    pooled = [record_id for record_id, run in runs.items() if run.key[0] == POOLED]
    found = _single(paths, runs, single, strategy_keys)
    for record_id in pooled:
        record = _portfolio(paths.portfolios / record_id / "daily.parquet", runs[record_id].asset_class)
        if record is not None:
            found[record_id] = record
    return found


def _single(
    paths: DatasetPaths, runs: Mapping[str, ChampionRun], ids: list[str], strategy_keys: Mapping[str, str]
) -> dict[str, OosRecord]:
    if not ids:
        return {}
    curves: dict[str, dict[str, Any]] = {}
    for row in _curves(RunStore(paths.runs), ids).iter_rows(named=True):
        if strategy_keys.get(row["record_id"], row["strategy_key"]) == row["strategy_key"]:
            curves.setdefault(row["record_id"], row)
    predicted = out_of_sample(paths, "instrument", curves)
    found = {}
    for row in predicted.iter_rows(named=True):
        net = np.asarray(curves[row["record_id"]]["net"], dtype=np.float64)
        label, score = _numbers(row["oos_label"]), _numbers(row["oos_probability"])
        if net.size == label.size and np.isfinite(net).all() and np.isfinite(score).all():
            year = float(BARS_PER_YEAR[runs[row["record_id"]].asset_class])
            dates = np.asarray(row["oos_date"], dtype="datetime64[us]")
            found[row["record_id"]] = OosRecord(dates, DailyRecord(net, np.zeros(net.size), year, label, score))
    return found


def _curves(store: RunStore, record_ids: list[str]) -> pl.DataFrame:
    """Net returns of passing runs, whichever session graded them: record_id, strategy_key, net (a list)."""
    schema: dict[str, Any] = {"record_id": pl.String, "strategy_key": pl.String, "net": pl.List(pl.Float64)}
    wanted = pl.col("record_id").is_in(record_ids) & pl.col("net").is_not_null()
    parts = [pl.DataFrame(schema=schema)]
    for path in sorted(store.root.glob("b*-*.grades.parquet")):
        with atomic.read_errors(path, remedy()):
            parts.append(pl.scan_parquet(path, glob=False).select(list(schema)).filter(wanted).collect())
    rows = pl.concat(parts, how="vertical_relaxed")
    return rows.unique(["record_id", "strategy_key"], keep="first", maintain_order=True)


def _portfolio(path: Path, asset_class: str) -> OosRecord | None:
    if not path.is_file():
        return None
    with atomic.read_errors(path, remedy()):
        daily = pl.read_parquet(path, columns=["date", "cost", "borrow", "net"], glob=False)
    cost = (daily["cost"] + daily["borrow"]).to_numpy()
    dates = daily["date"].cast(pl.Datetime("us")).to_numpy()
    return OosRecord(dates, DailyRecord(daily["net"].to_numpy(), cost, float(BARS_PER_YEAR[asset_class])))


def _numbers(values: list[float | None]) -> FloatArray:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)

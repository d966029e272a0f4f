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
from src.signals.recorded_runs import ChampionRun, out_of_sample
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
    keys = pl.DataFrame(list(strategy_keys.items()), schema={"record_id": pl.String, "_key": pl.String}, orient="row")
    curves = _curves(RunStore(paths.runs), ids).join(keys, on="record_id", how="left")
    chosen = curves.filter(pl.col("_key").is_null() | (pl.col("_key") == pl.col("strategy_key")))
    chosen = chosen.unique("record_id", keep="first", maintain_order=True)
    joined = out_of_sample(paths, "instrument", chosen["record_id"].to_list()).join(chosen, on="record_id")
    size = pl.col("net").list.len()
    joined = joined.filter(size == pl.col("oos_probability").list.len(), size > 0).with_columns(size.alias("_size"))
    columns = {name: _exploded(joined, name) for name in ("net", "oos_label", "oos_probability")}
    dates = joined["oos_date"].explode().to_numpy()
    sizes = joined["_size"].to_list()
    none, found, start = np.zeros(max(sizes, default=0)), {}, 0
    for record_id, rows in zip(joined["record_id"], sizes, strict=True):
        part = slice(start, start + rows)
        start += rows
        net, label, score = (columns[name][part] for name in columns)
        if np.isfinite(net).all() and np.isfinite(score).all():
            year = float(BARS_PER_YEAR[runs[record_id].asset_class])
            found[record_id] = OosRecord(dates[part], DailyRecord(net, none[:rows], year, label, score))
    return found


def _exploded(table: pl.DataFrame, column: str) -> FloatArray:
    return table[column].explode().cast(pl.Float64).fill_null(np.nan).to_numpy()


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

"""What to expect of each champion: its out-of-sample figures, shrunk by those of all runs that were graded with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from src.config.commands import command
from src.core.arrays import FloatArray
from src.core.instruments import POOLED
from src.market.bars import BARS_PER_YEAR
from src.monitoring.shrinkage import auc_error, sharpe_error, shrunk
from src.signals.recorded_runs import ChampionRun
from src.storage import atomic

if TYPE_CHECKING:
    from src.config.paths import DatasetPaths

_FIGURES: dict[str, Any] = {
    "record_id": pl.String, "asset_class": pl.String, "auc": pl.Float64, "sharpe": pl.Float64, "n_oos": pl.Int64,
    "majority_accuracy": pl.Float64,
}  # fmt: skip


@dataclass(frozen=True)
class Expectation:
    """What the tests take for the truth of a champion.

    Attributes
    ----------
    sharpe, sharpe_error : float
        Shrunk Sharpe ratio a year, and its posterior standard deviation.
    auc, auc_error : float or None
        The same of the AUC; None of a pooled champion, whose instrument-days are not independent.
    """

    sharpe: float
    sharpe_error: float
    auc: float | None
    auc_error: float | None


def expectations(
    paths: DatasetPaths, runs: Mapping[str, ChampionRun], grades: Mapping[str, Mapping[str, Any]]
) -> dict[str, Expectation]:
    """Shrink the figures of champions' runs.

    Parameters
    ----------
    paths : DatasetPaths
    runs : mapping
        Champions' runs by record id.
    grades : mapping
        Their own figures by record id, for those that the grades table does not have any more: auc, sharpe, n_oos.

    Returns
    -------
    dict
        By record id; a run without a Sharpe ratio is left out. Runs of the two scopes are shrunk apart.
    """
    found: dict[str, Expectation] = {}
    for path, is_pooled in ((paths.grades, False), (paths.portfolio_grades, True)):
        ids = [record_id for record_id, run in runs.items() if (run.key[0] == POOLED) == is_pooled]
        if ids:
            table = _with_missing(_graded(path), {each: grades.get(each, {}) for each in ids}, runs)
            horizon = max(runs[each].label.horizon for each in ids)
            found |= _shrunk(table, horizon, runs, is_pooled=is_pooled)
    return found


def _graded(path: Path) -> pl.DataFrame:
    if not path.is_file():
        return pl.DataFrame(schema=_FIGURES)
    with atomic.read_errors(path, f"run `{command('train')}`, which writes it"):
        table = pl.scan_parquet(path, glob=False)
        names = [name for name in _FIGURES if name in table.collect_schema().names()]
        return pl.concat([pl.DataFrame(schema=_FIGURES), table.select(names).collect()], how="diagonal_relaxed")


def _with_missing(
    table: pl.DataFrame, own: Mapping[str, Mapping[str, Any]], runs: Mapping[str, ChampionRun]
) -> pl.DataFrame:
    known = set(table["record_id"])
    rows = [
        {"record_id": record_id, "asset_class": runs[record_id].asset_class}
        | {name: figures.get(name) for name in ("auc", "sharpe", "n_oos", "majority_accuracy")}
        for record_id, figures in own.items()
        if record_id not in known and figures.get("sharpe") is not None
    ]
    return pl.concat([table, pl.DataFrame(rows, schema=_FIGURES)]) if rows else table


def _shrunk(
    table: pl.DataFrame, horizon: int, runs: Mapping[str, ChampionRun], *, is_pooled: bool
) -> dict[str, Expectation]:
    ratio, area = _numbers(table, "sharpe"), _numbers(table, "auc")
    bars, share = _numbers(table, "n_oos"), np.nan_to_num(_numbers(table, "majority_accuracy"), nan=0.5)
    classes = [
        runs[record_id].asset_class if record_id in runs else asset_class
        for record_id, asset_class in table.select("record_id", "asset_class").iter_rows()
    ]
    year = np.array([float(BARS_PER_YEAR.get(each, BARS_PER_YEAR["stock"])) for each in classes])
    ratios = shrunk(ratio, sharpe_error(ratio, bars, year), unskilled=0.0)
    areas = shrunk(area, auc_error(share * bars, (1.0 - share) * bars, horizon), unskilled=0.5)
    found = {}
    for row, record_id in enumerate(table["record_id"]):
        if record_id in runs and np.isfinite(ratios.mean[row]):
            has_area = not is_pooled and bool(np.isfinite(areas.mean[row]))
            found[record_id] = Expectation(
                float(ratios.mean[row]),
                float(ratios.spread[row]),
                float(areas.mean[row]) if has_area else None,
                float(areas.spread[row]) if has_area else None,
            )
    return found


def _numbers(table: pl.DataFrame, column: str) -> FloatArray:
    return table[column].cast(pl.Float64).fill_null(np.nan).to_numpy()

"""Read what the pooled scope stored: grades, returns of each day, figures by year and horizon, and by instrument."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from src.config.paths import DatasetPaths
from src.core.dotted import dotted
from src.market.survivors import survivorship
from src.reporting.pooled_results import GradedPortfolio, PooledResults
from src.reporting.schemas import daily_table, pooled_grades_table
from src.storage import atomic


def read_pooled(
    paths: DatasetPaths, states: Mapping[str, pl.DataFrame], *, simulated: bool = False
) -> PooledResults | None:
    """Read the pooled scope's last session.

    Parameters
    ----------
    paths : DatasetPaths
        Of the dataset.
    states : mapping of str to DataFrame
        The states table of each stage; that of hydrate says which instruments ended.
    simulated : bool
        Whether the bars are simulated, so that no delisted name is missing.

    Returns
    -------
    PooledResults or None
        None if no pooled model was trained.

    Raises
    ------
    StageError
        If a file can't be read.
    """
    if not paths.portfolio_grades.exists():
        return None
    grades = pooled_grades_table(_read(paths.portfolio_grades))
    several = Counter(grades["symbol"].to_list())
    portfolios = tuple(_portfolio(paths, row, several[row["symbol"]] > 1) for row in grades.iter_rows(named=True))
    classes = dict.fromkeys(each.asset_class for each in portfolios)
    by_instrument = paths.portfolios / "by_instrument.parquet"
    return PooledResults(
        portfolios,
        _read(by_instrument) if by_instrument.exists() else pl.DataFrame(),
        {} if simulated else survivorship(states.get("hydrate"), classes),
        session_settings(paths.portfolios, grades),
    )


def session_settings(folder: Path, grades: pl.DataFrame) -> dict[str, object]:
    """Read the configuration of the session that graded the portfolios.

    Parameters
    ----------
    folder : Path
        ``data/portfolios/<dataset>``.
    grades : DataFrame
        With graded_by.

    Returns
    -------
    dict
        Values by dotted key; empty where the session's description is not stored.
    """
    keys = grades["graded_by"].drop_nulls().unique().sort().to_list()
    described = [folder / f"session-{key[:8]}.json" for key in keys]
    written = [atomic.read_json(path).get("config_yaml") or "" for path in described if path.is_file()]
    content = yaml.safe_load(written[-1]) if written else {}
    return dotted(content) if isinstance(content, dict) else {}


def _portfolio(paths: DatasetPaths, row: dict[str, Any], several: bool) -> GradedPortfolio:
    from src.reporting.tear_sheets.pooled_curves import information, score_groups

    folder = paths.portfolios / row["record_id"]
    by_year, decay = (_optional(folder / f"{name}.parquet") for name in ("by_year", "decay"))
    title = f"{row['symbol']} {row['family']}" if several else row["symbol"]
    daily, groups = _optional(folder / "daily.parquet"), pl.DataFrame()
    if row["first_oos"] is not None and row["last_oos"] is not None:
        groups = score_groups(paths, row["record_id"], row["first_oos"], row["last_oos"])
    return GradedPortfolio(row, title, daily_table(daily), by_year, decay, daily, information(daily), groups)


def _optional(path: Path) -> pl.DataFrame:
    return _read(path) if path.exists() else pl.DataFrame()


def _read(path: Path) -> pl.DataFrame:
    with atomic.read_errors(path, "make it again"):
        return pl.read_parquet(path, glob=False)

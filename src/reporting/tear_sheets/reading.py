"""Read the sheets of passing runs, champions and portfolios from what training stored."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from src.config.paths import DatasetPaths
from src.reporting.tear_sheets.sheet import TearSheet


def runs_with_sheets(paths: DatasetPaths) -> pl.DataFrame:
    """Give the runs that have a sheet: those that pass, those whose version is champion, and every portfolio.

    Parameters
    ----------
    paths : DatasetPaths

    Returns
    -------
    DataFrame
        record_id, asset_class, symbol, family, mlflow_run_id, passed, champion, ``sheet`` (file name, see
        `sheet_name`), ``digest`` (of everything that the sheet shows, without computing it).
    """
    raise NotImplementedError


def read_sheets(paths: DatasetPaths, record_ids: list[str]) -> Iterator[TearSheet]:
    """Read and compute the sheets of some runs.

    Parameters
    ----------
    paths : DatasetPaths
    record_ids : list of str
        Of `runs_with_sheets`.

    Yields
    ------
    TearSheet
        In any order. A run whose grade its predictions do not give is left out with a warning that names it.
    """
    raise NotImplementedError


def sheet_name(registered_name: str, family: str) -> str:
    """Name of a sheet's file in ``reports/<dataset>/sheets``, such as ``stock.AAPL.lightgbm.html``.

    Parameters
    ----------
    registered_name, family : str

    Returns
    -------
    str
        One that every file system holds: no two runs share one, also where letter case is ignored.
    """
    raise NotImplementedError


def write_data_files(sheet: TearSheet, folder: Path) -> None:
    """Write the tables of a sheet as CSV and Parquet: days, folds, importances, predictions.

    Parameters
    ----------
    sheet : TearSheet
    folder : Path
    """
    raise NotImplementedError

"""Write the sheets of a dataset: those whose inputs changed alone."""

from __future__ import annotations

from pathlib import Path

from src.config.paths import DatasetPaths
from src.reporting.tear_sheets.sheet import TearSheet


def write_sheets(paths: DatasetPaths) -> int:
    """Write ``reports/<dataset>/sheets/*.html`` and remove those of runs that have none any more.

    Parameters
    ----------
    paths : DatasetPaths

    Returns
    -------
    int
        How many sheets there are.
    """
    raise NotImplementedError


def standalone(sheet: TearSheet) -> str:
    """Give a sheet as one HTML file with everything in it, as MLflow shows it among a run's artifacts.

    Parameters
    ----------
    sheet : TearSheet
    """
    raise NotImplementedError


def sheet_file(paths: DatasetPaths, record_id: str) -> Path:
    """Give the file of a run's sheet, whether it exists or not.

    Parameters
    ----------
    paths : DatasetPaths
    record_id : str
    """
    raise NotImplementedError

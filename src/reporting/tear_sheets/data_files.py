"""Tables of a sheet as files: small ones as CSV, which people open, long ones as Parquet, which programs read."""

from __future__ import annotations

import io
from functools import partial
from pathlib import Path

import polars as pl

from src.reporting.tear_sheets.sheet import TearSheet
from src.storage import atomic


def data_files(sheet: TearSheet) -> dict[str, bytes]:
    """Give the tables of a sheet as content of files.

    Parameters
    ----------
    sheet : TearSheet

    Returns
    -------
    dict of str to bytes
        By name: days.csv and days.parquet (with equity and drawdown), folds.csv, importances.csv, trades.csv and, of
        one instrument, predictions.parquet. The same sheet gives the same bytes.
    """
    tables = {
        "days": sheet.days,
        "folds": sheet.folds,
        "importances": sheet.contributions,
        "trades": sheet.trades,
    }
    files = {f"{name}.csv": table.write_csv(line_terminator="\n").encode("utf-8") for name, table in tables.items()}
    long = {"days": sheet.days, "predictions": sheet.predictions}
    return files | {f"{name}.parquet": _parquet(table) for name, table in long.items() if table.width}


def write_data_files(sheet: TearSheet, folder: Path) -> None:
    """Write the tables of a sheet, see `data_files`.

    Parameters
    ----------
    sheet : TearSheet
    folder : Path
        Created where it is missing.
    """
    for name, content in data_files(sheet).items():
        atomic.write_atomic(folder / name, partial(_put, content))


def _put(content: bytes, path: Path) -> None:
    path.write_bytes(content)


def _parquet(table: pl.DataFrame) -> bytes:
    stream = io.BytesIO()
    table.write_parquet(stream)
    return stream.getvalue()

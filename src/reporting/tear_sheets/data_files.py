"""Tables of a sheet as files: small ones as CSV, which people open, long ones as Parquet, which programs read."""

from __future__ import annotations

import io

import polars as pl

from src.reporting.tear_sheets.sheet import TearSheet


def data_files(sheet: TearSheet) -> dict[str, bytes]:
    """Give the tables of a sheet as content of files.

    Parameters
    ----------
    sheet : TearSheet

    Returns
    -------
    dict of str to bytes
        By name: equity.csv (with drawdown, to eight decimals), folds.csv, importances.csv, trades.csv, days.parquet
        (all columns, exact) and, of one instrument, predictions.parquet. The same sheet gives the same bytes.
    """
    tables = {
        "equity": sheet.days.select("date", pl.col("net", "equity", "drawdown").round(8)),
        "folds": sheet.folds,
        "importances": sheet.contributions,
        "trades": sheet.trades,
    }
    files = {f"{name}.csv": table.write_csv(line_terminator="\n").encode("utf-8") for name, table in tables.items()}
    long = {"days": sheet.days, "predictions": sheet.predictions}
    return files | {f"{name}.parquet": _parquet(table) for name, table in long.items() if table.width}


def _parquet(table: pl.DataFrame) -> bytes:
    stream = io.BytesIO()
    table.write_parquet(stream)
    return stream.getvalue()

"""Numbers of a file of bars: the cells of a column as float64."""

from __future__ import annotations

from typing import Any

import polars as pl


def number_column(name: str, kinds: Any) -> pl.Expr:
    """Build the expression for a column of numbers.

    Parameters
    ----------
    name : str
        The file's name of the column.
    kinds : Schema
        Data types of the file's columns.

    Returns
    -------
    Expr
        float64; null for cells that can't be read.
    """
    column = pl.col(name)
    column = column.str.strip_chars() if kinds[name] == pl.String else column
    return column.cast(pl.Float64, strict=False)

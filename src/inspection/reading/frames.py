"""The kind of frame that a caller wants: Polars, or pandas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from src.core.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

Polars = Literal["polars"]
Pandas = Literal["pandas"]
Frame = Literal["polars", "pandas"]


def as_frame(table: pl.DataFrame, frame: Frame) -> pl.DataFrame | pd.DataFrame:
    """Give a table as the kind of frame that is wanted.

    Parameters
    ----------
    table : DataFrame
    frame : {'polars', 'pandas'}

    Returns
    -------
    polars.DataFrame or pandas.DataFrame
        With the same columns and rows.

    Raises
    ------
    ConfigError
        For any other kind.
    """
    if frame == "polars":
        return table
    if frame == "pandas":
        return table.to_pandas()
    raise ConfigError(f"frame must be polars or pandas, got {frame!r}")

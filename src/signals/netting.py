"""One netted book from the lines of all champions, within the caps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

    from src.config.schema import BookConfig
    from src.core.instruments import Key


def netted(lines: pl.DataFrame, before: Mapping[Key, float], choice: BookConfig) -> pl.DataFrame:
    """Net the lines of one day.

    Parameters
    ----------
    lines : DataFrame
        Columns of `src.signals.tables.LINES`, of one book_date. Refused lines take their champion's share into cash.
    before : mapping
        Weight of each instrument in the book before.
    choice : BookConfig

    Returns
    -------
    DataFrame
        Columns of `src.signals.tables.BOOK`: one row an instrument with a weight, now or before. What the weights leave
        of 1 is cash.
    """
    raise NotImplementedError

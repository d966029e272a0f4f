"""Columns that are the same over long runs of rows, such as the symbol of a table, worked out once for each run."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl


class Runs:
    """Runs of neighbouring rows that are equal in some columns.

    Parameters
    ----------
    frame : DataFrame
        Rows in any order; a table that is sorted by instrument has few runs.
    names : sequence of str
        Its columns that are compared, at least one; a null equals a null.
    """

    def __init__(self, frame: pl.DataFrame, names: Sequence[str]) -> None:
        changes = [pl.col(name).ne_missing(pl.col(name).shift(1)) for name in names]
        begins = pl.any_horizontal(*changes) | (pl.int_range(pl.len()) == 0)
        marked = frame.select(begins.alias("begins")).with_columns(run=pl.col("begins").cum_sum() - 1)
        self.heads = frame.select(names).filter(marked["begins"])
        self._run = marked["run"]

    def expanded(self, table: pl.DataFrame) -> pl.DataFrame:
        """Give each row what its run has.

        Parameters
        ----------
        table : DataFrame
            One row for each of `heads`, in their order.

        Returns
        -------
        DataFrame
            One row for each row of the frame.
        """
        return table[self._run]

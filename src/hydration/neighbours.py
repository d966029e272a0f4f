"""Values of an instrument's earlier bars, of rows sorted by g (instrument) and date.

The rows of an instrument lie together, so a comparison with the row before tells where it begins. No grouping is
needed, which makes these several times as fast as ``over("g")``.
"""

from __future__ import annotations

import polars as pl


def previous(name: str) -> pl.Expr:
    """Value of the instrument's bar before; null at its first bar."""
    return pl.when(pl.col("g") == pl.col("g").shift(1)).then(pl.col(name).shift(1))


def last_known(value: pl.Expr) -> pl.Expr:
    """Value of the instrument's bar, or of its last bar before that has one."""
    known = pl.when(value.is_not_null()).then("g").forward_fill()
    return pl.when(known == pl.col("g")).then(value.forward_fill())


def position() -> pl.Expr:
    """Number of the instrument's bars before."""
    row = pl.int_range(pl.len())
    return row - pl.when(pl.col("g").ne_missing(pl.col("g").shift(1))).then(row).forward_fill()


def so_far(holds: pl.Expr) -> pl.Expr:
    """Whether a condition, which is never null, holds for the instrument's bar and for all before."""
    return (pl.when(~holds).then("g").forward_fill() != pl.col("g")).fill_null(True)


def before_another(holds: pl.Expr) -> pl.Expr:
    """Whether a condition holds for a later bar of the instrument."""
    return (pl.when(holds).then("g").backward_fill().shift(-1) == pl.col("g")).fill_null(False)

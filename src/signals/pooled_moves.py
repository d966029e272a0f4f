"""Which features moved a pooled champion's scores most."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from src.core.arrays import Bytes, FloatArray, IntArray
from src.models.registry import explained_family, pooled_family
from src.signals.decided import strongest

if TYPE_CHECKING:
    from src.signals.pooled_model import PooledModel

EXPLAINED = 50
"""Positions of a book that are explained, the largest first: TreeSHAP takes a thousand times as long as a score."""


def moved_by(lines: pl.DataFrame, model: PooledModel, symbols: pl.Series, ranks: Bytes) -> pl.DataFrame:
    """Name the three features that moved the score of the largest positions most.

    Parameters
    ----------
    lines : DataFrame
        symbol and position, one row an instrument.
    model : PooledModel
    symbols : Series, shape (names,)
        Names that were ranked on the day.
    ranks : uint8, shape (names, columns)

    Returns
    -------
    DataFrame
        The lines with ``moved_by``, such as ``rsi_14 +0.31; gap_1 -0.12; amihud_ratio_21 +0.08``: the mean of the
        members' contributions, each in standard deviations of the member's scores of the day.
    """
    held = lines.filter(pl.col("position") != 0, pl.col("symbol").is_in(symbols.implode()))
    wanted = held.sort(pl.col("position").abs(), "symbol", descending=[True, False]).head(EXPLAINED)["symbol"]
    places = {symbol: place for place, symbol in enumerate(symbols)}
    rows = np.array([places[symbol] for symbol in wanted], dtype=np.int64)
    added = contributions(model, ranks, rows)
    texts = [None] * len(wanted) if added is None else strongest(added, list(model.columns))
    found = pl.DataFrame({"symbol": wanted, "moved_by": pl.Series(texts, dtype=pl.String)})
    return lines.join(found, on="symbol", how="left", maintain_order="left")


def contributions(model: PooledModel, ranks: Bytes, rows: IntArray) -> FloatArray | None:
    """Mean of what each column adds to the members' scores, in standard deviations of these over the day.

    Parameters
    ----------
    model : PooledModel
    ranks : uint8, shape (names, columns)
        Of a day.
    rows : int64, shape (rows,)
        Names that are explained.

    Returns
    -------
    float64, shape (rows, columns), or None
        None where a member can't explain its scores, or gives the same to all names.
    """
    parts = []
    for name, member in model.members.items():
        explained, spread = explained_family(name), float(np.std(pooled_family(name).score(member, ranks)))
        if explained is None or not spread > 0.0:
            return None
        parts.append(explained.contributions(member, ranks[rows]) / spread)
    mean: FloatArray = np.mean(parts, axis=0)
    return mean

"""Outright direction: did the instrument rise over the horizon?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from src.core.arrays import FloatArray
from src.evaluation.label_kinds.declaration import LabelKind, TradedBars, forward_return

if TYPE_CHECKING:
    import polars as pl

    from src.config.schema import LabelConfig


def outcome(bars: TradedBars, label: LabelConfig, market: pl.DataFrame | None) -> FloatArray:  # noqa: ARG001 (compares with nothing)
    """Return of the instrument from the next open to the open `label.horizon` bars later: O[k+1+h] / O[k+1] - 1.

    Parameters
    ----------
    bars : TradedBars
    label : LabelConfig
    market : None
        Not looked at.

    Returns
    -------
    float64, shape (n,)
        NaN for the last h+1 decisions.
    """
    return forward_return(bars.open, label.horizon)


LABEL = LabelKind("outright", outcome)

"""Splits that a file writes as a ratio: ``2:1``, ``3/2``, ``1 for 10``, ``1:10 reverse``."""

from __future__ import annotations

import polars as pl

_NUMBER = r"(\d+(?:\.\d+)?)"
_JOINT = r"(?::|/|-?\s*for\s*-?|-?\s*to\s*-?)"
_WORDS = r"(?:\(?(?:reverse|rev\.?|split|stock split|reverse split)\)?)?"
_RATIO = rf"(?i)^\s*(?:reverse\s+)?{_NUMBER}\s*{_JOINT}\s*{_NUMBER}\s*{_WORDS}\s*$"
_REVERSE = r"(?i)\brev"


def column_of_ratios(name: str) -> pl.Expr:
    """Cells of a column of text with each ratio as a number: new shares for an old one.

    Parameters
    ----------
    name : str
        Column of text.

    Returns
    -------
    Expr
        Text of the same name. Cells that are no ratio stay as they are. A ratio called reverse is below 1, in whichever
        order its two numbers stand.

    Examples
    --------
    >>> cells = pl.DataFrame({"split": ["2:1", "3/2", "1:10", "10:1 reverse", "0.5", ""]})
    >>> cells.select(column_of_ratios("split"))["split"].to_list()
    ['2.0', '1.5', '0.1', '0.1', '0.5', '']
    """
    cell = pl.col(name)
    new, old = (cell.str.extract(_RATIO, i).cast(pl.Float64, strict=False) for i in (1, 2))
    ratio = pl.when(old > 0).then(new / old)
    turned = pl.when(cell.str.contains(_REVERSE) & (ratio > 1)).then(1 / ratio).otherwise(ratio)
    return pl.when(turned.is_not_null()).then(turned.cast(pl.String)).otherwise(cell).alias(name)

"""Rows of a table of bars that say what happened: Yahoo's page has dividends and splits between the bars."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from src.sources.text_table import FAULT, LINE

DIVIDEND, SPLIT = "dividend of a row", "split of a row"
"""Columns with the values of events, as text."""
_NUMBER = r"(\d+(?:[.,]\d+)?)"
_CASH = rf"(?i)\$?\s*{_NUMBER}\s*(?:cash\s+)?(?:dividend|capital gain)"
_RATIO = rf"(?i){_NUMBER}\s*[:/]\s*{_NUMBER}\s*(?:stock\s+)?split"
_EVENT = r"(?i)dividend|split|capital gain"
_TEXT = "event of a row"


def has_events(frame: pl.DataFrame, cells: Sequence[str]) -> bool:
    """Whether any row holds an event in place of a price.

    Parameters
    ----------
    frame : DataFrame
        Cells as text.
    cells : sequence of str
        Columns of prices and volume.

    Returns
    -------
    bool
        True if it does.
    """
    return bool(frame.select(_event(cells).is_not_null().any()).item())


def without_events(path: Path, frame: pl.DataFrame, cells: Sequence[str], keys: Sequence[str]) -> pl.DataFrame:
    """Take the events out of a table and put their values beside the bars of their day.

    Parameters
    ----------
    path : Path
        The file, for messages.
    frame : DataFrame
        Cells as text, `LINE` and `FAULT`.
    cells : sequence of str
        Columns in which events are written in place of a price: ``0.24 Dividend``, ``2:1 Stock Splits``.
    keys : sequence of str
        Columns that name a bar: its date, and in tables its symbol.

    Returns
    -------
    DataFrame
        The rows without events, with `DIVIDEND` and `SPLIT`. An event that can't be read, or on whose day there is no
        bar, stays as a row with a fault.
    """
    frame = frame.with_columns(_event(cells).alias(_TEXT))
    bars = frame.filter(pl.col(_TEXT).is_null()).drop(_TEXT)
    ratio = pl.col(_TEXT).str.extract_groups(_RATIO).struct
    parts = [ratio.field(n).str.replace(",", ".", literal=True).cast(pl.Float64) for n in ("1", "2")]
    found = frame.filter(pl.col(_TEXT).is_not_null()).with_columns(
        pl.col(_TEXT).str.extract(_CASH).str.replace(",", ".", literal=True).cast(pl.Float64).alias(DIVIDEND),
        (parts[0] / parts[1]).alias(SPLIT),
    )
    unread = found.filter(pl.col(DIVIDEND).is_null() & pl.col(SPLIT).is_null())
    homeless = found.join(bars.select(keys).unique(), on=keys, how="anti", maintain_order="left")
    lost = pl.concat([unread, homeless]).unique(LINE, keep="first", maintain_order=True)
    said = f"{path.name} line {{}}: '{{}}' is an event that can't be read or has no bar on its day: correct the line"
    nothing = [pl.lit(None, pl.String).alias(name) for name in (DIVIDEND, SPLIT)]
    lost = lost.with_columns(pl.format(said, LINE, _TEXT).alias(FAULT), *nothing)
    days = found.group_by(keys).agg(pl.col(DIVIDEND, SPLIT).max().cast(pl.String))
    bars = bars.join(days, on=keys, how="left", maintain_order="left")
    return pl.concat([bars, lost.select(bars.columns)])


def _event(cells: Sequence[str]) -> pl.Expr:
    """The first cell of a row that holds an event."""
    return pl.coalesce(pl.when(pl.col(name).str.contains(_EVENT)).then(pl.col(name)) for name in cells)

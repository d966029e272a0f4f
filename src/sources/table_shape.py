"""Shape of a table: what is done to its rows before their cells are read."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from src.sources.event_rows import DIVIDEND, SPLIT, without_events
from src.sources.side_by_side import SideBySide
from src.sources.text_table import FAULT, LINE

DAY = "day of the file"
"""Column with the day that the file's name holds."""
_SHARES = ("EQ", "BE", "BZ", "SM", "ST")  # other series of the NSE are bonds, warrants and rights of the same symbol


@dataclass(frozen=True)
class TableShape:
    """Shape of a table.

    Attributes
    ----------
    abreast : SideBySide or None
        Instruments side by side.
    events : tuple of (tuple of str, tuple of str), optional
        Columns in which events stand, and those that name a bar, of a table with events between its bars.
    series : str or None
        Column of the NSE's series; other securities than shares are left out.
    day : date or None
        Of all rows, where the file has no column of dates.
    """

    abreast: SideBySide | None = None
    events: tuple[tuple[str, ...], tuple[str, ...]] | None = None
    series: str | None = None
    day: dt.date | None = None

    def read_columns(self, wanted: list[str]) -> list[str]:
        """Columns of the file that are needed for columns of the shaped table.

        Parameters
        ----------
        wanted : list of str
            Columns of the shaped table.

        Returns
        -------
        list of str
            In the same order as far as they are the same.
        """
        if self.abreast is not None:
            inside = [key for columns in self.abreast.tickers.values() for key in columns.values()]
            return [self.abreast.date, *inside]
        events = [*self.events[0], *self.events[1]] if self.events else []
        made = (DAY, DIVIDEND, SPLIT)
        needed = [*wanted, *events, *([self.series] if self.series else [])]
        return list(dict.fromkeys(name for name in needed if name not in made))

    def shaped(self, path: Path, frame: pl.DataFrame) -> pl.DataFrame:
        """Bring rows into the shape that is read: one bar of one instrument a row.

        Parameters
        ----------
        path : Path
            The file, for messages.
        frame : DataFrame
            `read_columns`, with `LINE` and `FAULT`.

        Returns
        -------
        DataFrame
            With the columns that the layout names.
        """
        if self.abreast is not None:
            return self.abreast.stacked(frame, (LINE, FAULT))
        if self.series is not None:
            series = pl.col(self.series).cast(pl.String).str.strip_chars().str.to_uppercase()
            shares = series.is_in(_SHARES).fill_null(False)
            frame = frame.filter(shares) if frame.select(shares.any()).item() else frame
        if self.events is not None:
            frame = without_events(path, frame, *self.events)
        if self.day is not None:
            frame = frame.with_columns(pl.lit(self.day.isoformat()).alias(DAY))
        return frame

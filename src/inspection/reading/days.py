"""What the champions say of a day, what the journal keeps of it, and what the monitor found."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, overload

from src.core.errors import ConfigError, StageError
from src.inspection.reading.frames import Frame, Pandas, Polars, as_frame
from src.inspection.reading.places import Folder, Place, place
from src.inspection.reading.shards import Day, day

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    import polars as pl

_BOOK = re.compile(r"(\d{4}-\d\d-\d\d)-book\.parquet")


@overload
def book(
    universe: str | None = None, date: Day = None, *, frame: Polars = "polars", root: Folder = None
) -> pl.DataFrame: ...
@overload
def book(
    universe: str | None = None, date: Day = None, *, frame: Pandas, root: Folder = None
) -> pd.DataFrame: ...  # fmt: skip
def book(
    universe: str | None = None, date: Day = None, *, frame: Frame = "polars", root: Folder = None
) -> pl.DataFrame | pd.DataFrame:
    """Read the netted book of a day: one weight for each instrument, from all champions together.

    Parameters
    ----------
    universe : str, optional
        Name of the dataset; by default that of ``params.yaml``.
    date : date or str, optional
        Of the book; the latest by default.
    frame : {'polars', 'pandas'}
    root : str or Path, optional
        Folder of the project; by default the one at or above the working directory.

    Returns
    -------
    DataFrame
        book_date, asset_class, symbol, trade_on (session at whose open it is entered), wanted (weight before any cap),
        weight, before, cost, close, champions (lines that were netted), capped_by.

    Raises
    ------
    ConfigError
        If there is no book of the date: names the first and the last.
    StageError
        If no book was ever said.

    Examples
    --------
    >>> results.book("demo").sort("weight").tail(10)  # doctest: +SKIP
    """
    at = place(universe, root)
    return as_frame(_read(at.paths.signals / f"{_date(at, date)}-book.parquet", at), frame)


@overload
def lines(
    universe: str | None = None, date: Day = None, *, frame: Polars = "polars", root: Folder = None
) -> pl.DataFrame: ...
@overload
def lines(
    universe: str | None = None, date: Day = None, *, frame: Pandas, root: Folder = None
) -> pd.DataFrame: ...  # fmt: skip
def lines(
    universe: str | None = None, date: Day = None, *, frame: Frame = "polars", root: Folder = None
) -> pl.DataFrame | pd.DataFrame:
    """Read the lines of a day's book: what each champion decided, or why its line is refused.

    Parameters
    ----------
    universe, date, frame, root
        As `book` takes them.

    Returns
    -------
    DataFrame
        One row a champion and instrument: name, version, scope, family, asset_class, symbol, state (said or refused),
        reason, decided_on, trade_on, score (probability of a rise, of a pooled champion the rank), exposure, size,
        position, before, cost, moved_by (features that moved the score most), and the champion's grade.

    Examples
    --------
    >>> results.lines("demo").filter(pl.col("state") == "refused").select("name", "reason")  # doctest: +SKIP
    """
    at = place(universe, root)
    return as_frame(_read(at.paths.signals / f"{_date(at, date)}.parquet", at), frame)


@overload
def journal(
    universe: str | None = None, since: Day = None, *, frame: Polars = "polars", root: Folder = None
) -> pl.DataFrame: ...
@overload
def journal(
    universe: str | None = None, since: Day = None, *, frame: Pandas, root: Folder = None
) -> pd.DataFrame: ...  # fmt: skip
def journal(
    universe: str | None = None, since: Day = None, *, frame: Frame = "polars", root: Folder = None
) -> pl.DataFrame | pd.DataFrame:
    """Read the journal: every line that was ever said, on which day, and whether live or replayed.

    Parameters
    ----------
    universe, frame, root
        As `book` takes them.
    since : date or str, optional
        First date of the books; all by default.

    Returns
    -------
    DataFrame
        The columns of `lines`, and entry (number), kind (book or replay), said_at.

    Raises
    ------
    StageError
        If the chain of the journal is broken, or a file of it was changed.

    Examples
    --------
    >>> results.journal("demo", since="2025-12-01").group_by("book_date").len()  # doctest: +SKIP
    """
    from src.signals.journal import Journal

    at = place(universe, root)
    return as_frame(Journal.of(at.paths).lines(day(since, "since")), frame)


@overload
def monitor(
    universe: str | None = None, table: str = "champions", *, frame: Polars = "polars", root: Folder = None
) -> pl.DataFrame: ...
@overload
def monitor(
    universe: str | None = None, table: str = "champions", *, frame: Pandas, root: Folder = None
) -> pd.DataFrame: ...
def monitor(
    universe: str | None = None, table: str = "champions", *, frame: Frame = "polars", root: Folder = None
) -> pl.DataFrame | pd.DataFrame:
    """Read what the monitor found when it last compared the journal with what came.

    Parameters
    ----------
    universe, frame, root
        As `book` takes them.
    table : str
        ``champions`` (a row a champion: verdict, figures live and out of sample, their bands), ``book``, ``book_days``
        (the book's return of each day), ``book_history`` or ``drift`` (features that drifted most).

    Raises
    ------
    ConfigError
        For an unknown table.
    StageError
        If the monitor never ran.

    Examples
    --------
    >>> results.monitor("demo").select("name", "verdict", "sharpe", "oos_sharpe")  # doctest: +SKIP
    """
    at = place(universe, root)
    there = sorted(path.stem for path in at.paths.monitor.glob("*.parquet"))
    if not there:
        raise StageError(f"universe={at.dataset} was never monitored: run `{at.command('monitor')}`")
    if table not in there:
        raise ConfigError(f"table must be one of {', '.join(there)}, got {table!r}")
    return as_frame(_read(at.paths.monitor / f"{table}.parquet", at), frame)


def _date(at: Place, date: Day) -> str:
    """Date of the book that is meant."""
    found = (_BOOK.fullmatch(path.name) for path in at.paths.signals.glob("*-book.parquet"))
    dates = sorted(match[1] for match in found if match)
    if not dates:
        raise StageError(f"universe={at.dataset} has no book: run `{at.command('predict')}`")
    asked = day(date, "date")
    if asked is not None and str(asked) not in dates:
        raise ConfigError(
            f"universe={at.dataset} has no book of {asked}: it has {len(dates)}, from {dates[0]} to {dates[-1]}"
        )
    return dates[-1] if asked is None else str(asked)


def _read(path: Path, at: Place) -> pl.DataFrame:
    import polars as pl

    from src.storage.atomic import read_errors

    with read_errors(path, f"`{at.command('predict')}` writes it again"):
        return pl.read_parquet(path, glob=False)

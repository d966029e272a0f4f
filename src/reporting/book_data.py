"""What the page of the book shows: the last book, its lines, and what the monitor found of the journal."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from src.config.commands import command
from src.market.bars import BarStore
from src.monitoring import tables as monitored
from src.reporting.methodology import METHOD_PAGE
from src.reporting.quality import QUALITY_PAGE
from src.reporting.sessions_section import SESSIONS_PAGE
from src.signals.kept_record import stored_record
from src.signals.own_record import OwnRecord
from src.signals.tables import BOOK, LINES
from src.storage import atomic

if TYPE_CHECKING:
    from src.config.paths import DatasetPaths

BOOK_PAGE = "book.html"


@dataclass(frozen=True)
class BookData:
    """The last book of a dataset.

    Attributes
    ----------
    dataset : str
    date : date or None
        Of the book; None where none was said.
    simulated : bool
        Whether the bars are invented.
    lines, book : DataFrame
        Columns of `src.signals.tables.LINES` and `BOOK`, of that day.
    orders : DataFrame
        Of the file of orders, as it was written.
    champions, records, days : DataFrame
        Columns of `src.monitoring.tables.CHAMPIONS`, `BOOK` and `BOOK_DAYS`; empty where the monitor has not run.
    own : OwnRecord or None
        The out-of-sample record of the champions' book; None where none is stored.
    capital : float or None
        That a weight of 1 stands for; None where it is not known.
    pages : tuple of (str, str)
        Address and text of the other pages.
    sheets : frozenset of str
        File names of the tear sheets there are.
    """

    dataset: str
    date: dt.date | None
    simulated: bool
    lines: pl.DataFrame
    book: pl.DataFrame
    orders: pl.DataFrame
    champions: pl.DataFrame
    records: pl.DataFrame
    days: pl.DataFrame
    own: OwnRecord | None = None
    capital: float | None = None
    pages: tuple[tuple[str, str], ...] = ()
    sheets: frozenset[str] = frozenset()


def read_book(paths: DatasetPaths, capital: float | None = None) -> BookData:
    """Read the last book, and what the monitor found.

    Parameters
    ----------
    paths : DatasetPaths
    capital : float, optional
        That a weight of 1 stands for.

    Returns
    -------
    BookData

    Raises
    ------
    StageError
        If a file can't be read: names the command that writes it.
    """
    dates = sorted(path.name.removesuffix("-book.parquet") for path in paths.signals.glob("*-book.parquet"))
    last, store = dates[-1] if dates else None, BarStore(paths.bars)
    predict, monitor = (command(verb, stored=paths.dataset) for verb in ("predict", "monitor"))
    return BookData(
        dataset=paths.dataset,
        date=dt.date.fromisoformat(last) if last else None,
        simulated=store.exists() and store.manifest.source == "simulated",
        lines=_table(paths.signals / f"{last}.parquet", LINES, predict),
        book=_table(paths.signals / f"{last}-book.parquet", BOOK, predict),
        orders=_orders(paths.signals / f"{last}-orders.csv", predict),
        champions=_table(paths.monitor / "champions.parquet", monitored.CHAMPIONS, monitor),
        records=_table(paths.monitor / "book.parquet", monitored.BOOK, monitor),
        days=_table(paths.monitor / "book_days.parquet", monitored.BOOK_DAYS, monitor),
        own=stored_record(paths),
        capital=capital,
        pages=_pages(paths.reports),
        sheets=frozenset(path.name for path in paths.reports.glob("sheets/*.html")),
    )


def _pages(reports: Path) -> tuple[tuple[str, str], ...]:
    """The report and its method, and of the others those that are written."""
    optional = [(name, text) for name, text in ((QUALITY_PAGE, "Bars"), (SESSIONS_PAGE, "Sessions"))
                if (reports / name).is_file()]  # fmt: skip
    return (("index.html", "Report"), *optional, (METHOD_PAGE, "Method"))


def _table(path: Path, schema: dict[str, Any], maker: str) -> pl.DataFrame:
    if not path.is_file():
        return pl.DataFrame(schema=schema)
    with atomic.read_errors(path, f"run `{maker}`, which writes it again"):
        return pl.concat([pl.DataFrame(schema=schema), pl.read_parquet(path, glob=False)], how="diagonal_relaxed")


def _orders(path: Path, maker: str) -> pl.DataFrame:
    if not path.is_file():
        return pl.DataFrame()
    with atomic.read_errors(path, f"run `{maker}`, which writes it again"):
        return pl.read_csv(path, infer_schema=False, glob=False)

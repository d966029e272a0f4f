"""The books of consecutive days: the lines of all champions, netted one day after the other.

Days that passed since a champion's training ended, and of which the journal has nothing, are replayed: decided now as
they would have been decided then, and kept apart from what was said in time.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from src.core.instruments import KEY, POOLED, Key
from src.signals.days import BookDays
from src.signals.instrument_lines import instrument_lines
from src.signals.netting import netted
from src.signals.pooled_lines import pooled_lines
from src.signals.tables import BOOK, LINE_KEY, LINES

if TYPE_CHECKING:
    from src.config.schema import BookConfig
    from src.signals.dataset import SignalDataset
    from src.signals.journal import Journal
    from src.tracking.crowned_versions import CrownedVersion

FIRST_DAY = dt.date(1900, 1, 1)


@dataclass(frozen=True)
class Past:
    """What the journal says already.

    Attributes
    ----------
    last : date or None
        Of the last book before the one to be made.
    weights : mapping
        Of each instrument in that book.
    said : DataFrame
        Decisions said, columns of `src.signals.tables.LINES`.
    """

    last: dt.date | None
    weights: Mapping[Key, float]
    said: pl.DataFrame

    @classmethod
    def of(cls, journal: Journal, before: dt.date) -> Past:
        """Read what matters for the book of a day.

        Parameters
        ----------
        journal : Journal
        before : date
            Of the book to be made.
        """
        books = journal.books().filter(pl.col("book_date") < before)
        last = books["book_date"].max()
        rows = books.filter(pl.col("book_date") == pl.col("book_date").max())
        said = journal.lines().filter(pl.col("state") == "said").select(list(LINES))
        return cls(last if isinstance(last, dt.date) else None, weights_of(rows), said)


@dataclass(frozen=True)
class Books:
    """Lines and netted books of consecutive days, the day asked for last.

    Attributes
    ----------
    date : date
    lines : DataFrame
        Columns of `src.signals.tables.LINES`.
    books : DataFrame
        Columns of `src.signals.tables.BOOK`.
    """

    date: dt.date
    lines: pl.DataFrame
    books: pl.DataFrame

    @property
    def today(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Lines and book of the day asked for."""
        of_day = pl.col("book_date") == self.date
        return self.lines.filter(of_day), self.books.filter(of_day)

    @property
    def replayed(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Lines and books of the days before."""
        before = pl.col("book_date") < self.date
        return self.lines.filter(before), self.books.filter(before)


def make_books(
    champions: Sequence[CrownedVersion], dataset: SignalDataset, choice: BookConfig, date: dt.date, past: Past
) -> Books:
    """Decide and net the days that the journal lacks, up to a date.

    Parameters
    ----------
    champions : sequence of CrownedVersion
    dataset : SignalDataset
    choice : BookConfig
    date : date
        Of the last book; the latest one, or one after that of the last book said.
    past : Past

    Returns
    -------
    Books
        Of a champion that the journal knows, the days after its last book; of another one, all days since its training
        ended. Books are made of days after the last one alone: what was held on the days before does not change.
    """
    names = set(past.said["name"].unique())
    known = [each for each in champions if each.name in names]
    others = [each for each in champions if each.name not in names]
    after = past.last + dt.timedelta(days=1) if past.last else FIRST_DAY
    parts = [_lines(others, dataset, FIRST_DAY, date), _lines(known, dataset, min(after, date), date)]
    lines = _as_said(pl.concat(parts), past.said).sort("book_date", "name", *KEY)
    return Books(date, lines, _netted_days(lines, choice, date, past))


def weights_of(book: pl.DataFrame) -> dict[Key, float]:
    """Weights of a book by instrument, without those that are zero.

    Parameters
    ----------
    book : DataFrame
        Columns of `src.signals.tables.BOOK`, of one day.
    """
    rows = book.select(*KEY, "weight").iter_rows()
    return {(asset_class, symbol): weight for asset_class, symbol, weight in rows if weight}


def _as_said(lines: pl.DataFrame, said: pl.DataFrame) -> pl.DataFrame:
    """Put decisions that were said before in place of what the bars, restated since, would give now."""
    kept = lines.select("book_date", *LINE_KEY).join(said.drop("book_date"), on=LINE_KEY, how="inner")
    new = lines.join(kept, on=["book_date", *LINE_KEY], how="anti", nulls_equal=True)
    return pl.concat([new, kept.select(new.columns)])


def _lines(champions: Sequence[CrownedVersion], dataset: SignalDataset, first: dt.date, date: dt.date) -> pl.DataFrame:
    """Lines of both scopes; what moved a score is looked for on the last day alone."""
    if not champions:
        return pl.DataFrame(schema=LINES)
    pooled = [each for each in champions if each.name.lower().startswith(f"{POOLED}.")]
    single = [each for each in champions if each not in pooled]
    parts = [pl.DataFrame(schema=LINES)]
    ranges = [BookDays(date, date)] + ([BookDays(first, date - dt.timedelta(days=1))] if first < date else [])
    for days in ranges:
        explain = days.first == date
        if single:
            parts.append(instrument_lines(single, dataset, days, explain=explain))
        if pooled:
            parts.append(pooled_lines(pooled, dataset, days, explain=explain))
    return pl.concat([part.select(list(LINES)) for part in parts])


def _netted_days(lines: pl.DataFrame, choice: BookConfig, date: dt.date, past: Past) -> pl.DataFrame:
    """Net each day after the last book, from the weights of the day before."""
    new = lines.filter(pl.col("book_date") > past.last) if past.last else lines
    days = sorted({*new["book_date"].to_list(), date} - {past.last})
    before, books = dict(past.weights), [pl.DataFrame(schema=BOOK)]
    latest: dict[str, pl.DataFrame] = {}
    by_day = {day: part for (day,), part in new.group_by("book_date")}
    for day in days:
        for (name,), own in by_day.get(day, new.clear()).group_by("name"):
            latest[str(name)] = own
        today = pl.concat([new.clear(), *latest.values()]).with_columns(book_date=pl.lit(day, pl.Date))
        book = netted(today.sort("name", *KEY), before, choice).with_columns(book_date=pl.lit(day, pl.Date))
        before = weights_of(book)
        books.append(book.select(list(BOOK)))
    return pl.concat(books)

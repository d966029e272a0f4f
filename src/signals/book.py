"""The books of consecutive days: the lines of all champions, netted one day after the other.

Days that passed since a champion's training ended, and of which the journal has nothing, are replayed: decided now as
they would have been decided then, and kept apart from what was said in time.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from src.core.instruments import KEY, Key, is_pooled_name
from src.market.bars import BarStore
from src.signals.days import BookDays
from src.signals.hedges import HedgeMembers
from src.signals.instrument_lines import instrument_lines
from src.signals.netting import netted
from src.signals.pooled_lines import pooled_lines
from src.signals.recorded_runs import recorded_runs
from src.signals.tables import BOOK, LINE_KEY, LINES

if TYPE_CHECKING:
    from src.config.paths import DatasetPaths
    from src.config.schema import BookConfig, LabelConfig
    from src.signals.dataset import SignalDataset
    from src.signals.journal import Journal
    from src.tracking.crowned_versions import CrownedVersion

FIRST_DAY = dt.date(1900, 1, 1)
REMEMBERED = dt.timedelta(days=14)
"""Before the last book, in which the hedge of a weight that stays is looked for."""


@dataclass(frozen=True)
class Past:
    """What the journal says of the days before a book.

    Attributes
    ----------
    last : date or None
        Of the last book before.
    weights : mapping
        Of each instrument in that book.
    names : frozenset of str
        Champions of today that have decided before, or on the day itself.
    """

    last: dt.date | None
    weights: Mapping[Key, float]
    names: frozenset[str]

    @classmethod
    def of(cls, journal: Journal, before: dt.date, champions: Collection[str]) -> Past:
        """Read what matters for the book of a day.

        Parameters
        ----------
        journal : Journal
        before : date
            Of the book to be made: the last one of the journal, or a later one.
        champions : collection of str
            Names of those of today.
        """
        ends = [entry.last for entry in journal.entries() if entry.last and entry.last < before]
        earlier = pl.col("book_date") < before
        books = journal.books(max(ends, default=None)).filter(earlier)
        if books.is_empty() and ends:  # days on which nothing was held have no row
            books = journal.books().filter(earlier)
        last = books["book_date"].max()
        weights = weights_of(books.filter(pl.col("book_date") == pl.col("book_date").max()))
        return cls(last if isinstance(last, dt.date) else None, weights, journal.deciders(champions))


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
    champions: Sequence[CrownedVersion], dataset: SignalDataset, choice: BookConfig, date: dt.date, journal: Journal
) -> Books:
    """Decide and net the days that the journal lacks, up to a date.

    Parameters
    ----------
    champions : sequence of CrownedVersion
    dataset : SignalDataset
    choice : BookConfig
    date : date
        Of the last book; not before the last one of the journal.
    journal : Journal
        It is only read.

    Returns
    -------
    Books
        Of a champion that the journal knows, the days after its last book; of another one, all days since its training
        ended. Books are made of days after the last one alone: what was held on the days before does not change.
    """
    past = Past.of(journal, date, [each.name for each in champions])
    known = [each for each in champions if each.name in past.names]
    others = [each for each in champions if each.name not in past.names]
    after = past.last + dt.timedelta(days=1) if past.last else FIRST_DAY
    continued = _as_said(_lines(known, dataset, min(after, date), date), journal)
    lines = pl.concat([_lines(others, dataset, FIRST_DAY, date), continued]).sort("book_date", "name", *KEY)
    lines = _with_hedges(lines, journal, past.last)
    hedges = HedgeMembers(BarStore(dataset.paths.bars), _labels(champions, dataset.paths))
    return Books(date, lines, _netted_days(lines, choice, date, past, hedges))


def weights_of(book: pl.DataFrame) -> dict[Key, float]:
    """Weights of a book by instrument, without those that are zero.

    Parameters
    ----------
    book : DataFrame
        Columns of `src.signals.tables.BOOK`, of one day.
    """
    rows = book.select(*KEY, "weight").iter_rows()
    return {(asset_class, symbol): weight for asset_class, symbol, weight in rows if weight}


def _as_said(lines: pl.DataFrame, journal: Journal) -> pl.DataFrame:
    """Put decisions that were said before in place of what the bars, restated since, would give now."""
    first = lines["decided_on"].min()
    if not isinstance(first, dt.datetime):
        return lines
    said = journal.lines(first.date()).filter(pl.col("state") == "said").select(list(LINES)).drop("book_date")
    kept = lines.select("book_date", *LINE_KEY).join(said, on=LINE_KEY, how="inner")
    new = lines.join(kept, on=["book_date", *LINE_KEY], how="anti", nulls_equal=True)
    return pl.concat([new, kept.select(new.columns)])


def _with_hedges(lines: pl.DataFrame, journal: Journal, last: dt.date | None) -> pl.DataFrame:
    """Give refused lines whose weight stays the hedge of the last line before: it stays as well."""
    holds = (pl.col("state") == "refused") & pl.col("holds").fill_null(value=False)
    if lines.filter(holds).is_empty():
        return lines
    identity = ["name", *KEY]
    columns = ["book_date", *identity, "hedge"]
    past = lines.clear().select(columns) if last is None else journal.lines(last - REMEMBERED, columns)
    known = pl.concat([past, lines.select(columns)]).drop_nulls("hedge").sort("book_date")
    found = lines.sort("book_date", maintain_order=True).join_asof(
        known, on="book_date", by=identity, suffix="_before", check_sortedness=False
    )
    hedge = pl.when(holds).then(pl.coalesce("hedge", "hedge_before")).otherwise("hedge").alias("hedge")
    return found.with_columns(hedge).select(lines.columns).sort("book_date", *identity)


def _lines(champions: Sequence[CrownedVersion], dataset: SignalDataset, first: dt.date, date: dt.date) -> pl.DataFrame:
    """Lines of both scopes; what moved a score is looked for on the last day alone."""
    if not champions:
        return pl.DataFrame(schema=LINES)
    pooled = [each for each in champions if is_pooled_name(each.name)]
    single = [each for each in champions if not is_pooled_name(each.name)]
    parts = [pl.DataFrame(schema=LINES)]
    if pooled:  # one pass over the cross-section, of which the last day alone is explained
        parts.append(pooled_lines(pooled, dataset, BookDays(first, date)))
    ranges = [BookDays(date, date)] + ([BookDays(first, date - dt.timedelta(days=1))] if first < date else [])
    for days in ranges:
        explain = days.first == date
        if single:
            parts.append(instrument_lines(single, dataset, days, explain=explain))
    return pl.concat([part.select(list(LINES)) for part in parts])


def _labels(champions: Sequence[CrownedVersion], paths: DatasetPaths) -> dict[str, LabelConfig]:
    """Labels of the champions of instruments, by name: some of them are hedged."""
    names = {each.record_id: each.name for each in champions if not is_pooled_name(each.name)}
    return {names[record_id]: run.label for record_id, run in recorded_runs(paths, names).items()}


def _netted_days(
    lines: pl.DataFrame, choice: BookConfig, date: dt.date, past: Past, hedges: HedgeMembers
) -> pl.DataFrame:
    """Net each day after the last book, from the weights of the day before."""
    new = lines.filter(pl.col("book_date") > past.last) if past.last else lines
    days = sorted({*new["book_date"].to_list(), date} - {past.last})
    before, books = dict(past.weights), [pl.DataFrame(schema=BOOK)]
    latest: dict[str, pl.DataFrame] = {}
    by_day = {day: part for (day,), part in new.group_by("book_date")}
    for day in days:
        for (name,), own in by_day.get(day, new.clear()).group_by("name"):
            latest[str(name)] = own
        of_day = pl.lit(day, pl.Date).alias("book_date")
        today = pl.concat([new.clear(), *latest.values()]).with_columns(of_day)
        book = netted(today, before, choice, hedges.on(day)).with_columns(of_day).select(list(BOOK))
        before = weights_of(book)
        books.append(book)
    return pl.concat(books)

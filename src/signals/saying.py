"""Say the book of a day: make what the journal lacks, keep it there, and write the day's files."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from src.config.commands import command
from src.config.constraints import values
from src.core.errors import ConfigError, StageError
from src.core.git import git_commit
from src.core.hashing import json_digest
from src.core.instruments import KEY
from src.market.bars import BarStore
from src.signals.book import make_books
from src.signals.dataset import SignalDataset
from src.signals.journal import Journal
from src.signals.order_file import holdings_of, write_orders
from src.signals.orders import FORMULA
from src.signals.tables import BOOK, LINES
from src.storage import atomic
from src.tracking.crowned_versions import CrownedVersion, crowned_versions
from src.tracking.settings import TrackedDataset

if TYPE_CHECKING:
    from src.config.paths import DatasetPaths
    from src.config.schema import BookConfig, Config
    from src.signals.holdings import Holdings

SHOWN = 10
"""Positions that are shown on screen, the largest first."""


@dataclass(frozen=True)
class BookRequest:
    """The book that a command asks for.

    Attributes
    ----------
    dataset : SignalDataset
    tracked : TrackedDataset
    choice : BookConfig
    date : str or None
        YYYY-MM-DD; None takes the latest day that any instrument has a bar of.
    hydrate_command : str
        What to type where there are no bars.
    """

    dataset: SignalDataset
    tracked: TrackedDataset
    choice: BookConfig
    date: str | None
    hydrate_command: str

    @classmethod
    def of(cls, config: Config) -> BookRequest:
        """Take the request from the configuration of a command."""
        dataset, tracked = SignalDataset.of(config), TrackedDataset.of(config)
        return cls(dataset, tracked, config.book, config.date, config.hydrate_command)

    @property
    def paths(self) -> DatasetPaths:
        """Where the dataset's stored things lie."""
        return self.dataset.paths

    def said(self, date: dt.date, lines: pl.DataFrame, book: pl.DataFrame, **facts: Any) -> Said:
        """Make what is shown of a book."""
        has_holdings = self.choice.holdings is not None
        return Said(date, lines, book, folder=self.paths.signals, has_holdings=has_holdings, **facts)


@dataclass(frozen=True)
class Said:
    """The book of a day, as it was said.

    Attributes
    ----------
    date : date
    lines, book : DataFrame
        Columns of `src.signals.tables.LINES` and `BOOK`, of this day.
    champions : int
    replayed : int
        Lines of earlier days that were replayed by the way.
    said_at : datetime or None
        When the journal got it, where that was by an earlier command.
    left : list of str
        What has no order although it may need one.
    folder : Path
        Of the files.
    has_holdings : bool
        Whether a file says what is held.
    """

    date: dt.date
    lines: pl.DataFrame
    book: pl.DataFrame
    champions: int
    replayed: int
    said_at: dt.datetime | None
    left: list[str]
    folder: Path
    has_holdings: bool

    @property
    def held(self) -> pl.DataFrame:
        """Positions of the book, the largest first."""
        return self.book.filter(pl.col("weight") != 0).sort(pl.col("weight").abs(), "symbol", descending=[True, False])

    def table(self) -> Iterator[str]:
        """Yield the lines shown on screen: the largest positions, and what was refused."""
        held = self.held
        if held.height:
            yield f"{'instrument':<16}{'weight':>9}{'before':>9}{'close':>12}  champions"
        for row in held.head(SHOWN).iter_rows(named=True):
            name = f"{row['asset_class']}:{row['symbol']}"
            close = "" if row["close"] is None else f"{row['close']:,.2f}"
            yield f"{name:<16}{row['weight']:>9.2%}{row['before'] or 0.0:>9.2%}{close:>12}  {row['champions'] or 0}"
        if held.height > SHOWN:
            yield f"and {held.height - SHOWN:,} more in {(self.folder / f'{self.date}-book.csv').as_posix()}"
        refused = self.lines.filter(state="refused")
        for reason, count in refused["reason"].value_counts(sort=True).head(SHOWN).iter_rows():
            yield f"{_counted(count, 'line')} refused: {reason!s}"
        yield from self.left
        if held.height and not self.has_holdings:
            yield "the orders begin from nothing: book.holdings=holdings.csv names what is held"

    def sentence(self) -> str:
        """Give the closing line."""
        said, refused = (self.lines.filter(state=state).height for state in ("said", "refused"))
        held, weight = self.held, self.book["weight"].fill_null(0.0)
        turnover = (weight - self.book["before"].fill_null(0.0)).abs().sum()
        when = self.book["trade_on"].max()
        opens = f" for the open of {when}" if isinstance(when, dt.date) else ""
        again = f", as said at {self.said_at:%Y-%m-%d %H:%M} UTC" if self.said_at else ""
        replayed = f"; {self.replayed:,} lines replayed" if self.replayed else ""
        if not self.champions:
            replayed = f": there is no champion yet, {command('promote', stored=self.folder.name)} crowns them"
        return (
            f"book of {self.date}{opens}{again}: {_counted(self.champions, 'champion')}, "
            f"{_counted(said, 'line')} said, "
            f"{refused:,} refused; {_counted(held.height, 'position')}, "
            f"gross {held['weight'].abs().sum():.2f}, "
            f"net {held['weight'].sum():.2f}, turnover {turnover:.2f}{replayed}. "
            f"See {(self.folder / f'{self.date}.csv').as_posix()}"
        )


def say(request: BookRequest) -> Said:
    """Say the book of the configured day.

    Parameters
    ----------
    request : BookRequest

    Returns
    -------
    Said

    Raises
    ------
    ConfigError
        If there can be no book of ``date``.
    StageError
        Without bars, or where the journal or the registry can't be read.
    """
    date, holdings = _date(request), holdings_of(request.choice, BarStore(request.paths.bars))
    journal = Journal.of(request.paths)
    journal.bring_up_to_date()
    champions = crowned_versions(request.tracked)
    last = max((each.last for each in journal.entries() if each.last), default=None)
    if last is not None and date < last:
        return _said_before(request, journal, date, holdings)
    made = make_books(champions, request.dataset, request.choice, date, journal)
    note = _note(request, champions)
    replayed = journal.append("replay", *made.replayed, note)
    lines, book = made.today
    new = journal.append("book", lines, book, note)
    lines, book = _as_kept(journal, date, lines)
    left = _write(request, date, lines, book, holdings)
    count = replayed.lines if replayed else 0
    at = None if new else _said_at(journal, date)
    return request.said(date, lines, book, champions=len(champions), replayed=count, said_at=at, left=left)


def _as_kept(journal: Journal, date: dt.date, lines: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Lines and book of a day as the journal has them, whatever the champions and the settings are by now.

    Decisions of earlier books that still stand, such as Friday's on a Saturday, are not in the journal again: they are
    taken from `lines`.
    """
    kept = journal.lines(date).filter(pl.col("book_date") == date).select(list(LINES))
    said = kept.filter(state="said")
    whole = (pl.col("symbol") == "") & pl.col("name").is_in(said["name"].unique().to_list())
    refused = kept.filter((pl.col("state") == "refused") & ~whole).join(said, on=["name", *KEY], how="anti")
    standing = lines.join(kept, on=["name", *KEY], how="anti").select(list(LINES))
    book = journal.books(date).filter(pl.col("book_date") == date).select(list(BOOK))
    return pl.concat([said, refused, standing]).sort("name", *KEY), book.sort(KEY)


def _said_before(request: BookRequest, journal: Journal, date: dt.date, holdings: Holdings) -> Said:
    """The book of a day that the journal has gone beyond: as it was said, whatever the bars say now."""
    lines, book = _as_kept(journal, date, pl.DataFrame(schema=LINES))
    if book.is_empty() and lines.is_empty():
        raise ConfigError(f"date={date} has no book, and the journal of {request.paths.dataset} goes on: leave it out")
    at = _said_at(journal, date)
    left = _write(request, date, lines, book, holdings)
    return request.said(date, lines, book, champions=lines["name"].n_unique(), replayed=0, said_at=at, left=left)


def _said_at(journal: Journal, date: dt.date) -> dt.datetime | None:
    """When the last entry that holds a day was made; None where none does."""
    of_day = [each for each in journal.entries() if each.first and each.last and each.first <= date <= each.last]
    return of_day[-1].said_at if of_day else None


def _date(request: BookRequest) -> dt.date:
    """The day of the book: the one asked for, or the latest that any instrument has a bar of."""
    store = BarStore(request.paths.bars)
    latest = store.instruments()["last"].max() if store.exists() else None
    if not isinstance(latest, dt.date):
        raise StageError(f"no bars for universe={request.paths.dataset}: run `{request.hydrate_command}` first")
    asked = dt.date.fromisoformat(request.date) if request.date else latest
    if asked > latest:
        raise ConfigError(f"date must not be after the last bar, {latest}, got {asked}: hydrate first, or leave it out")
    return asked


def _note(request: BookRequest, champions: list[CrownedVersion]) -> dict[str, Any]:
    """On which data, by which versions and settings a book is said: digests, because each line names its version."""
    store = BarStore(request.paths.bars)
    return {
        "bars": json_digest({str(bucket): store.digest(bucket) for bucket in store.buckets()}),
        "champions": json_digest({each.name: each.version for each in champions}),
        "book": dict(values(request.choice)),
        "git_commit": git_commit(),
    }


def _write(
    request: BookRequest, date: dt.date, lines: pl.DataFrame, book: pl.DataFrame, holdings: Holdings
) -> list[str]:
    """Write the files of a day, and say what has no order; the same content gives the same bytes."""
    folder = request.paths.signals
    for name, table in ((f"{date}", lines), (f"{date}-book", book)):
        atomic.write_parquet(table, folder / f"{name}.parquet")
        atomic.write_text(_plain(table).write_csv(), folder / f"{name}.csv")
    store = BarStore(request.paths.bars)
    return write_orders(book, holdings, request.choice, store, date, folder / f"{date}-orders.csv")


def _plain(table: pl.DataFrame) -> pl.DataFrame:
    """The table for a spreadsheet: a text that it would calculate, such as a symbol from a file, gets an apostrophe."""
    first = f"^[{re.escape(''.join(FORMULA))}]"
    return table.with_columns(pl.selectors.string().str.replace(first, "'$0"))


def _counted(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"

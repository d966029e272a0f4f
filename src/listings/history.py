"""Every listing that was fetched, dated and kept: what was listed on a day, and what was delisted since.

A file ``<day>-<origin>.parquet`` holds the whole history as of its day: listed instruments, and delisted ones with the
last day on which they were seen. So one file is enough to answer, and the loss of a file loses nothing else.
"""

from __future__ import annotations

import datetime as dt
import logging
import re
from pathlib import Path
from typing import Any

import polars as pl

from src.core.instruments import KEY
from src.listings.directory import ENTRY, BadListing
from src.storage.atomic import write_parquet

ROW: dict[str, Any] = ENTRY | {
    "listed_from": pl.Date(),  # first day on which a kept listing had it; it may have been listed long before
    "listed_until": pl.Date(),  # last day on which a kept listing had it; null while listed
    "formerly": pl.String(),  # symbol under which it was listed before, if the directory shows it
    "now": pl.String(),  # symbol under which it is listed since
}
_FILE = re.compile(r"(\d{4}-\d{2}-\d{2})-([A-Za-z0-9_]+)\.parquet")
_SHRUNK = 0.8  # a listing below this share of the last one is rejected

log = logging.getLogger(__name__)


class ListingHistory:
    """The kept listings in one folder.

    Parameters
    ----------
    root : Path
        ``data/listings``; it need not exist.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def days(self, origin: str) -> list[dt.date]:
        """List the days of which a listing is kept.

        Parameters
        ----------
        origin : str
            Which list: nasdaqlisted, otherlisted, sec, or an exchange's name.

        Returns
        -------
        list of date
            Ascending.
        """
        matches = (_FILE.fullmatch(path.name) for path in self.root.glob(f"*-{origin}.parquet"))
        return sorted(dt.date.fromisoformat(match[1]) for match in matches if match and match[2] == origin)

    def listing(self, origin: str, as_of: dt.date | None = None) -> pl.DataFrame | None:
        """Read the latest kept listing.

        Parameters
        ----------
        origin : str
            Which list.
        as_of : date or None
            Take the latest listing up to this day; None takes the latest of all.

        Returns
        -------
        DataFrame or None
            Columns of `ROW`, including instruments that were delisted by then. A file that can't be read is skipped
            with a warning; None if there is no other.
        """
        for day in reversed(self.days(origin)):
            if as_of is not None and day > as_of:
                continue
            path = self.root / f"{day}-{origin}.parquet"
            try:
                return pl.read_parquet(path, hive_partitioning=False, glob=False).select(list(ROW)).cast(pl.Schema(ROW))
            except (pl.exceptions.PolarsError, OSError) as error:
                log.warning("%s can't be read, so the listing before it is used: %s", path, str(error).splitlines()[0])
        return None

    def keep(self, origin: str, entries: pl.DataFrame, day: dt.date) -> pl.DataFrame:
        """Add a day's listing to the history and write it.

        Parameters
        ----------
        origin : str
            Which list: nasdaqlisted, otherlisted, sec, or an exchange's name.
        entries : DataFrame
            Columns of `ENTRY`, keys unique.
        day : date
            On which it was fetched.

        Returns
        -------
        DataFrame
            The history as of that day: columns of `ROW`.

        Raises
        ------
        BadListing
            If it is suspiciously small. Nothing is kept then.
        """
        former = self.listing(origin, day)
        listed = former.filter(pl.col("listed_until").is_null()).height if former is not None else 0
        if entries.height < _SHRUNK * listed:
            raise BadListing(
                f"{origin} must have at least {_SHRUNK:.0%} of the {listed:,} instruments of the last listing, got"
                f" {entries.height:,}: it is rejected"
            )
        history = _merged(former, entries, day, self._last(origin, day))
        write_parquet(history, self.root / f"{day}-{origin}.parquet")
        return history

    def _last(self, origin: str, day: dt.date) -> dt.date:
        return max((kept for kept in self.days(origin) if kept <= day), default=day)


def members(history: pl.DataFrame) -> pl.DataFrame:
    """Return the instruments of a kept listing that were listed on its day.

    Parameters
    ----------
    history : DataFrame
        Columns of `ROW`.

    Returns
    -------
    DataFrame
        The rows without a last day.
    """
    return history.filter(pl.col("listed_until").is_null())


def _merged(former: pl.DataFrame | None, entries: pl.DataFrame, day: dt.date, last: dt.date) -> pl.DataFrame:
    """History as of `day`: instruments that stay keep their first day, new ones begin, the others ended on `last`."""
    new = entries.with_columns(
        pl.lit(day).alias("listed_from"), listed_until=pl.lit(None, pl.Date), formerly=pl.lit(None, pl.String),
        now=pl.lit(None, pl.String),
    ).select(list(ROW))  # fmt: skip
    if former is None:
        return new.sort(*KEY, "listed_from")
    gone = former.filter(pl.col("listed_until").is_not_null())
    open_ = members(former)
    stays = new.join(open_.select(*KEY, first="listed_from", before="formerly"), on=KEY, how="inner")
    stays = stays.with_columns(listed_from="first", formerly="before").select(list(ROW))
    comes = new.join(open_, on=KEY, how="anti")
    leaves = open_.join(new, on=KEY, how="anti").with_columns(listed_until=pl.lit(last))
    comes, leaves = _renamed(comes, leaves)
    return pl.concat([gone, stays, comes, leaves]).sort(*KEY, "listed_from")


def _renamed(comes: pl.DataFrame, leaves: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Mark a delisted and a new symbol with the same title, type and class as the same instrument.

    Only if exactly one of each has that title: a company's units and warrants often come and go together.
    """
    same = ["asset_class", "type", "title"]
    single = [frame.filter(pl.len().over(same) == 1, pl.col("title") != "") for frame in (comes, leaves)]
    pairs = single[0].select(*same, new="symbol").join(single[1].select(*same, old="symbol"), on=same, how="inner")
    comes = comes.join(pairs.select("asset_class", "old", symbol="new"), on=KEY, how="left")
    leaves = leaves.join(pairs.select("asset_class", "new", symbol="old"), on=KEY, how="left")
    comes = comes.with_columns(formerly=pl.coalesce("old", "formerly")).select(list(ROW))
    return comes, leaves.with_columns(now=pl.coalesce("new", "now")).select(list(ROW))

"""Categories of a day and a name, for the family that takes them: the day of the week, and the exchange as known then.

An instrument's class is none of them, since a pooled model has one class, and its sector is not in the lists that the
exchanges publish.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from src.core.arrays import Bytes
from src.core.hashing import json_digest
from src.listings.directory import EXCHANGES, FILES
from src.listings.history import ListingHistory, members
from src.market.cross_section import CrossSection

EXCHANGE_NUMBERS = {name: number for number, name in enumerate(("NASDAQ", *EXCHANGES.values()), 1)}
"""Category of each exchange; 0 where it is not known."""


def categories(section: CrossSection, listings: Path) -> dict[str, Bytes]:
    """Return the categories of each day and name.

    Parameters
    ----------
    section : CrossSection
        Days and names.
    listings : Path
        Folder of the kept listings (`src.config.paths.listings`); it need not exist.

    Returns
    -------
    dict of str to uint8, shape (T, N)
        ``weekday``, 0 for Monday; and ``exchange``, where any is known on any day.
    """
    made = {"weekday": np.broadcast_to(weekdays(section)[:, np.newaxis], section.shape)}
    if section.asset_class != "crypto":
        known = exchanges(section, listings)
        if known.any():
            made["exchange"] = known
    return made


def listings_digest(listings: Path, asset_class: str, until: dt.date | None) -> str:
    """Hash the kept listings that the exchanges of a class may be taken from.

    Parameters
    ----------
    listings : Path
        Folder of the kept listings; it need not exist.
    asset_class : str
    until : date, optional
        Last session; lists of that day and later say nothing of any session.

    Returns
    -------
    str
        Of names and sizes: a list is written once a day. Empty where none counts.
    """
    if asset_class == "crypto":
        return ""
    history = ListingHistory(listings)
    paths = [
        listings / f"{day}-{name}.parquet"
        for name in FILES
        for day in history.days(name)
        if until is None or day < until
    ]
    return json_digest([[path.name, path.stat().st_size] for path in paths]) if paths else ""


def weekdays(section: CrossSection) -> Bytes:
    """Return the day of the week of each session, 0 for Monday.

    Returns
    -------
    uint8, shape (T,)
    """
    days = section.dates.astype("datetime64[D]").astype(np.int64)
    return ((days + 3) % 7).astype(np.uint8)  # 1970-01-01 was a Thursday


def exchanges(section: CrossSection, listings: Path) -> Bytes:
    """Return where each name was listed, by the latest list kept before the day.

    A list of a day is known from the next session on: it is written at night.

    Parameters
    ----------
    section : CrossSection
    listings : Path
        Folder of the kept listings.

    Returns
    -------
    uint8, shape (T, N)
        `EXCHANGE_NUMBERS`; 0 where no list of an earlier day has the name, or the exchange is another.
    """
    table = np.zeros(section.shape, dtype=np.uint8)
    number = {symbol: n for n, symbol in enumerate(section.symbols)}
    for first, listed in _known(section, ListingHistory(listings)):
        rows = listed.filter(pl.col("symbol").is_in(section.symbols), asset_class=section.asset_class)
        names = [number[symbol] for symbol in rows["symbol"]]
        table[first:, names] = [EXCHANGE_NUMBERS.get(exchange, 0) for exchange in rows["exchange"]]
    return table


def _known(section: CrossSection, history: ListingHistory) -> Iterator[tuple[int, pl.DataFrame]]:
    """Each kept list with the first session that may use it, in the order of their days."""
    for day, origin in sorted((day, name) for name in FILES for day in history.days(name)):
        first = int(np.searchsorted(section.dates, np.datetime64(day, "D"), side="right"))
        listed = history.listing(origin, day) if first < len(section.dates) else None
        if listed is not None:
            yield first, members(listed)

"""Which instruments there are: from the exchanges' lists, which are kept, from a pinned list, or from their names."""

from __future__ import annotations

import datetime as dt
import functools
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import polars as pl

from src.config.commands import command
from src.config.paths import listings
from src.config.schema import LiveSource, UniverseConfig
from src.core.errors import ConfigError
from src.core.instruments import ASSET_CLASSES, KEY
from src.fetching.download import text
from src.fetching.network_watch import doctor_hint
from src.fetching.provider import ExchangeProvider, ProviderError
from src.listings import coins, directory, otc, pinned
from src.listings.directory import BadListing
from src.listings.history import ListingHistory, members
from src.market.universe import named
from src.sources import registry
from src.sources.declaration import SourceError

COLUMNS: dict[str, Any] = {
    "asset_class": pl.String(),
    "symbol": pl.String(),
    "type": pl.String(),
    "exchange": pl.String(),
    "listed_from": pl.Date(),  # null if unknown
    "listed_until": pl.Date(),  # null while listed
    "formerly": pl.String(),  # symbol before a change of symbol, if the lists show it
    "now": pl.String(),  # symbol after it
    "origin": pl.String(),  # named, pinned <day>, or which list
}
log = logging.getLogger(__name__)


def current(
    universe: UniverseConfig, live: LiveSource, data_root: str | Path, today: dt.date | None = None, typed: bool = True
) -> pl.DataFrame:
    """List every instrument that live providers may be asked for.

    Names that include their class need no list. With limits, only the pinned list is used. Everything else comes from
    the exchanges' lists, which are fetched at most once a day; a kept list stands in for one that can't be had, with a
    warning.

    Parameters
    ----------
    universe : UniverseConfig
        Names, limits, pinned list, types of stocks, over-the-counter names, and the day of membership.
    live : LiveSource
        Its chain decides which classes are served and which exchanges list coins.
    data_root : str or Path
        Parent of ``listings/``, in the main checkout unless absolute.
    today : date or None
        UTC; None reads the clock.
    typed : bool
        False takes stocks of every type, not only those of ``universe.types``.

    Returns
    -------
    DataFrame
        Columns of `COLUMNS`, keys unique, sorted by key. Delisted instruments are included with the last day on which
        they were listed; with ``universe.as_of``, only instruments that were listed on that day.

    Raises
    ------
    ConfigError
        If the pinned list can't be read or is later than ``universe.as_of``, or no kept list is as old as that.
    SourceError
        If a list can't be had and none is kept.
    """
    return _unique(_listed(universe, live, data_root, today, typed))


def _listed(
    universe: UniverseConfig, live: LiveSource, data_root: str | Path, today: dt.date | None, typed: bool
) -> pl.DataFrame:
    """The rows of `current`, in which a key may occur more than once."""
    names = named(universe)
    if names and (complete := _of_names(universe, names)) is not None:
        return complete
    today = today or dt.datetime.now(dt.UTC).date()
    history = ListingHistory(listings(data_root))
    served = [kind for kind in ASSET_CLASSES if registry.providers(live.chain.get(kind, ()))]
    parts = []
    taken = [kind for kind in served if not names and universe.pinned and getattr(universe, kind) is not None]
    if taken:
        parts.append(_of_pinned(universe, taken))
    rest = [kind for kind in served if kind not in taken and (names or getattr(universe, kind) != 0)]
    if {"stock", "etf"} & set(rest):
        securities = _of_directory(universe, live, history, today, filtered=typed and not names)
        parts.append(securities.filter(pl.col("asset_class").is_in(rest)))
    if "crypto" in rest:
        parts.append(_of_exchanges(universe, live, history, today))
    return pl.concat(parts) if parts else pl.DataFrame(schema=COLUMNS)


def _unique(frame: pl.DataFrame) -> pl.DataFrame:
    """One row for each key: one that is listed, else the one delisted last; of several, the first."""
    order = frame.with_row_index("place").sort(
        pl.col("listed_until").is_not_null(), -pl.col("listed_until").to_physical(), "place"
    )
    return order.unique(KEY, keep="first", maintain_order=True).drop("place").sort(KEY)


def _of_names(universe: UniverseConfig, names: list[str]) -> pl.DataFrame | None:
    """Instruments whose names include their class or are in the pinned list; None if a name is neither."""
    rows: list[tuple[str, str]] = []
    listed: dict[str, list[tuple[str, str]]] = {}
    if universe.pinned:
        for key in pinned.read(universe.pinned).rows.select("asset_class", "symbol").rows():
            listed.setdefault(key[1], []).append(key)
    for name in names:
        kind, colon, symbol = name.partition(":")
        if colon and kind.lower() in ASSET_CLASSES and symbol:
            rows.append((kind.lower(), symbol.upper()))
        elif name.upper().endswith("-USD"):
            rows.append(("crypto", name.upper()))
        elif name.upper() in listed:
            rows += listed[name.upper()]
        else:
            return None
    frame = pl.DataFrame(sorted(set(rows)), schema=KEY, orient="row")
    return _shaped(frame, origin="named")


def _of_pinned(universe: UniverseConfig, kinds: list[str]) -> pl.DataFrame:
    made = pinned.read(str(universe.pinned))
    if universe.as_of is not None and dt.date.fromisoformat(universe.as_of) < made.made:
        raise ConfigError(
            f"universe.as_of={universe.as_of}: the list of {universe.pinned} was made on {made.made}, and what traded"
            f" most before is not known from it: take universe=full universe.as_of={universe.as_of}, which needs"
            " listings kept since then in data/listings, or a list of that day with universe.pinned"
        )
    log.info("the list of %s, made on %s: %s", universe.pinned, made.made, made.origin)
    parts = []
    for kind in kinds:
        limit, part = getattr(universe, kind), made.rows.filter(pl.col("asset_class") == kind)
        if limit is not None and limit > part.height:
            log.warning(
                "universe.%s=%d: %s has %d of that class; %s makes it longer",
                kind, limit, universe.pinned, part.height,
                command("enlist", f"universe.{kind}={limit}", dataset=universe.name),
            )  # fmt: skip
        parts.append(part.head(limit))
    return _shaped(pl.concat(parts).select("asset_class", "symbol"), origin=f"pinned {made.made}")


def _of_directory(
    universe: UniverseConfig, live: LiveSource, history: ListingHistory, today: dt.date, filtered: bool
) -> pl.DataFrame:
    """Stocks and ETFs of the exchanges' directory, and over-the-counter names if the universe has them."""
    parts = []
    for file in directory.FILES:
        fetch = functools.partial(_fetch_directory, file, live)
        parts.append(_kept(history, file, fetch, today, universe.as_of))
    if universe.otc:
        parts += _of_otc(universe, live, history, today, pl.concat(parts))
    frame = pl.concat(parts)
    if not filtered:
        return frame
    log.info("%s", listing_summary(frame, universe.types))
    return frame.filter((pl.col("asset_class") != "stock") | pl.col("type").is_in(universe.types))


def _of_otc(
    universe: UniverseConfig, live: LiveSource, history: ListingHistory, today: dt.date, exchanges: pl.DataFrame
) -> list[pl.DataFrame]:
    """Names of the SEC's list that no exchange lists. They are optional: without them, hydration goes on."""
    why = "the SEC demands a contact; set source.live.contact=<your e-mail address>"
    if live.contact:
        try:
            names = _kept(history, "sec", functools.partial(_fetch_otc, live), today, universe.as_of)
            return [names.join(exchanges.filter(pl.col("listed_until").is_null()), on="symbol", how="anti")]
        except SourceError as error:
            why = str(error)
    log.warning("names that trade over the counter are left out: %s", why)
    return []


def _fetch_directory(file: str, live: LiveSource) -> pl.DataFrame:
    return directory.entries(text(directory.ADDRESS.format(file), live), file)


def _fetch_otc(live: LiveSource) -> pl.DataFrame:
    return otc.entries(text(otc.ADDRESS, live, live.contact))


def _of_exchanges(universe: UniverseConfig, live: LiveSource, history: ListingHistory, today: dt.date) -> pl.DataFrame:
    """Coins of the chain's exchanges; without an exchange, those of the pinned list."""
    exchanges = [name for name, declared in registry.providers(live.chain["crypto"]) if declared.lists_coins]
    if not exchanges and universe.pinned:
        return _of_pinned(universe, ["crypto"])
    if not exchanges:
        log.warning(
            "no coin is listed: %s has no list of coins; name an exchange in source.live.chain.crypto, or coins in"
            " universe.symbols",
            " and ".join(live.chain["crypto"]),
        )
        return pl.DataFrame(schema=COLUMNS)
    parts = []
    for name in exchanges:
        try:
            parts.append(_kept(history, name, functools.partial(_fetch_exchange, name, live), today, universe.as_of))
        except SourceError as error:
            if name == exchanges[-1] and not parts:
                raise
            log.warning("%s; its coins are left out", error)
    return pl.concat(parts)


def _fetch_exchange(name: str, live: LiveSource) -> pl.DataFrame:
    exchange = cast(ExchangeProvider, registry.connect(name, live, _Open()))
    try:
        return coins.entries(exchange.markets(), name)
    finally:
        exchange.close()


class _Open:
    """A gate that lets every request pass: the list of markets is one request a day."""

    def enter(self) -> None:
        return

    def answered(self) -> None:
        return

    def refused(self, retry_after: float | None) -> None:  # noqa: ARG002 (the protocol's name)
        return


def _kept(
    history: ListingHistory, origin: str, fetch: Callable[[], pl.DataFrame], today: dt.date, as_of: str | None
) -> pl.DataFrame:
    """The listing of one origin, as of now or of a day; today's is fetched unless it is kept."""
    rows = _fetched(history, origin, fetch, today)
    if as_of is not None:
        listing = history.listing(origin, dt.date.fromisoformat(as_of))
        if listing is None:
            oldest = history.days(origin)[0]
            raise ConfigError(
                f"universe.as_of={as_of}: the oldest listing of {origin} kept is of {oldest}, so membership before"
                f" is not known here: take universe.as_of={oldest} or later, or leave it out"
            )
        ended = rows.filter(pl.col("listed_until").is_not_null()).select(
            "asset_class", "symbol", "listed_from", end="listed_until"
        )
        rows = members(listing).join(ended, on=["asset_class", "symbol", "listed_from"], how="left")
        rows = rows.with_columns(listed_until="end")
    return _unique(_shaped(rows, origin=origin))


def _fetched(history: ListingHistory, origin: str, fetch: Callable[[], pl.DataFrame], today: dt.date) -> pl.DataFrame:
    days = history.days(origin)
    if days and days[-1] >= today and (kept := history.listing(origin)) is not None:
        return kept
    try:
        return history.keep(origin, fetch(), today)
    except (ProviderError, BadListing) as error:
        kept = history.listing(origin)
        if kept is None:
            raise SourceError(
                f"the list of instruments {origin} can't be had, and none is kept: {error}; check the connection"
                f" (source.live.proxy, source.live.ca_file; {doctor_hint()}), or name instruments with their class:"
                ' "universe.symbols=[stock:AAPL]"'
            ) from error
        log.warning("%s: %s; the listing of %s is used", origin, error, history.days(origin)[-1])
        return kept


def _shaped(frame: pl.DataFrame, origin: str) -> pl.DataFrame:
    missing = [pl.lit(None, kind).alias(name) for name, kind in COLUMNS.items() if name not in frame.columns]
    frame = frame.with_columns(missing).with_columns(origin=pl.lit(origin))
    return frame.select(list(COLUMNS))


def listing_summary(frame: pl.DataFrame, types: list[str]) -> str:
    """Describe a listing of the exchanges, and what of it the wanted types leave.

    Parameters
    ----------
    frame : DataFrame
        Columns of `COLUMNS`.
    types : list of str
        Types of stocks that are taken.

    Returns
    -------
    str
        One sentence.
    """
    listed = frame.filter(pl.col("listed_until").is_null())
    stocks = listed.filter(pl.col("asset_class") == "stock")
    count = dict(stocks.group_by("type").len().sort("len", descending=True).rows())
    taken = [f"{count.get(kind, 0):,} {kind}" for kind in types]
    left_out = [f"{number:,} {kind}" for kind, number in count.items() if kind not in types]
    counter = stocks.filter((pl.col("exchange") == "OTC") & pl.col("type").is_in(types)).height
    over = f", {counter:,} of them over the counter" if counter else ""
    delisted = frame.height - listed.height
    return (
        f"listed: {listed.height - stocks.height:,} ETFs and ETNs, {sum(count.get(kind, 0) for kind in types):,} stocks"
        f" ({', '.join(taken)}{over}); left out by universe.types: {', '.join(left_out) or 'nothing'}"
        + (f"; {delisted:,} that have left their exchange stay" if delisted else "")
    )

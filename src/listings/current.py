"""Which instruments there are: from the exchanges' lists, dated and kept, from a pinned list, or by their names."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import polars as pl

from src.config.paths import main_root
from src.config.schema import LiveSource, UniverseConfig
from src.core.errors import ConfigError
from src.core.instruments import ASSET_CLASSES, KEY
from src.fetching.download import text
from src.fetching.provider import ExchangeProvider, ProviderError
from src.listings import coins, directory, otc, pinned
from src.listings.directory import BadListing
from src.listings.history import Book, members
from src.market.universe import named
from src.sources import registry
from src.sources.declaration import SourceError

COLUMNS: dict[str, Any] = {
    "asset_class": pl.String(),
    "symbol": pl.String(),
    "type": pl.String(),
    "exchange": pl.String(),
    "listed_from": pl.Date(),  # null: not known
    "listed_until": pl.Date(),  # null: listed, as far as known
    "formerly": pl.String(),  # symbol before a change of name, where the lists let one tell
    "now": pl.String(),  # symbol after it
    "origin": pl.String(),
}
log = logging.getLogger(__name__)


def current(
    universe: UniverseConfig, live: LiveSource, data_root: str | Path, today: dt.date | None = None, typed: bool = True
) -> pl.DataFrame:
    """Every instrument that a live source may be asked for, as the universe has it.

    Names given with their class need no list. Where limits are given, the pinned list alone is taken. All else comes
    from the exchanges' lists, fetched once a day at most; those kept are taken where an answer is bad, with a word.

    Parameters
    ----------
    universe
        Names, limits, pinned list, types of stocks, over-the-counter names, and the day of membership.
    live
        Its chain says which classes there are and which exchanges list coins.
    data_root
        Where ``listings/`` stands, under the main checkout unless absolute.
    today
        UTC; None reads the clock.
    typed
        False takes stocks of every type, whatever ``universe.types`` names.

    Returns
    -------
    DataFrame
        Columns of `COLUMNS`, keys unique, sorted by key. Names that have left their exchange stay, with the last day on
        which they were listed; with ``universe.as_of`` only those are there that were listed that day.

    Raises
    ------
    ConfigError
        Where the pinned list can't be read or is of a later day than ``universe.as_of``, or nothing is kept of a day
        as old as that.
    SourceError
        Where a list can't be had and none is kept.
    """
    return _once(_listed(universe, live, data_root, today, typed))


def _listed(
    universe: UniverseConfig, live: LiveSource, data_root: str | Path, today: dt.date | None, typed: bool
) -> pl.DataFrame:
    """What `current` gives, before each key stands once."""
    names = named(universe)
    if names and (known := _of_names(universe, names)) is not None:
        return known
    today = today or dt.datetime.now(dt.UTC).date()
    book = Book(main_root() / data_root / "listings")
    wanted = [kind for kind in ASSET_CLASSES if registry.providers(live.chain.get(kind, ()))]
    parts = []
    taken = [kind for kind in wanted if not names and universe.pinned and getattr(universe, kind) is not None]
    if taken:
        parts.append(_of_pinned(universe, taken))
    rest = [kind for kind in wanted if kind not in taken and (names or getattr(universe, kind) != 0)]
    if {"stock", "etf"} & set(rest):
        found = _of_directory(universe, live, book, today, filtered=typed and not names)
        parts.append(found.filter(pl.col("asset_class").is_in(rest)))
    if "crypto" in rest:
        parts.append(_of_exchanges(universe, live, book, today))
    return pl.concat(parts) if parts else pl.DataFrame(schema=COLUMNS)


def _once(frame: pl.DataFrame) -> pl.DataFrame:
    """One row for each key: of several, one that is still listed, else the one that left last; then the first."""
    order = frame.with_row_index("place").sort(
        pl.col("listed_until").is_not_null(), -pl.col("listed_until").to_physical(), "place"
    )
    return order.unique(KEY, keep="first", maintain_order=True).drop("place").sort(KEY)


def _of_names(universe: UniverseConfig, names: list[str]) -> pl.DataFrame | None:
    """Instruments whose names say all: with their class, or found in the pinned list; None where one does neither."""
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
    found = pinned.read(str(universe.pinned))
    if universe.as_of is not None and dt.date.fromisoformat(universe.as_of) < found.made:
        raise ConfigError(
            f"universe.as_of={universe.as_of}: the list of {universe.pinned} was made on {found.made}, and who traded"
            f" most before is not known from it: take universe=full universe.as_of={universe.as_of}, which needs"
            " listings kept since then in data/listings, or a list of that day by universe.pinned"
        )
    log.info("the list of %s, made on %s: %s", universe.pinned, found.made, found.origin)
    parts = []
    for kind in kinds:
        limit, part = getattr(universe, kind), found.rows.filter(pl.col("asset_class") == kind)
        if limit is not None and limit > part.height:
            log.warning(
                "universe.%s=%d: %s has %d of that class; python -m src.enlist %s=%d makes it longer",
                kind, limit, universe.pinned, part.height, f"universe.{kind}", limit,
            )  # fmt: skip
        parts.append(part.head(limit))
    return _shaped(pl.concat(parts).select("asset_class", "symbol"), origin=f"pinned {found.made}")


def _of_directory(
    universe: UniverseConfig, live: LiveSource, book: Book, today: dt.date, filtered: bool
) -> pl.DataFrame:
    """Stocks and ETFs of the exchanges' directory, and over-the-counter names where they are wanted."""
    parts = []
    for file in directory.FILES:
        ask = _directory_asker(file, live)
        parts.append(_kept(book, file, ask, today, universe.as_of))
    if universe.otc:
        parts += _of_counter(universe, live, book, today, pl.concat(parts))
    frame = pl.concat(parts)
    if not filtered:
        return frame
    log.info("%s", in_words(frame, universe.types))
    return frame.filter((pl.col("asset_class") != "stock") | pl.col("type").is_in(universe.types))


def _of_counter(
    universe: UniverseConfig, live: LiveSource, book: Book, today: dt.date, exchanges: pl.DataFrame
) -> list[pl.DataFrame]:
    """Names of the SEC's list that no exchange lists; they come on top, so that without them all goes on."""
    why = "the SEC wants to know who asks; set source.live.contact=<your e-mail address>"
    if live.contact:
        try:
            names = _kept(book, "sec", _counter_asker(live), today, universe.as_of)
            return [names.join(exchanges.filter(pl.col("listed_until").is_null()), on="symbol", how="anti")]
        except SourceError as error:
            why = str(error)
    log.warning("names that trade over the counter are left out: %s", why)
    return []


def _directory_asker(file: str, live: LiveSource) -> Callable[[], pl.DataFrame]:
    return lambda: directory.entries(text(directory.ADDRESS.format(file), live), file)


def _counter_asker(live: LiveSource) -> Callable[[], pl.DataFrame]:
    return lambda: otc.entries(text(otc.ADDRESS, live, live.contact))


def _of_exchanges(universe: UniverseConfig, live: LiveSource, book: Book, today: dt.date) -> pl.DataFrame:
    """Coins of the chain's exchanges; where it names none, those of the pinned list."""
    exchanges = [name for name, declared in registry.providers(live.chain["crypto"]) if declared.lists_coins]
    if not exchanges and universe.pinned:
        return _of_pinned(universe, ["crypto"])
    if not exchanges:
        log.warning(
            "no coin is listed: %s has no list of them; name an exchange in source.live.chain.crypto, or coins in"
            " universe.symbols",
            " and ".join(live.chain["crypto"]),
        )
        return pl.DataFrame(schema=COLUMNS)
    parts = []
    for name in exchanges:
        try:
            parts.append(_kept(book, name, _exchange_asker(name, live), today, universe.as_of))
        except SourceError as error:
            if name == exchanges[-1] and not parts:
                raise
            log.warning("%s; its coins are left out", error)
    return pl.concat(parts)


def _exchange_asker(name: str, live: LiveSource) -> Callable[[], pl.DataFrame]:
    def ask() -> pl.DataFrame:
        exchange = cast(ExchangeProvider, registry.connect(name, live, _Open()))
        try:
            return coins.entries(exchange.markets(), name)
        finally:
            exchange.close()

    return ask


class _Open:
    """A gate that lets everything pass: the list of markets is one request a day."""

    def enter(self) -> None:
        return

    def answered(self) -> None:
        return

    def refused(self, retry_after: float | None) -> None:  # noqa: ARG002 (the protocol's name)
        return


def _kept(book: Book, origin: str, ask: Callable[[], pl.DataFrame], today: dt.date, as_of: str | None) -> pl.DataFrame:
    """The listing of one origin as of now or of a day, fetched where today's is not kept yet."""
    history = _fetched(book, origin, ask, today)
    if as_of is not None:
        day = dt.date.fromisoformat(as_of)
        then = book.listing(origin, day)
        if then is None:
            oldest = book.days(origin)[0]
            raise ConfigError(
                f"universe.as_of={as_of}: the oldest listing of {origin} kept is of {oldest}, so membership before"
                f" is not known here: take universe.as_of={oldest} or later, or leave it out"
            )
        ended = history.filter(pl.col("listed_until").is_not_null()).select(
            "asset_class", "symbol", "listed_from", end="listed_until"
        )
        history = members(then).join(ended, on=["asset_class", "symbol", "listed_from"], how="left")
        history = history.with_columns(listed_until="end")
    return _once(_shaped(history, origin=origin))


def _fetched(book: Book, origin: str, ask: Callable[[], pl.DataFrame], today: dt.date) -> pl.DataFrame:
    days = book.days(origin)
    if days and days[-1] >= today and (kept := book.listing(origin)) is not None:
        return kept
    try:
        return book.keep(origin, ask(), today)
    except (ProviderError, BadListing) as error:
        kept = book.listing(origin)
        if kept is None:
            raise SourceError(
                f"the list of instruments {origin} can't be had, and none is kept: {error}; check the connection"
                " (source.live.proxy, source.live.ca_file), or name instruments with their class:"
                " universe.symbols=[stock:AAPL]"
            ) from error
        log.warning("%s: %s; the listing of %s is used", origin, error, book.days(origin)[-1])
        return kept


def _shaped(frame: pl.DataFrame, origin: str) -> pl.DataFrame:
    missing = [pl.lit(None, kind).alias(name) for name, kind in COLUMNS.items() if name not in frame.columns]
    frame = frame.with_columns(missing).with_columns(origin=pl.lit(origin))
    return frame.select(list(COLUMNS))


def in_words(frame: pl.DataFrame, types: list[str]) -> str:
    """What an exchanges' listing holds, and what of it the wanted types leave, in a sentence."""
    listed = frame.filter(pl.col("listed_until").is_null())
    stocks = listed.filter(pl.col("asset_class") == "stock")
    count = dict(stocks.group_by("type").len().sort("len", descending=True).rows())
    taken = [f"{count.get(kind, 0):,} {kind}" for kind in types]
    left = [f"{number:,} {kind}" for kind, number in count.items() if kind not in types]
    counter = stocks.filter((pl.col("exchange") == "OTC") & pl.col("type").is_in(types)).height
    over = f", {counter:,} of them over the counter" if counter else ""
    gone = frame.height - listed.height
    return (
        f"listed: {listed.height - stocks.height:,} ETFs and ETNs, {sum(count.get(kind, 0) for kind in types):,} stocks"
        f" ({', '.join(taken)}{over}); left out by universe.types: {', '.join(left) or 'nothing'}"
        + (f"; {gone:,} that have left their exchange stay" if gone else "")
    )

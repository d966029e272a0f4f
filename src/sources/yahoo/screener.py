"""The most traded US stocks and ETFs of today by dollar volume, from Yahoo's screener."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from src.fetching.provider import Malformed
from src.sources.yahoo.payload import number

TRADED: dict[str, Any] = {
    "symbol": pl.String(),  # Yahoo's
    "name": pl.String(),
    "exchange": pl.String(),
    "price": pl.Float64(),
    "volume": pl.Float64(),  # shares a day, mean of three months
    "dollar_volume": pl.Float64(),
}
_PAGE = 250  # names in one answer at most
_EXCHANGES = ["NMS", "NGM", "NCM", "NYQ", "ASE", "PCX", "BTS"]
_SORTS = {"stock": ("intradaymarketcap", "avgdailyvol3m"), "etf": ("fundnetassets", "avgdailyvol3m")}
_TYPES = {"stock": "EQUITY", "etf": "ETF"}


def most_traded(kind: str, count: int) -> pl.DataFrame:
    """Ask for the names with the largest dollar volume: price times the mean shares a day of three months.

    Yahoo can't sort by dollar volume. So the largest and those most traded by shares are requested, twice as many of
    each as wanted, and ranked here. A universe made of today's ranking is biased upwards.

    Parameters
    ----------
    kind : str
        ``stock`` or ``etf``.
    count : int
        How many.

    Returns
    -------
    DataFrame
        Columns of `TRADED`, most traded first.

    Raises
    ------
    ProviderError
        If an answer is unusable.
    """
    rows: dict[str, dict[str, Any]] = {}
    for field in _SORTS[kind]:
        for quote in _quotes(kind, field, 2 * count):
            row = _row(quote, kind)
            if row is not None:
                rows[row["symbol"]] = row
    frame = pl.DataFrame(list(rows.values()), schema=TRADED)
    return frame.sort("dollar_volume", "symbol", descending=[True, False]).head(count)


def checked(body: dict[str, Any]) -> None:
    """Check that an answer of the screener has a list of quotes.

    Raises
    ------
    Malformed
        If it has none.
    """
    finance = body.get("finance")
    results = finance.get("result") if isinstance(finance, dict) else None
    first = results[0] if isinstance(results, list) and results else None
    quotes = first.get("quotes") if isinstance(first, dict) else None
    if not isinstance(quotes, list) or not all(isinstance(quote, dict) for quote in quotes):
        raise Malformed("Yahoo's screener answered without a list of quotes")


def _quotes(kind: str, field: str, depth: int) -> Iterator[dict[str, Any]]:
    """Quotes sorted by a field, page by page."""
    import yfinance

    query = yfinance.EquityQuery if kind == "stock" else yfinance.ETFQuery
    wanted = query("and", [query("eq", ["region", "us"]), query("is-in", ["exchange", *_EXCHANGES])])
    for offset in range(0, depth, _PAGE):
        size = min(_PAGE, depth - offset)
        answer = yfinance.screen(wanted, offset=offset, size=size, sortField=field, sortAsc=False)
        yield from answer["quotes"]
        if len(answer["quotes"]) < size:
            return


def _row(quote: dict[str, Any], kind: str) -> dict[str, Any] | None:
    """A row of `TRADED`; None for another kind of security, or without a price or volume."""
    if quote.get("quoteType") != _TYPES[kind] or quote.get("currency") != "USD" or not quote.get("symbol"):
        return None
    price = number(quote.get("regularMarketPrice"), "the price")
    volume = number(quote.get("averageDailyVolume3Month"), "the volume")
    if not price or not volume or not 0 < price * volume < float("inf"):
        return None
    name = quote.get("longName") or quote.get("shortName")
    return {
        "symbol": str(quote["symbol"]), "name": name and str(name), "exchange": quote.get("exchange"),
        "price": price, "volume": volume, "dollar_volume": price * volume,
    }  # fmt: skip

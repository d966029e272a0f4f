"""Names that trade over the counter, from the SEC's list of company tickers with their exchanges."""

from __future__ import annotations

import json

import polars as pl

from src.core.instruments import KEY
from src.listings.directory import ENTRY, BadListing
from src.listings.types import told_otc

ADDRESS = "https://www.sec.gov/files/company_tickers_exchange.json"
_FIELDS = ("name", "ticker", "exchange")


def entries(text: str) -> pl.DataFrame:
    """The companies whose exchange is OTC: columns of the directory's `ENTRY`.

    What is listed on an exchange stands in the directory with more about it, and what has no exchange is left out.

    Parameters
    ----------
    text
        The file as served: {"fields": [...], "data": [[...], ...]}.

    Raises
    ------
    BadListing
        Where it is not of that form.
    """
    try:
        table = json.loads(text)
        places = [table["fields"].index(field) for field in _FIELDS]
        found = [[row[place] for place in places] for row in table["data"]]
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise BadListing(f"the SEC's list must have the fields {', '.join(_FIELDS)}, got {text[:80]!r}") from error
    if not found:
        raise BadListing("the SEC's list must name companies, got none")
    rows = []
    for title, ticker, exchange in found:
        symbol = str(ticker or "").strip().upper()
        if str(exchange or "").upper() != "OTC" or not symbol:
            continue
        kind = told_otc(symbol)
        rows.append(("stock", symbol, symbol, str(title or "").strip(), kind.type, kind.by, "OTC"))
    return pl.DataFrame(rows, schema=ENTRY, orient="row").unique(KEY, keep="first").sort("symbol")

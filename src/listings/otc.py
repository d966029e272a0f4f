"""Names that trade over the counter, from the SEC's list of company tickers with their exchanges."""

from __future__ import annotations

import json

import polars as pl

from src.core.instruments import KEY
from src.listings.directory import ENTRY, BadListing
from src.listings.types import otc_security_type

ADDRESS = "https://www.sec.gov/files/company_tickers_exchange.json"
_FIELDS = ("name", "ticker", "exchange")


def entries(text: str) -> pl.DataFrame:
    """List the companies whose exchange is OTC.

    Companies on an exchange are in the directory, which says more about them; those without an exchange are left out.

    Parameters
    ----------
    text : str
        The file as served: {"fields": [...], "data": [[...], ...]}.

    Returns
    -------
    DataFrame
        Columns of the directory's `ENTRY`; sorted, one row for each symbol.

    Raises
    ------
    BadListing
        If it is not of that form.
    """
    try:
        table = json.loads(text)
        places = [table["fields"].index(field) for field in _FIELDS]
        companies = [[row[place] for place in places] for row in table["data"]]
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise BadListing(f"the SEC's list must have the fields {', '.join(_FIELDS)}, got {text[:80]!r}") from error
    if not companies:
        raise BadListing("the SEC's list must name companies, got none")
    rows = []
    for title, ticker, exchange in companies:
        symbol = str(ticker or "").strip().upper()
        if str(exchange or "").upper() != "OTC" or not symbol:
            continue
        kind = otc_security_type(symbol)
        rows.append(("stock", symbol, symbol, str(title or "").strip(), kind.type, kind.source, "OTC"))
    return pl.DataFrame(rows, schema=ENTRY, orient="row").unique(KEY, keep="first").sort("symbol")

"""Which companies of the SEC's table stand behind the instruments of the universe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import orjson
import polars as pl

from src.fetching.provider import Malformed

_FIELDS = ("cik", "name", "ticker", "exchange")


@dataclass(frozen=True, order=True)
class ListedCompany:
    """A row of the table: a company has one for each of its tickers.

    Attributes
    ----------
    cik : int
        The SEC's number.
    ticker, name, exchange : str
        As in the table.
    """

    cik: int
    ticker: str
    name: str
    exchange: str


def read_table(body: bytes) -> list[ListedCompany]:
    """Read the table ``company_tickers_exchange.json``.

    Parameters
    ----------
    body : bytes
        As served: names of the fields, and a list for each row, the largest companies first.

    Returns
    -------
    list of ListedCompany
        In order.

    Raises
    ------
    Malformed
        If it is no such table, or has no rows.
    """
    try:
        tree = orjson.loads(body)
        places = [tree["fields"].index(name) for name in _FIELDS]
        rows = [[row[at] for at in places] for row in tree["data"]]
        found = [ListedCompany(int(cik), str(ticker), str(name), str(at or "")) for cik, name, ticker, at in rows]
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise Malformed(f"no table of tickers: {type(error).__name__} {error}") from None
    if not found:
        raise Malformed("the table of tickers has no rows")
    return found


def companies_of(
    instruments: pl.DataFrame, table: list[ListedCompany], former: Mapping[str, list[int]]
) -> dict[str, list[int]]:
    """Companies by symbol of the universe.

    A symbol that the table had before and has no longer keeps its company, and one that went over to another company
    has both: filings of both are about what the symbol stood for at some time.

    Parameters
    ----------
    instruments : DataFrame
        asset_class, symbol; empty for all rows of the table. Coins have no company.
    table : list of ListedCompany
        The newest table.
    former : mapping of str to list of int
        What this function returned for earlier tables.

    Returns
    -------
    dict of str to list of int
        CIKs of the symbols that have any.
    """
    symbols = instruments.filter(pl.col("asset_class") != "crypto")["symbol"] if instruments.height else None
    wanted = None if symbols is None else {written(symbol) for symbol in symbols}
    found = {symbol: list(ciks) for symbol, ciks in former.items() if wanted is None or symbol in wanted}
    for row in table:
        symbol = written(row.ticker)
        if (wanted is None or symbol in wanted) and row.cik not in (ciks := found.setdefault(symbol, [])):
            ciks.append(row.cik)
    return found


def written(symbol: str) -> str:
    """A symbol as the SEC writes it: ``BRK-B``.

    Parameters
    ----------
    symbol : str
        ``BRK.B``, ``BRK/B`` or ``brk-b``.
    """
    return symbol.upper().replace(".", "-").replace("/", "-")

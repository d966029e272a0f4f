"""The NASDAQ Trader symbol directory: every security listed on a US exchange, in two files written each night."""

from __future__ import annotations

import re
from typing import Any

import polars as pl

from src.core.instruments import KEY
from src.listings.types import security_type

ADDRESS = "https://www.nasdaqtrader.com/dynamic/symdir/{}.txt"
FILES = ("nasdaqlisted", "otherlisted")
EXCHANGES = {"N": "NYSE", "A": "NYSE American", "P": "NYSE Arca", "Z": "Cboe BZX", "V": "IEX", "M": "NYSE Texas"}
ENTRY: dict[str, Any] = {
    "asset_class": pl.String(),
    "symbol": pl.String(),  # in our spelling: BRK-B, ABR-PD, AACT-WT, BTC-USD
    "listed_as": pl.String(),  # in the directory's: BRK.B, ABR$D, AACT.W, BTC/USD
    "title": pl.String(),  # the security's name
    "type": pl.String(),
    "type_source": pl.String(),  # what tells the type: name, symbol, flag or assumed
    "exchange": pl.String(),
}
_HEADERS = {
    "nasdaqlisted": ("Symbol", "Security Name", "Market Category", "Test Issue", "ETF"),
    "otherlisted": ("ACT Symbol", "Security Name", "Exchange", "Test Issue", "ETF"),
}
_TRAILER = "File Creation Time"
_SUFFIXES = {"W": "WT", "WS": "WT", "U": "UN", "R": "RI", "V": "WI"}


class BadListing(ValueError):
    """A list of instruments that can't be trusted: truncated, in another format, or suspiciously small."""


def entries(text: str, file: str) -> pl.DataFrame:
    """List the securities of one of the two files; test issues are left out.

    Every cell is text: NA, NAN and TRUE are tickers.

    Parameters
    ----------
    text : str
        The file as served.
    file : str
        ``nasdaqlisted`` or ``otherlisted``.

    Returns
    -------
    DataFrame
        Columns of `ENTRY`; sorted, one row for each symbol.

    Raises
    ------
    BadListing
        If the header lacks a column, or the trailer is missing, as in a truncated file.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines or not lines[-1].startswith(_TRAILER):
        raise BadListing(
            f"{file} must end with a line '{_TRAILER}', got {lines[-1][:60]!r}" if lines else f"{file} is empty"
        )
    header = [name.strip() for name in lines[0].split("|")]
    missing = [name for name in _HEADERS[file] if name not in header]
    if missing:
        raise BadListing(f"{file} must have the columns {', '.join(missing)}, got {lines[0][:100]!r}")
    symbol, title, place, test, etf = (header.index(name) for name in _HEADERS[file])
    nasdaq, rows = file == "nasdaqlisted", []
    for line in lines[1:-1]:
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) < len(header) or not cells[symbol]:
            raise BadListing(f"{file} must have {len(header)} columns in every line, got {line[:80]!r}")
        if cells[test] == "Y":
            continue
        kind = security_type(cells[symbol], cells[title], cells[etf] == "Y", nasdaq)
        exchange = "NASDAQ" if nasdaq else EXCHANGES.get(cells[place], cells[place])
        asset_class = "etf" if kind.type in ("etf", "etn") else "stock"
        ours = provider_symbol(cells[symbol])
        rows.append((asset_class, ours, cells[symbol], cells[title], kind.type, kind.source, exchange))
    if not rows:
        raise BadListing(f"{file} must list securities, got only test issues")
    return pl.DataFrame(rows, schema=ENTRY, orient="row").unique(KEY, keep="first").sort("symbol")


def provider_symbol(listed: str) -> str:
    """Convert a symbol to the spelling of providers.

    Parameters
    ----------
    listed : str
        In the directory's spelling.

    Returns
    -------
    str
        BRK.B is BRK-B, ABR$D is ABR-PD, AACT.W is AACT-WT, AACT.U is AACT-UN. Rights end in -RI, securities that trade
        when issued in -WI; a series of warrants keeps its letter (.WS.A is -WTA).
    """
    if "$" in listed:
        base, _, series = listed.partition("$")
        return f"{base}-P{series.replace('.', '')}"
    base, *parts = re.split(r"[.]", listed)
    if not parts:
        return listed
    if len(parts) == 1 and parts[0] not in _SUFFIXES:
        return f"{base}-{parts[0]}"
    return f"{base}-{''.join(_SUFFIXES.get(part, part) if n == 0 else part for n, part in enumerate(parts))}"

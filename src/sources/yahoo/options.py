"""Yahoo's option chains as quoted: every field of every contract, one page for each expiry."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl

from src.fetching.provider import CHAIN, Malformed, Unfit, Unknown
from src.sources.yahoo.payload import number, numbers

_NUMBERS = {
    "strike": "strike",
    "bid": "bid",
    "ask": "ask",
    "last": "lastPrice",
    "change": "change",
    "percent_change": "percentChange",
    "volume": "volume",
    "open_interest": "openInterest",
    "iv_provider": "impliedVolatility",
}
_TEXTS = {"contract": "contractSymbol", "currency": "currency", "contract_size": "contractSize"}
_LATEST = 100_000_000_000  # seconds since 1970; a larger number is not a time


def checked(body: dict[str, Any]) -> dict[str, Any]:
    """Check an answer of the options page.

    Parameters
    ----------
    body : dict
        The parsed JSON, which reports no error.

    Returns
    -------
    dict
        Its one result.

    Raises
    ------
    Unknown
        If Yahoo lists no options.
    Malformed
        If a part is missing or of another type.
    """
    chain = body.get("optionChain")
    results = chain.get("result") if isinstance(chain, dict) else None
    if results == []:
        raise Unknown("Yahoo lists no options: it answers with an empty chain")
    if not isinstance(results, list) or not isinstance(results[0], dict):
        raise Malformed("an option chain without a result")
    result: dict[str, Any] = results[0]
    expiries, pages = result.get("expirationDates"), result.get("options")
    if not isinstance(expiries, list) or not all(isinstance(day, int) and 0 <= day < _LATEST for day in expiries):
        raise Malformed("an option chain whose expiries are not seconds since 1970")
    if not isinstance(pages, list) or not all(isinstance(page, dict) for page in pages):
        raise Malformed("an option chain without a list of options")
    if not expiries:
        raise Unknown("Yahoo lists no options: the chain has no expiry")
    return result


def spot(result: dict[str, Any], asked: str) -> float | None:
    """Read the price of the underlying.

    Parameters
    ----------
    result : dict
        From `checked`.
    asked : str
        Yahoo's name of the symbol.

    Returns
    -------
    float or None
        In dollars; None if the answer has none.

    Raises
    ------
    Unfit
        If the answer is about another symbol, or quoted in another currency than USD.
    """
    quote = _quote(result)
    served = str(quote.get("symbol") or result.get("underlyingSymbol") or asked)
    if served.upper() != asked.upper():
        raise Unfit(f"asked for options of {asked}, answered for {served}")
    if quote.get("currency", "USD") != "USD":
        raise Unfit(f"{asked} is quoted in {quote.get('currency')}, not in USD")
    return number(quote.get("regularMarketPrice"), f"{asked}: the underlying's price")


def facts(result: dict[str, Any]) -> dict[str, str]:
    """Read what the answer says beside its contracts.

    Parameters
    ----------
    result : dict
        From `checked`.

    Returns
    -------
    dict of str to str
        market_state, exchange, name and price_time (ISO, UTC), as far as they are there.
    """
    quote = _quote(result)
    names = {"marketState": "market_state", "fullExchangeName": "exchange", "longName": "name"}
    texts = {ours: str(quote[theirs]) for theirs, ours in names.items() if quote.get(theirs)}
    moment = quote.get("regularMarketTime")
    if isinstance(moment, int) and 0 <= moment < _LATEST:
        texts["price_time"] = dt.datetime.fromtimestamp(moment, dt.UTC).isoformat()
    return texts


def expiry_of(result: dict[str, Any]) -> str | None:
    """Read which expiry a page is about.

    Parameters
    ----------
    result : dict
        From `checked`.

    Returns
    -------
    str or None
        YYYY-MM-DD; None if the page has no contracts.
    """
    pages = result["options"]
    expiry = _moment(pages[0].get("expirationDate")) if pages else None
    return str(expiry.date()) if expiry else None


def contracts(result: dict[str, Any], asked: str, captured: dt.datetime) -> pl.DataFrame:
    """Read the contracts of a page.

    Parameters
    ----------
    result : dict
        From `checked`.
    asked : str
        Yahoo's name of the underlying.
    captured : datetime
        When the answer arrived, UTC.

    Returns
    -------
    DataFrame
        Columns of `CHAIN`: calls before puts, values as served.

    Raises
    ------
    Malformed
        If calls or puts are not lists of objects, or a value is not a number.
    """
    price = spot(result, asked)
    rows: list[dict[str, Any]] = []
    kinds: list[str] = []
    for page in result["options"]:
        for name, kind in (("calls", "call"), ("puts", "put")):
            side = page.get(name, [])
            if not isinstance(side, list) or not all(isinstance(row, dict) for row in side):
                raise Malformed(f"{asked}: {name} must be a list of contracts, got {type(side).__name__}")
            rows += side
            kinds += [kind] * len(side)
    columns: dict[str, Any] = {"type": kinds}
    columns |= {
        ours: numbers([row.get(theirs) for row in rows], f"{asked}: {ours}") for ours, theirs in _NUMBERS.items()
    }
    columns |= {ours: [_text(row.get(theirs)) for row in rows] for ours, theirs in _TEXTS.items()}
    columns["in_the_money"] = [row.get("inTheMoney") is True if "inTheMoney" in row else None for row in rows]
    columns["expiry"] = [_moment(row.get("expiration")) for row in rows]
    columns["last_trade"] = [_moment(row.get("lastTradeDate")) for row in rows]
    columns["captured"] = [captured] * len(rows)
    columns["underlying_price"] = [price] * len(rows)
    wide = {name: pl.Datetime("us", "UTC") if kind in (pl.Date, pl.Datetime) else kind for name, kind in CHAIN.items()}
    frame = pl.DataFrame({name: columns[name] for name in CHAIN}, schema=wide)
    return frame.select(pl.col(name).cast(kind) for name, kind in CHAIN.items())


def _quote(result: dict[str, Any]) -> dict[str, Any]:
    quote = result.get("quote")
    return quote if isinstance(quote, dict) else {}


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _moment(seconds: Any) -> dt.datetime | None:
    """Convert seconds since 1970 to a UTC time; null if they are out of range."""
    if isinstance(seconds, int) and 0 <= seconds < _LATEST:
        return dt.datetime.fromtimestamp(seconds, dt.UTC)
    return None

"""Tables of tickers, and the histories of symbols and names that follow from their revisions."""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from src.research.linking.index import canonical

log = logging.getLogger(__name__)

_SCHEMA: dict[str, Any] = {
    "cik": pl.Int64(),
    "asset_class": pl.String(),
    "symbol": pl.String(),
    "name": pl.String(),
    "since": pl.Datetime("us", "UTC"),
    "until": pl.Datetime("us", "UTC"),
}
_NOBODY: tuple[int | None, str] = (None, "")
Moment = dt.datetime | None


@dataclass(frozen=True)
class TickerRow:
    """One line of a table of tickers.

    Attributes
    ----------
    cik : int
    name : str
    symbol : str
        In capitals, with ``-`` before a share class.
    """

    cik: int
    name: str
    symbol: str


@dataclass(frozen=True)
class FormerNames:
    """Names that a company had before.

    Attributes
    ----------
    cik : int
    names : tuple of (str, datetime or None, datetime)
        Each with when it began and when it ended.
    """

    cik: int
    names: tuple[tuple[str, Moment, dt.datetime], ...] = ()


def table_rows(body: bytes) -> list[TickerRow]:
    """Lines of a table of tickers.

    Parameters
    ----------
    body : bytes
        ``company_tickers_exchange.json`` or ``company_tickers.json``, as served.

    Returns
    -------
    list of TickerRow
        Lines without a number or a ticker are left out, counted in a warning; all of them if it is no such table.
    """
    try:
        table = json.loads(body)
        if "data" in table:
            lines = [dict(zip(table["fields"], line, strict=False)) for line in table["data"]]
        else:
            lines = [{**line, "cik": line.get("cik_str"), "name": line.get("title")} for line in table.values()]
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        log.warning("a table of tickers can't be read (%s): it counts as not seen", error)
        return []
    rows = [row for row in map(_row, lines) if row is not None]
    if len(rows) < len(lines):
        log.warning("a table of tickers has %d lines without a number or a ticker", len(lines) - len(rows))
    return rows


def former_names(body: bytes) -> FormerNames | None:
    """Former names of a company.

    Parameters
    ----------
    body : bytes
        ``submissions/CIK##########.json`` as of data.sec.gov.

    Returns
    -------
    FormerNames or None
        None, and a warning, if it can't be read.
    """
    try:
        table = json.loads(body)
        found = [
            (str(each["name"]), _moment(each.get("from")), _moment(each["to"]))
            for each in table.get("formerNames") or ()
            if each.get("name") and each.get("to")
        ]
        names = tuple((name, start, end) for name, start, end in found if end is not None)
        return FormerNames(int(table["cik"]), names)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        log.warning("former names of a company can't be read (%s)", error)
        return None


def spells(
    tables: Sequence[tuple[dt.datetime, list[TickerRow]]],
    former: Iterable[FormerNames | None],
    instruments: pl.DataFrame,
) -> pl.DataFrame:
    """Which company stood behind each symbol, and under which name, from when to when.

    Parameters
    ----------
    tables : sequence of (datetime, list of TickerRow)
        Each with when it became known, the oldest first; one without lines counts as not seen.
    former : iterable of FormerNames
    instruments : DataFrame
        asset_class, symbol; empty takes every symbol of the tables as a stock.

    Returns
    -------
    DataFrame
        cik, asset_class, symbol, name, since, until, as `src.research.links.companies` describes them.
    """
    tables = [(known, rows) for known, rows in tables if rows]
    histories = _histories(tables)
    names = {each.cik: each.names for each in former if each is not None}
    if instruments.height:
        keys = instruments.select("asset_class", "symbol").unique().sort("asset_class", "symbol").rows()
    else:
        keys = [("stock", symbol) for symbol in sorted(histories)]
    rows: list[tuple[Any, ...]] = []
    for kind, symbol in keys:
        history = [] if kind == "crypto" else histories.get(canonical(symbol), [])
        for (cik, name), start, end in _spans(history):
            for spelled, since, until in _named(name, start, end, names.get(cik or 0, ())):
                rows.append((cik, kind, symbol, spelled, since, until))
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row")


def _row(line: dict[str, Any]) -> TickerRow | None:
    cik, ticker = line.get("cik"), line.get("ticker")
    if not ticker or not str(cik).isdigit():
        return None
    return TickerRow(int(str(cik)), str(line.get("name") or ""), canonical(str(ticker).strip()))


def _histories(
    tables: Sequence[tuple[dt.datetime, list[TickerRow]]],
) -> dict[str, list[tuple[dt.datetime, tuple[int | None, str]]]]:
    """Changes of each symbol: from when on which company; those of the first table from the beginning."""
    found: dict[str, list[tuple[dt.datetime, tuple[int | None, str]]]] = defaultdict(list)
    current: dict[str, tuple[int | None, str]] = {}
    beginning = dt.datetime.min.replace(tzinfo=dt.UTC)
    for number, (known, rows) in enumerate(tables):
        start = known if number else beginning
        table: dict[str, tuple[int | None, str]] = {}
        for row in rows:
            table.setdefault(row.symbol, (row.cik, row.name))
        for symbol in sorted({*table, *current}):
            now = table.get(symbol, _NOBODY)
            if now != current.get(symbol, _NOBODY):
                found[symbol].append((start, now))
                current[symbol] = now
    return found


def _spans(
    history: list[tuple[dt.datetime, tuple[int | None, str]]],
) -> list[tuple[tuple[int | None, str], Moment, Moment]]:
    """Spans without a gap; the first begins and the last ends open."""
    beginning = dt.datetime.min.replace(tzinfo=dt.UTC)
    if not history or history[0][0] > beginning:
        history = [(beginning, _NOBODY), *history]
    ends = [start for start, _ in history[1:]]
    starts: list[Moment] = [None, *ends]
    return [(company, start, end) for (_, company), start, end in zip(history, starts, [*ends, None], strict=True)]


def _named(
    name: str, start: Moment, end: Moment, former: tuple[tuple[str, Moment, dt.datetime], ...]
) -> list[tuple[str, Moment, Moment]]:
    """A span cut where its company had another name."""
    cuts: list[tuple[str, Moment, Moment]] = []
    since = start
    for old, _, last in sorted(former, key=lambda each: each[2]):
        if (since is None or last > since) and (end is None or last < end):
            cuts.append((old, since, last))
            since = last
    return [*cuts, (name, since, end)]


def _moment(text: Any) -> Moment:
    """A time of the SEC's JSON, such as 2013-05-31T00:00:00.000Z; None if it is no time."""
    if not text:
        return None
    moment = dt.datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)

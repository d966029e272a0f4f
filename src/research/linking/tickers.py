"""Tables of tickers, and the histories of symbols and names that follow from their revisions."""

from __future__ import annotations

import datetime as dt
import json
import logging
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
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
_CIK = re.compile(rb'"cik"\s*:\s*"?(\d+)')
_NAMES_BYTES = 65_536  # of the list of former names, at most
_BEGINNING = dt.datetime.min.replace(tzinfo=dt.UTC)
Moment = dt.datetime | None
Company = tuple[int | None, str]  # number and name
Change = tuple[dt.datetime, Company]  # from when on
_UNKNOWN: Company = (None, "")


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
class TickerTable:
    """One content of a source's table of tickers.

    Attributes
    ----------
    source : str
    known : datetime
    rows : list of TickerRow
        Empty where it can't be read.
    """

    source: str
    known: dt.datetime
    rows: list[TickerRow]


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
        ``submissions/CIK##########.json`` as of data.sec.gov. Only its small part on names is decoded.

    Returns
    -------
    FormerNames or None
        None where it has none, as in the older parts of a company's submissions, and, with a warning, if it can't be
        read.
    """
    number, start = _CIK.search(body), body.find(b'"formerNames"')
    if number is None or start < 0:
        return None
    try:
        text = body[start : start + _NAMES_BYTES].decode("utf-8", errors="ignore")
        listed, _ = json.JSONDecoder().raw_decode(text.partition(":")[2].lstrip())
        found = [
            (str(each["name"]), _moment(each.get("from")), _moment(each["to"]))
            for each in listed or ()
            if each.get("name") and each.get("to")
        ]
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        log.warning("former names of company %s can't be read (%s)", number[1].decode(), error)
        return None
    names = tuple((name, begun, ended) for name, begun, ended in found if ended is not None)
    return FormerNames(int(number[1]), names)


def spells(
    tables: Iterable[TickerTable], former: Iterable[FormerNames | None], instruments: pl.DataFrame
) -> pl.DataFrame:
    """Which company stood behind each symbol, and under which name, from when to when.

    Parameters
    ----------
    tables : iterable of TickerTable
        The oldest first; one that can't be read, or that lost half of its lines, counts as not seen.
    former : iterable of FormerNames
    instruments : DataFrame
        asset_class, symbol; empty takes every symbol of the tables as a stock.

    Returns
    -------
    DataFrame
        cik, asset_class, symbol, name, since, until, as `src.research.links.companies` describes them.
    """
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


def _histories(tables: Iterable[TickerTable]) -> dict[str, list[Change]]:
    """Changes of each symbol, by the first of the sources that has it."""
    sources: dict[str, _Following] = defaultdict(_Following)
    for table in tables:
        sources[table.source].take(table)
    found: dict[str, list[Change]] = {}
    for name in sorted(sources, reverse=True):
        found |= sources[name].changes
    return found


@dataclass
class _Following:
    """The tables of one source, one after the other: from when on each symbol stood for which company."""

    changes: dict[str, list[Change]] = field(default_factory=dict)
    current: dict[str, Company] = field(default_factory=dict)

    def take(self, table: TickerTable) -> None:
        """Note what a table changes; the first holds from the beginning, one that lost half of its lines is damaged."""
        companies: dict[str, Company] = {}
        for row in table.rows:
            companies.setdefault(row.symbol, (row.cik, row.name))
        if 2 * len(companies) < len(self.current) or not companies:
            if self.current:
                log.warning("the table of tickers of %s has lost half of its lines: passed over", table.known)
            return
        start = table.known if self.current else _BEGINNING
        changed = {
            symbol for symbol in (*companies, *self.current) if companies.get(symbol) != self.current.get(symbol)
        }
        for symbol in sorted(changed):
            self.changes.setdefault(symbol, []).append((start, companies.get(symbol, _UNKNOWN)))
        self.current = companies


def _spans(history: list[Change]) -> list[tuple[Company, Moment, Moment]]:
    """Spans without a gap; the first begins and the last ends open."""
    if not history or history[0][0] > _BEGINNING:
        history = [(_BEGINNING, _UNKNOWN), *history]
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
